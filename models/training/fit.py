"""Recipe to run folder: train, report, evaluate, and resume where an earlier call was interrupted."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.names import EVAL, FOLD_SCORES, HISTORY, RECIPE, STATE
from models.core.errors import UserError
from models.core.progress import PhaseListener, ignore_phase
from models.core.renames import STAGED
from models.core.system_files import is_system_file
from models.engines.select import device_for
from models.evaluation.evaluate import evaluate
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import Recipe, as_begun, data_as_begun
from models.training.placement import place_trainers
from models.training.trainer import Trainer


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands at a report; `seconds` are those since the last report."""

    step: int
    steps: int
    loss: float
    validation_esr: float
    seconds: float
    steps_per_second: float


def fit(
    recipe: Recipe,
    out: Path,
    on_progress: Callable[[TrainingProgress], None] = lambda progress: None,
    on_step: Callable[[int], None] = lambda step: None,
    load: Callable[[DataConfig, PhaseListener], AmpData] = load_data,
    on_phase: PhaseListener = ignore_phase,
) -> Evaluation:
    """Train a recipe into the run folder `out` and return its evaluation; a finished run is not trained again.

    `on_progress` gets every report; `on_step` the number of steps done, after each step on a CPU, after every 64 steps
    on a GPU. `load` reads the recordings; `on_phase` is told of reading, aligning, training and scoring. Raises
    `UserError` for takes that cannot be used or a folder that holds another recipe, `DivergedError` when training
    leaves the finite numbers.
    """
    if (out / RECIPE).exists():
        (data_config,) = data_as_begun([recipe.data], out / RECIPE)
        begun = {"learning": as_begun(recipe.learning, out / RECIPE), "data": data_config}
        recipe = recipe.model_copy(update=begun)
    _check_folder(out)
    data = load(recipe.data, on_phase)
    trainer = _begin(recipe, data, out)
    if (out / EVAL).exists() and trainer.step == recipe.learning.steps:
        return read_evaluation(out)
    on_phase("training", trainer.step, recipe.learning.steps)
    (part,) = place_trainers([trainer], device_for(gpus=1))
    while trainer.step < recipe.learning.steps:
        began, first = time.monotonic(), trainer.step
        (loss,) = part.advance(recipe.learning.report_every, on_step)
        trainer.check()
        speed = (trainer.step - first) / (time.monotonic() - began)
        validation = trainer.validate()
        trainer.save(out)
        seconds = time.monotonic() - began
        on_progress(TrainingProgress(trainer.step, recipe.learning.steps, loss, validation.mean, seconds, speed))
    trainer.finish(out)
    on_phase("scoring")
    return evaluate(out, data)


def _check_folder(out: Path) -> None:
    """Raise `UserError` where a folder holds something else than a run."""
    if not (out / STATE).exists() and out.exists() and (not out.is_dir() or _has_other_files(out)):
        raise UserError(f"{out} is not empty and holds no run", "Choose another folder.")


def _begin(recipe: Recipe, data: AmpData, out: Path) -> Trainer:
    """Return a trainer at the step where `out` was left, or at the first; raises `UserError` as `fit` does."""
    trainer = Trainer(recipe, data)
    if (out / STATE).exists():
        trainer.load(out)
    out.mkdir(parents=True, exist_ok=True)
    return trainer


def _has_other_files(out: Path) -> bool:
    """Whether there is more than what a first save leaves when it is interrupted."""
    own = (RECIPE, HISTORY, FOLD_SCORES)
    others = (path for path in out.iterdir() if path.name not in own and not path.name.startswith(STAGED))
    return any(not is_system_file(PurePath(path.name)) for path in others)
