"""What was found before, for a new search: first points (the front of another study, a packaged model) and priors (the trials of studies)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.architecture import WaveNetConfig
from models.documents import CONFIG, EVAL, RECIPE, ModelConfig, read_evaluation
from models.errors import NotFound, UserError
from models.files import read_document, read_json
from search.board import STUDY, read_study, summarise
from search.config import Heard, SearchConfig
from search.ledger import FINISHED, PRUNED, Line, curves, latest, ledger_path, read_lines
from search.recordings import load_amp
from search.rungs import expected_gain, log_error
from search.shapes import SHAPES, dilations
from search.space import ANY, FREE, Space

MOST = 8  # points: more brought nothing in a simulation, and each costs a trial
STUDIES, TRIALS = 4, 200  # that are heard as priors: a proposal takes time by both
Profile = tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """What was found for another amp: how many knobs it has, how its settings lie, points of the space, and what trials came to."""

    knobs: int
    profile: Profile | None
    points: list[dict[str, Any]]
    heard: tuple[Heard, ...] = ()


def warmed(config: SearchConfig, sources: Sequence[Path]) -> SearchConfig:
    """The same search beginning with the best points of other studies, packages and run folders, and with the trials of the studies as priors.

    Those of amps with as many knobs come first, and among these the ones whose recorded settings lie as far apart in sound. Raises `NotFound`
    for a source that is none of these, `UserError` where the space holds none of their points.
    """
    if not sources:
        return config
    amps = [load_amp(data) for data in config.datasets]
    knobs = max(len(data.knobs.knobs) for data in amps)
    heard = (data.baseline(piece) for data in amps for piece in data.validation)
    mine = profile(error / signal for signal, error in heard if signal > 0)
    found = [_read(config.space, source) for source in sources]
    found.sort(key=lambda one: (abs(one.knobs - knobs), _apart(one.profile, mine)))
    points = {config.identity(point): point for one in found for point in one.points}
    if not points:
        raise UserError(
            f"the space holds no point of {', '.join(map(str, sources))}",
            "Widen the axes of the space, or leave out --from.",
        )
    prior = tuple(one.heard for one in found if one.heard)[:STUDIES]
    return config.model_copy(update={"warm": tuple(points.values())[:MOST], "prior": prior})


def profile(nearest: Iterable[float]) -> Profile | None:
    """How far apart an amp's settings sound: the quartiles of log10 of the ESR of playing the nearest recorded setting instead."""
    logs = [log_error(esr) for esr in nearest]
    return tuple(np.quantile(logs, (0.25, 0.5, 0.75)).tolist()) if logs else None


def _apart(a: Profile | None, b: Profile | None) -> float:
    """The distance of two profiles; one that is not known is farthest."""
    return math.dist(a, b) if a and b else math.inf


def _read(space: Space, source: Path) -> Source:
    """What a study, a package or a run folder knows, its points spread over its front."""
    if (source / STUDY).exists() and ledger_path(source).exists():
        return _from_study(space, source)
    if (source / CONFIG).exists():
        config = read_document(source / CONFIG, ModelConfig)
        rate = read_json(source / RECIPE)["learning"]["learning_rate"] if (source / RECIPE).exists() else None
        point = locate(space, config.architecture, rate)
        return Source(len(config.knobs.knobs), _profile_of([source]), [point] if point else [])
    raise NotFound(
        f"{source} is no study, package or run folder", "Name the folder that zoo search or zoo package wrote."
    )


def _from_study(space: Space, source: Path) -> Source:
    other, lines = read_study(source), read_lines(source)
    board = summarise(other, lines)
    ahead = sorted((trial for trial in board["trials"] if trial["front"]), key=lambda trial: trial["cost"])
    step = max(1.0, (len(ahead) - 1) / (MOST - 1))
    spread = [ahead[round(place * step)] for place in range(min(MOST, len(ahead)))]
    points = [_translated(space, other.space, trial["point"]) for trial in spread]
    runs = [source / "trials" / trial["trial"] / amp for trial in ahead[:1] for amp in board["amps"]]
    known = [point for point in points if point]
    return Source(ahead[0]["columns"] if ahead else 0, _profile_of(runs), known, heard_of(lines))


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
    learning = {key: point[key] for key in ("learning_rate", *space.learning) if key in point}
    same = space.complete({key: value for key, value in point.items() if key not in other.learning or key in learning})
    if same and space.model(same) == other.model(point):
        return same
    return locate(space, other.model(point), point["learning_rate"])


def locate(space: Space, model: WaveNetConfig, rate: float | None = None) -> dict[str, Any] | None:
    """The point of a space that stands for a model, or None."""
    first, inject = model.arrays[0], model.inject
    stacks: list[dict[str, Any]] = [{"shape": name} for name in space.shapes if SHAPES[name] == model.arrays]
    for family, cycle in space.families.items():
        if dilations(cycle, first.depth) == first.dilations:
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
                "head_kernel": first.head_kernel_size,
            }
            stacks += [{**body, "narrowing": n} for n in (1, 2)] if len(model.arrays) > 1 else [body]
    knobs: dict[str, Any] = {"encoding": inject.encoding}
    if inject.mixin or inject.film:
        knobs |= {"encoder": inject.encoder, "warp": inject.warp}
    if inject.film:
        knobs["film_shift"] = inject.film[0].shift
    learning = {} if rate is None else {"learning_rate": rate}
    for stack in stacks:
        for choice in space.inject:
            for place in ("all", "first", "last") if inject.film and len(model.arrays) > 1 else (None,):
                where = _places(model) if choice == ANY else {}
                films = {"film_arrays": place} if place else {}
                point = space.complete({**stack, "inject": choice, **where, **knobs, **films, **learning})
                if point and space.model(point) == model:
                    return point
    return None


def _places(model: WaveNetConfig) -> dict[str, Any]:
    """Which of the places that `any` chooses from are taken."""
    slots = {film.slot for film in model.inject.film}
    return {"at_input": model.inject.input, "at_mixin": model.inject.mixin} | {f"at_{slot}": True for slot in slots}
