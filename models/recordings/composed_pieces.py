"""Takes that were not recorded: a recorded take through the filters of its linear knobs.

Training composes windows of such takes (`models.training.composing`). Validation judges whole ones: a validation take
whose linear knobs are turned to settings that are as far from the recorded ones as any that a person will dial in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.knobs.schema import Setting
from models.recordings.dataset import AmpData, Piece
from models.recordings.filter_interpolation import LEAD, TAPS
from models.recordings.linear_knobs import LinearKnob, apply_filter, linear_knobs_of

COMPOSED_SEED = 0  # of the settings that are composed for validation


@dataclass(frozen=True)
class Base:
    """A recorded piece, by its index, and the linear knobs that are free: composed takes give them other values."""

    piece: int
    knobs: tuple[int, ...]


def judged_pieces(data: AmpData) -> tuple[Piece, ...]:
    """Return what models are compared on: the validation pieces, then those composed from them.

    For each validation piece that linear knobs can be turned of, there are `validation_composed` settings, drawn evenly
    over the range of these knobs. The filters come from training pieces alone. Found once per dataset.
    """
    count = data.config.validation_composed
    if not count or not data.validation:
        return data.validation
    if not data.judged:
        linear, random = linear_knobs_of(data, 1), np.random.default_rng(COMPOSED_SEED)
        composed = [
            _composed(data, linear, base, random) for base in find_bases(linear, data.validation) for _ in range(count)
        ]
        data.judged.extend((*data.validation, *(piece for piece in composed if piece.stop > piece.start)))
    return tuple(data.judged)


def _composed(data: AmpData, linear: Sequence[LinearKnob], base: Base, random: np.random.Generator) -> Piece:
    """Return a validation piece with its free knobs turned to random levels; empty where it is shorter than a filter.

    The filters need the samples before a piece, as far as there are any, and those shortly after its end.
    """
    piece = data.validation[base.piece]
    lead, tail = len(base.knobs) * (TAPS - 1 - LEAD), len(base.knobs) * LEAD
    begin = max(piece.start - lead, 0)
    wet_T, setting = piece.wet_T[begin : piece.stop].double().numpy(), dict(piece.setting)
    for number in base.knobs:
        knob = linear[number].knob
        value = float(random.uniform(*linear[number].ends))
        setting[knob.name] = value
        wet_T = apply_filter(linear[number].taps_at([knob.level(value)])[0], wet_T)
    whole_T = torch.zeros(piece.stop, dtype=piece.wet_T.dtype)
    whole_T[begin:] = torch.from_numpy(wet_T).to(whole_T)
    start = piece.start if begin else max(piece.start, lead)
    levels_K = torch.tensor(data.knobs.encode(setting), dtype=torch.float32)
    return replace(
        piece, wet_T=whole_T, start=start, stop=max(piece.stop - tail, start), setting=setting, levels_K=levels_K
    )


def find_bases(linear: Sequence[LinearKnob], pieces: Sequence[Piece]) -> list[Base]:
    """Return the bases: pieces where linear knobs have their reference value, with each group of independent knobs.

    A base is redundant, and left out, if another base with one more free knob generates the same takes.
    """
    found: list[tuple[Base, Setting]] = []
    for index, piece in enumerate(pieces):
        free = [number for number, knob in enumerate(linear) if _can_be_filtered(knob, piece.setting)]
        groups = {tuple(sorted(_independent_knobs(first, free, linear))) for first in free}
        for group in sorted(groups):
            moved = {linear[number].knob.name for number in group}
            found.append((Base(index, group), {n: v for n, v in piece.setting.items() if n not in moved}))
    return [
        base
        for base, rest in found
        if not any(len(other) < len(rest) and other.items() <= rest.items() for _, other in found)
    ]


def _can_be_filtered(knob: LinearKnob, setting: Setting) -> bool:
    """Return whether a setting has the reference value of the knob, and the fixed values of the other knobs."""
    at_reference = setting[knob.knob.name] == knob.reference
    return at_reference and all(setting[name] == value for name, value in knob.fixed.items())


def _independent_knobs(first: int, free: Sequence[int], linear: Sequence[LinearKnob]) -> list[int]:
    """Return `first` and those of `free` that can be moved with it: no filter needs another knob of the group fixed."""
    group = [first]
    for number in free:
        if number not in group and all(
            linear[number].knob.name not in linear[one].fixed and linear[one].knob.name not in linear[number].fixed
            for one in group
        ):
            group.append(number)
    return group
