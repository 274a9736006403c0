"""What was found before, for a new search: first points (the front of a study, packaged models) and priors (what trials and packages came to)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts.evaluation import read_evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, EVAL, RECIPE
from models.core.errors import NotFound, UserError
from models.core.schema import check_document, read_document, read_json
from models.network.architecture import WaveNetConfig
from models.training.config import LearningConfig
from search.config.shapes import SHAPES, canonical, dilations
from search.config.space import ANY, FREE, Space
from search.config.study import Heard, SearchConfig
from search.optimizer.pruner import expected_gain, log_error
from search.storage.recordings import load_amp
from search.study.board import read_study, summarise
from search.study.files import STUDY
from search.study.ledger import FINISHED, PRUNED, Line, curves, latest, ledger_path, read_lines

MOST = 8  # points: more brought nothing in a simulation, and each costs a trial

SHARE = 4  # one trial in so many, at most, goes to them

STUDIES, TRIALS = 4, 200  # that are heard as priors: a proposal takes time by both

TRAINING = "training.json"  # of a package, where its recipe is told

Profile = tuple[float, ...]


@dataclass(frozen=True)
class Amp:
    """What tells amps apart: how many knobs, and how their settings lie."""

    knobs: int | None
    profile: Profile | None


@dataclass(frozen=True)
class Source:
    """What was found for another amp: points of the space, the best first, and what trials came to, if it is a study.

    `packaged` are models without a study; of these the error is told as a share of what playing the nearest recorded setting gives, so that
    those of several amps may be compared.
    """

    name: str
    amp: Amp
    points: list[dict[str, Any]]
    heard: tuple[Heard, ...] = ()
    packaged: tuple[Heard, ...] = ()


def amp_of(config: SearchConfig) -> Amp:
    """The amps of a search as one; raises `UserError` where their recordings cannot be read."""
    amps = [load_amp(data) for data in config.datasets]
    heard = (data.baseline(piece) for data in amps for piece in data.validation)
    near = profile(error / signal for signal, error in heard if signal > 0)
    return Amp(max(len(data.knobs.knobs) for data in amps), near)


def warmed(config: SearchConfig, sources: Sequence[Source], amp: Amp | None = None) -> SearchConfig:
    """The same search beginning with the best points of `sources`, and with what they came to as priors: each study is one, all packages are one.

    Those for amps with as many knobs as `amp` come first, and among these the ones whose recorded settings lie as far apart in sound; where
    it is not known they keep their order. Raises `UserError` where they bring neither a point nor a prior.
    """
    if not sources:
        return config
    if amp:
        sources = sorted(sources, key=lambda one: _distance(one.amp, amp))
    points = {config.identity(point): point for one in sources for point in one.points}
    packaged = tuple(trial for one in sources for trial in one.packaged)[:TRIALS]
    priors: list[tuple[Heard, ...]] = []
    for one in sources:
        if one.heard:
            priors.append(one.heard)
        elif one.packaged and packaged not in priors:
            priors.append(packaged)
    if not points and not priors:
        raise UserError(
            f"the space holds no point of {', '.join(one.name for one in sources)}",
            "Widen the axes of the space, or leave out --from.",
        )
    return config.model_copy(update={"warm": tuple(points.values())[: _most(config)], "prior": tuple(priors)[:STUDIES]})


def profile(nearest: Iterable[float]) -> Profile | None:
    """How far apart an amp's settings sound: the quartiles of log10 of the ESR of playing the nearest recorded setting instead."""
    logs = [log_error(esr) for esr in nearest]
    return tuple(np.quantile(logs, (0.25, 0.5, 0.75)).tolist()) if logs else None


def _distance(a: Amp, b: Amp) -> tuple[float, float]:
    """How far two amps are apart, in knobs, then in profiles; what is not known is farthest."""
    knobs = math.inf if a.knobs is None or b.knobs is None else abs(a.knobs - b.knobs)
    return knobs, math.dist(a.profile, b.profile) if a.profile and b.profile else math.inf


