"""A ledger as an Optuna study: in memory, or as a journal file that optuna-dashboard opens."""

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from search.config.study import SearchConfig
from search.study.files import JOURNAL
from search.study.lines import FINISHED, PRUNED, REPORT, LedgerLine, TrialRecord, curves, latest

STATES = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, REPORT: TrialState.RUNNING}


def to_optuna(
    config: SearchConfig, lines: Sequence[LedgerLine], storage: optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    """Return the searched trials as a study of two objectives, ESR and cost; reports are user attributes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=config.name, storage=storage, directions=["minimize", "minimize"])
    reported = curves(lines)
    trials = [record for record in latest(lines) if not record.is_final]
    whole = config.space.holding([record.point for record in trials])
    for record in trials:
        state = STATES.get(record.state, TrialState.FAIL)
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=[record.esr, record.cost] if state == TrialState.COMPLETE else None,
                params=record.point,
                distributions=whole.distributions(record.point),
                user_attrs={
                    "trial": record.trial,
                    "step": record.step,
                    "form": record.form,
                    "curve": {str(step): esr for step, esr in reported.get(record.trial, {}).items()},
                },
                constraints=_constraints(record),
            )
        )
    return study


def _constraints(record: TrialRecord) -> dict[str, float]:
    """Return every limit on every amp by its own name: `runaway on muff`."""
    return {f"{name} on {amp}": value for amp, found in record.limits.items() for name, value in found.items()}


def write_journal(config: SearchConfig, lines: Sequence[LedgerLine], study: Path) -> Path:
    """Write `optuna.journal` into a study folder, for `optuna-dashboard FILE`."""
    path = study / JOURNAL
    path.unlink(missing_ok=True)
    to_optuna(config, lines, JournalStorage(JournalFileBackend(str(path))))
    return path
