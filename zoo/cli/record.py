"""The command `zoo record`: a planned session, take by take, through a sound card."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.core.errors import UserError, shell_words
from zoo.cli.keys import END_OF_KEYS, ENTER, Keys
from zoo.cli.options import PATH, FiniteRange, bundle

if TYPE_CHECKING:
    from models.sessions.guide import GuidedSession
    from models.sessions.judge import Verdict
    from models.sessions.progress_file import SessionProgress
    from models.sessions.session_takes import SessionTakes
    from models.sound_card.card import SoundCard

VIRTUAL = "virtual"

LEAST_SEND_DB = -60.0

DIAL_HINT = "Set the device to its loudest setting, and leave the interface alone afterwards."


@dataclass(frozen=True)
class RecordOptions:
    """The options of `zoo record`; None for what was not given."""

    session: Path | None
    device: str | None
    input_channel: int | None
    output_channel: int | None
    rate: int | None
    buffer: int
    send: float | None
    pause: float | None
    take: int | None
    setup: bool
    listing: bool
    reamp: bool


@click.command(
    short_help="Record a planned session, take by take.",
    epilog="Example: zoo record session --device Scarlett --in 1 --out 3",
)
@click.argument("session", metavar="[SESSION]", type=PATH, required=False)
@click.option("--list", "listing", is_flag=True, help="Show the sound cards and end.")
@click.option("--device", metavar="NAME", help="A number, a name or a part of one. 'virtual' is a built-in amp.")
@click.option("--in", "input_channel", type=click.IntRange(1, 1024), metavar="N", help="Input channel. Default: 1.")
@click.option("--out", "output_channel", type=click.IntRange(1, 1024), metavar="N", help="Output channel. Default: 1.")
@click.option(
    "--rate", type=click.IntRange(8000, 192000), help="Run the card at another rate than the signal, and resample."
)
@click.option("--buffer", type=click.IntRange(0, 8192), default=0, help="Samples per block. Default: the driver's.")
@click.option("--send", type=FiniteRange(LEAST_SEND_DB, 0), metavar="DB", help="Gain of what is played. Default: 0.")
@click.option(
    "--pause",
    type=FiniteRange(0, 3600),
    metavar="SECONDS",
    help="Hands free: record after this pause, keep what is good, record a bad take once more, skip a faulty one.",
)
@click.option("--take", type=int, metavar="N", help="Begin at take N, also to record it anew.")
@click.option("--setup/--no-setup", default=True, help="Measure levels, round trip and noise first.", show_default=True)
@click.option("--reamp", is_flag=True, help="Record in another program: show the takes, and how to bring them back.")
@bundle(RecordOptions)
def record(options: RecordOptions) -> None:
    """Record a session that zoo plan wrote, take by take, and check each take at once.

    For each take it shows the knobs to turn, plays the signal and records the answer. Then keep the take, record it
    again, skip it, go back, or quit: the same command goes on there, on any day.
    """
    from models.sessions.session_takes import SessionTakes
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    if options.listing:
        from models.sound_card.portaudio import list_cards

        cards = list_cards()
        session_view.show_cards(cards)
        if not cards:
            output.info(
                "no sound card is found: connect one and switch it on; its driver, or an audio server, must run"
            )
        return
    if options.session is None:
        raise UserError("no session is named", "zoo plan knobs.json --signal di.wav --out session plans one.")
    takes = SessionTakes(options.session)
    if options.reamp:
        _tell_reamp(takes)
        return
    _record_session(takes, options)


def _tell_reamp(takes: "SessionTakes") -> None:
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    session_view.show_reamp(takes)
    signals = dict.fromkeys(planned.take.dry.name for planned in takes.takes)
    for line in (
        f"1. Put {', '.join(signals)} on a track of a project at {takes.rate_hz} Hz, and send it to the device.",
        "2. For each take turn the knobs, and record the whole signal. All takes begin with the signal.",
        "3. Export each take alone: mono, 24 bit, from the start of the signal, named as above or numbered in order.",
        f"4. zoo session import EXPORTS {shell_words(takes.folder)}",
    ):
        output.info(line)


def _record_session(takes: "SessionTakes", options: RecordOptions) -> None:
    """Set up, then go from take to take."""
    from models.sessions.guide import GuidedSession
    from models.sessions.progress_file import read_progress
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    if not takes.missing and options.take is None:
        session_view.show_end(takes, [], "")
        return
    progress = _with_stated(read_progress(takes.folder), options)
    virtual: list[GuidedSession] = []
    card = _open_card(takes, progress, options, lambda: virtual[0] if virtual else None)
    session = GuidedSession(takes, card, progress)
    if options.take is not None:
        session.go_to(options.take)
    with Keys() as keys:
        if options.setup or progress.round_trip_samples is None:
            found = _set_up(session, card, progress, keys, hands_free=options.pause is not None)
            if found is None:
                return
            session.set_up(found)
        virtual.append(session)
        with output.progress("reading the kept takes") as bar:
            session.begin(bar)
        if options.pause is None:
            _walk(session, keys)
        else:
            _walk_hands_free(session, keys, options.pause)
    session_view.show_end(takes, session.skipped, f"zoo record {shell_words(takes.folder)} goes on there")


def _with_stated(progress: "SessionProgress", options: RecordOptions) -> "SessionProgress":
    """Return what the session remembers, with what the command states; another card has another round trip."""
    stated = {
        "card": options.device,
        "input": options.input_channel,
        "output": options.output_channel,
        "send_db": options.send,
    }
    changed: dict[str, Any] = {
        key: value for key, value in stated.items() if value is not None and value != getattr(progress, key)
    }
    if changed.keys() & {"card", "input", "output"}:
        changed["round_trip_samples"] = None
    return progress.model_copy(update=changed)


def _open_card(
    takes: "SessionTakes",
    progress: "SessionProgress",
    options: RecordOptions,
    session: "Callable[[], GuidedSession | None]",
) -> "SoundCard":
    """Open the card at the rate of the signal, or at the stated one."""
    from models.sound_card.resampled import ResampledCard

    rate_hz = options.rate or takes.rate_hz
    if progress.card == VIRTUAL:
        from models.sessions.virtual_card import open_virtual_card

        def setting_now() -> dict:
            now = session()
            return dict(now.current.take.setting) if now and now.current else {}

        card: SoundCard = open_virtual_card(takes.knobs, rate_hz, setting_now)
    else:
        from models.sound_card.portaudio import PortAudioCard

        card = PortAudioCard(progress.card, rate_hz, (progress.input, progress.output), block=options.buffer)
    return card if rate_hz == takes.rate_hz else ResampledCard(card, takes.rate_hz)


def _set_up(
    session: "GuidedSession", card: "SoundCard", progress: "SessionProgress", keys: Keys, *, hands_free: bool
) -> "SessionProgress | None":
    """Find the levels, the round trip and the noise; None where the person quits."""
    from models.sessions.setup import describe_noise, measure_return, measure_round_trip, measure_silence
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    output.info(f"{card.name}: output {progress.output}, input {progress.input}, {card.rate_hz} Hz")
    output.info(DIAL_HINT)
    signal_T, send_db = session.takes.read_signal(session.takes.takes[0]), progress.send_db
    while True:
        with output.progress("return level") as bar:
            level = measure_return(card, signal_T, send_db, lambda meter: bar(0, None, session_view.meter_text(meter)))
        session_view.show_return(level, send_db)
        key = ENTER if hands_free else _ask(keys, "Enter go on · r measure again · + - send louder, softer · q quit")
        if key in ("q", END_OF_KEYS):
            return None
        if key == ENTER:
            break
        if key == "+" and send_db >= 0:
            output.info("the signal is sent at full level already: turn up the output of the interface, or its input")
        send_db = min(max(send_db + {"+": 1.0, "-": -1.0}.get(key, 0.0), LEAST_SEND_DB), 0.0)
    trip = measure_round_trip(card, send_db)
    session_view.show_round_trip(trip, card.rate_hz)
    noise = measure_silence(card)
    text, is_low = describe_noise(noise, level)
    output.info(f"noise: {text}")
    if not is_low:
        output.warn("a model would learn this noise; look for a ground loop, or move pickups and power supplies away")
    found = {"send_db": send_db, "round_trip_samples": trip.samples, "noise_dbfs": noise and noise.noise_dbfs}
    return progress.model_copy(update=found)


def _walk(session: "GuidedSession", keys: Keys) -> None:
    """Go from take to take as a person says, until all are decided on or the person quits."""
    from zoo.cli.views import session as session_view

    while True:
        if session.current is None:
            if not session.skipped:
                return
            key = _ask(keys, f"{len(session.skipped)} skipped: r record them · l leave them out · q quit")
            if key == "l":
                session.takes.leave_out([planned.name for planned in session.skipped])
                session.return_to_skipped()
                return
            if key in ("q", END_OF_KEYS):
                return
            if key == "r":
                session.return_to_skipped()
            continue
        session_view.show_take(session)
        key = _ask(keys, "Enter record · s skip · b back · q quit")
        if key in ("q", END_OF_KEYS):
            return
        if key == "s":
            session.skip()
        elif key == "b":
            session.back()
        elif key == ENTER and not _record_take(session, keys):
            return


def _record_take(session: "GuidedSession", keys: Keys) -> bool:
    """Record the current take until it is kept, skipped or left; return whether the session goes on."""
    from zoo.cli.views import session as session_view

    while planned := session.current:
        verdict = _record_and_judge(session)
        session_view.show_verdict(verdict, planned)
        suggested = "r" if verdict.is_better_again else "k"
        words = {"k": "keep", "r": "record again"}
        order = [suggested, *(key for key in words if key != suggested)]
        key = _ask(keys, f"Enter {words[order[0]]} · {order[1]} {words[order[1]]} · s skip · b back · q quit", "krsbq")
        key = suggested if key == ENTER else key
        if key in ("q", END_OF_KEYS):
            session.retake()
            return False
        if key == "r":
            continue
        {"k": session.keep, "s": session.skip, "b": session.back}[key]()
        return True
    return True


def _walk_hands_free(session: "GuidedSession", keys: Keys, pause_s: float) -> None:
    """Go from take to take without asking; `q` quits."""
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    while planned := session.current:
        session_view.show_take(session)
        for attempt in (1, 2):
            if not _wait_for_person(keys, pause_s):
                return
            verdict = _record_and_judge(session)
            session_view.show_verdict(verdict, planned)
            if not verdict.is_better_again or (attempt == 2 and not verdict.is_faulty):
                session.keep()
                break
            if attempt == 2:
                output.warn(f"{planned.name} is skipped: it was faulty twice")
                session.skip()


def _record_and_judge(session: "GuidedSession") -> "Verdict":
    """Record and judge the current take, with a meter."""
    from models.sound_card.meter import Meter
    from zoo.cli import output
    from zoo.cli.views import session as session_view

    meter, heard, rate_hz = Meter(session.takes.rate_hz), 0, session.takes.rate_hz
    with output.progress("recording") as bar:

        def listen(x_T) -> None:
            nonlocal heard
            meter.add(x_T)
            heard += len(x_T)
            bar(heard / rate_hz, session.takes.seconds, session_view.meter_text(meter))

        return session.record(listen)


def _wait_for_person(keys: Keys, seconds: float) -> bool:
    """Wait, with the seconds that are left; return whether to go on."""
    from zoo.cli import output

    end = time.monotonic() + seconds
    with output.progress("turn the knobs; q quits") as bar:
        while (left := end - time.monotonic()) > 0:
            bar(seconds - left, seconds, f"{left:.0f} s")
            if not keys.is_terminal:
                time.sleep(min(left, 0.5))
            elif keys.read(min(left, 0.5)) in ("q", END_OF_KEYS):
                return False
    return True


def _ask(keys: Keys, question: str, known: str = "") -> str:
    """Ask for a key; with `known` only for one of these."""
    from zoo.cli import output

    while True:
        output.info(question)
        key = keys.read() or END_OF_KEYS
        if not known or key in (ENTER, END_OF_KEYS) or key in known:
            return key
