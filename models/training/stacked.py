"""Training steps of several runs of one shape at once, on any device that has float64.

Runs may differ in seed, learning rates, loss weights and recordings. Members share nothing but the work: a loss that is
not finite in one leaves the others as they are, any may be dropped between two calls, and each equals its own solo run
to rounding: on a CPU weights to some 1e-7 after hundreds of steps in float32, 1e-16 in float64.

Shapes: K members, P parameters, B batch, T samples in, S samples of target, E knobs, N folded weights.
"""

import math
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from models.engines.gpu.batched import StackPlayer, player_for
from models.engines.gpu.cuda_graph import WARM_UP, GraphReplay, Work, capture_cuda
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.training.config import LearningConfig
from models.training.interaction import (
    INTERACTION_EVERY,
    INTERACTION_SAMPLES,
    draw_input,
    draw_rectangle,
    interaction_of,
    interaction_weight,
    interacts,
)
from models.training.objective import Objective, add_limited
from models.training.offset import early_removal
from models.training.schedule import decay_at, rate_at
from models.training.silence import StackedSilence, silence_share, turns_count
from models.training.state import TrainState
from models.training.trainer import Trainer
from models.training.windows import WindowBatch, source_for

AHEAD = 64  # steps whose windows are drawn at once, and after which losses are read back

VARIED = {
    "seed",
    "learning_rate",
    "final_rate",
    "schedule",
    "warmup",
    "gradient_clip",
    "mrstft",
    "ema",
}  # may differ


def form_of(model: WaveNetConfig, learning: LearningConfig) -> Hashable:
    """Return what recipes must have in common to be stacked, if their nets have as many knobs and stand at one step."""
    shared = learning.model_dump(exclude=VARIED) | {"pre_emphasis": learning.pre_emphasis > 0}
    return model, tuple(shared.items())


def shape_of(trainer: Trainer) -> Hashable:
    """Return what trainers must have in common to be stacked."""
    return form_of(trainer.recipe.model, trainer.recipe.learning), trainer.net.knobs, trainer.step


class StepTerms(NamedTuple):
    """What counts in a step beside the takes: the share of silence, turns of the knobs in silence, interaction."""

    silence: float = 0.0
    turns: bool = False
    interaction: bool = False


