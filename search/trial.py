"""One trial: one architecture trained on every dataset, step by step, reporting and checkpointing as it goes."""

import tempfile
from functools import lru_cache
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import torch
from ray import tune

from models.dataset import AmpData, load_data
from models.errors import DivergedError
from models.recipe import DataConfig
from models.train import Trainer
from search.space import SearchConfig

OBJECTIVES = ("esr", "cost")


@lru_cache(maxsize=1)
def _loaded(datasets: tuple[DataConfig, ...]) -> list[AmpData]:
    """A worker that runs several trials reads the recordings once."""
    return [load_data(config) for config in datasets]


def run_trial(point: dict[str, Any], search: dict[str, Any]) -> None:
    """Train a point of the space; a checkpoint is a folder with one run folder per amp.

    Reports `esr` (validation, geometric mean over amps), `cost` (multiply-accumulates per sample), `amps` (each one's ESR) and
    `step`. Training that leaves the finite numbers is reported with `esr` NaN and the reason, and ends the trial.
    """
    config = SearchConfig.model_validate(search)
    torch.set_num_threads(max(1, int(config.cpus_per_trial)))
    trainers = [
        Trainer(recipe, data) for recipe, data in zip(config.recipes(point), _loaded(config.datasets), strict=True)
    ]
    if checkpoint := tune.get_checkpoint():
        with checkpoint.as_directory() as folder:
            for trainer in trainers:
                trainer.load(Path(folder) / trainer.data.config.name)
    model = config.space.model(point)
    result: dict[str, Any] = {
        "cost": max(model.macs_per_sample(trainer.net.knobs) for trainer in trainers),
        "parameters": max(trainer.net.parameter_count for trainer in trainers),
        "steps": config.learning.steps,
    }
    try:
        _train(trainers, config, result)
    except DivergedError as problem:
        step = min(trainer.step for trainer in trainers)
        tune.report({**result, "step": step, "esr": float("nan"), "amps": {}, "reason": str(problem)})


def _train(trainers: list[Trainer], config: SearchConfig, result: dict[str, Any]) -> None:
    while True:
        amps = {}
        for trainer in trainers:
            trainer.advance(config.learning.report_every)
            amps[trainer.data.config.name] = trainer.validate().mean
        step = trainers[0].step
        with tempfile.TemporaryDirectory() as folder:
            for trainer in trainers:
                run = Path(folder) / trainer.data.config.name
                trainer.save(run)
                if step >= config.learning.steps:
                    trainer.finish(run)
            checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report(
                {**result, "step": step, "esr": geometric_mean(amps.values()), "amps": amps}, checkpoint=checkpoint
            )
        if step >= config.learning.steps:
            return
