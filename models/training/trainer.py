"""Recipe and takes -> run folder: resumable, step by step, the same numbers however often it is interrupted.

Shapes: B batch, T time, K knobs, S segment, R receptive field.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.artifacts.evaluation import Score
from models.artifacts.folder import save_model, save_tensors
from models.artifacts.history import read_history
from models.artifacts.model_config import ModelConfig, make_config
from models.artifacts.names import HISTORY, MACHINE, RECIPE, SPLIT, STATE
from models.core.errors import DivergedError, UserError
from models.core.files import write_json, write_text
from models.core.hardware import describe_machine
from models.core.schema import read_document
from models.engines.base import as_vector
from models.engines.select import engine_for
from models.evaluation.distances import mrstft, pre_emphasise
from models.evaluation.scoring import score
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData, Piece, energy
from models.training.config import Recipe
from models.training.schedule import decay_at, rate_at

PATIENCE = 10  # steps in a row without finite numbers, after which a run has diverged


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
