"""Knobs that act as a linear filter after the distortion: found from the takes, with the evidence for each.

Between two takes that differ in such a knob alone, one fixed filter turns one take into the other, at any setting of
the other knobs. A take at a setting that was not recorded is then composed: a recorded take through this filter.

Shapes: T time, N taps, F frequency bins, P positions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import TypeGuard, TypeVar

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from models.knobs.schema import AnyKnob, Knob, Knobs, Setting, Value
from models.knobs.text import format_value
from models.recordings.dataset import SILENCE, AmpData, Piece
from models.recordings.filter_interpolation import LEAD, TAPS, interpolate_filters
from models.recordings.knob_filters import KnobFilter

REGULARIZATION = 1e-6  # share of the mean power, added to every bin: limits the filter where the input has no power
FADE_TAPS = 128  # taps at the end over which a filter is faded out
CONTEXT_STEP = 4096  # samples

FIT_SAMPLES = 1 << 20  # samples of each take that are used: 22 s at 48 kHz

MAX_CHECKS = 16  # other lines, and takes of a pair, on which filters are checked; of more, evenly chosen ones

PREFERENCE = 1.5  # times the error between positions that rational interpolation may have: pots are rational
NEGLIGIBLE = 1e-4  # sum of ESR at which no choice matters

LIMIT = 0.003  # largest ESR (-25 dB) at which a filter is accepted

STATED_LIMIT = 0.01  # the same (-20 dB) where a person states that the knob filters after the distortion

Listed = TypeVar("Listed")


@dataclass(frozen=True, eq=False)
class LinearKnob:
    """A knob that filters after the distortion, between its recorded positions `positions`; it is none if they are one.

    `taps_PN` are the filters from `reference` to each position. The filters are valid only where the other knobs in
    `fixed` have the values given there. Three errors (ESR) by position: `residuals`, at the settings where the filters
    were fitted; `joint`, the largest at other settings of the other knobs; `between`, of the filter interpolated from
    the other positions. `rational` says how filters are interpolated (`interpolate_filters`): so, unless the error
    `between` is clearly larger than with PCHIP.
    """

    knob: Knob
    reference: Value
    positions: tuple[Value, ...]
    taps_PN: np.ndarray
    fixed: Setting = field(default_factory=dict)
    residuals: Mapping[Value, float] = field(default_factory=dict)
    joint: Mapping[Value, float] = field(default_factory=dict)
    between: Mapping[Value, float] = field(default_factory=dict)
    rational: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the takes agree that the knob filters after the distortion, at least in a part of its range."""
        return len(self.positions) > 1

    def taps_at(self, levels: Sequence[float]) -> np.ndarray:
        """Return the filters `(P, N)` from the reference to `levels` (-1 to 1, see `Knob.level`).

        Levels outside the recorded positions are clipped to them.
        """
        recorded = [self.knob.level(position) for position in self.positions]
        return interpolate_filters(recorded, self.taps_PN, levels, self.rational)

    def reaches(self, value: Value) -> bool:
        """Return whether a value lies between the outermost positions."""
        low, high = self.span
        return low <= self.knob.level(value) <= high

    def describe(self) -> KnobFilter:
        """Return the evidence as data."""
        residuals, joint, between = (
            {format_value(position): esr for position, esr in found.items()}
            for found in (self.residuals, self.joint, self.between)
        )
        return KnobFilter(
            knob=self.knob.name,
            interpolation="rational" if self.rational else "pchip",
            stated=self.knob.after,
            reference=self.reference,
            positions=self.positions,
            fixed=dict(self.fixed),
            residuals=residuals,
            joint=joint,
            between=between,
        )

    @property
    def ends(self) -> tuple[float, float]:
        """The outermost positions, as the faceplate shows them."""
        return float(min(self.positions)), float(max(self.positions))

    @property
    def span(self) -> tuple[float, float]:
        """Levels of the outermost positions."""
        levels = [self.knob.level(position) for position in self.positions]
        return min(levels), max(levels)


