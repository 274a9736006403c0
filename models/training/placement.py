"""Placement of trainers: in stacks on a GPU, or one by one on the CPU, whichever is measured to be faster.

Each shape of a run is measured once on a machine; the times are in the cache folder.
"""

import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models.core.cache import read_measurement, source_digest, write_measurement
from models.core.hardware import cpu_name
from models.engines.jit import ENGINES
from models.training.stacked import StackedTrainers, shape_of
from models.training.trainer import Trainer

STACKS_CACHE = "stacks"  # in the cache folder

ROUNDS, STEPS = 3, 10  # of a measurement

GAIN = 1.05  # times faster per model that a larger stack must be


@dataclass(frozen=True)
class SoloTrainer:
    """One trainer by itself on the CPU, with the interface of `StackedTrainers`."""

    trainers: list[Trainer]

    def advance(self, steps: int, on_step: Callable[[int], None] = lambda step: None) -> list[float]:
        """See `StackedTrainers`; raises `DivergedError` as `Trainer.advance` does."""
        return [trainer.advance(steps, on_step) for trainer in self.trainers]


def place_trainers(trainers: Sequence[Trainer], device: torch.device) -> list[StackedTrainers | SoloTrainer]:
    """Choose what trains each trainer: stacks of one shape on a GPU, or one by one on the CPU if that is faster.

    Warns with `RuntimeWarning` and takes the CPU where the GPU fails.
    """
    parts: list[StackedTrainers | SoloTrainer] = []
    for group in group_by_shape(trainers):
        times: dict[int, float] = {}
        if device.type == "cuda" and group[0].recipe.model.compiles:
            try:
                times = time_stacks(group, device)
            except RuntimeError as problem:  # a driver, or a GPU that this torch was not built for
                warnings.warn(f"training on the CPU, for the GPU fails: {problem}", RuntimeWarning, stacklevel=2)
        if times and min(times.values()) < _time_solo(group[0]):
            count = -(-len(group) // best_size(times))
            parts += [StackedTrainers(group[part::count], device) for part in range(count)]
        else:
            parts += [SoloTrainer([trainer]) for trainer in group]
    return parts


def group_by_shape(trainers: Sequence[Trainer]) -> list[list[Trainer]]:
    """Return the trainers that can be stacked together, group by group."""
    groups: dict[Hashable, list[Trainer]] = {}
    for trainer in trainers:
        groups.setdefault(shape_of(trainer), []).append(trainer)
    return list(groups.values())


def time_stacks(trainers: Sequence[Trainer], device: torch.device) -> dict[int, float]:
    """Return the seconds of a step per model by size of the stack.

    Sizes are powers of two up to the number of trainers, and that number. Those from the first that the device's memory
    does not hold are absent.
    """
    most = len(trainers)
    times: dict[int, float] = {}
    for size in sorted({1 << power for power in range(most.bit_length())} | {most}):
        try:
            times[size] = _time_stack(trainers[:size], device)
        except torch.OutOfMemoryError:
            break
    return times


def best_size(times: dict[int, float]) -> int:
    """Return the smallest size that is within `GAIN` of the fastest, 1 where there are no times."""
    least = min(times.values(), default=0.0)
    return min((size for size, seconds in times.items() if seconds <= GAIN * least), default=1)


def _time_solo(trainer: Trainer) -> float:
    """Return the seconds of a step on the CPU; the trainer does not change."""

    def measure() -> float:
        with torch.random.fork_rng(devices=[]):
            other = Trainer(trainer.recipe, trainer.data)
        other.advance(1)  # may have to compile
        began = time.perf_counter()
        other.advance(STEPS)
        return (time.perf_counter() - began) / max(other.step - 1, 1)

    return _measured([trainer], f"{cpu_name()}, alone", measure)


def _time_stack(trainers: Sequence[Trainer], device: torch.device) -> float:
    """Return the seconds of a step of a stack, per model; the trainers do not change."""

    def measure() -> float:
        stack = StackedTrainers(trainers, device)
        return min(stack.time_steps(STEPS) for _ in range(ROUNDS)) / STEPS / len(trainers)

    return _measured(trainers, _describe_device(device), measure)


def _measured(trainers: Sequence[Trainer], device: str, measure: Callable[[], float]) -> float:
    """Return a time from the cache folder, or measure it and write it there."""
    windows = trainers[0].windows
    facts: dict[str, Any] = {
        "model": trainers[0].recipe.model.model_dump(mode="json"),
        "knobs": trainers[0].net.knobs,
        "batch": windows.size,
        "segment": windows.learning.segment,
        "mrstft": any(trainer.recipe.learning.mrstft for trainer in trainers),
        "optimizer": trainers[0].optimizer.name,
        "size": len(trainers),
        "device": device,
        "engine": source_digest(ENGINES),
    }
    found = read_measurement(STACKS_CACHE, facts)
    if found is None:
        found = measure()
        write_measurement(STACKS_CACHE, facts, found)
    return found


def _describe_device(device: torch.device) -> str:
    """Return which device it is, and how much of its memory this process may have."""
    if device.type != "cuda":
        return device.type
    return f"{torch.cuda.get_device_name(device)}, {torch.cuda.get_per_process_memory_fraction(device):g} of it"
