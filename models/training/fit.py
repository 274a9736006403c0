"""models/training/fit.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.names import EVAL, HISTORY, RECIPE, STATE
from models.core.errors import UserError
from models.core.files import STAGED
from models.engines.select import device_for
from models.evaluation.evaluate import report
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import Recipe
from models.training.trainer import Trainer


@dataclass(frozen=True)
class Progress:
    """Where a run stands, told after every report."""

    step: int
    steps: int
    loss: float
    validation_esr: float
    seconds: float
    steps_per_second: float


def fit(
    recipe: Recipe,
    out: Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_step: Callable[[int], None] = lambda step: None,
    load: Callable[[DataConfig], AmpData] = load_data,
) -> Evaluation:
    """Train a recipe into the run folder `out` and return its evaluation, going on where an earlier call was interrupted.

    `on_step` is told, after every step on a CPU, how many are done; `load` brings the recordings. A finished run is not trained again.
    Raises `UserError` for takes that cannot be used or a folder that holds another recipe, `DivergedError` when training leaves the finite
    numbers.
    """
    from models.training.placement import parts_of

    data = load(recipe.data)
    trainer = _begin(recipe, data, out)
    if (out / EVAL).exists() and trainer.step == recipe.learning.steps:
        return read_evaluation(out)
    (part,) = parts_of([trainer], device_for(gpus=1))
    while trainer.step < recipe.learning.steps:
        began, first = time.monotonic(), trainer.step
        (loss,) = part.advance(recipe.learning.report_every, on_step)
        trainer.check()
        speed = (trainer.step - first) / (time.monotonic() - began)
        validation = trainer.validate()
        trainer.save(out)
        seconds = time.monotonic() - began
        on_progress(Progress(trainer.step, recipe.learning.steps, loss, validation.mean, seconds, speed))
    trainer.finish(out)
    return report(out, data)


def _begin(recipe: Recipe, data: AmpData, out: Path) -> Trainer:
    """A trainer that stands where the run folder `out` was left, or at the first step in a new one; raises `UserError` as `fit` does."""
    trainer = Trainer(recipe, data)
    if (out / STATE).exists():
        trainer.load(out)
    elif out.exists() and (not out.is_dir() or _holds_something_else(out)):
        raise UserError(f"{out} is not empty and holds no run", "Choose another --out folder.")
    out.mkdir(parents=True, exist_ok=True)
    return trainer


def _holds_something_else(out: Path) -> bool:
    """True unless all there is was left by a first save that was interrupted."""
    return any(path.name not in (RECIPE, HISTORY) and not path.name.startswith(STAGED) for path in out.iterdir())
