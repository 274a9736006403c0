"""`zoo play --live`: an amp through a sound card from the terminal, its knobs turned by keys and by MIDI."""

import queue
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.audio.decibels import decibels
from models.knobs.text import format_value
from zoo.cli.keys import END_OF_KEYS, Keys

if TYPE_CHECKING:
    from models.playback.live import LiveAmp

LIVE_HELP = "1 to 9 choose a knob · + - turn it · d default · b bypass · m learns a MIDI controller · q quit"


@dataclass(frozen=True)
class LiveOptions:
    """How to play live: the card and its channels, samples per block, a MIDI port and the controllers of knobs."""

    device: str | None
    channels: tuple[int, int]
    buffer: int
    midi: str | None
    controllers: tuple[str, ...]
    pairs: tuple[str, ...]


class LiveDesk:
    """What a person does while an amp plays: keys and MIDI messages become knobs that turn."""

    def __init__(self, amp: "LiveAmp", controllers: dict[int, str]) -> None:
        self.amp, self.controllers = amp, controllers
        self.chosen = amp.knobs.names[0] if amp.knobs.names else ""
        self.learns = False

    def press(self, key: str) -> bool:
        """Follow a key; return whether the playing goes on."""
        names = self.amp.knobs.names
        if key in ("q", END_OF_KEYS):
            return False
        if key.isascii() and key.isdigit() and 0 < int(key) <= len(names):
            self.chosen = names[int(key) - 1]
        elif key == "b":
            self.amp.is_bypassed = not self.amp.is_bypassed
        elif key == "m":
            self.learns = bool(self.chosen)
        elif self.chosen and key in ("+", "="):
            self.amp.turn(self.chosen, 1)
        elif self.chosen and key == "-":
            self.amp.turn(self.chosen, -1)
        elif self.chosen and key == "d":
            self.amp.set_knob(self.chosen, self.amp.find(self.chosen).default)
        return True

    def receive(self, messages: Iterable[Any]) -> None:
        """Follow MIDI messages; those that are no control changes are passed over."""
        from models.playback.live import with_free_controllers

        for message in messages:
            if message.type != "control_change":
                continue
            if self.learns:
                kept = {n: name for n, name in self.controllers.items() if name != self.chosen and n != message.control}
                self.controllers = with_free_controllers(kept | {message.control: self.chosen}, self.amp.knobs)
                self.learns = False
            if name := self.controllers.get(message.control):
                self.amp.control(name, message.value)

    def status(self, lost: int) -> str:
        """Return the knobs, the levels and the load in a line; `lost` counts drop-outs."""
        load = self.amp.load
        peak_in, peak_out = load.peak_in, load.peak_out
        load.peak_in = load.peak_out = 0.0
        controller = {name: number for number, name in self.controllers.items()}
        words = [
            f"{'>' if name == self.chosen else ''}{name} {format_value(value)}"
            for name, value in self.amp.setting.items()
        ]
        learns = f"  move a controller for {self.chosen} (now {controller.get(self.chosen)})" if self.learns else ""
        bypass = "  BYPASS" if self.amp.is_bypassed else ""
        return (
            f"{'  '.join(words)}  in {decibels(peak_in):.0f}  out {decibels(peak_out):.0f} dBFS  "
            f"CPU {100 * load.share:.0f} %  {lost} drop-outs{bypass}{learns}"
        )


def play_live(
    name: str, where: str | None, tier: str, options: LiveOptions, max_peak_dbfs: float | None = None
) -> None:
    """Play an amp through a sound card until the person quits."""
    from models.formats.open_model import open_model
    from models.formats.player.offline import fastest_players
    from models.knobs.text import parse_setting
    from models.playback.live import LiveAmp, parse_controllers
    from models.sound_card.portaudio import PortAudioCard
    from zoo.cli import output
    from zoo.cli.study_amp import model_to_play

    with model_to_play(name, where, tier, max_peak_dbfs=max_peak_dbfs) as model:
        config, net = open_model(model)
    setting = config.knobs.complete(parse_setting(options.pairs), config.name)
    controllers = parse_controllers(options.controllers, config.knobs)
    port = _open_midi(options.midi) if options.midi is not None else None
    rate_hz = config.audio.sample_rate
    card = PortAudioCard(options.device, rate_hz, options.channels, latency="low", block=options.buffer)
    amp = LiveAmp(fastest_players(config, net)(), config.knobs, config.encode, setting, rate_hz)
    amp.process(silence := _silence(net.receptive_field), silence.copy())
    desk = LiveDesk(amp, controllers)
    output.info(f"{config.name} through {card.name}, {rate_hz} Hz. Use headphones: loudspeakers feed back.")
    output.info(LIVE_HELP)
    if port is not None:
        spoken = ", ".join(f"{knob} {number}" for number, knob in sorted(desk.controllers.items()))
        output.info(f"MIDI from {port.name}; controllers: {spoken}")
    with Keys() as keys, output.progress("playing") as bar:
        pressed, done = _read_in_background(keys), threading.Event()
        with card.running(amp.process) as progress:
            for _ in card.watch(progress, done):
                while not pressed.empty():
                    if not desk.press(pressed.get()):
                        done.set()
                desk.receive(port.iter_pending() if port is not None else ())
                bar(0, None, desk.status(len(progress.lost)))
    output.info(desk.status(len(progress.lost)))


def _silence(count: int) -> Any:
    import numpy as np

    return np.zeros(count, np.float32)


def _read_in_background(keys: Keys) -> "queue.Queue[str]":
    """Return a queue of the keys that come, `END_OF_KEYS` at last."""
    pressed: queue.Queue[str] = queue.Queue()

    def read() -> None:
        while (key := keys.read()) not in (END_OF_KEYS, None):
            pressed.put(str(key))
        pressed.put(END_OF_KEYS)

    threading.Thread(target=read, daemon=True).start()
    return pressed


def _open_midi(wanted: str) -> Any:
    """Open a MIDI input by a part of its name, or the first one; raises `UserError` where there is none."""
    from models.core.errors import NotFound
    from zoo.cli.options import require_packages

    require_packages("mido", "rtmidi")
    mido: Any = import_module("mido")  # which makes its functions when its driver is known
    try:
        names = list(mido.get_input_names())
    except (OSError, RuntimeError) as problem:  # the driver finds no MIDI on this system
        raise NotFound("this machine has no MIDI", "Connect a controller, or leave out --midi.") from problem
    fitting = [name for name in names if wanted.casefold() in name.casefold()]
    if not fitting:
        told = f"no MIDI input is called '{wanted}'" if names else "this machine has no MIDI input"
        raise NotFound(told, f"Choose one of: {'; '.join(names)}." if names else "Connect a controller.")
    return mido.open_input(fitting[0])