def fit_filter(x_T: np.ndarray, y_T: np.ndarray) -> np.ndarray:
    """Return the least-squares filter `(N,)` from `x_T` to `y_T`; tap `LEAD` is time zero.

    It is a Wiener filter, regularized where `x_T` has no power.
    """
    size = next_fast_len(len(x_T) + TAPS, real=True)
    x_F, y_F = rfft(x_T, size), rfft(y_T, size)
    power_F = np.abs(x_F) ** 2
    taps_T = irfft(y_F * x_F.conj() / (power_F + REGULARIZATION * power_F.mean()), size)
    return np.concatenate([taps_T[-LEAD:], taps_T[: TAPS - LEAD]]) * _window()


def apply_filter(taps_N: np.ndarray, x_T: np.ndarray) -> np.ndarray:
    """Return a filtered signal of the same length.

    Outside the signal is silence, so its first `TAPS` and last `LEAD` samples are not exact.
    """
    size = next_fast_len(len(x_T) + TAPS, real=True)
    return irfft(rfft(x_T, size) * rfft(taps_N, size), size)[LEAD : LEAD + len(x_T)]


def filter_error(taps_N: np.ndarray, x_T: np.ndarray, y_T: np.ndarray) -> float:
    """Return the ESR of the filtered `x_T` against `y_T`, without `TAPS` samples at both ends."""
    inner = slice(TAPS, len(y_T) - TAPS)
    error_T = (apply_filter(taps_N, x_T) - y_T)[inner]
    return float(error_T @ error_T / max(y_T[inner] @ y_T[inner], 1e-30))


