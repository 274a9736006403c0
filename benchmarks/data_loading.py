"""Time to the first training step, and memory, with many takes of three minutes.

Writes takes of a synthetic amp (noise through a clipper, 24-bit WAV, 48 kHz), loads them as training does, and makes
one step of A1-nano with FiLM. Each count of takes runs in a process of its own, so that its peak memory is its own.
Takes past a size (`models/recordings/take_store.py`) are mapped from files: they count as resident while they are in
use, but the system may drop them; "not mapped" is the peak without them. Only `--files` different takes are written
(25.9 MB each); the others are further names of these files, read and decoded each time. There is no opponent: loading
happens once, before training.

    python benchmarks/data_loading.py [--takes 27 81 243] [--files 27] [--align]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 48_000
SECONDS = 180


def record(folder: Path, takes: int, files: int) -> Path:
    """Write a session of `takes` settings of two knobs; returns its manifest."""
    draw = np.random.default_rng(0)
    dry_T = (0.3 * draw.standard_normal(RATE * SECONDS)).clip(-1, 1).astype(np.float32)
    sf.write(folder / "dry.wav", dry_T, RATE, subtype="PCM_24")
    for number in range(min(takes, files)):
        sf.write(folder / f"{number}.wav", 0.5 * np.tanh((1 + number) * dry_T), RATE, subtype="PCM_24")
    for number in range(files, takes):
        (folder / f"{number}.wav").symlink_to(folder / f"{number % files}.wav")
    knobs = [{"name": name, "min": 0, "max": 1, "default": 0.5} for name in ("gain", "tone")]
    side = int(np.ceil(np.sqrt(takes)))
    entries = [
        {
            "input_file": "dry.wav",
            "output_file": f"{number}.wav",
            "knobs": {"gain": number // side / (side - 1), "tone": number % side / (side - 1)},
        }
        for number in range(takes)
    ]
    path = folder / "train.json"
    path.write_text(json.dumps({"knobs": knobs, "sample_rate": RATE, "entries": entries}))
    return path


def peaks() -> tuple[int, int]:
    """Return the peak memory so far, and the present memory not mapped from files, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) // 1000, int(lines["RssAnon"].split()[0]) // 1000


def measure(manifest: Path, align: bool) -> None:
    """Load, make one step, print the figures as JSON."""
    import torch

    from models.core.schema import read_document
    from models.network.architecture import WaveNetConfig
    from models.recordings.config import DataConfig
    from models.recordings.loading import load_data
    from models.training.config import LearningConfig, Recipe
    from models.training.trainer import Trainer

    torch.set_num_threads(1)
    _, before = peaks()
    began, at_cpu = time.perf_counter(), time.process_time()
    config = DataConfig(
        name="many",
        train=manifest,
        held_settings=2,
        held_seconds=5,
        validation_settings=2,
        validation_seconds=5,
        align=align,
    )
    data = load_data(config)
    loaded = time.perf_counter()
    model = read_document(Path(__file__).parent.parent / "configs" / "models" / "a1-nano-film.json", WaveNetConfig)
    trainer = Trainer(Recipe(data=config, model=model, learning=LearningConfig()), data)
    trainer.advance(1)
    ready, cpu = time.perf_counter(), time.process_time() - at_cpu
    trainer.advance(200)
    each = (time.perf_counter() - ready) / 200
    most, anonymous = peaks()
    print(json.dumps([loaded - began, ready - began, cpu, each * 1000, most, anonymous - before]))


def main() -> None:
    """Print one line per count of takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, nargs="+", default=[27, 81, 243])
    parser.add_argument("--files", type=int, default=27)
    parser.add_argument("--align", action="store_true", help="Estimate delays, too.")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.align)
        return
    print("takes   loaded s  first step s    CPU s  a step, ms  peak MB  not mapped MB")
    for takes in options.takes:
        with tempfile.TemporaryDirectory() as folder:
            manifest = record(Path(folder), takes, options.files)
            command = [sys.executable, __file__, "--measure", str(manifest), *(["--align"] if options.align else [])]
            here = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            loaded, ready, cpu, each, most, held = json.loads(subprocess.check_output(command, env=here, text=True))
        print(f"{takes:5}  {loaded:9.1f} {ready:13.1f} {cpu:8.1f} {each:11.2f} {most:8} {held:14}", flush=True)


if __name__ == "__main__":
    main()
