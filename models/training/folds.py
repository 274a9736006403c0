"""Cross-validation over settings: every recorded setting is judged by a model that was not trained on it.

Where takes are few, two validation settings say little, and training misses them. With folds, the takes of each fold
leave training in turn and judge the model that the others give; the model that is published is trained on all of them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Annotated, Any, Literal

from pydantic import Field

from models.artifacts.evaluation import Score
from models.artifacts.names import FOLD_SCORES
from models.core.errors import UserError
from models.core.files import write_json
from models.core.progress import PhaseListener, ignore_phase
from models.core.schema import Frozen, read_document
from models.engines.select import device_for
from models.evaluation.scoring import pool, score
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.recordings.splitting import divide_settings
from models.training.config import Recipe
from models.training.placement import place_trainers
from models.training.trainer import Trainer

FEW_TAKES = 16  # fewer than these, of which one or two settings validate, tell little about the others


class CrossValidation(Frozen):
    """`folds.json`: the scores of the models of all folds, each at the settings that it was not trained on."""

    schema_name: Annotated[Literal["ampzoo.folds/1"], Field(alias="schema")] = "ampzoo.folds/1"
    recipe: dict[str, Any]
    folds: tuple[Score, ...]

    @property
    def whole(self) -> Score:
        """The scores of all settings together."""
        return pool(setting for fold in self.folds for setting in fold.settings)

    @property
    def spread(self) -> float:
        """The standard deviation of the folds' means; 0 for a single fold."""
        means = [fold.mean for fold in self.folds]
        return stdev(means) if len(means) > 1 else 0.0


def for_all_takes(data: DataConfig) -> DataConfig:
    """Return a data config with which all takes but the held ones train."""
    return data.model_copy(update={"validation_settings": 0})


def split_folds(data: AmpData, folds: int) -> list[AmpData]:
    """Return for each fold the data without its settings, which validate.

    `data` was loaded with `for_all_takes`. A setting without which no other reaches an end of a knob stays in training,
    as models interpolate. Raises `UserError` where fewer settings than folds can leave training.
    """
    parts = divide_settings({piece.key: piece.levels_K for piece in data.train}, folds)
    if not all(parts):
        raise UserError(
            f"{data.config.name}: {folds} folds are wanted, but only {sum(map(bool, parts))} settings can leave "
            "training without narrowing a knob's range",
            "Ask for fewer folds, or record more between the ends of the knobs.",
        )
    return [
        replace(
            data,
            train=tuple(piece for piece in data.train if piece.key not in part),
            validation=tuple(piece for piece in data.validation if piece.key in part),
        )
        for part in parts
    ]


def cross_validate(
    recipe: Recipe,
    out: Path,
    folds: int,
    on_fold: Callable[[int, Score], None] = lambda number, score: None,
    on_step: Callable[[int], None] = lambda step: None,
    load: Callable[[DataConfig, PhaseListener], AmpData] = load_data,
    on_phase: PhaseListener = ignore_phase,
) -> CrossValidation:
    """Train a model for each fold, score it, and write `folds.json` into `out`; folds that are scored stay.

    `on_fold` gets the number of each finished fold, from 1, and its score; `on_step` the number of steps done. Held
    takes are not scored. Raises `UserError` as `split_folds` and loading do, `DivergedError` when training diverges.
    """
    recipe = recipe.model_copy(update={"data": for_all_takes(recipe.data)})
    parts = split_folds(load(recipe.data, on_phase), folds)
    described = {"folds": folds, **recipe.model_dump(mode="json")}
    done = _scored_before(out, described)
    for number, data in enumerate(parts, 1):
        if number > len(done):
            on_phase("training", 0, recipe.learning.steps)
            trainer = Trainer(recipe, data)
            (part,) = place_trainers([trainer], device_for(gpus=1))
            while trainer.step < recipe.learning.steps:
                part.advance(recipe.learning.report_every, on_step)
                trainer.check()
            done.append(score(trainer.finished_model(), data, data.validation))
            found = CrossValidation(recipe=described, folds=tuple(done))
            out.mkdir(parents=True, exist_ok=True)
            write_json(out / FOLD_SCORES, found.model_dump(mode="json", by_alias=True))
        on_fold(number, done[number - 1])
    return CrossValidation(recipe=described, folds=tuple(done))


def _scored_before(out: Path, described: dict[str, Any]) -> list[Score]:
    """Return the scores of folds of the same recipe that were finished before."""
    if not (out / FOLD_SCORES).exists():
        return []
    found = read_document(out / FOLD_SCORES, CrossValidation, follow=False)
    return list(found.folds) if found.recipe == described else []
