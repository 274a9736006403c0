"""Warm start: first points for a new search from studies, packages and run folders."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts.evaluation import read_evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, EVAL, RECIPE, TRAINING
from models.core.errors import NotFound, UserError
from models.core.schema import check_document, read_document, read_json
from models.training.config import LearningConfig, upgrade_stored
from search.config.locate import locate, translate
from search.config.space import Point, Space
from search.config.study import SearchConfig
from search.optimizer.calibration import log_error
from search.storage.recordings import load_amp
from search.study.board import read_study
from search.study.files import STUDY
from search.study.ledger import ledger_path, read_lines
from search.study.summary import summarize

MAX_FIRST_POINTS = 8  # first points: in a simulation more brought nothing, and each costs a trial

SHARE = 4  # at most one trial in so many goes to first points

Profile = tuple[float, ...]


@dataclass(frozen=True)
class AmpProfile:
    """What makes amps similar: the number of knobs, and how much the settings differ in sound (see `profile`)."""

    knobs: int | None
    profile: Profile | None


@dataclass(frozen=True)
class WarmSource:
    """What is known from one study, package or run folder.

    `points` are points of the new search's space, the best first.
    """

    name: str
    amp: AmpProfile
    points: list[Point]


def amp_of(config: SearchConfig) -> AmpProfile:
    """Return the profile of a search's amps as one; raises `UserError` where their recordings cannot be read."""
    amps = [load_amp(data) for data in config.datasets]
    baselines = (data.baseline(piece) for data in amps for piece in data.validation)
    nearest = profile(error / signal for signal, error in baselines if signal > 0)
    return AmpProfile(max(len(data.knobs.knobs) for data in amps), nearest)


def with_warm_start(config: SearchConfig, sources: Sequence[WarmSource], amp: AmpProfile | None = None) -> SearchConfig:
    """Return the search with the best points of `sources` as its first points.

    With `amp`, sources for amps with as many knobs come first, and among these the ones whose settings differ as much
    in sound; without it the sources keep their order. Raises `UserError` where they give no point.
    """
    if not sources:
        return config
    if amp:
        sources = sorted(sources, key=lambda source: _profile_distance(source.amp, amp))
    points = {config.identity(point): point for source in sources for point in source.points}
    if not points:
        raise UserError(
            f"the space holds no point of {', '.join(source.name for source in sources)}",
            "Widen the axes of the space, or leave out --from.",
        )
    return config.model_copy(update={"warm": tuple(points.values())[: _max_points(config)]})


def profile(nearest: Iterable[float]) -> Profile | None:
    """Return how much an amp's settings differ in sound: the quartiles of log10 of the ESR of the nearest setting."""
    logs = [log_error(esr) for esr in nearest]
    return tuple(np.quantile(logs, (0.25, 0.5, 0.75)).tolist()) if logs else None


def _profile_distance(a: AmpProfile, b: AmpProfile) -> tuple[float, float]:
    """Return the distance of two amps, by knobs and then by profile; unknown values are farthest."""
    knobs = math.inf if a.knobs is None or b.knobs is None else abs(a.knobs - b.knobs)
    return knobs, math.dist(a.profile, b.profile) if a.profile and b.profile else math.inf


def _max_points(config: SearchConfig) -> int:
    return max(1, min(MAX_FIRST_POINTS, config.trials // SHARE))


def read_source(config: SearchConfig, place: Path) -> WarmSource:
    """Read a study, a package (with its tiers) or a run folder; raises `NotFound` where a folder is none of these."""
    if (place / STUDY).exists() and ledger_path(place).exists():
        return _read_study(config, place)
    if (place / CONFIG).exists():
        return _read_models(config.space, place)
    raise NotFound(
        f"{place} is no study, package or run folder", "Name the folder that zoo search or zoo package wrote."
    )


def _read_models(space: Space, place: Path) -> WarmSource:
    """Read a package or run folder: the model at its root and those of its tiers, the best first."""
    found: list[tuple[float, Point | None]] = []
    for folder in (place, *sorted(tier.parent for tier in place.glob(f"tiers/*/{CONFIG}"))):
        config = read_document(folder / CONFIG, ModelConfig)
        point = locate(space, config.architecture, _learning(folder))
        found.append((_error(folder), point))
    found.sort(key=lambda one: one[0])
    knobs = len(read_document(place / CONFIG, ModelConfig).knobs.knobs)
    return WarmSource(str(place), AmpProfile(knobs, _profile_of([place])), [point for _, point in found if point])


def _error(folder: Path) -> float:
    """Return the validation ESR of a model; infinite for an unscored one."""
    return read_evaluation(folder).validation.mean if (folder / EVAL).exists() else math.inf


def _learning(folder: Path) -> dict[str, Any]:
    """Return the learning settings of a model, as far as its folder states them."""
    path = next((folder / name for name in (RECIPE, TRAINING) if (folder / name).exists()), None)
    document = upgrade_stored(read_json(path, follow=False)) if path else None
    stated = document.get("learning") if isinstance(document, dict) else None
    if not isinstance(stated, dict):
        return {}
    known = {key: value for key, value in stated.items() if key in LearningConfig.model_fields}
    return check_document(known, LearningConfig, f"{path}: learning").model_dump()


def _read_study(config: SearchConfig, place: Path) -> WarmSource:
    """Read a study: its searched front from the best to the cheapest, whether or not the best was trained again."""
    other = read_study(place)
    lines = read_lines(place, other)
    board = summarize(other, lines, finals=False)
    front_trials = sorted((trial for trial in board.trials if trial.front), key=lambda trial: trial.esr)
    count = min(_max_points(config), len(front_trials))
    step = max(1.0, (len(front_trials) - 1) / max(1, count - 1))
    points = [translate(config.space, other.space, front_trials[round(index * step)].point) for index in range(count)]
    runs = [path.parent for amp in board.amps for path in sorted(place.glob(f"trials/*/{amp}/{EVAL}"))[:1]]
    made = [path for amp in board.amps for path in sorted(place.glob(f"trials/*/{amp}/{CONFIG}"))[:1]]
    knobs = max((len(read_document(path, ModelConfig).knobs.knobs) for path in made), default=None)
    amp = AmpProfile(knobs, _profile_of(runs))
    return WarmSource(str(place), amp, [point for point in points if point])


def _profile_of(runs: Sequence[Path]) -> Profile | None:
    """Return the profile of the amps that runs were trained on, where they were scored."""
    scored = [read_evaluation(run).validation.settings for run in runs if (run / EVAL).exists()]
    return profile(one.baseline_esr for settings in scored for one in settings if one.baseline_esr is not None)
