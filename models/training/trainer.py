"""One run in training: its net, windows, state and history. The same numbers however often it is interrupted.

Shapes: K members (one here), P parameters.
"""

import copy
import math
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from statistics import fmean

import torch

from models.artifacts.evaluation import Score
from models.artifacts.folder import save_model
from models.artifacts.model_config import ModelConfig, make_config
from models.artifacts.names import MACHINE, SPLIT
from models.core.errors import DivergedError
from models.core.files import write_json
from models.core.hardware import describe_machine
from models.engines.base import as_vector, named_parameters
from models.evaluation.scoring import score
from models.network.wavenet import WaveNet
from models.recordings.composed_pieces import judged_pieces
from models.recordings.dataset import AmpData
from models.training.checkpoint import load_checkpoint, save_checkpoint
from models.training.config import Recipe
from models.training.offset import early_removal, without_offset
from models.training.optimizers import optimizer_for
from models.training.silence import SilenceLoss
from models.training.solo import SoloExecutor
from models.training.state import PATIENCE, TrainState
from models.training.windows import WindowSampler


class Trainer:
    """A recipe, its recordings and where its training stands.

    What takes the steps is built later: by the first `advance`, or by a stack. `model` is what is scored and saved:
    `net` itself, or with `ema` a second net that has the average of the weights. Raises `UserError` for recordings that
    are too short for the recipe.
    """

    def __init__(self, recipe: Recipe, data: AmpData) -> None:
        self.recipe, self.data = recipe, data
        torch.manual_seed(recipe.learning.seed)
        self.net = WaveNet(recipe.model, data.knobs.columns(recipe.model.inject.encoding))
        self.windows = WindowSampler(recipe, data)
        self.net.head_scale.copy_(
            self.windows.rms
        )  # the layers' target has RMS 1: at -18 dB the error was twice as high
        averages = recipe.learning.ema > 0
        self.model = copy.deepcopy(self.net) if averages else self.net
        parameters = named_parameters(self.net)
        self.optimizer = optimizer_for(recipe.learning, [(name, p.shape) for name, p in parameters.items()])
        self.vector_P = as_vector(list(parameters.values()))
        self.mean_P = as_vector(list(named_parameters(self.model).values())) if averages else None
        mean_KP = None if self.mean_P is None else self.mean_P.data[None]
        self.state = TrainState.begin(self.vector_P.data[None], mean_KP, self.optimizer)
        self.history: list[dict] = []

    @property
    def step(self) -> int:
        """Steps that are done."""
        return int(self.state.step_K)

    @property
    def failed(self) -> int:
        """Steps in a row, up to the last, that were skipped because their numbers were not finite."""
        return int(self.state.failed_K)

    @property
    def diverged(self) -> bool:
        """Whether the last `PATIENCE` steps were skipped: it does not continue."""
        return self.failed >= PATIENCE

    @property
    def config(self) -> ModelConfig:
        """The `config.json` of the model."""
        data = self.data
        return make_config(data.config.name, data.rate_hz, data.knobs, self.recipe.model, data.levels)

    @cached_property
    def solo(self) -> SoloExecutor:
        """What takes the steps when the run is trained by itself."""
        learning, knobs = self.recipe.learning, self.data.knobs
        silence = SilenceLoss(self.net, knobs, learning) if learning.silence else None
        return SoloExecutor(self.net, self.vector_P, self.state, self.windows, learning, self.optimizer, silence)

    def check(self) -> None:
        """Raise `DivergedError` if training has diverged."""
        if self.diverged:
            raise DivergedError(
                f"the loss is not finite or has no finite gradient at step {self.step}, the {PATIENCE}th in a row"
            )

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> float:
        """Train by itself on the CPU for some steps (never past the last) and return their mean loss.

        `on_step` gets the number of steps done after each. A step whose loss or gradient is not finite changes nothing
        but is counted; raises `DivergedError` after `PATIENCE` in a row.
        """
        first, stop, began = self.step, min(self.step + steps, self.recipe.learning.steps), time.monotonic()
        self.net.train()
        losses = []
        for step in range(first, stop):
            if step == early_removal(self.recipe.learning):
                self.remove_offset()
            losses.append(self.solo.step(step))
            self.check()
            on_step(step + 1)
        return self.record(losses, time.monotonic() - began)

    def record(self, losses: list[float], seconds: float) -> float:
        """Write the losses of the last steps into the history and return their mean; NaN stands for a skipped step."""
        usable = [loss for loss in losses if math.isfinite(loss)]
        loss = fmean(usable) if usable else math.nan
        line = {"step": self.step, "loss": loss if usable else None, "seconds": round(seconds, 3)}
        self.history.append(line | ({"skipped": len(losses) - len(usable)} if len(usable) < len(losses) else {}))
        return loss

    def validate(self) -> Score:
        """Score the model on validation settings and audio; no other score may choose between models."""
        result = score(self.model.eval(), self.data, judged_pieces(self.data))
        if self.history:
            self.history[-1]["validation_esr"] = result.mean
        return result

    def save(self, folder: Path) -> None:
        """Write all that is needed to continue from this step."""
        save_checkpoint(folder, self.recipe, self.history, self.net, self.state, self.optimizer)

    def load(self, folder: Path) -> None:
        """Continue from what `save` wrote; raises `UserError` for another recipe or a damaged file."""
        self.history = load_checkpoint(folder, self.recipe, self.net, self.state, self.optimizer)

    def remove_offset(self) -> None:
        """Take from the net what it plays in silence, as far as its loss allows; it trains on from there."""
        if not self.vector_P.isfinite().all():
            return
        quiet = without_offset(self.net.eval(), self.windows, self.data.knobs, self.recipe.learning)
        self.vector_P.data.copy_(torch.cat([p.detach().flatten() for p in named_parameters(quiet).values()]))
        self.net.train()

    def finished_model(self) -> WaveNet:
        """Return the trained model as it is published: where silence counts, without what it plays in silence."""
        learning, model = self.recipe.learning, self.model.eval()
        return without_offset(model, self.windows, self.data.knobs, learning) if learning.silence else model

    def finish(self, folder: Path) -> None:
        """Write the trained model, what it was trained on and by which machine, beside the state that `save` wrote."""
        composed = {"linear_knobs": linear} if (linear := self.windows.composer.describe()) else {}
        if far := judged_pieces(self.data)[len(self.data.validation) :]:
            composed["composed_validation"] = [{"start": p.start, "stop": p.stop, "setting": p.setting} for p in far]
        write_json(folder / SPLIT, self.data.describe() | composed)
        write_json(folder / MACHINE, describe_machine())
        save_model(folder, self.config, self.finished_model())
