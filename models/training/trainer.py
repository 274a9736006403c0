"""Recipe and takes -> run folder: resumable, step by step, the same numbers however often it is interrupted.

Shapes: B batch, T time, K knobs, S segment, R receptive field.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.cost import cost
from models.dataset import AmpData, Piece, energy, load_data
from models.documents import (
    EVAL,
    HISTORY,
    MACHINE,
    RECIPE,
    SPLIT,
    STATE,
    Evaluation,
    ModelConfig,
    Score,
    make_config,
    read_evaluation,
)
from models.engine import as_vector, device_for, engine_for
from models.errors import DivergedError, UserError
from models.files import STAGED, read_document, write_json, write_text
from models.fold import Folding
from models.guards import knob_moves, scan_corners, turn_knobs
from models.loss import mrstft, pre_emphasise
from models.machine import describe_machine
from models.metrics import by_region, score
from models.recipe import DataConfig, LearningConfig, Recipe
from models.run import load_model, save_model, save_tensors
from models.wavenet import WaveNet

PATIENCE = 10  # steps in a row without finite numbers, after which a run has diverged


@dataclass(frozen=True)
class Progress:
    """Where a run stands, told after every report."""

    step: int
    steps: int
    loss: float
    validation_esr: float
    seconds: float
    steps_per_second: float


def rate_at(step: int, learning: LearningConfig) -> float:
    """Learning rate of a step: linear warm-up, then the schedule down to `final_rate` of the peak."""
    warm = min(1.0, (step + 1) / max(learning.warmup, 1))
    if learning.schedule == "constant":
        left = 1.0
    elif learning.schedule == "exponential":
        left = learning.final_rate ** (step / learning.steps)
    else:
        turn = 0.5 * (1 + math.cos(math.pi * step / learning.steps))
        left = learning.final_rate + (1 - learning.final_rate) * turn
    return learning.learning_rate * warm * left


def decay_at(step: int, learning: LearningConfig) -> float:
    """How much of the average of the weights a step leaves: less at first, so that the untrained ones are soon forgotten (as TensorFlow's
    `ExponentialMovingAverage` with `num_updates`).
    """
    return min(learning.ema, (1 + step) / (10 + step))


class Trainer:
    """One model in training; a batch depends on the seed and the step alone, so a resumed run repeats an uninterrupted one."""

    def __init__(self, recipe: Recipe, data: AmpData) -> None:
        self.recipe, self.data = recipe, data
        torch.manual_seed(recipe.learning.seed)
        self.net = WaveNet(recipe.model, data.knobs.columns(recipe.model.inject.encoding))
        field, segment = recipe.model.receptive_field, recipe.learning.segment
        self.pieces = [data.training_piece(piece, field, segment) for piece in data.train]
        self.levels_PK = [data.encode(piece, recipe.model.inject.encoding) for piece in self.pieces]
        energy_P = torch.tensor([piece.energy for piece in self.pieces])
        # What it learns is of RMS 1: to 18 dB less it ended at twice the error.
        self.net.head_scale.copy_(energy_P.mean().sqrt())
        averages = recipe.learning.ema > 0
        self.model = copy.deepcopy(self.net) if averages else self.net  # what is judged and kept
        self.engine, self.vector_P = engine_for(self.net), as_vector(_parameters(self.net))
        self.mean_P = as_vector(_parameters(self.model)) if averages else None  # of the weights, over steps
        self.optimiser = torch.optim.Adam([self.vector_P], lr=recipe.learning.learning_rate, fused=True)
        self.step = 0
        self.failed = 0  # steps in a row that were skipped because their numbers were not finite
        self.history: list[dict] = []
        if recipe.learning.pre_emphasis:
            energy_P = torch.tensor([self._emphasised_energy(piece) for piece in self.pieces])
        self.weights_P = 1 / energy_P  # quiet pieces count as much as loud ones

    @property
    def diverged(self) -> bool:
        """Whether its last `PATIENCE` steps could not be used: it does not go on."""
        return self.failed >= PATIENCE

    def check(self) -> None:
        """Raise `DivergedError` if it has diverged."""
        if self.diverged:
            raise DivergedError(
                f"the loss is not finite or has no finite gradient at step {self.step}, the {PATIENCE}th in a row"
            )

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> float:
        """Train for some steps (never past the last), telling `on_step` how many are done; returns their mean loss.

        A step whose loss or gradient is not finite changes nothing but is counted; raises `DivergedError` after `PATIENCE` in a row.
        """
        stop, began = min(self.step + steps, self.recipe.learning.steps), time.monotonic()
        self.net.train()
        losses, tried = [], stop - self.step
        while self.step < stop:
            loss = self._step()
            if loss is not None:
                losses.append(loss)
            on_step(self.step)
        return self.note(losses, tried, time.monotonic() - began)

    def note(self, losses: list[float], tried: int, seconds: float) -> float:
        """Write into the history what the steps up to this one came to; returns their mean loss, NaN where none could be used."""
        loss = fmean(losses) if losses else math.nan
        line = {"step": self.step, "loss": loss if losses else None, "seconds": round(seconds, 3)}
        self.history.append(line | ({"skipped": tried - len(losses)} if len(losses) < tried else {}))
        return loss

    def validate(self) -> Score:
        """Score on validation settings and audio, the only judge that may choose between models."""
        result = score(self.model.eval(), self.data, self.data.validation)
        if self.history:
            self.history[-1]["validation_esr"] = result.mean
        return result

    def _step(self) -> float | None:
        """One step; its loss, or None where it was skipped."""
        learning = self.recipe.learning
        x_BT, target_BS, levels_BK, weight_B = self.batch(self.step)

        def loss(predicted_BS: Tensor, items: slice) -> Tensor:
            wanted_BS, heavy_B = target_BS[items], weight_B[items]
            error_BS = pre_emphasise(predicted_BS - wanted_BS, learning.pre_emphasis)
            loss_B = error_BS.square().mean(1) * heavy_B
            if learning.mrstft:
                level_B1 = heavy_B.sqrt()[:, None]
                loss_B = loss_B + learning.mrstft * mrstft(predicted_BS * level_B1, wanted_BS * level_B1)
            return loss_B.sum() / learning.batch

        self.optimiser.zero_grad(set_to_none=False)
        found = self.engine.descend(self.vector_P, x_BT, levels_BK, loss)
        norm = torch.nn.utils.clip_grad_norm_([self.vector_P], learning.gradient_clip)
        finite = math.isfinite(found) and math.isfinite(norm.item())
        self.failed = 0 if finite else self.failed + 1
        self.check()
        if finite:
            for group in self.optimiser.param_groups:
                group["lr"] = rate_at(self.step, learning)
            self.optimiser.step()
            if self.mean_P is not None:
                self.mean_P.data.lerp_(self.vector_P.data, 1 - decay_at(self.step, learning))
        self.step += 1
        return found if finite else None

    def _emphasised_energy(self, piece: Piece) -> float:
        """Mean square of what a piece's error is measured against."""
        wet_T = pre_emphasise(piece.wet_T[piece.start : piece.stop], self.recipe.learning.pre_emphasis)
        return energy(wet_T) / len(wet_T)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a step hears, should play, the knobs and the weight of each item: `(x_BT, target_BS, levels, weight_B)`."""
        context, (picks, starts) = self.net.receptive_field - 1, self.draw(step)
        x, target, levels = [], [], []
        for pick, start in zip(picks, starts, strict=True):
            piece, stop = self.pieces[pick], start + self.recipe.learning.segment
            x.append(self.data.dry(piece, start - context, stop))
            target.append(piece.wet_T[start:stop])
            levels.append(self.levels_PK[pick])
        return torch.stack(x), torch.stack(target), torch.stack(levels), self.weights_P[picks]

    def draw(self, step: int) -> tuple[list[int], list[int]]:
        """Which of `pieces` the batch of a step hears, and from which sample each: one segment of target begins there."""
        learning = self.recipe.learning
        draw = np.random.default_rng([learning.seed, step])
        picks = draw.integers(len(self.pieces), size=learning.batch).tolist()
        spans = [(self.pieces[pick].start, self.pieces[pick].stop - learning.segment) for pick in picks]
        return picks, [int(draw.integers(first, last, endpoint=True)) for first, last in spans]

    @property
    def config(self) -> ModelConfig:
        """The `config.json` of the model."""
        data = self.data
        return make_config(data.config.name, data.rate_hz, data.knobs, self.recipe.model, data.levels)

    def save(self, folder: Path) -> None:
        """Write everything needed to go on from this step."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors["failed"] = torch.tensor(self.failed)
        tensors |= {} if self.mean_P is None else {"mean": self.mean_P}
        tensors |= {f"adam.{name}": value for name, value in self.optimiser.state[self.vector_P].items()}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RECIPE, self.recipe.model_dump(mode="json"))
        write_text(folder / HISTORY, "".join(json.dumps(line) + "\n" for line in self.history))
        save_tensors(folder / STATE, tensors, {"step": str(self.step)})

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote; raises `UserError` when that was another recipe."""
        saved = read_document(folder / RECIPE, Recipe)
        if saved != self.recipe:
            fault = next(name for name in Recipe.model_fields if getattr(saved, name) != getattr(self.recipe, name))
            raise UserError(
                f"{folder} was trained with another recipe: '{fault}' differs",
                "Choose another --out folder, or restore the recipe.",
            )
        try:
            with safe_open(folder / STATE, "pt") as file:
                step = int(file.metadata()["step"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except SafetensorError as problem:
            raise UserError(f"{folder / STATE} is damaged: {problem}", "Train into a new --out folder.") from None
        if "failed" not in tensors or ("mean" in tensors) != (self.mean_P is not None):
            raise UserError(f"{folder / STATE} is from another version of ampzoo", "Train into a new --out folder.")
        of = {prefix: {} for prefix in ("net", "adam")}
        self.step, self.failed = step, int(tensors.pop("failed"))
        if self.mean_P is not None:
            self.mean_P.data.copy_(tensors.pop("mean"))
        for name, tensor in tensors.items():
            prefix, part = name.split(".", 1)
            of[prefix][part] = tensor
        self.net.load_state_dict(of["net"])
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": {0: of["adam"]}})
        self.history = [line for line in read_history(folder) if line["step"] <= step]

    def finish(self, folder: Path) -> None:
        """Write the trained model, what it was trained on and by which machine, beside the state that `save` wrote."""
        write_json(folder / SPLIT, self.data.describe())
        write_json(folder / MACHINE, describe_machine())
        save_model(folder, self.config, self.model.eval())


def _parameters(net: WaveNet) -> list[nn.Parameter]:
    """In the order of the vector that an engine moves."""
    return Folding(net).parameters if net.config.compiles else list(net.parameters())


def report(folder: Path, data: AmpData) -> Evaluation:
    """Score a finished run on held and seen settings, for the first and only time, and guard its knobs; writes and returns its evaluation."""
    config, net = load_model(folder)
    history, dry_T = read_history(folder), data.dry_T[data.held[0].dry]
    held = score(net, data, data.held, thorough=True)
    evaluation = Evaluation(
        step=history[-1]["step"],
        parameters=net.parameter_count,
        macs_per_sample=config.architecture.macs_per_sample(net.knobs),
        realtime_factor=round(cost(config.architecture, net.knobs, data.rate_hz), 5),
        seconds=round(sum(line["seconds"] for line in history), 1),
        device=data.device,
        recordings_license=data.license,
        validation=score(net, data, data.validation),
        held=held,
        seen=score(net, data, data.seen, thorough=True) if data.seen else None,
        corners=scan_corners(net, data.knobs, dry_T, max(piece.peak for piece in data.recorded)),
        knob_moves_dbfs=knob_moves(net, data.knobs, dry_T, data.rate_hz),
        knob_turns=turn_knobs(net, data.knobs, dry_T),
        held_regions=by_region(held, data.knobs),
        held_sha256=data.fingerprint(data.held),
    )
    write_json(folder / EVAL, evaluation.model_dump(mode="json", by_alias=True))
    return evaluation


def read_history(folder: Path) -> list[dict]:
    """One line per report of a run: step, loss, validation ESR, seconds of training."""
    try:
        return [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    except ValueError as problem:
        raise UserError(f"{folder / HISTORY} is damaged: {problem}", "Train into a new --out folder.") from None


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
    from models.stacks import parts_of  # which are made of trainers

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
