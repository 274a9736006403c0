"""A benchmark that anyone can repeat: virtual devices of ours, named recipes, a leaderboard.

Recipes of ours train with the defaults. Recipes of other projects train as those publish: Adam, recorded takes alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

from models.artifacts.evaluation import Evaluation
from models.capture.circuits import DEVICES, VirtualDevice, render_device
from models.core.errors import UserError
from models.core.progress import PhaseListener
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig, Recipe
from models.training.fit import fit
from search.config.named_recipes import PEER, recipe_models

OURS = ("a1-nano-film", "a1-feather-film", "a1-lite-film")

PEERS = (f"{PEER}type-level", f"{PEER}a1-knob-bias", f"{PEER}a2-concat", f"{PEER}a2-wide", f"{PEER}a2-film")

PUBLISHED: dict[str, Any] = {
    "optimizer": "adam",
    "composed": 0.0,
    "silence": 0.0,
    "interaction": 0.0,
    "truncate": False,
    "segment": 512,
}

BENCH_STEPS = 400

VALIDATION = {"validation_settings": 2, "validation_seconds": 1.0}


@dataclass(frozen=True)
class BenchPlan:
    """What to train: every recipe on every device, for so many steps, with each seed.

    `seconds` and `held_seconds` are the music of training and held takes.
    """

    devices: tuple[str, ...] = tuple(DEVICES)
    recipes: tuple[str, ...] = (*OURS, *PEERS)
    steps: int = BENCH_STEPS
    seeds: tuple[int, ...] = (0,)
    seconds: float = 6.0
    held_seconds: float = 3.0
    rate_hz: int = 48000
    learning: dict[str, Any] = field(default_factory=dict)  # other keys of the training config


@dataclass(frozen=True)
class DeviceResult:
    """Held errors (ESR) of a recipe on one device, means over seeds; the worst over seeds and settings."""

    device: str
    mean: float
    median: float
    worst: float


@dataclass(frozen=True)
class RecipeResult:
    """One row of the leaderboard; `esr` is the geometric mean of the devices' means, `seconds` the time of training.

    `macs` is the mean over devices: the input of a model grows with its knobs.
    """

    recipe: str
    esr: float
    macs: int
    seconds: float
    devices: tuple[DeviceResult, ...]


def run_bench(
    plan: BenchPlan,
    folder: Path,
    on_run: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> list[RecipeResult]:
    """Record the devices, train what the plan states below `folder`, and return the leaderboard, the best first.

    A run that is finished there is not trained again, an interrupted one continues. `on_run` gets the runs done, the
    runs in all, and the name of the next run. Raises `UserError` for an unknown device or recipe.
    """
    _check_names("device", plan.devices, DEVICES)
    _check_names("recipe", plan.recipes, (*OURS, *PEERS))
    found: dict[str, dict[str, list[Evaluation]]] = {recipe: {} for recipe in plan.recipes}
    done, total = 0, len(plan.recipes) * len(plan.devices) * len(plan.seeds)
    for device in plan.devices:
        data = _record_device(DEVICES[device], plan, folder)
        for recipe in plan.recipes:
            for seed in plan.seeds:
                name = f"{device}/{recipe}-{plan.steps}-{seed}"
                on_run(done, total, name)
                made = bench_recipe(plan, data.config, recipe, len(DEVICES[device].knobs.knobs), seed)
                evaluation = fit(made, folder / "runs" / name, load=_returning(data))
                found[recipe].setdefault(device, []).append(evaluation)
                done += 1
    on_run(done, total, "")
    return sorted((_result(recipe, runs) for recipe, runs in found.items()), key=lambda row: row.esr)


def bench_recipe(plan: BenchPlan, data: DataConfig, recipe: str, knobs: int, seed: int) -> Recipe:
    """Return what one run trains: the named model for so many knobs, with the training of its makers."""
    published = {} if recipe in OURS else PUBLISHED
    learning = {"steps": plan.steps, "report_every": max(plan.steps // 4, 1), **published, **plan.learning}
    return Recipe(
        data=data,
        model=_bench_model(recipe, knobs),
        learning=LearningConfig.model_validate({**learning, "seed": seed}),
    )


def bench_to_json(plan: BenchPlan, rows: Sequence[RecipeResult]) -> dict[str, Any]:
    """Return the leaderboard as plain data, schema `zoo.bench/1`."""
    return {
        "schema": "zoo.bench/1",
        "steps": plan.steps,
        "seeds": list(plan.seeds),
        "devices": list(plan.devices),
        "seconds": round(sum(row.seconds for row in rows), 1),
        "recipes": [asdict(row) for row in rows],
    }


def _check_names(what: str, given: Sequence[str], known: Sequence[str] | dict[str, Any]) -> None:
    if unknown := [name for name in given if name not in known]:
        raise UserError(f"'{unknown[0]}' is no {what} of the benchmark", f"Choose among: {', '.join(known)}.")


def _bench_model(recipe: str, knobs: int) -> WaveNetConfig:
    """Return the model of a recipe; the wide A2 of other projects depends on the number of knobs."""
    models = recipe_models(knobs)
    aliases = {f"{PEER}a2-wide": f"{PEER}a2-concat-{knobs}-knobs", f"{PEER}a2-film": "a2-full-film"}
    return models[aliases.get(recipe, recipe)]


def _record_device(device: VirtualDevice, plan: BenchPlan, folder: Path) -> AmpData:
    """Record a device, unless its takes are there, and load them."""
    train, held = render_device(
        device,
        folder / "takes" / device.name,
        rate_hz=plan.rate_hz,
        seconds=plan.seconds,
        held_seconds=plan.held_seconds,
    )
    return load_data(DataConfig.model_validate({"name": device.name, "train": train, "held": held, **VALIDATION}))


def _returning(data: AmpData) -> Callable[[DataConfig, PhaseListener], AmpData]:
    return lambda config, on_phase: data


def _result(recipe: str, runs: dict[str, list[Evaluation]]) -> RecipeResult:
    devices = tuple(
        DeviceResult(
            device,
            mean=fmean(one.held.mean for one in found),
            median=fmean(one.held.median for one in found),
            worst=max(one.held.worst for one in found),
        )
        for device, found in runs.items()
    )
    every = [one for found in runs.values() for one in found]
    macs = round(fmean(one.macs_per_sample for one in every))
    seconds = sum(one.seconds for one in every)
    return RecipeResult(recipe, geometric_mean([one.mean for one in devices]), macs, round(seconds, 1), devices)
