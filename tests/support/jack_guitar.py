"""A guitar, headphones and a MIDI controller in one client of a JACK server.

A script: `python -m tests.support.jack_guitar SERVER SIGNAL.npy`. It plays the signal again and again, and hears what
comes back. Lines on its input are commands: `midi NUMBER VALUE` turns a controller, `seconds N` says `done` when N
more seconds were played, and `keep FOLDER` writes what was played and heard so far, and says `done`.
"""

import queue
import sys
import time
from pathlib import Path
from typing import Any

import jack
import numpy as np

CONTROL_CHANGE = 0xB0


def main(server: str, signal: Path) -> None:
    """Play until the input ends."""
    client = jack.Client("guitar", servername=server, no_start_server=True)
    loop_T, at = np.load(signal), 0
    hears: Any = client.inports.register("in_1")
    plays: Any = client.outports.register("out_1")
    turns: Any = client.midi_outports.register("controller")
    played: list[np.ndarray] = []
    heard: list[np.ndarray] = []
    messages: queue.Queue[bytes] = queue.Queue()

    @client.set_process_callback
    def process(frames: int) -> None:
        nonlocal at
        x_T = np.take(loop_T, range(at, at + frames), mode="wrap")
        at += frames
        plays.get_array()[:] = x_T
        played.append(x_T)
        heard.append(hears.get_array().copy())
        turns.clear_buffer()
        while not messages.empty():
            turns.write_midi_event(0, messages.get_nowait())

    def say(word: str) -> None:
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()

    with client:
        say("ready")
        for line in sys.stdin:
            command, *words = line.split()
            if command == "midi":
                messages.put(bytes([CONTROL_CHANGE, *map(int, words)]))
            elif command == "seconds":
                until = at + float(words[0]) * client.samplerate
                while at < until:
                    time.sleep(0.02)
                say("done")
            else:
                count = min(len(played), len(heard))
                for name, blocks in (("played", played), ("heard", heard)):
                    np.save(Path(words[0]) / f"{name}.npy", np.concatenate(blocks[:count]))
                say("done")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
