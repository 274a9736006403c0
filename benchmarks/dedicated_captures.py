"""The limit of the form: a stock net of the same size, trained at each held setting, against one model with knobs.

The built-in virtual amp can be played at any setting. At every held setting of its takes a net without knobs is
trained on the training music, in as many steps as the model with knobs trains on all takes, and scored on the held
music. Prints a line per setting, and the median and worst ratio of the model's ESR to that of the dedicated net.

    python -m benchmarks.dedicated_captures [--steps 1200] [--seed 0]
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from statistics import fmean, median

import torch

from benchmarks.common import without_knobs
from benchmarks.optimizers import load
from models.capture.virtual_amp import VirtualAmp
from models.evaluation.scoring import score
from models.knobs.schema import Knobs
from models.knobs.text import format_setting
from models.network.architecture import WaveNetConfig
from models.recordings.dataset import AmpData, Piece
from models.training.config import LearningConfig, Recipe
from models.training.recommended import recommended_model
from models.training.trainer import Trainer
from zoo.cli import output
from zoo.cli.options import one_thread


def train_on(data: AmpData, model: WaveNetConfig, learning: LearningConfig) -> list[float]:
    """Train once and return the ESR of every held setting."""
    trainer = Trainer(Recipe(data=data.config, model=model, learning=learning), data)
    trainer.advance(learning.steps)
    return [setting.esr for setting in score(trainer.finished_model(), data, data.held).settings]


def capture_at(data: AmpData, held: Piece) -> AmpData:
    """Return the takes of one setting: all training music and the held music, without knobs."""
    dry_T, first = data.dry_T, data.train[0]
    gain, tone, volume = (float(value) for value in held.setting.values())
    played_T = torch.from_numpy(VirtualAmp(data.rate_hz).process(dry_T[first.dry].numpy(), gain, tone, volume))
    none_K = torch.zeros(0)
    take = dataclasses.replace(first, wet_T=played_T, setting={}, levels_K=none_K)
    judged = dataclasses.replace(held, setting={}, levels_K=none_K)
    return dataclasses.replace(
        data, knobs=Knobs(knobs=()), train=(take,), validation=(take,), held=(judged,), seen=(), recorded=(take,)
    )


def main() -> None:
    """Train the model with knobs and a net for each held setting, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    one_thread()
    learning = LearningConfig(steps=options.steps, report_every=options.steps, seed=options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        data = load("virtual", Path("none"), Path(scratch) / "takes")
        assert data is not None
        model = recommended_model()
        ours = train_on(data, model, learning)
        ratios = []
        for piece, esr in zip(data.held, ours, strict=True):
            (dedicated,) = train_on(capture_at(data, piece), without_knobs(model), learning)
            ratios.append(esr / dedicated)
            place = format_setting(piece.setting)
            output.data(f"{place}: with knobs {esr:.5f}, dedicated {dedicated:.5f}, ratio {ratios[-1]:.2f}")
        output.data(f"ratio, median {median(ratios):.2f}, worst {max(ratios):.2f}; mean with knobs {fmean(ours):.5f}")


if __name__ == "__main__":
    main()
