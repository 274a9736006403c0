"""A ledger as an Optuna study: in memory, or as a journal file that optuna-dashboard opens while the search runs."""

import logging
import math
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from search.config.space import Point, Space
from search.config.study import ALL, SearchConfig
from search.study.cost import UNIT
from search.study.files import JOURNAL
from search.study.lines import FINISHED, PRUNED, LedgerLine, TrialRecord, curves, latest, trained_seconds
from search.study.objectives import errors_of, front_names

STATES = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}


def objective_names(config: SearchConfig) -> list[str]:
    """Return the names of a search's objectives: the validation error on each front, and the cost."""
    errors = ("validation ESR" if front == ALL else f"validation ESR of {front}" for front in front_names(config))
    return [*errors, f"cost: {UNIT}"]


def to_optuna(config: SearchConfig, lines: Sequence[LedgerLine]) -> optuna.Study:
    """Return the trials of the search proper, without finals, as a study in memory."""
    study = _create_study(config, None)
    reported, records = curves(lines), [record for record in latest(lines) if not record.is_final]
    whole = config.space.holding([record.point for record in records])
    for record in records:
        study.add_trial(_frozen_trial(config, whole, record, reported.get(record.trial, {}), 0.0))
    return study


class StudyJournal:
    """The file `optuna.journal` of a study, for `optuna-dashboard FILE`; it grows with the ledger.

    A trial is entered when it starts, with its reports as intermediate values; finals are trials, too. Trials of the
    ledger that the file lacks are entered at once: their duration is that of their training, their end is now.

    Args:
        config: the search.
        study: the study folder.
        lines: its ledger so far.
        first: points that a search tries and that its space need not hold.
    """

    def __init__(
        self, config: SearchConfig, study: Path, lines: Sequence[LedgerLine] = (), first: Sequence[Point] = ()
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        records = latest(lines)
        self._config = config
        self._whole = config.space.holding([*first, *(record.point for record in records)])
        self._storage, self._optuna = _open_journal(config, study / JOURNAL)
        self._ids = {
            trial.user_attrs["trial"]: trial._trial_id  # storages know trials by it alone
            for trial in self._optuna.get_trials(deepcopy=False)
            if "trial" in trial.user_attrs
        }
        reported, self._seconds = curves(lines), trained_seconds(lines)
        for record in records:
            self._enter(record, reported.get(record.trial, {}))

    def update(self, record: TrialRecord) -> None:
        """Enter what the latest line of the ledger states about a trial."""
        self._enter(record, {record.step: record.esr} if math.isfinite(record.esr) else {})

    def _enter(self, record: TrialRecord, reported: dict[int, float]) -> None:
        """Enter a trial with its reports, and its end where it has ended."""
        if record.trial not in self._ids:
            seconds = self._seconds.get(record.trial, 0.0)
            frozen = _frozen_trial(self._config, self._whole, record, reported, seconds)
            study_id = self._optuna._study_id  # storages know studies by it alone
            self._ids[record.trial] = self._storage.create_new_trial(study_id, frozen)
            return
        trial_id = self._ids[record.trial]
        known = self._storage.get_trial(trial_id)
        if known.state.is_finished():
            return
        for step, esr in reported.items():
            if step not in known.intermediate_values:
                self._storage.set_trial_intermediate_value(trial_id, step, esr)
        if record.has_ended:
            handle = optuna.trial.Trial(self._optuna, trial_id)
            for name, value in _named_limits(record).items():
                handle.set_constraint(name, value)
            for name, value in _trial_facts(record).items():
                handle.set_user_attr(name, value)
            state, values = _trial_outcome(self._config, record)
            self._storage.set_trial_state_values(trial_id, state=state, values=values)


def _open_journal(config: SearchConfig, path: Path) -> tuple[JournalStorage, optuna.Study]:
    """Return a journal and its study.

    One that is damaged, a link to another file, or of another form, from an earlier version, is written anew: the
    ledger has all of it.
    """
    if path.is_file() and not path.is_symlink():
        try:
            storage = JournalStorage(JournalFileBackend(str(path)))
            if config.name in optuna.get_all_study_names(storage):
                study = optuna.load_study(study_name=config.name, storage=storage)
                if _metric_names(study) == objective_names(config) and study.get_trials(deepcopy=False) is not None:
                    return storage, study
        except OSError:
            raise
        except Exception:  # noqa: BLE001 (what Optuna meets in a damaged file; it checks none of it)
            logging.getLogger(__name__).info("%s is damaged and is written anew", path)
    path.unlink(missing_ok=True)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return storage, _create_study(config, storage)


def _create_study(config: SearchConfig, storage: JournalStorage | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = objective_names(config)
    study = optuna.create_study(study_name=config.name, storage=storage, directions=["minimize"] * len(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(names)
    return study


def _metric_names(study: optuna.Study) -> list[str] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return study.metric_names


def _frozen_trial(
    config: SearchConfig, whole: Space, record: TrialRecord, reported: dict[int, float], seconds: float
) -> FrozenTrial:
    """Return a trial that trained for so long as Optuna stores it, without the axes that have one choice."""
    state, values = _trial_outcome(config, record)
    distributions = {axis: one for axis, one in whole.distributions(record.point).items() if not one.single()}
    frozen = optuna.trial.create_trial(
        state=state,
        values=values,
        params={axis: record.point[axis] for axis in distributions},
        distributions=distributions,
        user_attrs=_trial_facts(record),
        intermediate_values=dict(reported),
        constraints=_named_limits(record),
    )
    if state.is_finished():
        frozen.datetime_complete = datetime.now()
        frozen.datetime_start = frozen.datetime_complete - timedelta(seconds=seconds)
    return frozen


def _trial_outcome(config: SearchConfig, record: TrialRecord) -> tuple[TrialState, list[float] | None]:
    """Return how a trial ended, and its objectives where it has finished."""
    if not record.has_ended:
        return TrialState.RUNNING, None
    state = STATES.get(record.state, TrialState.FAIL)
    return state, [*errors_of(config, record).values(), record.cost] if state == TrialState.COMPLETE else None


def _trial_facts(record: TrialRecord) -> dict[str, Any]:
    """Return what a person wants to know of a trial beside its point and its objectives."""
    facts: dict[str, Any] = {"trial": record.trial, "layers": record.label, "knobs at": record.form}
    facts |= {"parameters": record.parameters, "steps": record.steps, "folder": f"trials/{record.trial}"}
    facts |= {f"validation ESR of {amp}": esr for amp, esr in record.amps.items()} if len(record.amps) > 1 else {}
    facts |= {"reason": record.reason} if record.reason else {}
    return facts | ({"final of": record.of, "seed": record.seed} if record.of else {})


def _named_limits(record: TrialRecord) -> dict[str, float]:
    """Return every limit on every amp by its own name: `runaway on muff`."""
    return {f"{name} on {amp}": value for amp, found in record.limits.items() for name, value in found.items()}
