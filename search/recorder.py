"""The ear on Ray Tune: writes the ledger, keeps the run folders of finished trials, tells listeners."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from search.ledger import append

Listener = Callable[[dict[str, Any]], None]
LISTENERS: list[Listener] = []  # not part of the callback: Tune pickles callbacks into its snapshot


class Recorder(tune.Callback):
    """Writes a line when a trial ends, keeps its run folders in the study, and tells the listeners of every report."""

    def __init__(self, study: Path) -> None:
        self.study = study

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A report: listeners hear of it, nothing is written."""
        self._tell("report", trial, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An end: finished, or diverged when its last error is not a number."""
        finite = math.isfinite(trial.last_result.get("esr", math.nan))
        if finite and trial.checkpoint:
            folder = self.study / "trials" / trial.trial_id
            trial.checkpoint.to_directory(str(folder))
        append(self.study, self._tell("finished" if finite else "diverged", trial, trial.last_result))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A crash: recorded with its last line."""
        error = trial.get_error()
        reason = str(error).strip().splitlines()[-1] if error else "the trial's process died"
        append(self.study, self._tell("failed", trial, {**(trial.last_result or {}), "reason": reason}))

    def _tell(self, state: str, trial: Trial, result: dict[str, Any]) -> dict[str, Any]:
        known = ("step", "steps", "esr", "cost", "parameters", "amps", "reason")
        facts = {key: result[key] for key in known if result.get(key) is not None}
        if not math.isfinite(facts.get("esr", math.inf)):
            facts.pop("esr", None)
        line = {"trial": trial.trial_id, "state": state, "point": trial.config, **facts}
        for listener in LISTENERS:
            listener(line)
        return line
