"""Models of one architecture trained as one, on any device that has float64: other seeds, learning rates, loss weights or recordings in each.

Members share nothing but the work: a loss that is not finite in one leaves the others as they are, any may be dropped between two
calls, and each equals its own solo run to rounding: on a CPU weights to some 1e-7 after hundreds of steps in float32, 1e-16 in float64.

Shapes: K members, P parameters, B batch, S segment, N folded weights.
"""

import math
import time
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from models.engines.gpu.batched import player_for
from models.engines.gpu.cuda_graph import WARM_UP, Replayed, Work, capture_cuda
from models.evaluation.distances import mrstft, pre_emphasise
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.training.config import LearningConfig
from models.training.schedule import decay_at, rate_at
from models.training.trainer import PATIENCE, Trainer
from models.training.windows import source_for

AHEAD = 64  # steps whose draws are made at once, and after which losses are read back

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam, as torch has them


def form_of(model: WaveNetConfig, learning: LearningConfig) -> Hashable:
    """What recipes must have in common for their models to be stacked, where these are of as many knobs and as far."""
    sizes = learning.steps, learning.batch, learning.segment, learning.report_every, bool(learning.pre_emphasis)
    return model, sizes


def shape_of(trainer: Trainer) -> Hashable:
    """What trainers must have in common to be stacked."""
    return form_of(trainer.recipe.model, trainer.recipe.learning), trainer.net.knobs, trainer.step