class StackedTrainers:
    """Trainers that advance together; `trainers` must agree in `shape_of`.

    After each call they stand where they would have come alone: to validate, save, finish, or continue. On a GPU the
    whole step is replayed as a CUDA graph, captured again when members are dropped.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        device: torch.device | str = "cpu",
        capture: Callable[[Work], Work] | None = capture_cuda,
        make_player: Callable[[Folding, torch.device, bool], StackPlayer] = player_for,
    ) -> None:
        assert len({shape_of(trainer) for trainer in trainers}) == 1, "only trainers of one shape can be stacked"
        self.trainers, self.device = list(trainers), torch.device(device)
        self.state = TrainState.stack([trainer.state for trainer in trainers], self.device)
        self.optimizer = trainers[0].optimizer
        capture = capture if self.device.type == "cuda" else None
        self._capture, self._replays = capture, dict[StepTerms, GraphReplay]()
        self._folding = Folding(trainers[0].net)
        self._play = make_player(self._folding, self.device, trainers[0].recipe.learning.truncate)
        self._prepare()

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> list[float]:
        """Train for some steps (never past the last); return each member's mean loss.

        A member whose steps are not finite `PATIENCE` times in a row stands still from there on (`Trainer.diverged`),
        with loss NaN. A member's share of the time counts as the seconds of its training. `on_step` gets the number of
        steps done, after each `AHEAD`.
        """
        first, whole = max(trainer.step for trainer in self.trainers), self.trainers[0].recipe.learning.steps
        tried, began = max(0, min(steps, whole - first)), time.monotonic()
        found = [torch.empty(0, len(self.trainers))]
        removal, step = early_removal(self.trainers[0].recipe.learning), first
        while step < first + tried:
            if step == removal:
                self._remove_offsets()
            count = min(AHEAD, first + tried - step)
            if removal is not None and step < removal:
                count = min(count, removal - step)
            self.draw(step, count)
            for number in range(step, step + count):
                self._replay(self._terms(number))()
            found.append(self._losses[:count].to("cpu", copy=True))
            step += count
            on_step(step)
        seconds = (time.monotonic() - began) / len(self.trainers)
        self._update_trainers()
        losses = torch.cat(found).T.tolist()
        return [
            math.nan if trainer.diverged else trainer.record(own, seconds)
            for trainer, own in zip(self.trainers, losses, strict=True)
        ]

    def time_steps(self, steps: int) -> float:
        """Return the seconds of some steps, at most `AHEAD`, after as many as a capture needs; no trainer changes."""
        self.draw(self.trainers[0].step, AHEAD)
        for _ in range(WARM_UP + 1):
            self._replay(StepTerms())()
        self._losses.to("cpu", copy=True)
        self._cursor.zero_()
        began = time.perf_counter()
        for _ in range(steps):
            self._replay(StepTerms())()
        self._losses.to("cpu", copy=True)  # waits for the device
        return time.perf_counter() - began

    def select(self, members: Sequence[int]) -> None:
        """Continue with these members alone, by their index in `trainers`."""
        assert members, "a stack has at least one member"
        self.state = self.state.select(torch.tensor(members, device=self.device))
        self.trainers = [self.trainers[member] for member in members]
        self._prepare()
        for replay in self._replays.values():
            replay.renew()

    def draw(self, first: int, count: int) -> None:
        """Prepare the windows, learning rates and averaging of the next steps, those of the solo runs."""
        learning = [trainer.recipe.learning for trainer in self.trainers]
        steps = range(first, first + count)
        rates = [[rate_at(step, one) for one in learning] for step in steps]
        blends = [[1 - decay_at(step, one) for one in learning] for step in steps]
        self._source.draw(first, count)
        if self._silence is not None:
            self._silence.draw(first, count)
        drawn = zip(*(self._interaction_of(step) for step in steps), strict=True)
        for table, rows in zip((self._rectangles, self._inputs), drawn, strict=True):
            table[:count].copy_(torch.stack(rows))
        self._rates[:count].copy_(torch.tensor(rates, dtype=torch.float64))
        self._blends[:count].copy_(torch.tensor(blends))
        self._cursor.zero_()

    def step(self, terms: StepTerms) -> None:
        """Take one step of all members, in place, and without reading any number back; `terms` are what counts."""
        rate_K, blend_K = (table.index_select(0, self._cursor)[0] for table in (self._rates, self._blends))
        vector_KP = self.state.vector_KP.detach().requires_grad_()
        windows = self._source.windows(self._cursor)
        loss_K = self._loss(vector_KP, windows)
        minimized_K = loss_K + self._interaction(vector_KP) if terms.interaction else loss_K
        (gradient_KP,) = torch.autograd.grad(minimized_K.sum(), vector_KP)
        clipped_KP, finite_K = self._objective.clip(loss_K.detach(), gradient_KP)
        if terms.silence and self._silence is not None:
            silent_KP = self._silence.gradient(vector_KP, self._cursor, terms.turns)
            clipped_KP = add_limited(clipped_KP, silent_KP, terms.silence)
        usable_K = self.state.apply(self.optimizer, clipped_KP, finite_K, rate_K, blend_K)
        self._losses.index_copy_(0, self._cursor, torch.where(usable_K, loss_K.detach(), math.nan)[None])
        self._cursor += 1

    def _loss(self, vector_KP: Tensor, windows: WindowBatch) -> Tensor:
        """Return each member's loss `(K,)` for windows."""
        x_KBT, target_KBS, levels_KBE, weight_KB = windows
        weights_KBN = vmap(self._folding.fold)(vector_KP, levels_KBE)
        played_KBS = self._play(weights_KBN.flatten(0, 1), x_KBT.flatten(0, 1)).view_as(target_KBS)
        return self._objective.losses(self._scale_K[:, None, None] * played_KBS, target_KBS, weight_KB).mean(1)

    def _interaction(self, vector_KP: Tensor) -> Tensor:
        """Return each member's weighted interaction of the knobs `(K,)`."""
        levels_KFE, x_KT = (table.index_select(0, self._cursor)[0] for table in (self._rectangles, self._inputs))
        weights_KFN = vmap(self._folding.fold)(vector_KP, levels_KFE)
        x_KFT = x_KT[:, None].expand(-1, levels_KFE.shape[1], -1)
        played_KFS = self._play(weights_KFN.flatten(0, 1), x_KFT.flatten(0, 1)).unflatten(0, levels_KFE.shape[:2])
        return self._interaction_weight_K * interaction_of(played_KFS)

    def _terms(self, step: int) -> StepTerms:
        """Return what counts at a step of any member; in silence members agree."""
        learning = self.trainers[0].recipe.learning
        interacting = any(interacts(step, weight) for weight in self._interaction_weights)
        return StepTerms(silence_share(step, learning), turns_count(step, learning), interacting)

    def _replay(self, terms: StepTerms) -> GraphReplay:
        """Return what takes a step with these terms."""
        if terms not in self._replays:
            self._replays[terms] = GraphReplay(partial(self.step, terms), self._capture)
        return self._replays[terms]

    def _interaction_of(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the settings `(K, 4, E)` and the inputs `(K, T)` at which the members' interaction counts.

        They are zeros for members where it does not.
        """
        rectangle_4E, input_T = (
            torch.zeros_like(table[0, 0], device="cpu") for table in (self._rectangles, self._inputs)
        )
        drawn = [
            (draw_rectangle(one.data.knobs, one.recipe.learning.seed, step), draw_input(one.windows, step))
            if interacts(step, weight)
            else (rectangle_4E, input_T)
            for one, weight in zip(self.trainers, self._interaction_weights, strict=True)
        ]
        rectangles, inputs = zip(*drawn, strict=True)
        return torch.stack(rectangles), torch.stack(inputs)

    def _prepare(self) -> None:
        """Make what a step reads and writes at fixed places."""
        members, nets = len(self.trainers), [trainer.net for trainer in self.trainers]
        self._source = source_for([trainer.windows for trainer in self.trainers], self.device, AHEAD)
        self._objective = Objective([trainer.recipe.learning for trainer in self.trainers], self.device)
        self._scale_K = torch.stack([net.head_scale for net in nets]).to(self.device)
        trained = [(trainer.net, trainer.data.knobs, trainer.recipe.learning) for trainer in self.trainers]
        has_silence = any(learning.silence for _, _, learning in trained)
        self._silence = StackedSilence(trained, self.device, AHEAD) if has_silence else None
        encoding = nets[0].config.inject.encoding
        self._interaction_weights = [interaction_weight(trainer.windows, encoding) for trainer in self.trainers]
        self._interaction_weight_K = INTERACTION_EVERY * torch.tensor(self._interaction_weights, device=self.device)
        self._rectangles = torch.zeros(AHEAD, members, 4, self.trainers[0].net.knobs, device=self.device)
        samples = self.trainers[0].windows.context + INTERACTION_SAMPLES if any(self._interaction_weights) else 1
        self._inputs = torch.zeros(AHEAD, members, samples, device=self.device)
        self._cursor = torch.zeros(1, dtype=torch.long, device=self.device)
        self._rates = torch.zeros(AHEAD, members, dtype=torch.float64, device=self.device)
        self._blends, self._losses = (torch.zeros(AHEAD, members, device=self.device) for _ in range(2))

    def _remove_offsets(self) -> None:
        """Take from every net what it plays in silence."""
        self._update_trainers()
        for member, trainer in enumerate(self.trainers):
            trainer.remove_offset()
            self.state.vector_KP.data[member].copy_(trainer.vector_P.data)

    @torch.no_grad()
    def _update_trainers(self) -> None:
        """Bring every trainer to where its member stands."""
        state = self.state.cpu()
        for member, trainer in enumerate(self.trainers):
            trainer.state.copy_from(state, member)
