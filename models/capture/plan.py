"""Which knob settings to record, how many they are, how long that takes and how well they cover the knobs, before anything is written.

Positions are spread evenly over the turn of a knob, whatever its taper: an audio-taper pot is made so that equal turns are equal steps to the
ear. No setting leaves what can be dialled (`step`), or is mute (`avoid_zero`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from models.audio.calibration import AnalogLevels
from models.capture.designs import corner_settings, distinct, fill_space, gray_code, sample_between
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
)
from models.knobs.schema import AnyKnob, KnobName, Knobs, Setting

Design = Literal["isolated", "hybrid", "combinatorial", "space-filling"]

DESIGNS: tuple[Design, ...] = get_args(Design)

POSITIONS = {"isolated": 5, "hybrid": 3}

WISHES = {"isolated": ("positions",), "hybrid": ("positions",), "space-filling": ("count",)}

PER_KNOB = 10  # takes per knob of a space-filling design (Loeppky, Sacks and Welch, Technometrics 51, 2009)

HELD = 6

LISTED = 5000  # a plan of more takes is counted, not listed

MAX_POSITIONS = 200

TURNING_S = 15  # to dial the next setting and start the next take


def _spell_out(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedKnob = Annotated[AnyKnob, BeforeValidator(_spell_out, json_schema_input_type=KnobName | AnyKnob)]


class KnobsFile(AnalogLevels):
    """The knobs of a device that is to be recorded, as in a manifest."""

    device: str = ""
    license: str = ""
    knobs: Annotated[tuple[NamedKnob, ...], Field(min_length=1, max_length=32)]


def read_knobs(path: Path) -> tuple[KnobsFile, Knobs]:
    """Read a `KnobsFile`, and its knobs as one schema; raises `UserError` naming the file and the knob at fault."""
    described = read_document(path, KnobsFile)
    return described, check_document({"knobs": described.knobs}, Knobs, str(path))


@dataclass(frozen=True)
class CapturePlan:
    """A design for a device: `count` settings to train on, the largest hole between them (turns), the pairs of knobs never moved together.

    `train` and `held` are in the order of recording, None where the plan is too large to list.
    """

    design: str
    knobs: Knobs
    count: int
    train: list[Setting] | None
    held: list[Setting] | None
    hole_turns: float
    never_together: list[tuple[str, str]]

    @property
    def moves(self) -> int | None:
        """How many knobs are touched in all on the way through `train`."""
        return None if self.train is None else count_moves(self.train)

    def seconds(self, signal_s: float) -> float:
        """What recording takes, held takes included, with a signal of that length and `TURNING_S` before each take."""
        return (self.count + len(self.held or ())) * (signal_s + TURNING_S)


def make_plan(
    knobs: Knobs,
    design: Design,
    *,
    count: int | None = None,
    positions: int | None = None,
    held: int | None = None,
    seed: int = 0,
) -> CapturePlan:
    """Plan a session.

    `count` (space-filling) is the number of settings to train on, `positions` (isolated, hybrid) those of each knob, `held` the number of
    settings to judge by: never one to train on, never a corner. A knob whose default cannot be dialled rests at the nearest value that
    can. Raises `UserError` for what the knobs cannot give, and for a wish that the design does not know.
    """
    _check(knobs, count, positions, held)
    for wish, stated in (("count", count), ("positions", positions)):
        if stated is not None and wish not in WISHES.get(design, ()):
            knowing = " and ".join(other for other, wishes in WISHES.items() if wish in wishes)
            raise UserError(f"a {design} session has no --{wish}", f"Leave it out; it is for {knowing}.")
    knobs = snap_defaults(knobs)
    if design == "combinatorial":
        axes = [all_values(knob) if step_count(knob) <= LISTED else spaced_values(knob, LISTED) for knob in knobs.knobs]
        whole = prod(step_count(knob) for knob in knobs.knobs)
    else:
        axes = [spaced_values(knob, positions or POSITIONS.get(design, 2)) for knob in knobs.knobs]
        whole = prod(len(axis) for axis in axes)
    if design in ("hybrid", "combinatorial") and whole > LISTED:
        off_rest = to_settings(
            knobs, [[next((v for v in end_values(k) if v != k.default), k.default) for k in knobs.knobs]]
        )
        return CapturePlan(
            design, knobs, whole, None, None, largest_grid_hole(knobs, axes), pairs_never_together(knobs, off_rest)
        )
    if design == "isolated":
        moved = [{**knobs.defaults, k.name: value} for k, axis in zip(knobs.knobs, axes, strict=True) for value in axis]
        train = distinct([knobs.defaults, *moved])
    elif design == "space-filling":
        train = fill_space(knobs, _default_count(knobs) if count is None else count, seed)
    else:
        train = list(to_settings(knobs, gray_code(axes)))
    train, judged = _hold(knobs, train, held, seed + 1)
    train = order_settings(knobs, train)
    hole = largest_hole(knobs, train).turns
    return CapturePlan(
        design, knobs, len(train), train, order_settings(knobs, judged), hole, pairs_never_together(knobs, train)
    )


def compare_designs(knobs: Knobs, **wishes: Any) -> list[CapturePlan]:
    """Every design for the same knobs, with those of `make_plan`'s wishes that each knows."""
    return [
        make_plan(knobs, d, **{k: v for k, v in wishes.items() if k in ("held", "seed", *WISHES.get(d, ()))})
        for d in DESIGNS
    ]


