"""Optuna behind Ray Tune, told the truth about trials without a result."""

import math
from dataclasses import dataclass
from typing import Any

import optuna
from ray.tune.search.optuna import OptunaSearch

from search.space import Space


@dataclass(frozen=True)
class Suggest:
    """A space as `OptunaSearch` wants it: a function of the trial, and one that can be pickled into Tune's snapshot."""

    space: Space

    def __call__(self, trial: optuna.Trial | None) -> None:
        """Choose a point."""
        assert trial is not None
        self.space.suggest(trial)


class FiniteOptunaSearch(OptunaSearch):
    """`OptunaSearch` leaves a trial that ends with NaN running for ever in its study; here it is told as failed."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna the objectives, or that there are none."""
        finite = result is not None and all(
            math.isfinite(result.get(metric, math.nan)) for metric in self._metric or ()
        )
        super().on_trial_complete(trial_id, result if finite else None, error or not finite)
