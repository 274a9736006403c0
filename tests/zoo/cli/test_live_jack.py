"""`zoo play --live` for real: PortAudio and MIDI on a JACK server without hardware, a guitar as what is plugged in.

Skipped, saying so, where there is no JACK (Debian: `apt-get install jackd2 libportaudio2`) or RtMidi speaks no JACK.
"""

import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from models.artifacts.model_config import ModelConfig, make_config
from models.audio.guitar import guitar
from models.knobs.schema import Setting
from models.network.wavenet import WaveNet
from models.playback.stream import play
from tests.support.jack_rig import WAIT_S, end_process, need_jack, start_client
from tests.support.jack_server import JackServer
from tests.support.makers import architecture, esr, wavenet
from tests.support.native import PEDAL
from tests.support.packages import ZOO, around, write_run

RATE, PERIOD = 24_000, 4096
LISTEN_S = 2.0  # after each move
WINDOW = RATE // 4
ROOT = Path(__file__).parents[3]
LATEST_S = 1.5  # delay from the guitar through the amp to the headphones


class Player:
    """A person with a guitar, a MIDI controller and the command."""

    def __init__(self, folder: Path, server: JackServer) -> None:
        self.folder, log = folder, folder / "jackd.log"
        self.env = around(
            **server.environment(),
            MIDO_BACKEND="mido.backends.rtmidi/UNIX_JACK",
            PYTHONPATH=str(ROOT),
            PYTHONUNBUFFERED="1",
        )
        np.save(folder / "signal.npy", guitar(7.0, RATE, 3))
        server.start(log)
        self.guitar = start_client(self.env, log, "jack_guitar", server.name, folder / "signal.npy")
        self.screen: list[str] = []

    def start(self, *words: object) -> None:
        """Start the command and wait until it plays."""
        self.command = subprocess.Popen(
            [ZOO, "play", *map(str, words)], env=self.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        plays = threading.Event()

        def read() -> None:
            assert self.command.stderr
            for line in self.command.stderr:
                self.screen.append(line.rstrip("\n"))
                if line.startswith("MIDI from"):
                    plays.set()
            plays.set()

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()
        assert plays.wait(2 * WAIT_S) and self.command.poll() is None, self.screen

    def ask_guitar(self, line: str) -> None:
        """Give the guitar a command and wait for its answer, where it has one."""
        assert self.guitar.stdin and self.guitar.stdout
        self.guitar.stdin.write(f"{line}\n")
        self.guitar.stdin.flush()
        if not line.startswith("midi"):
            assert self.guitar.stdout.readline() == "done\n"

    def press(self, key: str) -> None:
        """Press a key of the command and listen for a while."""
        assert self.command.stdin
        self.command.stdin.write(f"{key}\n")
        self.command.stdin.flush()
        self.ask_guitar(f"seconds {LISTEN_S}")

    def quit(self) -> tuple[np.ndarray, np.ndarray]:
        """End the command; returns what the guitar played, and what was heard."""
        self.ask_guitar(f"keep {self.folder}")
        assert self.command.stdin
        self.command.stdin.write("q\n")
        self.command.stdin.flush()
        assert self.command.wait(WAIT_S) == 0, self.screen
        self.reader.join(WAIT_S)
        return np.load(self.folder / "played.npy"), np.load(self.folder / "heard.npy")

    def close(self) -> None:
        """End what is still running."""
        for process in (self.guitar, getattr(self, "command", None)):
            if process is not None:
                end_process(process)


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    """A person at a server."""
    need_jack()
    rtmidi = pytest.importorskip("rtmidi")
    if find_spec("mido") is None or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
        pytest.skip("RtMidi does not speak to JACK here")
    server = JackServer(RATE, PERIOD, "-S")
    person = None
    try:
        person = Player(tmp_path, server)
        yield person
    finally:
        if person is not None:
            person.close()
        server.close()


def delay_of(played_T: np.ndarray, heard_T: np.ndarray) -> int:
    """The samples by which what is heard is late, where a window of it fits best; an amp may put out an offset."""
    count, size = len(heard_T), 1 << len(played_T).bit_length()
    spectrum = np.fft.rfft(played_T, size) * np.conj(np.fft.rfft(heard_T - heard_T.mean(), size))
    products_N = np.fft.irfft(spectrum, size)[: len(played_T) - count + 1]
    totals = (np.concatenate([[0.0], np.cumsum(x_T)]) for x_T in (played_T, played_T**2))
    sums_N, squares_N = (total_T[count:] - total_T[:-count] for total_T in totals)
    deviation_N = np.sqrt(np.maximum(squares_N / count - (sums_N / count) ** 2, 1e-20))
    return len(products_N) - 1 - int(np.argmax(products_N / deviation_N))


def settings_heard(
    model: tuple[ModelConfig, WaveNet], played_T: np.ndarray, heard_T: np.ndarray, settings: list[Setting]
) -> list[int]:
    """Which of the settings each window sounds as, by index; the last one is the guitar alone, -1 is none of them.

    Where audio was lost, the delay changes: it is measured anew in each window that fits none.
    """
    config, net = model
    outputs = [play(net, played_T, config.encode(setting)).astype(np.float64) for setting in settings]
    outputs.append(played_T.astype(np.float64))
    most, found, late = int(LATEST_S * RATE), [], 0

    def fitting(begin: int) -> int:
        window_T = heard_T[begin : begin + WINDOW]
        errors = [esr(window_T, output_T[begin - late : begin - late + WINDOW]) for output_T in outputs]
        return int(np.argmin(errors)) if min(errors) < 1e-8 else -1

    for begin in range(most, len(heard_T) - WINDOW, WINDOW):
        if not np.ptp(heard_T[begin : begin + WINDOW]):  # the command has not begun
            continue
        index = fitting(begin)
        for output_T in outputs if index < 0 else ():
            late = delay_of(output_T[begin - most : begin + WINDOW], heard_T[begin : begin + WINDOW])
            if (index := fitting(begin)) >= 0:
                break
        found.append(index)
    return found


def test_a_guitar_is_heard_through_the_amp_and_knobs_turn_by_keys_and_midi(player: Player, tmp_path: Path):
    net = wavenet(architecture("film"), PEDAL.columns())
    model = make_config("pedal", RATE, PEDAL, net.config), net
    run = write_run(tmp_path / "run", model)
    player.start(run, "--live", "--device", "guitar", "--buffer", "256", "--midi", "guitar", "--cc", "volume=74")
    assert any(line.startswith("pedal through guitar (JACK") for line in player.screen), player.screen
    assert any("controller" in line and "volume 74" in line for line in player.screen)
    player.ask_guitar(f"seconds {LISTEN_S}")
    player.press("+")  # gain, by a twentieth of its range
    player.ask_guitar("midi 74 127")
    player.ask_guitar(f"seconds {LISTEN_S}")
    player.press("b")
    played_T, heard_T = player.quit()
    assert player.screen[-1].lstrip().startswith(">gain 5.5  volume 7  bright on"), player.screen
    settings: list[Setting] = [{}, {"gain": 5.5}, {"gain": 5.5, "volume": 7}]
    order = [index for index in settings_heard(model, played_T, heard_T, settings) if index >= 0]
    assert [index for n, index in enumerate(order) if n == 0 or order[n - 1] != index] == [0, 1, 2, 3], order


def test_a_port_that_is_not_there_is_named(player: Player, tmp_path: Path):
    net = wavenet(architecture("film"), PEDAL.columns())
    run = write_run(tmp_path / "run", (make_config("pedal", RATE, PEDAL, net.config), net))
    words = [ZOO, "play", str(run), "--live", "--device", "guitar", "--midi", "organ"]
    ran = subprocess.run(words, env=player.env, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    assert ran.returncode == 3 and "no MIDI input is called 'organ'" in ran.stderr and "guitar:controller" in ran.stderr
