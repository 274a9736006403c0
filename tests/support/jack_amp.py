"""The virtual amp as a client of a JACK server; a script: `python -m tests.support.jack_amp SERVER KNOBS.json`.

It reads the setting from a file again and again, as the hand of a person turns knobs. The amp has no state that it
keeps, so every block is played with enough of what came before it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import jack
import numpy as np

from models.capture.virtual_amp import VirtualAmp

MEMORY_S = 0.1  # of the amp, with room


def main(server: str, knobs: Path) -> None:
    """Play until the server ends or the process is stopped."""
    client = jack.Client("amp", servername=server, no_start_server=True)
    amp, before_T = VirtualAmp(client.samplerate), np.zeros(int(MEMORY_S * client.samplerate), np.float32)
    setting = json.loads(knobs.read_text())
    heard: Any = client.inports.register("in_1")
    played: Any = client.outports.register("out_1")

    @client.set_process_callback
    def process(frames: int) -> None:
        nonlocal before_T
        whole_T = np.concatenate([before_T, heard.get_array()])
        played.get_array()[:] = amp.process(whole_T, **setting)[-frames:]
        before_T = whole_T[-len(before_T) :].copy()

    ended = []
    client.set_shutdown_callback(lambda *_: ended.append(True))
    with client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not ended:
            time.sleep(0.02)
            setting = json.loads(knobs.read_text())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
