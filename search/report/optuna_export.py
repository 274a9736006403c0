"""A ledger as an Optuna study: in memory for importances, or in a journal file that optuna-dashboard opens."""

from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from search.config.study import SearchConfig
from search.study.files import JOURNAL
from search.study.ledger import FINISHED, PRUNED, REPORT, Line, curves, latest

STATES = {FINISHED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, REPORT: TrialState.RUNNING}


def study_of(
    config: SearchConfig, lines: list[Line], storage: optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    """The searched trials of a ledger as a study of two objectives, ESR and cost; reports are kept as user attributes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=config.name, storage=storage, directions=["minimize", "minimize"])
    reported = curves(lines)
    trials = [line for line in latest(lines) if "of" not in line]
    whole = config.space.holding([line["point"] for line in trials])
    for line in trials:
        state = STATES.get(line["state"], TrialState.FAIL)
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=[line["esr"], line["cost"]] if state == TrialState.COMPLETE else None,
                params=line["point"],
                distributions=whole.distributions(line["point"]),
                user_attrs={
                    "trial": line["trial"],
                    "step": line.get("step", 0),
                    "form": line["form"],
                    "curve": {str(step): esr for step, esr in reported.get(line["trial"], {}).items()},
                },
                constraints=_constraints(line),
            )
        )
    return study


def _constraints(line: Line) -> dict[str, float]:
    """Every limit on every amp by a name of its own."""
    by_amp = line.get("limits", {})
    return {f"{name} on {amp}": value for amp, found in by_amp.items() for name, value in found.items()}


def write_journal(config: SearchConfig, lines: list[Line], study: Path) -> Path:
    """Write `optuna.journal` into a study folder, for `optuna-dashboard FILE`."""
    path = study / JOURNAL
    path.unlink(missing_ok=True)
    study_of(config, lines, JournalStorage(JournalFileBackend(str(path))))
    return path
