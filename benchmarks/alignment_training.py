"""What alignment gains in training: the same model and steps on four alignments of the same real takes.

(a) `align_dataset`: fractions of a sample; (a') the same delays rounded to whole samples; (b) the whole-sample peak of
a partly whitened cross-correlation, less 16 samples, which this project used before; (c) the recordist's own: takes
padded at the front to the length of the DI. Polarity is corrected in all but (c), where a model can learn it. Every
version is scored on its own takes at held settings on held audio. Seeds and versions are interleaved. Needs the
recordings folder `hrd3/`; without it the script stops with a message.

    python benchmarks/alignment_training.py RECORDINGS --steps 1500 --seeds 0 1 2
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import soundfile as sf
import torch
from scipy.fft import irfft, next_fast_len, rfft

from models.core.schema import check_document, read_document
from models.evaluation.scoring import score
from models.network.architecture import WaveNetConfig
from models.recordings.align_dataset import align_dataset
from models.recordings.alignment import align_wet, causal_margin, estimate_lag
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig, Recipe
from models.training.trainer import Trainer
from zoo.cli import output

RATE = 44100
HELD = ({"drive": 0.5455}, {"drive": 0.9091})


def whole_samples(dry_T: np.ndarray, wet_T: np.ndarray) -> np.ndarray:
    """Shift a take by the whole-sample peak of its cross-correlation, less 16 samples."""
    size = next_fast_len(len(dry_T) + len(wet_T), real=True)
    cross_F = rfft(wet_T, size) * np.conj(rfft(dry_T, size))
    correlation = irfft(cross_F / np.maximum(np.abs(cross_F), 1e-9 * np.abs(cross_F).max()) ** 0.7, size)
    lags = np.arange(-22050, 22051)
    best = lags[np.argmax(np.abs(correlation[lags]))]
    delay, sign = int(best) - 16, 1 if correlation[best] > 0 else -1
    late_T = np.pad(wet_T, (max(-delay, 0), len(dry_T)))[max(delay, 0) :]
    return sign * late_T[: len(dry_T)]


def rounded(dry_T: np.ndarray, wet_T: np.ndarray) -> np.ndarray:
    """Align as `align_dataset` does, but by whole samples."""
    lag = estimate_lag(dry_T, wet_T, RATE)
    return align_wet(wet_T, replace(lag, delay_samples=round(lag.delay_samples)), len(dry_T), causal_margin(RATE))[0]


def padded(dry_T: np.ndarray, wet_T: np.ndarray) -> np.ndarray:
    """Pad at the front, as the recordist did."""
    return np.pad(wet_T, (len(dry_T) - len(wet_T), 0))


def versions(source: Path, folder: Path) -> dict[str, Path]:
    """Write the four versions; returns their manifests by name."""
    found = {"aligned": align_dataset(source / "single_knob.json", folder / "aligned")[0]}
    entries = json.loads((source / "single_knob.json").read_text())["entries"]
    dry_T, rate = sf.read(source / "DI.wav", dtype="float32")
    for name, way in (("rounded", rounded), ("whole samples", whole_samples), ("padded", padded)):
        home = folder / name
        home.mkdir()
        sf.write(home / "DI.wav", dry_T, rate, subtype="FLOAT")
        for entry in entries:
            wet_T = sf.read(source / entry["output_file"], dtype="float32")[0]
            sf.write(home / entry["output_file"], way(dry_T, wet_T), rate, subtype="FLOAT")
        (home / "manifest.json").write_text(json.dumps({"entries": entries}))
        found[name] = home / "manifest.json"
    return found


def load(manifest: Path, name: str) -> AmpData:
    """Load a version, all with the same split; the last second is held."""
    split = {"held_settings": HELD, "held_seconds": 1.0, "validation_settings": 2, "validation_seconds": 0.5}
    plain = {"name": name.replace(" ", "-"), "train": str(manifest), **split}
    return load_data(check_document(plain, DataConfig, "benchmark"))


def main() -> None:
    """Train every version with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    source = options.data.resolve() / "hrd3"
    if not source.is_dir():
        sys.exit(f"skipped: {options.data} has no hrd3 recordings")
    torch.set_num_threads(1)
    model = read_document(Path(__file__).parents[1] / "configs" / "models" / "film8.json", WaveNetConfig)
    with tempfile.TemporaryDirectory() as temporary:
        data = {name: load(path, name) for name, path in versions(source, Path(temporary)).items()}
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in data}
        for seed in options.seeds:
            for name, amp in data.items():
                learning = LearningConfig(steps=options.steps, seed=seed)
                trainer = Trainer(Recipe(data=amp.config, model=model, learning=learning), amp)
                trainer.advance(options.steps)
                net = trainer.net.eval()
                scores = [score(net, amp, pieces) for pieces in (amp.held, amp.seen, amp.validation)]
                found[name].append((scores[0].mean, scores[1].mean, scores[2].mean))
                output.info(f"seed {seed} {name}: held {scores[0].mean:.4f}, seen {scores[1].mean:.4f}")
    base = median(run[0] for run in found["aligned"])
    rows = []
    for name, runs in found.items():
        held, seen, validation = (median(column) for column in zip(*runs, strict=True))
        seeds = " ".join(f"{run[0]:.4f}" for run in runs)
        rows.append((name, f"{held:.4f}", seeds, f"{held / base:.2f}", f"{seen:.4f}", f"{validation:.4f}"))
    output.data_table(("TAKES", "HELD ESR", "SEEDS", "RATIO", "SEEN ESR", "VALIDATION ESR"), rows)


if __name__ == "__main__":
    main()
