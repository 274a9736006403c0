"""What a guided recording shows: the knobs to turn, meters, the set-up, and the verdict on a take."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.core.errors import shell_words
from models.knobs.text import format_setting, format_value
from zoo.cli import output
from zoo.cli.views.words import count

if TYPE_CHECKING:
    from models.knobs.schema import Setting
    from models.sessions.guide import GuidedSession
    from models.sessions.judge import Verdict
    from models.sessions.session_takes import PlannedTake, SessionTakes
    from models.sessions.setup import ReturnLevel, RoundTrip
    from models.sound_card.card import CardEntry
    from models.sound_card.meter import Meter

LARGE_FONT = "big"


def show_cards(cards: "Sequence[CardEntry]") -> None:
    """Print the sound cards of this machine as a table."""
    rows = [
        (
            f"{card.number}",
            card.name,
            f"{card.inputs}",
            f"{card.outputs}",
            f"{card.rate_hz}",
            card.api,
            " and ".join(["input"] * card.is_default_input + ["output"] * card.is_default_output),
        )
        for card in cards
    ]
    output.data_table(("#", "CARD", "IN", "OUT", "RATE", "DRIVER", "DEFAULT"), rows)


def show_large(setting: "Setting") -> None:
    """Print knobs with their values, large on a terminal that has room."""
    lines = [f"{name} {format_value(value)}" for name, value in setting.items()]
    if not (sys.stderr and sys.stderr.isatty()):
        for line in lines:
            output.info(f"  turn {line}")
        return
    from pyfiglet import Figlet

    draw = Figlet(LARGE_FONT, width=1000)
    room = shutil.get_terminal_size().columns
    for line in lines:
        rows = [row.rstrip() for row in str(draw.renderText(line)).splitlines() if row.strip()]
        fits = all(len(row) <= room for row in rows) and line.isascii()
        for row in rows if fits else [f"    {line.upper()}"]:
            output.info(row)
        output.info()


def show_take(session: "GuidedSession") -> None:
    """Print which take comes, the knobs to turn for it, and how long the rest lasts."""
    from models.capture.plan import TURNING_S
    from zoo.cli.views.plan import format_time

    planned, takes = session.current, session.takes
    if planned is None:
        return
    kept = len(takes.takes) - len(takes.missing)
    state = "recorded already" if planned.is_recorded else "held, not trained on" if planned.held else "to train on"
    left = format_time(len(session.open_takes) * (takes.seconds + TURNING_S))
    output.info()
    output.info(
        f"take {planned.number} of {len(takes.takes)} ({state}): {planned.name}; {kept} kept, "
        f"{len(session.skipped)} skipped, {left} left"
    )
    turn = session.to_turn
    if turn:
        show_large(turn)
    else:
        output.info("  no knob to turn")
    rest = {name: value for name, value in planned.take.setting.items() if name not in turn}
    if rest:
        output.info(f"the others stay: {format_setting(rest)}")


def meter_text(meter: "Meter") -> str:
    """Return the levels of a meter in a line; clipping stays shown."""
    clip = f"  CLIPPED {meter.clipped}" if meter.clipped else ""
    return f"peak {meter.peak_dbfs:6.1f}  RMS {meter.rms_dbfs:6.1f}  highest {meter.highest_dbfs:6.1f} dBFS{clip}"


def show_return(level: "ReturnLevel", send_db: float) -> None:
    """Print what came back of the loudest part of the signal."""
    clipped = f", {level.clipped} samples clipped" if level.clipped else ""
    advice = f": {level.advice}" if level.advice else ": good"
    output.info(
        f"send {send_db:.0f} dB; return peaks at {level.peak_dbfs:.1f} dBFS, RMS {level.rms_dbfs:.1f} dBFS"
        f"{clipped}{advice}"
    )


def show_round_trip(found: "RoundTrip", rate_hz: int) -> None:
    """Print how late the answer comes."""
    output.info(
        f"round trip: {found.samples:.2f} samples, {1000 * found.samples / rate_hz:.2f} ms; the blips agree within "
        f"{found.spread:.2f} samples"
    )


def show_verdict(verdict: "Verdict", planned: "PlannedTake") -> None:
    """Print what is known of a take, and what is wrong with it."""
    sound, lag = verdict.report.wet_sound, verdict.report.lag
    words = [f"peak {sound.peak_dbfs:.1f} dBFS", f"RMS {sound.rms_dbfs:.1f} dBFS"] if sound else []
    words += [f"delay {lag.delay_samples:.2f} samples"] if lag else []
    if verdict.report.repeat_esr is not None and not verdict.is_faulty:
        words.append(f"repeats itself within ESR {verdict.report.repeat_esr:.1g}")
    if verdict.changed_esr is not None:
        words.append(f"differs from the take before by ESR {verdict.changed_esr:.2g}")
    output.info(f"take {planned.number}: {', '.join(words) or 'nothing could be measured'}")
    place = f"{verdict.report.wet.parent}/"
    for finding in verdict.findings:
        output.info(f"{finding.severity}: {finding.message.replace(place, '')}. {finding.hint}")
    if not verdict.findings:
        output.info("nothing is wrong with it")


def show_reamp(session: "SessionTakes") -> None:
    """Print the takes for a person who records in another program: what to turn, and how each file is called."""
    from models.sessions.session_takes import turned_knobs

    rows, before = [], None
    for planned in session.takes:
        turn = turned_knobs(session.knobs.without_outputs(), before, planned.take.setting)
        state = "recorded" if planned.is_recorded else ""
        still = "the same pass" if before and session.knobs.outputs else "nothing"
        rows.append((f"{planned.number}", format_setting(turn) or still, planned.name, state))
        before = planned.take.setting
    output.data_table(("#", "TURN", "FILE", "STATE"), rows)


def show_end(session: "SessionTakes", skipped: "Sequence[PlannedTake]", again: str) -> None:
    """Print how far a session is, and what comes next; `again` says so where takes are missing."""
    kept = len(session.takes) - len(session.missing)
    output.info()
    output.info(f"{kept} of {len(session.takes)} takes are kept in {session.folder}")
    if skipped:
        output.info(f"{count(skipped, 'take')} skipped: {', '.join(planned.name for planned in skipped)}")
    if session.missing:
        output.info(f"next: {again}")
    else:
        output.info(
            f"next: {'; '.join(f'zoo check {shell_words(manifest.path)}' for manifest in session.manifests.values())}"
        )
