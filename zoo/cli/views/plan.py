"""What `zoo plan` prints: a comparison of designs, or the settings of one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.capture.plan import LISTED, TURNING_S, CapturePlan, split_knobs
from models.core.errors import UserError
from models.knobs.geometry import largest_hole
from models.knobs.schema import Knobs, Setting
from models.knobs.text import format_setting, format_value
from zoo.cli import output

if TYPE_CHECKING:
    from models.capture.disagreement import Proposal


def show_plans(plans: Sequence[CapturePlan], signal_s: float, chosen: CapturePlan, why: str) -> None:
    """Print the designs as a table, and which one is recommended."""
    rows = [
        (
            plan.design,
            f"{plan.count:,}",
            format_time(plan.seconds(signal_s)),
            f"{plan.hole_turns:.2f}",
            f"{len(plan.never_together)}",
            "-" if plan.moves is None else f"{plan.moves:,}",
        )
        for plan in plans
    ]
    output.data_table(("DESIGN", "TAKES", "TIME", "GAP", "UNPAIRED", "MOVES"), rows)
    output.info()
    output.info(
        f"TAKES: to train on. TIME: with the held-out takes, {signal_s:.0f} s each and {TURNING_S} s to turn knobs."
    )
    output.info("GAP: largest distance from a setting to its nearest take, in turns of a knob.")
    output.info("UNPAIRED: pairs of knobs that never move together. MOVES: knobs to turn in all.")
    output.info()
    output.info(f"recommended: {chosen.design} ({why})")


def plan_to_json(plans: Sequence[CapturePlan], signal_s: float, chosen: CapturePlan, why: str) -> dict[str, Any]:
    """Return the comparison as a JSON document; settings are null where a plan is too large to list."""
    return {
        "schema": "zoo.plan/1",
        "plans": [
            {
                "design": plan.design,
                "takes": plan.count,
                "seconds": round(plan.seconds(signal_s), 3),
                "largest_hole_turns": round(plan.hole_turns, 6),
                "never_together": [list(pair) for pair in plan.never_together],
                "moves": plan.moves,
                "train": plan.train,
                "held": plan.held,
            }
            for plan in plans
        ],
        "recommended": chosen.design,
        "why": why,
    }


def listed_settings(plan: CapturePlan, signal_s: float) -> tuple[list[Setting], list[Setting]]:
    """Return the settings to train on and to hold out; raises `UserError` when the plan is too large to record."""
    if plan.train is None or plan.held is None:
        raise UserError(
            f"{plan.design} would be {plan.count:,} takes, {format_time(plan.seconds(signal_s))} of recording; "
            f"at most {LISTED:,} are listed",
            "Use fewer --positions, a coarser step, or --design space-filling.",
        )
    return plan.train, plan.held


def info_plan(plan: CapturePlan, signal_s: float) -> None:
    """Print a summary of one plan on stderr."""
    output.info(
        f"{plan.design}: {plan.count:,} takes and {len(plan.held or ())} held out, "
        f"{format_time(plan.seconds(signal_s))}, {plan.moves} knobs to turn; largest gap {plan.hole_turns:.2f} turns"
    )
    if plan.never_together:
        output.info("never moved together: " + ", ".join(" and ".join(pair) for pair in plan.never_together))


def info_saved(plan: CapturePlan, without: CapturePlan | None, signal_s: float) -> None:
    """Print on stderr how much shorter a plan is than the one `without` statements about filters."""
    if without is None or without.count <= plan.count:
        return
    names = [knob.name for knob in split_knobs(plan.knobs)[1]]
    before, after = without.seconds(signal_s), plan.seconds(signal_s)
    output.info(
        f"{', '.join(names)}: filtering after the distortion, so training composes takes: {plan.count:,} in place of "
        f"{without.count:,}, {format_time(after)} in place of {format_time(before)} "
        f"({100 * (1 - after / before):.0f} % less)"
    )


def show_settings(knobs: Knobs, train: Sequence[Setting], held: Sequence[Setting], as_json: bool) -> None:
    """Print the settings in the order to record them; on stdout, as a table or a JSON document."""
    if as_json:
        output.data_json({"schema": "zoo.settings/1", "train": list(train), "held": list(held)})
        return
    rows = [
        (f"{number}", part, *(format_value(value) for value in setting.values()))
        for part, settings in (("train", train), ("held", held))
        for number, setting in enumerate(settings, 1)
    ]
    output.data_table(("#", "FOR", *(name.upper() for name in knobs.names)), rows)


def info_holes(knobs: Knobs, existing: Sequence[Setting], new: Sequence[Setting]) -> None:
    """Print on stderr the largest gap between takes, without and with new ones."""
    moved, _ = split_knobs(knobs)
    reduced = [{name: setting[name] for name in moved.names} for setting in [*existing, *new]]
    before, after = (largest_hole(moved, settings) for settings in (reduced[: len(existing)], reduced))
    output.info(
        f"largest gap {before.turns:.2f} turns, at {format_setting(before.setting)}; "
        f"with the new takes {after.turns:.2f} turns"
    )


def info_proposal(proposal: "Proposal") -> None:
    """Print on stderr what the proposed takes bring, and after how many the next are not worth recording."""
    from models.capture.disagreement import NOT_WORTH, SERIES

    mean, last = proposal.mean_esr, proposal.takes[-SERIES:]
    output.info(
        f"the models disagree by {mean:.4g} (ESR) over the knobs, by {proposal.floor_esr:.4g} at recorded settings; "
        f"these takes are expected to bring {proposal.brings:.2g} ({_share(proposal.brings, mean)}), "
        f"the last {len(last)} of them {sum(take.brings for take in last):.2g}"
    )
    if proposal.floor_esr >= mean:
        output.info(
            "they disagree as much where takes were recorded: train the models for longer before recording more"
        )
    if proposal.enough == 0:
        output.info(f"the next takes are not worth recording: {SERIES} bring less than {NOT_WORTH:.0%} of it")
    elif proposal.enough is not None:
        output.info(f"stop after {proposal.enough}: the {SERIES} after that bring less than {NOT_WORTH:.0%}")


def show_proposal(knobs: Knobs, proposal: "Proposal", as_json: bool) -> None:
    """Print the proposed settings, the most valuable first; on stdout, as a table or a JSON document."""
    if as_json:
        document = {"schema": "zoo.settings/1", "train": [take.setting for take in proposal.takes], "held": []}
        expected = [{"esr": take.esr, "brings": take.brings} for take in proposal.takes]
        about = {"mean_esr": proposal.mean_esr, "floor_esr": proposal.floor_esr, "enough": proposal.enough}
        output.data_json({**document, "expected": expected, "disagreement": about})
        return
    rows = [
        (
            f"{number}",
            *(format_value(value) for value in take.setting.values()),
            f"{take.esr:.4f}",
            _share(take.brings, proposal.mean_esr),
        )
        for number, take in enumerate(proposal.takes, 1)
    ]
    output.data_table(("#", *(name.upper() for name in knobs.names), "ESR", "BRINGS"), rows)
    output.info()
    output.info("ESR: how far the models are apart there. BRINGS: of their mean disagreement, in this order.")


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else "0 %"


def format_time(seconds: float) -> str:
    """Return a duration as `47 min`, `2 h 05 min` or `208 days`."""
    minutes = max(round(seconds / 60), 1)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes / 1440:,.0f} days"
