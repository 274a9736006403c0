"""The sound cards of this machine, by PortAudio (the package sounddevice).

PortAudio calls a function for every block: it gets what came in and fills in what goes out, so both run on one clock.
Shapes: T time in samples, C channels.
"""

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from models.core.errors import UserError
from models.sound_card.card import CardEntry, CardLost, InputListener, Recording, choose_pair

Process = Callable[[np.ndarray, np.ndarray], None]  # input (T,) and output (T,), which it fills

STALLED_S = 2.0  # without a block, after which a card counts as lost

CARD_POLL_S = 0.05

CLOSING_S = 2.0  # for a driver to close; one whose server died may never return

WORDS = {  # by the codes of PortAudio
    -9999: "its driver reports an error of its own",
    -9998: "it has not so many channels",
    -9997: "it does not run at {rate} Hz",
    -9996: "it is not there any more",
    -9994: "it does not take samples of 32 bit",
    -9993: "its input and output belong to different drivers",
    -9992: "the memory is full",
    -9985: "it is not available; another program may use it, or it was unplugged",
}

HINTS = {
    -9998: "Choose other channels.",
    -9997: "Set the card, or its audio server, to {rate} Hz; or make signal and session anew at the card's rate.",
    -9985: "Close the other program, or connect the card again.",
}


def list_cards() -> list[CardEntry]:
    """Return the cards of this machine, as they are now; raises as `load_portaudio` does."""
    library = load_portaudio()
    apis, (default_in, default_out) = library.query_hostapis(), library.default.device
    return [
        CardEntry(
            number,
            card["name"],
            apis[card["hostapi"]]["name"],
            card["max_input_channels"],
            card["max_output_channels"],
            round(card["default_samplerate"]),
            number == default_in,
            number == default_out,
        )
        for number, card in enumerate(library.query_devices())
    ]


def load_portaudio() -> Any:
    """Return the module sounddevice; raises `UserError` where PortAudio itself is missing, `ModuleNotFoundError`."""
    try:
        import sounddevice
    except OSError:  # the package is there, the library that it calls is not
        raise UserError(
            "the library PortAudio is not installed",
            "Debian and Ubuntu: apt-get install libportaudio2; Fedora: dnf install portaudio.",
        ) from None
    return sounddevice


@dataclass
class Progress:
    """How far a running card is: samples that were played, and near which of them audio was lost."""

    samples: int = 0
    lost: list[int] = field(default_factory=list)
    failure: BaseException | None = None


class PortAudioCard:
    """One input and one output channel of a card, counted from 1.

    `latency` trades delay for safety: `high` to record, `low` to play.
    """

    def __init__(
        self,
        wanted: str | None,
        rate_hz: int,
        channels: tuple[int, int] = (1, 1),
        latency: Literal["low", "high"] = "high",
        block: int = 0,
    ) -> None:
        """Choose the card (see `choose_pair`); raises `UserError` where it lacks a channel, or the rate."""
        self._input, self._output = choose_pair(list_cards(), wanted)
        self._library = load_portaudio()
        self._channels, self._rate_hz, self._latency, self._block = channels, rate_hz, latency, block
        for what, channel, count in zip(
            ("input", "output"), channels, (self._input.inputs, self._output.outputs), strict=True
        ):
            if not 1 <= channel <= count:
                raise UserError(f"{self.name} has no {what} {channel}; it has {count}", f"Choose {what} 1 to {count}.")
        with self._explained():
            self._library.check_input_settings(self._input.number, channels[0], "float32", None, rate_hz)
            self._library.check_output_settings(self._output.number, channels[1], "float32", None, rate_hz)

    @property
    def name(self) -> str:
        """Name of the card and its driver."""
        both = dict.fromkeys((self._input.name, self._output.name))
        return f"{' and '.join(both)} ({self._input.api})"

    @property
    def rate_hz(self) -> int:
        """The sample rate that it is opened at."""
        return self._rate_hz

    def play_and_record(self, send_T: np.ndarray, on_input: InputListener | None = None) -> Recording:
        """Play and record; see `SoundCard`."""
        send_T = np.clip(np.asarray(send_T, np.float32), -1, 1)
        x_T, done, at = np.zeros(len(send_T), np.float32), threading.Event(), 0

        def process(in_T: np.ndarray, out_T: np.ndarray) -> None:
            nonlocal at
            count = min(len(in_T), len(send_T) - at)
            out_T[:count], out_T[count:] = send_T[at : at + count], 0
            x_T[at : at + count] = in_T[:count]
            at += count
            if at == len(send_T):
                done.set()

        heard = 0
        with self.running(process) as progress:
            for _ in self.watch(progress, done):
                now = at
                if on_input and now > heard and on_input(x_T[heard:now]):
                    return Recording(x_T[:now].copy(), tuple(progress.lost))
                heard = now
        return Recording(x_T, tuple(lost for lost in progress.lost if lost < len(send_T)))

    def watch(self, progress: Progress, done: threading.Event) -> Iterator[float]:
        """Yield the seconds that were played until `done` is set; raises `CardLost` where the card stops before."""
        last, since = -1, time.monotonic()
        while not done.wait(CARD_POLL_S):
            if progress.failure:
                raise progress.failure
            if progress.samples != last:
                last, since = progress.samples, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                raise CardLost(self.name, max(last, 0) / self._rate_hz)
            yield progress.samples / self._rate_hz
        yield progress.samples / self._rate_hz

    @contextmanager
    def running(self, process: Process) -> Iterator[Progress]:
        """Open the card and have `process` called for each block, in a thread of the driver.

        Raises `UserError` where the card cannot be opened.
        """
        progress, (into, out_of) = Progress(), self._channels

        def callback(in_TC: np.ndarray, out_TC: np.ndarray, count: int, _: Any, status: Any) -> None:
            if status.input_overflow or status.output_underflow or status.input_underflow or status.output_overflow:
                progress.lost.append(progress.samples)
            out_TC.fill(0)
            try:
                process(in_TC[:, into - 1], out_TC[:, out_of - 1])
            except Exception as problem:  # noqa: BLE001 (the thread that waits raises it)
                progress.failure = problem
                raise self._library.CallbackAbort from None
            progress.samples += count

        with self._explained():
            stream = self._library.Stream(
                samplerate=self._rate_hz,
                blocksize=self._block,
                device=(self._input.number, self._output.number),
                channels=self._channels,
                dtype="float32",
                latency=self._latency,
                callback=callback,
            )
            stream.start()
        try:
            yield progress
        except CardLost:  # its driver may end the whole process when it is asked to close what is gone
            atexit.unregister(self._library._exit_handler)
            raise
        except BaseException:
            _close(stream)
            raise
        _close(stream)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of PortAudio into ours."""
        try:
            yield
        except self._library.PortAudioError as problem:
            code = problem.args[1] if len(problem.args) > 1 and isinstance(problem.args[1], int) else 0
            reason = WORDS.get(code, f"PortAudio gives the code {code}").format(rate=self._rate_hz)
            hint = HINTS.get(code, "Is it connected, and is no other program using it alone?")
            native = sorted({self._input.rate_hz, self._output.rate_hz})
            at = f"; it is set to {' and '.join(map(str, native))} Hz" if code == -9997 else ""
            raise UserError(f"{self.name} cannot be opened: {reason}{at}", hint.format(rate=self._rate_hz)) from None


def _close(stream: Any) -> None:
    """Close a stream; a driver that does not answer is left behind."""
    closing = threading.Thread(target=stream.close, args=(True,), daemon=True)
    closing.start()
    closing.join(CLOSING_S)
