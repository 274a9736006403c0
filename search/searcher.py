"""Optuna behind Ray Tune, told the truth about trials without a result."""

import math
from typing import Any

from ray.tune.search.optuna import OptunaSearch


class FiniteOptunaSearch(OptunaSearch):
    """`OptunaSearch` leaves a trial that ends with NaN running for ever in its study; here it is told as failed."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna the objectives, or that there are none."""
        finite = result is not None and all(math.isfinite(result.get(metric, math.nan)) for metric in self._metric)
        super().on_trial_complete(trial_id, result if finite else None, error or not finite)