def _most(config: SearchConfig) -> int:
    """How many points a search begins with."""
    return max(1, min(MOST, config.trials // SHARE))


def read_source(config: SearchConfig, place: Path) -> Source:
    """What a study, a package (with its tiers) or a run folder knows; raises `NotFound` for what is none of these."""
    if (place / STUDY).exists() and ledger_path(place).exists():
        return _from_study(config, place)
    if (place / CONFIG).exists():
        return _from_models(config.space, place)
    raise NotFound(
        f"{place} is no study, package or run folder", "Name the folder that zoo search or zoo package wrote."
    )


def _from_models(space: Space, place: Path) -> Source:
    """A package or run folder: the model at its root and those of its tiers, the best first."""
    found: list[tuple[float, dict[str, Any] | None, Heard | None]] = []
    for folder in (place, *sorted(tier.parent for tier in place.glob(f"tiers/*/{CONFIG}"))):
        config = read_document(folder / CONFIG, ModelConfig)
        point, heard = locate(space, config.architecture, _learning(folder)), None
        error, near = _errors(folder)
        if 0 < error / near < math.inf:
            known, macs = (
                point or _described(space, config.architecture),
                config.architecture.macs_per_sample(config.columns),
            )
            reach, share = config.architecture.receptive_field, float(f"{error / near:.5g}")
            heard = Heard(point=known, macs=macs, receptive_field=reach, esr=share)
        found.append((error, point, heard))
    found.sort(key=lambda one: one[0])
    knobs = len(read_document(place / CONFIG, ModelConfig).knobs.knobs)
    points, packaged = [point for _, point, _ in found if point], tuple(heard for *_, heard in found if heard)
    return Source(str(place), Amp(knobs, _profile_of([place])), points, packaged=packaged)


def _errors(folder: Path) -> tuple[float, float]:
    """A model's validation error, and that of playing the nearest recorded setting; infinite and 1 where it was not scored, or cannot be compared."""
    if not (folder / EVAL).exists():
        return math.inf, 1.0
    scores = read_evaluation(folder).validation
    return scores.mean, scores.baseline_mean or math.inf


def _learning(folder: Path) -> dict[str, Any]:
    """How a model was learnt, as far as its folder tells."""
    path = next((folder / name for name in (RECIPE, TRAINING) if (folder / name).exists()), None)
    document = read_json(path) if path else None
    told = document.get("learning") if isinstance(document, dict) else None
    if not isinstance(told, dict):
        return {}
    known = {key: value for key, value in told.items() if key in LearningConfig.model_fields}
    return check_document(known, LearningConfig, f"{path}: learning").model_dump()


def _from_study(config: SearchConfig, place: Path) -> Source:
    """A study: its searched front whole, from the best to the cheapest, whether or not the top was trained again."""
    other, lines = read_study(place), read_lines(place)
    board = summarise(other, lines, finals=False)
    ahead = sorted((trial for trial in board["trials"] if trial["front"]), key=lambda trial: trial["esr"])
    count = min(_most(config), len(ahead))
    step = max(1.0, (len(ahead) - 1) / max(1, count - 1))
    points = [_translated(config.space, other.space, ahead[round(index * step)]["point"]) for index in range(count)]
    runs = [path.parent for amp in board["amps"] for path in sorted(place.glob(f"trials/*/{amp}/{EVAL}"))[:1]]
    made = [path for amp in board["amps"] for path in sorted(place.glob(f"trials/*/{amp}/{CONFIG}"))[:1]]
    knobs = max((len(read_document(path, ModelConfig).knobs.knobs) for path in made), default=None)
    return Source(str(place), Amp(knobs, _profile_of(runs)), [point for point in points if point], heard_of(lines))


def heard_of(lines: list[Line]) -> tuple[Heard, ...]:
    """What the latest trials of a study came to; of those stopped early what they would have come to."""
    trials = [line for line in latest(lines) if "of" not in line and line["state"] in (FINISHED, PRUNED)]
    reported = {trial: {step: log_error(esr) for step, esr in curve.items()} for trial, curve in curves(lines).items()}
    full = [reported[line["trial"]] for line in trials if line["state"] == FINISHED]
    found = []
    for line in trials[-TRIALS:]:
        gain = expected_gain(full, line["step"]) if line["state"] == PRUNED else 0.0
        esr = 10 ** (log_error(line["esr"]) - gain)
        found.append(
            Heard(
                point=line["point"], macs=line["macs"], receptive_field=line["receptive_field"], esr=float(f"{esr:.5g}")
            )
        )
    return tuple(found)


def _profile_of(runs: list[Path]) -> Profile | None:
    """The profile of the amps that runs were made of, where they were scored."""
    scored = [read_evaluation(run).validation.settings for run in runs if (run / EVAL).exists()]
    return profile(one.baseline_esr for settings in scored for one in settings if one.baseline_esr is not None)


def _translated(space: Space, other: Space, point: dict[str, Any]) -> dict[str, Any] | None:
    """A point of another space in this one."""
    body = {key: value for key, value in point.items() if key not in (*other.learning, "learning_rate")}
    same = space.complete({**body, **_held(space, point)})
    if same and _made(space, same) == other.model(point):
        return same
    return locate(space, other.model(point), point)


def _made(space: Space, point: dict[str, Any]) -> WaveNetConfig | None:
    """The model of a point; None where the family has none."""
    try:
        return space.model(point)
    except ValueError:
        return None


def _held(space: Space, learning: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is told of a learning what the space holds: its own choices that are equal, and the learning rate."""
    told = [(key, choice) for key, choices in space.learning.items() for choice in choices if key in learning]
    held = {key: choice for key, choice in told if choice == learning[key]}
    return held | ({"learning_rate": learning["learning_rate"]} if "learning_rate" in learning else {})


def locate(space: Space, model: WaveNetConfig, learning: Mapping[str, Any] = {}) -> dict[str, Any] | None:
    """The point of a space that stands for a model, learnt so as far as the space holds that; None where there is none."""
    model, knobs, learnt = canonical(model), _knobs(model), _held(space, learning)
    for stack in _stacks(space, model):
        for choice in space.inject:
            for place in ("all", "first", "last") if model.inject.film and len(model.arrays) > 1 else (None,):
                where = _places(model) if choice == ANY else {}
                films = {"film_arrays": place} if place else {}
                point = space.complete({**stack, "inject": choice, **where, **knobs, **films, **learnt})
                if point and _made(space, point) == model:
                    return point
    return None


def _described(space: Space, model: WaveNetConfig) -> dict[str, Any]:
    """A model that the space does not hold, in the words of its points."""
    inject = model.inject
    slots = ["film" if film.slot == "activation_pre" else film.slot for film in inject.film]
    words = [*(["input"] if inject.input else []), *(["mixin"] if inject.mixin else []), *dict.fromkeys(slots)]
    return {**next(iter(_stacks(space, model)), {}), "inject": "+".join(words), **_knobs(model)}


def _stacks(space: Space, model: WaveNetConfig) -> list[dict[str, Any]]:
    """The layers of a model in each way in which points may tell them: by a shape's name, by families of dilations."""
    first = model.arrays[0]
    stacks: list[dict[str, Any]] = [{"shape": name} for name, arrays in SHAPES.items() if arrays == model.arrays]
    for family, cycle in space.families.items():
        if set(first.kernel_sizes) == {1} or dilations(cycle, first.depth) == first.dilations:
            body = {
                "shape": FREE,
                "arrays": len(model.arrays),
                "depth": first.depth,
                "dilations": family,
                "channels": first.channels,
                "kernel_size": first.kernel_sizes[0],
                "bottleneck": "half" if first.width < first.channels else "full",
                "activation": first.activations[0].type,
                "gating": first.gating[0],
                **({"head1x1": first.head1x1} if any(space.head1x1) else {}),
                "head_kernel": first.head_kernel_size,
            }
            stacks += [{**body, "narrowing": n} for n in (1, 2)] if len(model.arrays) > 1 else [body]
    return stacks


def _knobs(model: WaveNetConfig) -> dict[str, Any]:
    """How a model takes its knobs, wherever they enter."""
    inject, knobs = model.inject, {"encoding": model.inject.encoding}
    if inject.mixin or inject.film:
        knobs |= {"encoder": inject.encoder, "warp": inject.warp}
    return knobs | ({"film_shift": inject.film[0].shift} if inject.film else {})


def _places(model: WaveNetConfig) -> dict[str, Any]:
    """Which of the places that `any` chooses from are taken."""
    slots = {film.slot for film in model.inject.film}
    return {"at_input": model.inject.input, "at_mixin": model.inject.mixin} | {f"at_{slot}": True for slot in slots}
