"""Time and peak resident memory of checking a large session, in a process of its own.

Writes takes of music through a small amp, for five knobs at three positions each (243 takes), into a temporary folder,
which is removed.

    python benchmarks/check_memory.py --takes 243 --seconds 180
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice, product
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from models.audio.guitar import guitar
from models.audio.io import write_audio
from zoo.cli import output

RATE = 48000
KNOBS = ("gain", "bass", "middle", "treble", "volume")
CHILD = """
import resource, sys
from pathlib import Path
from models.recordings.checks.check import check
report = check(Path(sys.argv[1]))
print(len(report.takes), len(report.faults), len(report.warnings), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def play(x_T: np.ndarray, gain: float, bass: float, middle: float, treble: float, volume: float) -> np.ndarray:
    """A fast amp with five knobs."""
    y_T = np.tanh((1 + 0.6 * gain) * x_T)
    low_T = np.asarray(lfilter([0.03], [1, -0.97], y_T))
    high_T = y_T - np.asarray(lfilter([0.3], [1, -0.7], y_T))
    mid_T = y_T - low_T - high_T
    mix_T = (0.2 + 0.1 * bass) * low_T + (0.3 + 0.07 * middle) * mid_T + (0.1 + 0.4 * treble) * high_T
    return (0.5 * np.tanh((0.4 + 0.2 * volume) * mix_T)).astype(np.float32)


def main() -> None:
    """Write the session, check it in a process of its own, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=243)
    parser.add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        piece_T = guitar(min(options.seconds, 30.0), RATE, 0)
        dry_T = np.resize(piece_T, round(options.seconds * RATE))
        write_audio(folder / "di.wav", dry_T, RATE)
        entries = []
        settings = islice(product((1.0, 5.0, 9.0), repeat=len(KNOBS)), options.takes)
        for number, setting in enumerate(settings):
            write_audio(folder / f"{number}.wav", play(dry_T, *setting), RATE)
            knobs = dict(zip(KNOBS, setting, strict=True))
            entries.append({"input_file": "di.wav", "output_file": f"{number}.wav", "knobs": knobs})
        knobs = [{"name": name, "min": 0, "max": 10} for name in KNOBS]
        (folder / "session.json").write_text(json.dumps({"knobs": knobs, "entries": entries}))
        size = sum(file.stat().st_size for file in folder.iterdir())
        output.info(f"{len(entries)} takes written, {size / 1e9:.1f} GB")
        begin = time.perf_counter()
        command = [sys.executable, "-c", CHILD, str(folder / "session.json")]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begin
    takes, faults, warnings, kilobytes = map(int, ran.stdout.split())
    row = (f"{takes}", f"{options.seconds:g} s", f"{kilobytes / 1024:.0f} MiB", f"{seconds:.0f} s")
    output.data_table(
        ("TAKES", "EACH", "PEAK RESIDENT", "TIME", "s PER TAKE", "FAULTS", "WARNINGS"),
        [(*row, f"{seconds / takes:.2f}", f"{faults}", f"{warnings}")],
    )


if __name__ == "__main__":
    main()