class Stack:
    """Trainers that advance together. After each call they stand where they would have come alone: to validate, save, finish, or go on with.

    `trainers` must agree in `shape_of`. On a GPU the whole step is replayed as a CUDA graph, captured again when members are dropped.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        device: torch.device | str = "cpu",
        capture: Callable[[Work], Work] | None = capture_cuda,
    ) -> None:
        assert len({shape_of(trainer) for trainer in trainers}) == 1, "only trainers of one shape can be stacked"
        self.trainers, self.device = list(trainers), torch.device(device)
        self._step = Replayed(self._once, capture if self.device.type == "cuda" else None)
        self._folding = Folding(trainers[0].net)
        self._play = player_for(self._folding, self.device)
        self._state = {name: self._rows(values) for name, values in _gather(trainers).items()}
        self._prepare()

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> list[float]:
        """Train for some steps (never past the last); returns each member's mean loss.

        A member whose steps are not finite `PATIENCE` times in a row stands still from there on (`Trainer.diverged`), with loss NaN.
        A member's share of the time is what counts as the seconds of its training. `on_step` is told now and then how many are done.
        """
        first, whole = max(trainer.step for trainer in self.trainers), self.trainers[0].recipe.learning.steps
        tried, began = max(0, min(steps, whole - first)), time.monotonic()
        found = [torch.empty(0, len(self.trainers))]
        for done in range(0, tried, AHEAD):
            count = min(AHEAD, tried - done)
            self._draw(first + done, count)
            for _ in range(count):
                self._step()
            found.append(self._losses[:count].to("cpu", copy=True))
            on_step(first + done + count)
        seconds = (time.monotonic() - began) / len(self.trainers)
        self._scatter()
        means = []
        for trainer, losses in zip(self.trainers, torch.cat(found).T.tolist(), strict=True):
            usable = [loss for loss in losses if math.isfinite(loss)]
            means.append(math.nan if trainer.diverged else trainer.note(usable, tried, seconds))
        return means

    def rehearse(self, steps: int) -> float:
        """Seconds that some steps take, at most `AHEAD`, after as many as a capture needs; no trainer notices."""
        self._draw(self.trainers[0].step, AHEAD)
        for _ in range(WARM_UP + 1):
            self._step()
        self._losses.to("cpu", copy=True)
        self._cursor.zero_()
        began = time.perf_counter()
        for _ in range(steps):
            self._step()
        self._losses.to("cpu", copy=True)  # waits for the device
        return time.perf_counter() - began

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these alone, by their index in `trainers`."""
        assert members, "a stack has at least one member"
        rows = torch.tensor(members, device=self.device)
        self._state = {name: value.index_select(0, rows) for name, value in self._state.items()}
        self.trainers = [self.trainers[member] for member in members]
        self._prepare()
        self._step.renew()

    def _rows(self, values: list[Tensor]) -> Tensor:
        return torch.stack(values).to(self.device)

    def _prepare(self) -> None:
        """What a step reads and writes at fixed places."""
        members, self._source = len(self.trainers), source_for(self.trainers, self.device, AHEAD)
        self._cursor = torch.zeros(1, dtype=torch.long, device=self.device)
        self._rates, self._decays = (torch.zeros(AHEAD, members, device=self.device) for _ in range(2))
        self._losses = torch.zeros(AHEAD, members, device=self.device)
        learning = [trainer.recipe.learning for trainer in self.trainers]
        self._clip_K, self._mrstft_K, self._emphasis_K = (
            torch.tensor([getattr(one, name) for one in learning], device=self.device)
            for name in ("gradient_clip", "mrstft", "pre_emphasis")
        )
        self._emphasises, self._hears_spectra, self._averages = (
            any(getattr(one, name) for one in learning) for name in ("pre_emphasis", "mrstft", "ema")
        )

    def _draw(self, first: int, count: int) -> None:
        """The windows, learning rates and decays of the next steps: those of the solo runs."""
        self._source.draw(first, count)
        for table, at in ((self._rates, rate_at), (self._decays, decay_at)):
            steps = range(first, first + count)
            table[:count].copy_(
                torch.tensor([[at(step, trainer.recipe.learning) for trainer in self.trainers] for step in steps])
            )
        self._cursor.zero_()

    def _once(self) -> None:
        """One step of all; in place, and without a look at any number."""
        rate_K, decay_K = (table.index_select(0, self._cursor)[0] for table in (self._rates, self._decays))
        vector_KP = self._state["vector"].detach().requires_grad_()
        loss_K = self._loss(vector_KP)
        (gradient_KP,) = torch.autograd.grad(loss_K.sum(), vector_KP)
        norm_K = torch.linalg.vector_norm(gradient_KP, dim=1)
        clipped_KP = gradient_KP * (self._clip_K / (norm_K + 1e-6)).clamp(max=1)[:, None]
        failed_K = self._state["failed"]
        alive_K = failed_K < PATIENCE
        usable_K = loss_K.detach().isfinite() & norm_K.isfinite() & alive_K
        self._move(clipped_KP, rate_K, decay_K, usable_K)
        failed_K.copy_(torch.where(usable_K, 0, failed_K + alive_K))
        self._state["step"] += failed_K < PATIENCE
        self._losses.index_copy_(0, self._cursor, torch.where(usable_K, loss_K.detach(), math.nan)[None])
        self._cursor += 1

    def _loss(self, vector_KP: Tensor) -> Tensor:
        """Each member's, as `Trainer` reckons it."""
        x_KBT, target_KBS, levels_KBE, weight_KB = self._source.windows(self._cursor)
        weights_KBN = vmap(self._folding.fold)(vector_KP, levels_KBE)
        played_KBS = self._play(weights_KBN.flatten(0, 1), x_KBT.flatten(0, 1)).view_as(target_KBS)
        predicted_KBS = self._state["scale"][:, None, None] * played_KBS
        emphasis = self._emphasis_K[:, None, None] if self._emphasises else 0.0
        loss_KB = pre_emphasise(predicted_KBS - target_KBS, emphasis).square().mean(2) * weight_KB
        if self._hears_spectra:
            level_KB1 = weight_KB.sqrt()[..., None]
            heard, wanted = ((level_KB1 * y_KBS).flatten(0, 1) for y_KBS in (predicted_KBS, target_KBS))
            loss_KB = loss_KB + self._mrstft_K[:, None] * mrstft(heard, wanted).view_as(loss_KB)
        return loss_KB.mean(1)

    def _move(self, gradient_KP: Tensor, rate_K: Tensor, decay_K: Tensor, usable_K: Tensor) -> None:
        """Adam (Kingma and Ba 2015) of those members whose step can be used, its corrections in float64, as they begin near 0; then the
        average of the weights.
        """
        state, usable_K1 = self._state, usable_K[:, None]
        taken_K = state["taken"] + 1
        first_KP = torch.lerp(state["first"], gradient_KP, 1 - BETAS[0])
        second_KP = BETAS[1] * state["second"] + (1 - BETAS[1]) * gradient_KP.square()
        rate_K1 = (rate_K / (1 - BETAS[0] ** taken_K)).to(gradient_KP)[:, None]
        root_K1 = (1 - BETAS[1] ** taken_K).sqrt().to(gradient_KP)[:, None]
        vector_KP = state["vector"] - rate_K1 * first_KP / (second_KP.sqrt() / root_K1 + EPSILON)
        moved = {"vector": vector_KP, "first": first_KP, "second": second_KP}
        if self._averages:
            moved["mean"] = torch.lerp(state["mean"], vector_KP, 1 - decay_K[:, None])
        for name, new in moved.items():
            state[name].copy_(torch.where(usable_K1, new, state[name]))
        state["taken"] += usable_K

    @torch.no_grad()
    def _scatter(self) -> None:
        """Put every trainer where its member stands."""
        state = {name: value.cpu() for name, value in self._state.items()}
        for member, trainer in enumerate(self.trainers):
            own = {name: value[member].clone() for name, value in state.items()}
            trainer.vector_P.copy_(own["vector"])
            if trainer.mean_P is not None:
                trainer.mean_P.copy_(own["mean"])
            trainer.step, trainer.failed = int(own["step"]), int(own["failed"])
            moments = {"step": own["taken"].float(), "exp_avg": own["first"], "exp_avg_sq": own["second"]}
            trainer.optimiser.state[trainer.vector_P] = moments


def _gather(trainers: Sequence[Trainer]) -> dict[str, list[Tensor]]:
    """The numbers that a step changes, and the head scale, one of each trainer."""
    state: dict[str, list[Tensor]] = {}
    for trainer in trainers:
        vector_P = trainer.vector_P.detach()
        adam = trainer.optimiser.state.get(trainer.vector_P, {})
        own = {
            "vector": vector_P,
            "mean": vector_P if trainer.mean_P is None else trainer.mean_P.detach(),
            "first": adam.get("exp_avg", torch.zeros_like(vector_P)),
            "second": adam.get("exp_avg_sq", torch.zeros_like(vector_P)),
            "taken": torch.as_tensor(adam.get("step", 0), dtype=torch.float64),
            "step": torch.tensor(trainer.step),
            "failed": torch.tensor(trainer.failed),
            "scale": trainer.net.head_scale,
        }
        for name, value in own.items():
            state.setdefault(name, []).append(value)
    return state
