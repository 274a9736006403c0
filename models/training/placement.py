"""Trainers of any shapes as what trains them fastest on a device: measured there, once for each shape, and kept in the cache folder."""

import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models.core.cache import keep_measured, measured, source_digest
from models.core.hardware import cpu_name
from models.engines.jit import ENGINES
from models.training.stacked import Stack, shape_of
from models.training.trainer import Trainer

KIND = "stacks"  # in the cache folder

ROUNDS, STEPS = 3, 10

WORTH = 1.05  # times faster per model that a larger stack must be


@dataclass(frozen=True)
class Alone:
    """One trainer by itself on the CPU, where a stack of one would be."""

    trainers: list[Trainer]

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> list[float]:
        """See `Stack`; raises `DivergedError` as `Trainer.advance` does."""
        return [trainer.advance(steps, on_step) for trainer in self.trainers]


def parts_of(trainers: Sequence[Trainer], device: torch.device) -> list[Stack | Alone]:
    """These as what trains them fastest: on a GPU as stacks, unless their steps are measured to be faster on the CPU; there one by one."""
    parts: list[Stack | Alone] = []
    for group in _groups(trainers):
        times: dict[int, float] = {}
        if device.type == "cuda" and group[0].recipe.model.compiles:
            try:
                times = _times(group, device)
            except RuntimeError as problem:  # a driver, or a GPU that this torch was not built for
                warnings.warn(f"training on the CPU, for the GPU fails: {problem}", RuntimeWarning, stacklevel=2)
        if times and min(times.values()) < _seconds_alone(group[0]):
            parts += _stacks(group, _best(times), device)
        else:
            parts += [Alone([trainer]) for trainer in group]
    return parts


def stacks_of(trainers: Sequence[Trainer], device: torch.device | str = "cpu") -> list[Stack]:
    """Those of one shape as stacks of about one size, the best there is on a GPU; elsewhere, where no size pays, as one."""
    device, stacks = torch.device(device), []
    for group in _groups(trainers):
        stacks += _stacks(group, best_size(group, device) if device.type == "cuda" else len(group), device)
    return stacks


def best_size(trainers: Sequence[Trainer], device: torch.device) -> int:
    """The size of stacks, at most all of these, whose steps take least time per model; of sizes that do as well, the smallest."""
    return _best(_times(trainers, device)) if len(trainers) > 1 else 1


def _groups(trainers: Sequence[Trainer]) -> list[list[Trainer]]:
    """Those of one shape together."""
    groups: dict[Hashable, list[Trainer]] = {}
    for trainer in trainers:
        groups.setdefault(shape_of(trainer), []).append(trainer)
    return list(groups.values())


def _stacks(group: Sequence[Trainer], size: int, device: torch.device) -> list[Stack]:
    """Trainers of one shape as stacks of about one size."""
    count = -(-len(group) // size)
    return [Stack(group[part::count], device) for part in range(count)]


def _times(trainers: Sequence[Trainer], device: torch.device) -> dict[int, float]:
    """Seconds of a step per model by size of the stack, at most all of these: of the powers of two and of all at once.

    One that the device's memory does not hold ends the trials.
    """
    most = len(trainers)
    times: dict[int, float] = {}
    for size in sorted({1 << power for power in range(most.bit_length())} | {most}):
        try:
            times[size] = _seconds(trainers[:size], device)
        except torch.OutOfMemoryError:
            break
    return times


def _best(times: dict[int, float]) -> int:
    """Of the sizes that are about the fastest, the smallest."""
    least = min(times.values(), default=0.0)
    return min((size for size, seconds in times.items() if seconds <= WORTH * least), default=1)


def _seconds_alone(trainer: Trainer) -> float:
    """Of a step of the compiled engine; the trainer stays as it is."""
    what = _facts([trainer], f"{cpu_name()}, alone")
    found = measured(KIND, what)
    if found is None:
        with torch.random.fork_rng(devices=[]):
            other = Trainer(trainer.recipe, trainer.data)
        other.advance(1)  # may have to compile
        began = time.perf_counter()
        other.advance(STEPS)
        found = (time.perf_counter() - began) / max(other.step - 1, 1)
        keep_measured(KIND, what, found)
    return found


def _seconds(trainers: Sequence[Trainer], device: torch.device) -> float:
    """Of a step of a stack, per model; the trainers stay as they are."""
    what = _facts(trainers, _told_of(device))
    found = measured(KIND, what)
    if found is None:
        stack = Stack(trainers, device)
        found = min(stack.rehearse(STEPS) for _ in range(ROUNDS)) / STEPS / len(trainers)
        keep_measured(KIND, what, found)
    return found


def _told_of(device: torch.device) -> str:
    """Which device, and how much of its memory this process may have."""
    if device.type != "cuda":
        return device.type
    return f"{torch.cuda.get_device_name(device)}, {torch.cuda.get_per_process_memory_fraction(device):g} of it"


def _facts(trainers: Sequence[Trainer], device: str) -> dict[str, Any]:
    """All that the seconds of a step depend on."""
    learning = trainers[0].recipe.learning
    return {
        "model": trainers[0].recipe.model.model_dump(mode="json"),
        "knobs": trainers[0].net.knobs,
        "batch": learning.batch,
        "segment": learning.segment,
        "mrstft": any(trainer.recipe.learning.mrstft for trainer in trainers),
        "size": len(trainers),
        "device": device,
        "engine": source_digest(ENGINES),
    }