def linear_knobs_of(data: AmpData, receptive_field: int) -> list[LinearKnob]:
    """Return the linear knobs of an amp, found from its training pieces alone.

    The end of a piece is not used where validation or held audio may follow: as many samples as the receptive field,
    rounded up to `CONTEXT_STEP`. Found once per dataset and rounded receptive field.
    """
    context = -(-receptive_field // CONTEXT_STEP) * CONTEXT_STEP
    if context not in data.linear_knobs:
        pieces = [
            piece.cut(
                piece.start,
                min(piece.start + FIT_SAMPLES, piece.stop - (context if _is_followed(piece, data) else 0)),
            )
            for piece in data.train
        ]
        data.linear_knobs[context] = find_linear_knobs(data.knobs, pieces)
    return data.linear_knobs[context]


def _is_followed(piece: Piece, data: AmpData) -> bool:
    """Whether evaluated audio may follow a piece on its dry signal."""
    return piece.stop < len(data.dry_T[piece.dry])


def find_linear_knobs(knobs: Knobs, pieces: Sequence[Piece], limit: float = LIMIT) -> list[LinearKnob]:
    """Return the knobs that filter after the distortion; see `examine_linear_knobs`."""
    return [linear for linear in examine_linear_knobs(knobs, pieces, limit) if linear.is_accepted]


def examine_linear_knobs(knobs: Knobs, pieces: Sequence[Piece], limit: float = LIMIT) -> list[LinearKnob]:
    """Return what the takes tell about each knob, accepted or not; only samples inside `pieces` are used.

    A line is a group of takes that differ in one knob alone. For each knob, filters are fitted on the line with the
    most positions and checked on all its other lines. Positions are accepted from the reference outwards while the ESR
    is at most `limit`; for a knob of which a person states it (`after`), at most `STATED_LIMIT`. A knob without a line
    is left out.
    """
    takes = [_Take(piece) for piece in pieces if piece.stop - piece.start > 4 * TAPS and piece.energy > SILENCE]
    limits = {knob.name: max(limit, STATED_LIMIT) if knob.after else limit for knob in knobs.knobs if is_turned(knob)}
    candidates = (_examine(knob, knobs, takes, limits[knob.name]) for knob in knobs.knobs if is_turned(knob))
    examined = [linear for linear in candidates if linear is not None]
    fixed = {linear.knob.name: dict(linear.fixed) for linear in examined}
    for one, other in combinations([linear for linear in examined if linear.is_accepted], 2):
        errors = _check_pair(one, other, takes)
        if errors and max(errors) > max(limits[one.knob.name], limits[other.knob.name]):
            fixed[one.knob.name][other.knob.name] = other.reference
            fixed[other.knob.name][one.knob.name] = one.reference
    return [replace(linear, fixed=fixed[linear.knob.name]) for linear in examined]


def is_turned(knob: AnyKnob) -> TypeGuard[Knob]:
    """Return whether a knob has values between its positions, as a switch has not."""
    return isinstance(knob, Knob)


def _check_pair(one: LinearKnob, other: LinearKnob, takes: Sequence["_Take"]) -> list[float]:
    """Return the ESR of both filters, one after the other, at the takes that differ in these two knobs alone."""
    names, matches = (one.knob.name, other.knob.name), []
    for base, take in permutations(takes, 2):
        moved = {name for name, value in take.setting.items() if base.setting[name] != value}
        if moved != set(names) or take.piece.dry != base.piece.dry:
            continue
        pairs = [(linear, take.setting[linear.knob.name]) for linear in (one, other)]
        if all(base.setting[linear.knob.name] == linear.reference and linear.reaches(value) for linear, value in pairs):
            matches.append((base, take, pairs))
    errors = []
    for base, take, pairs in _evenly(matches):
        x_T, y_T = base.common(take)
        first_N, second_N = (linear.taps_at([linear.knob.level(value)])[0] for linear, value in pairs)
        errors.append(filter_error(second_N, apply_filter(first_N, x_T), y_T))
    return errors


def _evenly(items: Sequence[Listed]) -> Sequence[Listed]:
    """Return the items, of more than `MAX_CHECKS` evenly chosen ones."""
    return items[:: -(-len(items) // MAX_CHECKS) or 1]


class _Take:
    """A piece with its setting; its samples are converted to float64 when needed."""

    def __init__(self, piece: Piece) -> None:
        self.piece, self.setting = piece, piece.setting

    def common(self, other: "_Take") -> tuple[np.ndarray, np.ndarray]:
        """Return the samples of both takes over the time that both cover."""
        start, stop = max(self.piece.start, other.piece.start), min(self.piece.stop, other.piece.stop)
        return tuple(take.piece.wet_T[start:stop].double().numpy() for take in (self, other))  # type: ignore[return-value]


KnobLine = dict[Value, _Take]  # takes that differ in one knob alone, by its position


def _examine(knob: Knob, knobs: Knobs, takes: Sequence[_Take], limit: float) -> LinearKnob | None:
    """Fit and check the filters of one knob; None where no takes differ in it alone."""
    lines = _lines(knob.name, knobs.names, takes)
    if not lines:
        return None
    reference = _reference(knob.name, takes, lines)
    line = max((line for line in lines if reference in line), key=len)
    filters = {p: fit_filter(*line[reference].common(take)) for p, take in line.items() if p != reference}
    residuals = {p: filter_error(taps_N, *line[reference].common(line[p])) for p, taps_N in filters.items()}
    joint, fixed = _check_jointly(knob.name, knobs, line[reference], lines, filters, reference, limit)
    accepted = _accepted(sorted(line), reference, lambda p: max(residuals[p], joint.get(p, 0.0)) <= limit)
    identity_N = np.zeros(TAPS)
    identity_N[LEAD] = 1
    taps_PN = np.stack([filters.get(p, identity_N) for p in accepted])
    linear = LinearKnob(knob, reference, tuple(accepted), taps_PN, fixed, residuals, joint)
    pchip, rational = (_check_between(linear, line, rational) for rational in (False, True))
    is_rational = len(rational) > 1 and sum(rational.values()) <= max(PREFERENCE * sum(pchip.values()), NEGLIGIBLE)
    return replace(linear, between=rational if is_rational else pchip, rational=is_rational)


def _lines(name: str, names: Sequence[str], takes: Sequence[_Take]) -> list[KnobLine]:
    """Return the groups of at least two takes of one dry signal that differ in one knob alone."""
    lines: dict[tuple, KnobLine] = {}
    for take in takes:
        rest = tuple(take.setting[other] for other in names if other != name)
        lines.setdefault((take.piece.dry, rest), {}).setdefault(take.setting[name], take)
    return [line for line in lines.values() if len(line) > 1]


def _reference(name: str, takes: Sequence[_Take], lines: Sequence[KnobLine]) -> Value:
    """Return the position at which most takes were recorded: takes are composed from these."""
    positions = sorted({position for line in lines for position in line})
    return max(positions, key=lambda position: sum(take.setting[name] == position for take in takes))


def _check_jointly(
    name: str,
    knobs: Knobs,
    base: _Take,
    lines: Sequence[KnobLine],
    filters: Mapping[Value, np.ndarray],
    reference: Value,
    limit: float,
) -> tuple[dict[Value, float], Setting]:
    """Check the filters on the other lines; return `(joint, fixed)`.

    A knob is fixed when the filters exceed the limit on every line where it has another value than on the line of the
    fit. `joint` is the largest ESR at each position over the lines where all fixed knobs have their fixed value.
    """
    errors: list[tuple[Setting, dict[Value, float]]] = []
    for line in _evenly([line for line in lines if reference in line and line[reference] is not base]):
        other_base = line[reference]
        found = {p: filter_error(filters[p], *other_base.common(take)) for p, take in line.items() if p in filters}
        if found:
            errors.append((other_base.setting, found))
    moved = {
        other: [found for setting, found in errors if setting[other] != base.setting[other]]
        for other in knobs.names
        if other != name
    }
    fixed = {
        other: base.setting[other]
        for other, rows in moved.items()
        if rows and all(max(found.values()) > limit for found in rows)
    }
    joint: dict[Value, float] = {}
    for setting, found in errors:
        if all(setting[other] == value for other, value in fixed.items()):
            for position, error in found.items():
                joint[position] = max(joint.get(position, 0.0), error)
    return joint, fixed


def _accepted(positions: Sequence[Value], reference: Value, is_valid: Callable[[Value], bool]) -> list[Value]:
    """Return the positions from the reference outwards up to the first ones that are not valid."""
    middle = positions.index(reference)
    low, high = middle, middle
    while low > 0 and is_valid(positions[low - 1]):
        low -= 1
    while high < len(positions) - 1 and is_valid(positions[high + 1]):
        high += 1
    return list(positions[low : high + 1])


def _check_between(linear: LinearKnob, line: KnobLine, rational: bool) -> dict[Value, float]:
    """Return the ESR at each inner position of the filter interpolated from the other positions."""
    levels = [linear.knob.level(position) for position in linear.positions]
    errors = {}
    for index in range(1, len(levels) - 1):
        rest = [i for i in range(len(levels)) if i != index]
        taps_N = interpolate_filters([levels[i] for i in rest], linear.taps_PN[rest], [levels[index]], rational)[0]
        errors[linear.positions[index]] = filter_error(
            taps_N, *line[linear.reference].common(line[linear.positions[index]])
        )
    return errors


def _window() -> np.ndarray:
    """Return the window `(N,)` of a filter: fades in over half of `LEAD`, fades out over the last `FADE_TAPS`."""
    window_N, rise = np.ones(TAPS), LEAD // 2
    window_N[:rise] = np.sin(np.linspace(0, np.pi / 2, rise)) ** 2
    window_N[-FADE_TAPS:] = np.cos(np.linspace(0, np.pi / 2, FADE_TAPS)) ** 2
    return window_N
