"""Warm start: first points and priors for a new search from studies, packages and run folders."""

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
from search.config.locate import describe, locate, translate
from search.config.space import Point, Space
from search.config.study import PriorTrial, SearchConfig
from search.optimizer.calibration import expected_gain, log_error
from search.storage.recordings import load_amp
from search.study.board import read_study
from search.study.files import STUDY
from search.study.ledger import ledger_path, read_lines
from search.study.lines import FINISHED, PRUNED, LedgerLine, curves, latest
from search.study.summary import summarize

MAX_FIRST_POINTS = 8  # first points: in a simulation more brought nothing, and each costs a trial

SHARE = 4  # at most one trial in so many goes to first points

MAX_PRIORS, MAX_PRIOR_TRIALS = 4, 200  # priors, and trials of each: the time of a suggestion grows with both

Profile = tuple[float, ...]


@dataclass(frozen=True)
class AmpProfile:
    """What makes amps similar: the number of knobs, and how much the settings differ in sound (see `profile`)."""

    knobs: int | None
    profile: Profile | None


@dataclass(frozen=True)
class PriorSource:
    """What is known from one study, package or run folder.

    `points` are points of the new search's space, the best first. `trials` are the results of a study. `packaged` are
    models without a study; their errors are divided by the error of the nearest recorded setting, so that those of
    several amps can be compared.
    """

    name: str
    amp: AmpProfile
    points: list[Point]
    trials: tuple[PriorTrial, ...] = ()
    packaged: tuple[PriorTrial, ...] = ()


def amp_of(config: SearchConfig) -> AmpProfile:
    """Return the profile of a search's amps as one; raises `UserError` where their recordings cannot be read."""
    amps = [load_amp(data) for data in config.datasets]
    baselines = (data.baseline(piece) for data in amps for piece in data.validation)
    nearest = profile(error / signal for signal, error in baselines if signal > 0)
    return AmpProfile(max(len(data.knobs.knobs) for data in amps), nearest)


def with_warm_start(
    config: SearchConfig, sources: Sequence[PriorSource], amp: AmpProfile | None = None
) -> SearchConfig:
    """Return the search with the best points of `sources` as its first points, and their results as priors.

    Each study is one prior; all packages together are one. With `amp`, sources for amps with as many knobs come first,
    and among these the ones whose settings differ as much in sound; without it the sources keep their order. Raises
    `UserError` where they give neither a point nor a prior.
    """
    if not sources:
        return config
    if amp:
        sources = sorted(sources, key=lambda source: _profile_distance(source.amp, amp))
    points = {config.identity(point): point for source in sources for point in source.points}
    priors = _priors(sources)
    if not points and not priors:
        raise UserError(
            f"the space holds no point of {', '.join(source.name for source in sources)}",
            "Widen the axes of the space, or leave out --from.",
        )
    first = tuple(points.values())[: _max_points(config)]
    return config.model_copy(update={"warm": first, "prior": tuple(priors)[:MAX_PRIORS]})


def _priors(sources: Sequence[PriorSource]) -> list[tuple[PriorTrial, ...]]:
    """Return the priors of sources, all packages as one at the place of the first."""
    packaged = tuple(trial for source in sources for trial in source.packaged)[:MAX_PRIOR_TRIALS]
    priors: list[tuple[PriorTrial, ...]] = []
    for source in sources:
        if source.trials:
            priors.append(source.trials)
        elif source.packaged and packaged not in priors:
            priors.append(packaged)
    return priors


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


def read_source(config: SearchConfig, place: Path) -> PriorSource:
    """Read a study, a package (with its tiers) or a run folder; raises `NotFound` where a folder is none of these."""
    if (place / STUDY).exists() and ledger_path(place).exists():
        return _read_study(config, place)
    if (place / CONFIG).exists():
        return _read_models(config.space, place)
    raise NotFound(
        f"{place} is no study, package or run folder", "Name the folder that zoo search or zoo package wrote."
    )


def _read_models(space: Space, place: Path) -> PriorSource:
    """Read a package or run folder: the model at its root and those of its tiers, the best first."""
    found: list[tuple[float, Point | None, PriorTrial | None]] = []
    for folder in (place, *sorted(tier.parent for tier in place.glob(f"tiers/*/{CONFIG}"))):
        config = read_document(folder / CONFIG, ModelConfig)
        point = locate(space, config.architecture, _learning(folder))
        error, nearest = _errors(folder)
        share = error / nearest
        trial = _packaged_trial(space, config, point, share) if 0 < share < math.inf else None
        found.append((error, point, trial))
    found.sort(key=lambda one: one[0])
    knobs = len(read_document(place / CONFIG, ModelConfig).knobs.knobs)
    points, packaged = [point for _, point, _ in found if point], tuple(trial for *_, trial in found if trial)
    return PriorSource(str(place), AmpProfile(knobs, _profile_of([place])), points, packaged=packaged)


def _packaged_trial(space: Space, config: ModelConfig, point: Point | None, share: float) -> PriorTrial:
    model = config.architecture
    return PriorTrial(
        point=point or describe(space, model),
        macs=model.macs_per_sample(config.columns),
        receptive_field=model.receptive_field,
        esr=float(f"{share:.5g}"),
    )


def _errors(folder: Path) -> tuple[float, float]:
    """Return the validation ESR of a model and of the nearest setting; infinite and 1 for an unscored model."""
    if not (folder / EVAL).exists():
        return math.inf, 1.0
    scores = read_evaluation(folder).validation
    return scores.mean, scores.baseline_mean or math.inf


def _learning(folder: Path) -> dict[str, Any]:
    """Return the learning settings of a model, as far as its folder states them."""
    path = next((folder / name for name in (RECIPE, TRAINING) if (folder / name).exists()), None)
    document = upgrade_stored(read_json(path, follow=False)) if path else None
    stated = document.get("learning") if isinstance(document, dict) else None
    if not isinstance(stated, dict):
        return {}
    known = {key: value for key, value in stated.items() if key in LearningConfig.model_fields}
    return check_document(known, LearningConfig, f"{path}: learning").model_dump()


def _read_study(config: SearchConfig, place: Path) -> PriorSource:
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
    return PriorSource(str(place), amp, [point for point in points if point], prior_trials(lines))


def prior_trials(lines: Sequence[LedgerLine]) -> tuple[PriorTrial, ...]:
    """Return the results of a study's latest trials; a pruned one counts with the error it would have ended with."""
    trials = [trial for trial in latest(lines) if not trial.is_final and trial.state in (FINISHED, PRUNED)]
    reported = {trial: {step: log_error(esr) for step, esr in curve.items()} for trial, curve in curves(lines).items()}
    full = [reported[trial.trial] for trial in trials if trial.state == FINISHED]
    found = []
    for trial in trials[-MAX_PRIOR_TRIALS:]:
        gain = expected_gain(full, trial.step) if trial.state == PRUNED else 0.0
        esr = float(f"{10 ** (log_error(trial.esr) - gain):.5g}")
        found.append(PriorTrial(point=trial.point, macs=trial.macs, receptive_field=trial.receptive_field, esr=esr))
    return tuple(found)


def _profile_of(runs: Sequence[Path]) -> Profile | None:
    """Return the profile of the amps that runs were trained on, where they were scored."""
    scored = [read_evaluation(run).validation.settings for run in runs if (run / EVAL).exists()]
    return profile(one.baseline_esr for settings in scored for one in settings if one.baseline_esr is not None)
