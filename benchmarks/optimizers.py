"""Held error of optimizers and of composed takes: one small WaveNet, equal steps, three seeds, several amps.

For every amp: Adam on recorded takes, SOAP on recorded takes, SOAP on recorded and composed takes. Prints a line per
training and a table: held ESR as mean / median / worst over settings, each the mean over seeds, and the ratio of the
means to Adam's. `virtual` is the built-in amp; the others need their recordings folder and are skipped without it.

    python -m benchmarks.optimizers RECORDINGS [--amps virtual ts808 gxamp-6v6 hrd3] [--steps 1200] [--seeds 0 1 2]
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean

from models.artifacts.evaluation import Score
from models.capture.virtual_amp import render_takes
from models.evaluation.scoring import score
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig, Recipe
from models.training.trainer import Trainer
from zoo.cli import output
from zoo.cli.options import one_thread

MODEL = WaveNetConfig.model_validate(
    {
        "arrays": [{"channels": 12, "dilations": [1, 3, 9, 27, 81, 243, 1, 3, 9]}],
        "inject": {"film": ["activation_pre"]},
    }
)
RECIPES = {
    "Adam": {"optimizer": "adam", "composed": 0.0},
    "SOAP": {"composed": 0.0},
    "SOAP, composed": {},
}
SPLITS = {
    "ts808": {"validation_settings": 2, "validation_seconds": 3.0},
    "gxamp-6v6": {"validation_settings": 4, "validation_seconds": 3.0},
    "hrd3": {
        "held_settings": 2,
        "held_seconds": 1.0,
        "validation_settings": 1,
        "validation_seconds": 0.7,
        "align": True,
    },
}


def load(amp: str, recordings: Path, scratch: Path) -> AmpData | None:
    """Load an amp's recordings; None where they are not there."""
    if amp == "virtual":
        train, held = render_takes(scratch)
        config = {"train": train, "held": held, "validation_settings": 4, "validation_seconds": 2.0}
    else:
        folder = recordings / amp
        if not (folder / "train.json").exists():
            return None
        held = {} if "held_settings" in SPLITS[amp] else {"held": folder / "heldout.json"}
        config = {"train": folder / "train.json", **held, **SPLITS[amp]}
    return load_data(DataConfig.model_validate({"name": amp, **config}))


def train(data: AmpData, learning: dict, steps: int, seed: int) -> tuple[Score, float]:
    """Train once; return the held score and the seconds of CPU."""
    stated = {"steps": steps, "report_every": steps, "seed": seed, **learning}
    trainer = Trainer(Recipe(data=data.config, model=MODEL, learning=LearningConfig.model_validate(stated)), data)
    began = time.process_time()
    trainer.advance(steps)
    seconds = time.process_time() - began
    return score(trainer.model.eval(), data, data.held), seconds


def main() -> None:
    """Train every recipe with every seed on every amp, recipes interleaved, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--amps", nargs="+", choices=["virtual", *SPLITS], default=["virtual", *SPLITS])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as scratch:
        for amp in options.amps:
            data = load(amp, options.recordings, Path(scratch) / "takes")
            if data is None:
                output.info(f"{amp}: no recordings in {options.recordings}; skipped")
                continue
            found: dict[str, list[Score]] = {name: [] for name in RECIPES}
            for seed in options.seeds:
                for name, learning in RECIPES.items():
                    held, seconds = train(data, learning, options.steps, seed)
                    found[name].append(held)
                    numbers = f"{held.mean:.4f} / {held.median:.4f} / {held.worst:.4f}"
                    output.info(f"{amp} seed {seed} {name}: {numbers}, {seconds:.0f} s of CPU")
            base = fmean(held.mean for held in found["Adam"])
            for name, scores in found.items():
                mean, median, worst = (
                    fmean(getattr(held, key) for held in scores) for key in ("mean", "median", "worst")
                )
                output.data(f"{amp:10} {name:15} {mean:.4f} / {median:.4f} / {worst:.4f}   {mean / base:.2f}")


if __name__ == "__main__":
    main()
