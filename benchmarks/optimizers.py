"""Held error of optimizers and of composed takes: one WaveNet, equal steps, three seeds, several amps.

For every amp: each optimizer on recorded takes, and on recorded and composed takes. Prints a line per training and a
table: held ESR as mean / median / worst over settings, each the mean over seeds, the ratio of the means to that of the
first recipe, and the loudest constant that any seed's model plays in silence, at any setting. `virtual` is the built-in
amp; the others need their recordings folder and are skipped without it.

    python -m benchmarks.optimizers RECORDINGS [--amps virtual ts808 gxamp-6v6 hrd3] [--steps 1200] [--seeds 0 1 2]
    python -m benchmarks.optimizers RECORDINGS --shape a1-lite-film --recipes "SOAP, composed"
    python -m benchmarks.optimizers RECORDINGS --steps 400 --recipes "Adam, composed" "SOAP, composed" "Muon, composed"
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean

from models.artifacts.evaluation import Score
from models.capture.virtual_amp import render_takes
from models.core.schema import read_document
from models.evaluation.robustness import scan_corners
from models.evaluation.scoring import score
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
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
SHAPES = ("w12", "a1-lite-film", "a2-full-film")
MODELS = Path(__file__).parents[1] / "configs" / "models"
RECIPES = {
    "Adam": {"optimizer": "adam", "composed": 0.0, "interaction": 0.0, "truncate": False, "segment": 512},
    "SOAP": {"composed": 0.0},
    "SOAP, interaction does not count": {"composed": 0.0, "interaction": 0.0},
    "Muon": {"optimizer": "muon", "composed": 0.0},
    "Adam, composed": {"optimizer": "adam"},
    "SOAP, composed": {},
    "SOAP, composed, whole gradient": {"truncate": False, "segment": 512},
    "SOAP, composed, silence does not count": {"silence": 0.0},
    "Muon, composed": {"optimizer": "muon"},
    "Muon 0.008, composed": {"optimizer": "muon", "learning_rate": 0.008},
}
DEFAULT = ("Adam", "SOAP", "SOAP, composed")
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


def load(amp: str, recordings: Path, scratch: Path, **changes: object) -> AmpData | None:
    """Load an amp's recordings, with changes of its data config; None where they are not there."""
    if amp == "virtual":
        train, held = render_takes(scratch)
        config = {"train": train, "held": held, "validation_settings": 4, "validation_seconds": 2.0}
    else:
        folder = recordings / amp
        if not (folder / "train.json").exists():
            return None
        held = {} if "held_settings" in SPLITS[amp] else {"held": folder / "heldout.json"}
        config = {"train": folder / "train.json", **held, **SPLITS[amp]}
    return load_data(DataConfig.model_validate({"name": amp, **config, **changes}))


def shape_config(shape: str) -> WaveNetConfig:
    """Return one of `SHAPES`."""
    return MODEL if shape == "w12" else read_document(MODELS / f"{shape}.json", WaveNetConfig)


def train_once(data: AmpData, model: WaveNetConfig, learning: dict) -> tuple[Trainer, WaveNet, float]:
    """Train once; return the trainer, the finished model and the seconds of CPU."""
    stated = LearningConfig.model_validate({"report_every": learning["steps"], **learning})
    trainer = Trainer(Recipe(data=data.config, model=model, learning=stated), data)
    began = time.process_time()
    trainer.advance(stated.steps)
    return trainer, trainer.finished_model(), time.process_time() - began


def train(
    data: AmpData, learning: dict, steps: int, seed: int, model: WaveNetConfig = MODEL
) -> tuple[Score, float, float]:
    """Train once; return the held score, the loudest silence in dBFS and the seconds of CPU."""
    _, net, seconds = train_once(data, model, {"steps": steps, "seed": seed, **learning})
    corners = scan_corners(net, data.knobs, data.dry_T[data.held[0].dry], 1.0)
    return score(net, data, data.held), corners.silence_dbfs, seconds


def main() -> None:
    """Train every recipe with every seed on every amp, recipes interleaved, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--amps", nargs="+", choices=["virtual", *SPLITS], default=["virtual", *SPLITS])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--shape", choices=SHAPES, default="w12")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=DEFAULT)
    options = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as scratch:
        for amp in options.amps:
            data = load(amp, options.recordings, Path(scratch) / "takes")
            if data is None:
                output.info(f"{amp}: no recordings in {options.recordings}; skipped")
                continue
            found: dict[str, list[tuple[Score, float]]] = {name: [] for name in options.recipes}
            for seed in options.seeds:
                for name in options.recipes:
                    held, silence, seconds = train(
                        data, RECIPES[name], options.steps, seed, shape_config(options.shape)
                    )
                    found[name].append((held, silence))
                    numbers = f"{held.mean:.4f} / {held.median:.4f} / {held.worst:.4f}, silence {silence:.0f} dBFS"
                    output.info(f"{amp} seed {seed} {name}: {numbers}, {seconds:.0f} s of CPU")
            base = fmean(held.mean for held, _ in found[options.recipes[0]])
            for name, scores in found.items():
                mean, median, worst = (
                    fmean(getattr(held, key) for held, _ in scores) for key in ("mean", "median", "worst")
                )
                silence = max(silence for _, silence in scores)
                row = f"{mean:.4f} / {median:.4f} / {worst:.4f}   {mean / base:.2f}   {silence:.0f} dBFS"
                output.data(f"{amp:10} {name:40} {row}")


if __name__ == "__main__":
    main()
