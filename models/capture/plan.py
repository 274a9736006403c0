"""A plan of what to record: which settings, how many, how long that takes, and how well they cover the knobs.

Positions are spaced evenly over the turn of a knob, whatever its taper: equal turns of an audio-taper pot sound like
equal steps. No setting is one that cannot be set (`step`) or that is silent (`avoid_zero`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from models.audio.calibration import AnalogLevels
from models.capture.designs import CORNER_SHARE, corner_settings, distinct, fill_space, gray_code, sample_between
from models.capture.ordering import count_moves, order_settings
from models.core.errors import UserError
from models.core.schema import check_document, read_document
from models.knobs.geometry import (
    all_values,
    candidate_settings,
    end_values,
    is_corner,
    largest_grid_hole,
    largest_hole,
    pairs_never_together,
    select_farthest,
    setting_key,
    snap_defaults,
    spaced_values,
    step_count,
    to_settings,
    with_dial_steps,
    with_step,
)
from models.knobs.schema import AnyKnob, Knob, KnobName, Knobs, Setting, Value
from models.recordings.manifest import Take

Design = Literal["isolated", "hybrid", "combinatorial", "space-filling"]

ALL_DESIGNS: tuple[Design, ...] = get_args(Design)

DEFAULT_POSITIONS = {"isolated": 5, "hybrid": 3}  # of each knob, where none are asked for

OPTIONS = {"isolated": ("positions",), "hybrid": ("positions",), "space-filling": ("count",)}  # of each design

PER_KNOB = 10  # takes per knob of a space-filling design (Loeppky, Sacks and Welch, Technometrics 51, 2009)

FILTER_POSITIONS = 5  # of each knob that filters after the distortion: the others are composed

HELD_COUNT = 6  # settings to test with, where none are asked for

LISTED = 5000  # a plan of more takes is counted, not listed

POSITION_LIMIT = 200

TURNING_S = 15  # seconds to set the knobs and start the next take


def _spell_out(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedKnob = Annotated[AnyKnob, BeforeValidator(_spell_out, json_schema_input_type=KnobName | AnyKnob)]


class KnobsFile(AnalogLevels):
    """The knobs of a device that is to be recorded."""

    device: Annotated[str, Field(description="Name of the device, for people.")] = ""
    license: Annotated[str, Field(description="License of the recordings, such as `cc-by-4.0`.")] = ""
    knobs: Annotated[
        tuple[NamedKnob, ...],
        Field(
            min_length=1, max_length=32, description="Knobs and switches: objects, or names alone (a knob from 0 to 1)."
        ),
    ]


def read_knobs(path: Path) -> tuple[KnobsFile, Knobs]:
    """Read a `KnobsFile`, and its knobs as one schema; raises `UserError` naming the file and the key at fault."""
    described = read_document(path, KnobsFile)
    return described, check_document({"knobs": described.knobs}, Knobs, str(path))


@dataclass(frozen=True)
class CapturePlan:
    """A plan for a device.

    `count` is the number of settings to train on, `hole_turns` the largest hole between them in turns of a knob,
    `never_together` the pairs of knobs that no setting moves together. `train` and `held` are the settings in order of
    recording, or None where the plan is too large to list.
    """

    design: Design
    knobs: Knobs
    count: int
    train: list[Setting] | None
    held: list[Setting] | None
    hole_turns: float
    never_together: list[tuple[str, str]]

    @property
    def moves(self) -> int | None:
        """How many times a knob is turned on the way through `train`."""
        return None if self.train is None else count_moves(self.train)

    def seconds(self, signal_s: float) -> float:
        """Return the time to record all takes, held ones included, with a signal of `signal_s` seconds."""
        return (self.count + len(self.held or ())) * (signal_s + TURNING_S)


def make_plan(
    knobs: Knobs,
    design: Design,
    *,
    count: int | None = None,
    positions: int | None = None,
    held: int | None = None,
    step: float | None = None,
    seed: int = 0,
) -> CapturePlan:
    """Plan a session.

    `count` (space-filling) is the number of settings to train on, `positions` (isolated, hybrid) that of each knob,
    `held` the number of settings to test with: none of them is trained on or a corner. Knobs that are stated to filter
    after the distortion (`after`) get `FILTER_POSITIONS` isolated positions and one joint setting each; the design is
    that of the other knobs, and so are hole and pairs of the plan. A default that cannot be set is
    moved to the nearest value that can. Raises `UserError` when there are not so many settings, and for an option that
    the design does not have. `step` is that of the knobs that state none; without it, they are set to round numbers
    (`with_dial_steps`), and the plan's knobs state no step.
    """
    _check_ranges(knobs, count, positions, held)
    _check_options(design, count=count, positions=positions)
    knobs = snap_defaults(knobs if step is None else with_step(knobs, step))
    moved, filters = split_knobs(knobs)
    if design == "isolated" or not filters:
        moved, filters = knobs, ()
    dial, whole = with_dial_steps(moved), with_dial_steps(knobs)
    extra = _filter_settings(whole, split_knobs(whole)[1]) if filters else []
    if count is not None and 0 < len(extra) >= count:
        raise UserError(
            f"{count} takes are too few: knobs that filter after the distortion take {len(extra)}",
            f"Use more than {len(extra)}.",
        )
    axes = _axes(moved, dial, design, positions)
    total = _count_grid(moved, design, axes)
    if design in ("hybrid", "combinatorial") and total > LISTED:
        ends = [next((v for v in end_values(k) if v != k.default), k.default) for k in moved.knobs]
        apart = pairs_never_together(moved, to_settings(moved, [ends]))
        return CapturePlan(design, knobs, total + len(extra), None, None, largest_grid_hole(moved, axes), apart)
    if design == "isolated":
        alone = [{**knobs.defaults, k.name: value} for k, axis in zip(knobs.knobs, axes, strict=True) for value in axis]
        train = distinct([knobs.defaults, *alone])
    elif not moved.knobs:
        train = [knobs.defaults]
    elif design == "space-filling":
        train = fill_space(dial, _default_count(moved) if count is None else count - len(extra), seed)
    else:
        train = list(to_settings(moved, gray_code(axes)))
    train = distinct([*({**knobs.defaults, **setting} for setting in train), *extra])
    train, test = _hold_out(whole, train, held, seed + 1)
    train, test = order_settings(knobs, train), order_settings(knobs, test)
    reduced = [{name: setting[name] for name in moved.names} for setting in train]
    hole_turns = largest_hole(moved, reduced).turns if moved.knobs else 0.0
    return CapturePlan(design, knobs, len(train), train, test, hole_turns, pairs_never_together(moved, reduced))


def split_knobs(knobs: Knobs) -> tuple[Knobs, tuple[Knob, ...]]:
    """Return the knobs whose settings have to be recorded jointly, and those stated to filter after the distortion.

    A switch of the files of a take is neither.
    """
    filters = tuple(knob for knob in knobs.knobs if isinstance(knob, Knob) and knob.after)
    return Knobs(knobs=tuple(knob for knob in knobs.without_outputs().knobs if knob not in filters)), filters


def state_filters(knobs: Knobs, names: Collection[str]) -> Knobs:
    """Return the knobs, the named ones stated to filter after the distortion and all others not.

    Raises `UserError` for a name of no knob, of a switch, or of the knob that drives the device.
    """
    for name in names:
        knob = knobs.find(name)
        if not isinstance(knob, Knob) or knob.gain:
            what = "no knob" if knob is None else "the gain" if isinstance(knob, Knob) else "a switch"
            raise UserError(
                f"'{name}' cannot filter after the distortion: it is {what}",
                f"The knobs are: {', '.join(knobs.names)}.",
            )
    found = [k.model_copy(update={"after": k.name in names}) if isinstance(k, Knob) else k for k in knobs.knobs]
    return Knobs(knobs=tuple(found))


def plan_without_filters(knobs: Knobs, design: Design | None, **sizes: Any) -> CapturePlan | None:
    """Return the plan without what is stated about filters, None where nothing is; the recommended without a design.

    Raises as `make_plan` does.
    """
    if not split_knobs(knobs)[1]:
        return None
    plain = state_filters(knobs, ())
    return make_plan(plain, design, **sizes) if design else recommend(compare_designs(plain, **sizes))[0]


def _filter_settings(knobs: Knobs, filters: Sequence[Knob]) -> list[Setting]:
    """Return the settings for knobs that filter after the distortion.

    Each of them alone at a few positions, and once where the other knobs are at an end: training composes all else, and
    checks its filters there.
    """
    alone = [{**knobs.defaults, k.name: value} for k in filters for value in spaced_values(k, FILTER_POSITIONS)]
    others, _ = split_knobs(knobs)
    corners = corner_settings(others) if others.knobs else []
    checks = [
        {**knobs.defaults, **corners[-1 - number % len(corners)], knob.name: end_values(knob)[(number + 1) % 2]}
        for number, knob in enumerate(filters if corners else ())
    ]
    return [setting for setting in distinct([*alone, *checks]) if setting != knobs.defaults]


def _axes(knobs: Knobs, dial: Knobs, design: Design, positions: int | None) -> list[list[Value]]:
    """Return the values of each knob in a grid, at most `LISTED`; `dial` has the knobs with steps."""
    if design == "combinatorial":
        return [
            spaced_values(on_dial, min(step_count(knob), LISTED))
            if isinstance(knob, Knob) and knob.step is None
            else _all_listed(knob)
            for knob, on_dial in zip(knobs.knobs, dial.knobs, strict=True)
        ]
    return [spaced_values(knob, positions or DEFAULT_POSITIONS.get(design, 2)) for knob in dial.knobs]


def _count_grid(knobs: Knobs, design: Design, axes: Sequence[Sequence[Value]]) -> int:
    """Return how many settings a grid has."""
    return prod(step_count(k) for k in knobs.knobs) if design == "combinatorial" else prod(len(axis) for axis in axes)


def compare_designs(knobs: Knobs, **options: Any) -> list[CapturePlan]:
    """Return a plan of every design for the same knobs, each with those options of `make_plan` that it has."""
    return [
        make_plan(knobs, d, **{k: v for k, v in options.items() if k in ("held", "step", "seed", *OPTIONS.get(d, ()))})
        for d in ALL_DESIGNS
    ]


def recommend(plans: Sequence[CapturePlan]) -> tuple[CapturePlan, str]:
    """Return the plan to record, of those of all designs, and why.

    It is every value where these are few, isolated for one knob alone, else space-filling.
    """
    by_design = {plan.design: plan for plan in plans}
    everything, filling = by_design["combinatorial"], by_design["space-filling"]
    moved, filters = split_knobs(filling.knobs)
    if everything.count <= PER_KNOB * len(everything.knobs.knobs):
        of = f" of {' and '.join(moved.names)}" if filters and moved.knobs else ""
        return everything, f"it has every position{of} there is in {everything.count} takes"
    if len(everything.knobs.knobs) == 1:
        return by_design["isolated"], "there is one knob, and it goes through its range"
    return filling, (
        f"{filling.count:,} takes, not {everything.count:,}, have corners, move every pair of knobs together "
        "and put each knob at many positions"
        + (f"; {', '.join(k.name for k in filters)} alone at {FILTER_POSITIONS} each" if filters else "")
    )


def propose_settings(
    knobs: Knobs, existing: Sequence[Setting], count: int, taken: Sequence[Setting] = ()
) -> list[Setting]:
    """Return `count` more settings to record, in order of recording.

    Each is in the largest hole that `existing` and those before it leave; corners only as long as they are at most one
    in `CORNER_SHARE` of all; none is in `taken` (settings held for tests). Knobs that are stated to filter after the
    distortion stay at their defaults.
    Raises `UserError` when there are not so many.
    """
    _check_ranges(knobs, count)
    excluded = {setting_key(setting) for setting in (*existing, *taken)}
    moved, _ = split_knobs(knobs)
    dialed = candidate_settings(with_dial_steps(moved)) if moved.knobs else []
    candidates = [{**knobs.defaults, **setting} for setting in dialed]
    free = [setting for setting in distinct(candidates) if setting_key(setting) not in excluded]
    chosen = select_farthest(knobs, existing, count, free)
    corners = [setting for setting in chosen if is_corner(moved, setting)]
    room = max((len(existing) + count) // CORNER_SHARE - sum(is_corner(moved, s) for s in existing), 0)
    if len(corners) > room:
        inner = [setting for setting in free if not is_corner(moved, setting)]
        chosen = corners[:room] + select_farthest(knobs, [*existing, *corners[:room]], count - room, inner)
        chosen += select_farthest(knobs, [*existing, *chosen], count - len(chosen), free)  # only corners are left
    if len(chosen) < count:
        raise UserError(f"only {len(chosen)} settings are left to record, not {count}", "Ask for fewer.")
    return order_settings(knobs, chosen)


def recorded_settings(knobs: Knobs, takes: Iterable[Take]) -> list[Setting]:
    """Return each setting of takes once, of these knobs alone: files of one take have one."""
    return distinct({name: take.setting[name] for name in knobs.names} for take in takes)


def _all_listed(knob: AnyKnob) -> list[Value]:
    return all_values(knob) if step_count(knob) <= LISTED else spaced_values(knob, LISTED)


def _default_count(knobs: Knobs) -> int:
    """Return ten takes per knob, at most 3/4 of all settings."""
    return max(1, min(PER_KNOB * len(knobs.knobs), prod(step_count(knob) for knob in knobs.knobs) * 3 // 4))


def _hold_out(knobs: Knobs, train: list[Setting], wanted: int | None, seed: int) -> tuple[list[Setting], list[Setting]]:
    """Return `(settings to train on, settings to test with)`: new ones, or some out of `train` where none are left.

    Raises `UserError` when `wanted` settings are not to be had.
    """
    count, recorded = HELD_COUNT if wanted is None else wanted, {setting_key(setting) for setting in train}

    def inner(setting: Setting) -> bool:
        return not is_corner(knobs, setting) and setting != knobs.defaults

    held = sample_between(knobs, count, seed, lambda s: inner(s) and setting_key(s) not in recorded, train)
    if len(held) < count:
        taken = {setting_key(setting) for setting in (*train, *held)}
        free = [s for s in candidate_settings(knobs, seed) if inner(s) and setting_key(s) not in taken]
        held += select_farthest(knobs, [*train, *held], count - len(held), free)
    if len(held) < count:
        inside = [setting for setting in train if inner(setting)]
        rest = [setting for setting in train if not inner(setting)] or [knobs.defaults]
        held += select_farthest(knobs, [*rest, *held], min(count - len(held), len(train) // 4), inside)
    if wanted is not None and len(held) < wanted:
        raise UserError(f"only {len(held)} settings can be held back, not {wanted}", "Hold fewer.")
    out = {setting_key(setting) for setting in held}
    return [setting for setting in train if setting_key(setting) not in out], held


def _check_options(design: Design, **options: int | None) -> None:
    for name, stated in options.items():
        if stated is not None and name not in OPTIONS.get(design, ()):
            owners = " and ".join(other for other, names in OPTIONS.items() if name in names)
            raise UserError(f"a {design} session has no {name}", f"Leave it out; it is for {owners}.")


def _check_ranges(knobs: Knobs, count: int | None, positions: int | None = None, held: int | None = None) -> None:
    if not knobs.knobs:
        raise UserError("there is no knob to plan for", 'List them under "knobs".')
    limits = (
        ("count", count, 1, LISTED),
        ("positions", positions, 2, POSITION_LIMIT),
        ("held", held, 0, LISTED),
    )
    for name, value, least, most in limits:
        if value is not None and not least <= value <= most:
            raise UserError(f"{name} is {value}", f"Use {least} to {most:,}.")
