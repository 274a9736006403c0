"""Held error against the number of takes, by what chooses the takes after the first: disagreement, holes, hypercubes.

Three virtual devices start with corners and the default. `disagreement` adds `BATCH` takes at a time, chosen by the
two models that were trained on those before; `holes` adds the largest holes; `hypercube` draws the best-spaced Latin
hypercube of so many takes anew. Every number is the mean ESR of two trainings (two seeds) at `HELD` other settings on
other music. A row is written for each; rows that are there are not measured again, so that it can be done in pieces.

    python -m benchmarks.next_takes next_takes.jsonl --devices amp pedal preamp --seeds 0 1 2 3 4 --minutes 50
    python -m benchmarks.next_takes next_takes.jsonl --table
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, geometric_mean

import numpy as np
import torch

from models.artifacts.model_config import make_config
from models.audio.guitar import guitar
from models.capture.circuits import DEVICES, VirtualDevice
from models.capture.designs import corner_settings, distinct, sample_between
from models.capture.disagreement import propose_by_disagreement, take_excerpt
from models.capture.plan import propose_settings
from models.capture.virtual_amp import HELD_SEED_OFFSET
from models.evaluation.scoring import score
from models.knobs.geometry import setting_key
from models.knobs.schema import Knobs, Setting
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece
from models.training.config import LearningConfig, Recipe
from models.training.trainer import Trainer
from zoo.cli import output

RATE_HZ, SECONDS, HELD_SECONDS, HELD = 48_000, 4.0, 1.5, 24
BATCH, BATCHES = 4, 3
METHODS = ("disagreement", "holes", "hypercube")
ARRAY = {"channels": 8, "dilations": [1, 3, 9, 27, 81, 243, 1, 3, 9]}
MODEL = WaveNetConfig.model_validate({"arrays": [ARRAY], "inject": {"film": ["activation_pre"]}})


class Bench:
    """One device with its music, and the takes that were recorded of it."""

    def __init__(self, device: VirtualDevice, seed: int, steps: int) -> None:
        """Record the held takes."""
        self.device, self.seed, self.steps, self.knobs = device, seed, steps, device.knobs
        self.start = distinct([*corner_settings(self.knobs), self.knobs.defaults])
        taken = {setting_key(setting) for setting in self.start}
        free = lambda setting: setting_key(setting) not in taken
        self.held = sample_between(self.knobs, HELD, seed + HELD_SEED_OFFSET, free, self.start)
        music = guitar(SECONDS, RATE_HZ, seed), guitar(HELD_SECONDS, RATE_HZ, seed + HELD_SEED_OFFSET)
        self.dry_T = tuple(torch.from_numpy(np.asarray(x_T, np.float32)) for x_T in music)
        self._takes: dict[tuple, Piece] = {}
        self.held_pieces = [self.record(setting, 1) for setting in self.held]

    def record(self, setting: Setting, dry: int = 0) -> Piece:
        """Return the take of a setting, rendered once."""
        key = (dry, *setting_key(setting))
        if key not in self._takes:
            values = {name: float(value) for name, value in setting.items()}
            wet_T = torch.from_numpy(self.device.play(self.dry_T[dry].numpy(), values, RATE_HZ))
            levels_K = torch.tensor(self.knobs.encode(setting), dtype=torch.float32)
            self._takes[key] = Piece(dry, wet_T, 0, len(wet_T), setting, levels_K)
        return self._takes[key]

    def train(self, settings: Sequence[Setting]) -> tuple[list[WaveNet], float]:
        """Return two trained models and the mean of their held errors."""
        train = tuple(self.record(setting) for setting in settings)
        config = DataConfig(name="bench", train=Path("none.json"), held=Path("none.json"))
        data = AmpData(config, self.knobs, RATE_HZ, "", "", dry_T=self.dry_T, train=train, held=tuple(self.held_pieces))
        nets, errors = [], []
        for seed in (2 * self.seed, 2 * self.seed + 1):
            learning = LearningConfig(steps=self.steps, seed=seed, silence=0, composed=0)
            trainer = Trainer(Recipe(data=config, model=MODEL, learning=learning), data)
            trainer.advance(self.steps)
            nets.append(trainer.net.eval())
            errors.append(score(nets[-1], data, data.held).mean)
        return nets, fmean(errors)

    def add(self, method: str, settings: list[Setting], nets: list[WaveNet]) -> list[Setting]:
        """Return the settings with `BATCH` more, of which none is held."""
        if method == "disagreement":
            models = [(make_config("bench", RATE_HZ, self.knobs, MODEL), net) for net in nets]
            excerpt_T = take_excerpt(self.dry_T[0].numpy(), RATE_HZ)
            found = propose_by_disagreement(self.knobs, models, excerpt_T, settings, BATCH, self.held)
            return settings + [take.setting for take in found.takes]
        if method == "holes":
            return settings + propose_settings(self.knobs, settings, BATCH, self.held)
        return self.start + draw_hypercube(self.knobs, len(settings) - len(self.start) + BATCH, self)

    def measure(self, methods: Sequence[str], known: set[tuple]) -> Iterator[dict]:
        """Yield a row for each method and number of takes that is not known."""
        nets, error = self.train(self.start)
        for method in methods:
            now, settings = nets, list(self.start)
            if (self.device.name, self.seed, method, len(settings) + BATCH * BATCHES) in known:
                continue
            yield self._row(method, len(settings), error)
            for _ in range(BATCHES):
                settings = self.add(method, settings, now)
                now, found = self.train(settings)
                yield self._row(method, len(settings), found)

    def _row(self, method: str, takes: int, error: float) -> dict:
        return {"device": self.device.name, "seed": self.seed, "method": method, "takes": takes, "esr": error}


def draw_hypercube(knobs: Knobs, count: int, bench: Bench) -> list[Setting]:
    """Return the best-spaced Latin hypercube of so many settings, away from those at the start."""
    taken = {setting_key(setting) for setting in (*bench.start, *bench.held)}
    return sample_between(knobs, count, bench.seed, lambda setting: setting_key(setting) not in taken, bench.start)


def takes_to_reach(curve: dict[int, float], error: float) -> float | None:
    """Return after how many takes a curve is at an error, between its points by the logarithm; None where it is not."""
    points = sorted(curve.items())
    for (a, before), (b, after) in pairwise(points):
        if after <= error < before:
            return a + (b - a) * float(np.log(before / error) / np.log(before / after))
    return float(points[0][0]) if points[0][1] <= error else None


def show(rows: Sequence[dict]) -> None:
    """Print the geometric mean over seeds by takes, and how many takes each method needs for the hypercube's error."""
    table = []
    for device in dict.fromkeys(row["device"] for row in rows):
        curves = {}
        for method in METHODS:
            mine = [row for row in rows if row["device"] == device and row["method"] == method]
            counts = sorted({row["takes"] for row in mine})
            errors = {n: [row["esr"] for row in mine if row["takes"] == n] for n in counts}
            curves[method] = {n: geometric_mean(found) for n, found in errors.items()}
            cells = [f"{n}: {curves[method][n]:.4f} ({min(e):.4f} to {max(e):.4f})" for n, e in errors.items()]
            table.append((device, method, f"{len(errors[counts[0]])}", *cells))
        last = max(curves["hypercube"])
        for method in METHODS[:2]:
            needed = takes_to_reach(curves[method], curves["hypercube"][last])
            words = "not reached" if needed is None else f"{needed:.1f} ({100 * (1 - needed / last):+.0f} % fewer)"
            output.info(f"{device}: the hypercube's error at {last} takes is reached by {method} at {words}")
    heads = [f"TAKES {n + 1}" for n in range(BATCHES + 1)]
    output.data_table(("DEVICE", "METHOD", "SEEDS", *heads), table)


def main() -> None:
    """Measure until the time is over, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--devices", nargs="+", default=list(DEVICES), choices=list(DEVICES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=50.0)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = options.rows.read_text().splitlines() if options.rows.exists() else []
    rows = [json.loads(line) for line in lines]
    began = time.process_time()
    known = {(row["device"], row["seed"], row["method"], row["takes"]) for row in rows}
    for seed in options.seeds if not options.table else ():
        for name in options.devices:
            if time.process_time() - began > 60 * options.minutes:
                break
            if all((name, seed, m, n) in known for m in METHODS for n in _final_counts(DEVICES[name])):
                continue
            for row in Bench(DEVICES[name], seed, options.steps).measure(METHODS, known):
                rows.append(row)
                with options.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                output.info(f"{row} {time.process_time() - began:.0f} s of CPU")
    show(rows)


def _final_counts(device: VirtualDevice) -> list[int]:
    return [len(distinct([*corner_settings(device.knobs), device.knobs.defaults])) + BATCH * BATCHES]


if __name__ == "__main__":
    main()
