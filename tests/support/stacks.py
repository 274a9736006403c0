"""Stacks of trainers without a GPU."""

from collections.abc import Sequence

from models.training.placement import group_by_shape
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer


def stack_by_shape(trainers: Sequence[Trainer]) -> list[StackedTrainers]:
    """One stack on the CPU for all trainers of each shape."""
    return [StackedTrainers(group) for group in group_by_shape(trainers)]
