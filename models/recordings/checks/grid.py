"""How good the grid of recorded positions can be, before any training: what lies between neighbors along each knob.

Where a knob only filters after the distortion, filters tell what lies between its positions; elsewhere a model has to
bridge about what a take's two neighbors miss of it.

Shapes: T time, N takes, S samples of an excerpt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from models.audio.interpolation import HALF, read_between
from models.audio.io import open_audio, read_audio
from models.audio.loudest import loudest_start
from models.knobs.schema import Knob, Knobs, Setting, Value
from models.recordings.alignment import Lag
from models.recordings.checks.report import Finding, KnobGrid, Miss, TakeReport
from models.recordings.dataset import Piece
from models.recordings.knob_filters import KnobFilter
from models.recordings.linear_knobs import examine_linear_knobs, is_turned
from models.recordings.take_store import TakeStore

FILTER_SAMPLES = 1 << 18  # of each take, to fit filters: 5.5 s at 48 kHz


@dataclass(frozen=True)
class ComparableTake:
    """A take with the lag at which it is compared, and an excerpt of it `(S,)`."""

    take: TakeReport
    lag: Lag
    excerpt_S: np.ndarray


def measure_grid(knobs: Knobs, groups: Sequence[Sequence[ComparableTake]]) -> list[KnobGrid]:
    """Measure each continuous knob; `groups` are the takes of one dry signal each."""
    filters = {found.knob: found for found in _find_filters(knobs, groups)}
    return [
        KnobGrid(knob.name, filters.get(knob.name), tuple(_misses(knob, groups)))
        for knob in knobs.knobs
        if is_turned(knob)
    ]


def check_statements(knobs: Knobs, grid: Sequence[KnobGrid], path: Path) -> list[Finding]:
    """Return a warning for each knob that a person states to filter after the distortion, but whose takes deny it."""
    stated = {knob.name for knob in knobs.knobs if is_turned(knob) and knob.after}
    return [
        Finding(
            "warning",
            path,
            f"'{found.knob}' is stated to filter after the distortion, but no fixed filter turns one of its takes into "
            f"another (ESR {found.filter.worst:.2g} at best)",
            'Take "after" away from it, or look for a wrong label among its takes.',
        )
        for found in grid
        if found.knob in stated and found.filter and not found.filter.is_accepted
    ]


def read_part(file: sf.SoundFile, take: TakeReport, lag: Lag, start: int, length: int) -> np.ndarray:
    """Read `length` samples of a take from sample `start` of its dry signal on, aligned with it, float64."""
    position = lag.delay_samples + lag.step * start
    first = min(max(int(position) - HALF, 0), file.frames)
    file.seek(first)
    near_TC = file.read(length + 3 * HALF, dtype="float32", always_2d=True)
    near_T = near_TC[:, min(take.channel or 0, near_TC.shape[1] - 1)]
    return lag.polarity * read_between(near_T, position - first, lag.step, length)


def _find_filters(knobs: Knobs, groups: Sequence[Sequence[ComparableTake]]) -> list[KnobFilter]:
    """Examine the knobs on the loudest part of the takes that differ in one knob alone; files hold these parts."""
    store, pieces = TakeStore(resident_bytes=0), []
    for number, group in enumerate(groups):
        chosen = _in_lines(group, knobs)
        if not chosen:
            continue
        dry_T, _ = read_audio(chosen[0].take.dry, chosen[0].take.channel)
        length = min(FILTER_SAMPLES, len(dry_T))
        start = loudest_start(dry_T, length)
        for one in chosen:
            with open_audio(one.take.wet) as file:
                part_T = store(read_part(file, one.take, one.lag, start, length).astype(np.float32))
            setting = one.take.setting
            pieces.append(Piece(number, part_T, 0, length, setting, torch.tensor(knobs.encode(setting))))
    return [linear.describe() for linear in examine_linear_knobs(knobs, pieces)]


def _in_lines(group: Sequence[ComparableTake], knobs: Knobs) -> list[ComparableTake]:
    """Return the takes that differ from another in one knob alone."""
    keys = [[(name, *_without(one.take.setting, name).values()) for name in knobs.names] for one in group]
    positions: dict[tuple, set[Value]] = {}
    for one, own in zip(group, keys, strict=True):
        for key in own:
            positions.setdefault(key, set()).add(one.take.setting[key[0]])
    return [one for one, own in zip(group, keys, strict=True) if any(len(positions[key]) > 1 for key in own)]


def _misses(knob: Knob, groups: Sequence[Sequence[ComparableTake]]) -> list[Miss]:
    """Return what neighbors miss at each inner position of every line of takes along a knob."""
    found = []
    for group in groups:
        lines: dict[tuple, dict[Value, np.ndarray]] = {}
        for one in group:
            rest = tuple(_without(one.take.setting, knob.name).items())
            lines.setdefault(rest, {}).setdefault(one.take.setting[knob.name], one.excerpt_S)
        for line in lines.values():
            positions = sorted(line, key=knob.level)
            for below, position, above in zip(positions, positions[1:], positions[2:], strict=False):
                found.append(Miss(position, _blend_error(line[below], line[above], line[position])))
    return found


def _blend_error(one_S: np.ndarray, other_S: np.ndarray, target_S: np.ndarray) -> float:
    """Return the ESR of the least-squares blend of two takes against a third."""
    pair_S2, target_S = np.stack([one_S, other_S], 1).astype(np.float64), target_S.astype(np.float64)
    weights_2 = np.linalg.lstsq(pair_S2, target_S, rcond=None)[0]
    error_S = pair_S2 @ weights_2 - target_S
    return float(error_S @ error_S / max(target_S @ target_S, 1e-30))


def _without(setting: Mapping[str, Value], name: str) -> Setting:
    return {other: value for other, value in setting.items() if other != name}
