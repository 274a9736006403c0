"""How well validation orders recipes: its rank correlation with the held error, in three forms.

Twelve recipes (optimizers, rates, places of the knobs, widths) are trained on each amp for few steps. Every model is
scored at the validation settings that were taken out of training, at those composed from them far from every take
(`validation_composed`), and at the held settings. With `--folds`, so many further models of each recipe are trained,
each without a part of the settings, and scored there. Prints a line per training, and Spearman's correlation of each
validation with the held mean and the held worst.

    python -m benchmarks.validation_choice RECORDINGS [--amps ts808 gxamp-6v6] [--steps 400] [--composed 3] [--folds 3]
"""

import argparse
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from scipy.stats import spearmanr

from benchmarks.optimizers import MODEL, SPLITS, load
from models.evaluation.scoring import score
from models.network.architecture import WaveNetConfig
from models.recordings.composed_pieces import judged_pieces
from models.recordings.dataset import AmpData
from models.training.config import LearningConfig, Recipe
from models.training.folds import split_folds
from models.training.trainer import Trainer
from zoo.cli import output
from zoo.cli.options import one_thread


def variant(channels: int = 12, **inject: Any) -> WaveNetConfig:
    """The net of `benchmarks.optimizers` with another width or other places of the knobs."""
    layers = {**MODEL.arrays[0].model_dump(), "channels": channels}
    return WaveNetConfig.model_validate({"arrays": [layers], "inject": inject})


FILM = ["activation_pre"]
RECIPES: dict[str, tuple[dict[str, Any], WaveNetConfig]] = {
    "SOAP": ({}, MODEL),
    "Adam": ({"optimizer": "adam"}, MODEL),
    "Muon": ({"optimizer": "muon"}, MODEL),
    "Muon 0.008": ({"optimizer": "muon", "learning_rate": 0.008}, MODEL),
    "SOAP 0.008": ({"learning_rate": 0.008}, MODEL),
    "SOAP 0.04": ({"learning_rate": 0.04}, MODEL),
    "Adam 0.004": ({"optimizer": "adam", "learning_rate": 0.004}, MODEL),
    "SOAP, recorded takes": ({"composed": 0.0}, MODEL),
    "Adam, recorded takes": ({"optimizer": "adam", "composed": 0.0}, MODEL),
    "SOAP, 8 channels": ({}, variant(8, film=FILM)),
    "SOAP, mixin": ({}, variant(mixin=True)),
    "SOAP, two FiLMs": ({}, variant(film=["conv_pre", *FILM])),
}


def errors_of(data: AmpData, recipe: Recipe) -> dict[str, float]:
    """Train once; return the errors at taken-out, composed and held settings."""
    trainer = Trainer(recipe, data)
    trainer.advance(recipe.learning.steps)
    judged = judged_pieces(data)
    model, count = trainer.finished_model(), len(data.validation)
    taken_out, composed = (score(model, data, pieces).mean for pieces in (judged[:count], judged[count:]))
    held = score(model, data, data.held)
    both = score(model, data, judged).mean
    return {"taken out": taken_out, "composed": composed, "both": both, "held": held.mean, "worst": held.worst}


def fold_error(parts: list[AmpData], recipe: Recipe) -> float:
    """Train once for each fold; return the mean error of all settings, each of the model that did not train on it."""
    esrs = []
    for data in parts:
        trainer = Trainer(recipe, data)
        trainer.advance(recipe.learning.steps)
        esrs += [setting.esr for setting in score(trainer.finished_model(), data, data.validation).settings]
    return fmean(esrs)


def main() -> None:
    """Train all recipes on every amp and print the correlations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--amps", nargs="+", choices=["virtual", *SPLITS], default=["ts808", "gxamp-6v6"])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--composed", type=int, default=3)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parser.parse_args()
    one_thread()
    with tempfile.TemporaryDirectory() as scratch:
        for amp in options.amps:
            data = load(amp, options.recordings, Path(scratch) / "takes", validation_composed=options.composed)
            if data is None:
                output.info(f"{amp}: no recordings in {options.recordings}; skipped")
                continue
            whole = load(amp, options.recordings, Path(scratch) / "takes", validation_settings=0)
            parts = split_folds(whole, options.folds) if whole and options.folds else []
            rows = []
            for name in options.recipes:
                learning, model = RECIPES[name]
                stated = {"steps": options.steps, "report_every": options.steps, **learning}
                recipe = Recipe(data=data.config, model=model, learning=LearningConfig.model_validate(stated))
                rows.append(errors_of(data, recipe) | ({"folds": fold_error(parts, recipe)} if parts else {}))
                output.info(f"{amp} {name}: " + ", ".join(f"{key} {esr:.4f}" for key, esr in rows[-1].items()))
            for key in ("taken out", "composed", "both", *(["folds"] if parts else [])):
                mean, worst = (
                    spearmanr([row[key] for row in rows], [row[held] for row in rows]).statistic
                    for held in ("held", "worst")
                )
                output.data(f"{amp:10} {key:10} with the held mean {mean:.2f}, with the held worst {worst:.2f}")


if __name__ == "__main__":
    main()