def recommend(plans: Sequence[CapturePlan]) -> tuple[CapturePlan, str]:
    """Of all designs the one to record, and why: all positions where they are few, one knob alone through its range, else space-filling."""
    by_design = {plan.design: plan for plan in plans}
    everything, filling = by_design["combinatorial"], by_design["space-filling"]
    if everything.count <= PER_KNOB * len(everything.knobs.knobs):
        return everything, f"it has every position there is in {everything.count} takes"
    if len(everything.knobs.knobs) == 1:
        return by_design["isolated"], "there is one knob, and it goes through its range"
    return filling, (
        f"{filling.count:,} takes, not {everything.count:,}, have the corners, move every pair of knobs together "
        "and put each knob at many positions"
    )


def propose_settings(
    knobs: Knobs, existing: Sequence[Setting], count: int, taken: Sequence[Setting] = ()
) -> list[Setting]:
    """The next settings to record: each in the largest hole that `existing` and those before it leave, in order of recording.

    None of `taken` (those held back) is among them. Raises `UserError` when there are not so many.
    """
    _check(knobs, count)
    barred = {setting_key(setting) for setting in (*existing, *taken)}
    free = [setting for setting in candidate_settings(knobs) if setting_key(setting) not in barred]
    chosen = select_farthest(knobs, existing, count, free)
    if len(chosen) < count:
        raise UserError(f"only {len(chosen)} settings are left to record, not {count}", "Ask for fewer.")
    return order_settings(knobs, chosen)


def _default_count(knobs: Knobs) -> int:
    """Ten takes per knob, but no more than three quarters of what can be dialled, and never fewer than `fill_space` begins with."""
    fixed = len(distinct([*corner_settings(knobs), knobs.defaults]))
    return max(fixed, min(PER_KNOB * len(knobs.knobs), prod(step_count(knob) for knob in knobs.knobs) * 3 // 4))


def _hold(knobs: Knobs, train: list[Setting], wanted: int | None, seed: int) -> tuple[list[Setting], list[Setting]]:
    """`(settings to train on, settings held back)`: new ones where there are any, else taken out of the inner ones of the plan."""
    count, recorded = HELD if wanted is None else wanted, {setting_key(setting) for setting in train}

    def inner(setting: Setting) -> bool:
        return not is_corner(knobs, setting) and setting != knobs.defaults

    held = sample_between(knobs, count, seed, lambda s: inner(s) and setting_key(s) not in recorded, train)
    if len(held) < count:
        taken = {setting_key(setting) for setting in (*train, *held)}
        free = [
            setting
            for setting in candidate_settings(knobs, seed)
            if inner(setting) and setting_key(setting) not in taken
        ]
        held += select_farthest(knobs, [*train, *held], count - len(held), free)
    if len(held) < count:
        inside = [setting for setting in train if inner(setting)]
        rest = [setting for setting in train if not inner(setting)] or [knobs.defaults]
        held += select_farthest(knobs, [*rest, *held], min(count - len(held), len(train) // 4), inside)
    if wanted is not None and len(held) < wanted:
        raise UserError(f"only {len(held)} settings can be held back, not {wanted}", "Ask for fewer with --held.")
    out = {setting_key(setting) for setting in held}
    return [setting for setting in train if setting_key(setting) not in out], held


def _check(knobs: Knobs, count: int | None, positions: int | None = None, held: int | None = None) -> None:
    if not knobs.knobs:
        raise UserError("there is no knob to plan for", 'List them under "knobs".')
    limits = (("--count", count, 1, LISTED), ("--positions", positions, 2, MAX_POSITIONS), ("--held", held, 0, LISTED))
    for name, value, least, most in limits:
        if value is not None and not least <= value <= most:
            raise UserError(f"{name} is {value}", f"Use {least} to {most:,}.")
