"""Optuna's multi-objective TPE on one front, kept in memory."""

from collections.abc import Mapping

import optuna
from optuna.trial import TrialState

from search.config.space import Point, Space
from search.optimizer.protocols import Values


class TPEFront:
    """An Optuna study of one front with the multi-objective TPE sampler (Ozaki et al. 2022).

    Args:
        space: holds every point that a trial may have; Optuna must know all choices of an axis beforehand.
    """

    def __init__(self, space: Space) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna.create_study(directions=["minimize", "minimize"])
        self.numbers: dict[str, int] = {}  # trial -> its number in the Optuna study
        self._space = space

    def start(self, trial: str, point: Point) -> None:
        """Enter a trial as running, so that the sampler stays away from its point."""
        self.numbers[trial] = len(self.optuna.get_trials(deepcopy=False))
        self.optuna.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params=point,
                distributions=self._space.distributions(point),
                user_attrs={"trial": trial},
            )
        )

    def end(self, trial: str, values: Values | None, limits: Mapping[str, float]) -> None:
        """Enter the result of a trial: its two objectives, or None; a limit above 0 makes it infeasible."""
        number = self.numbers[trial]
        if values is None:
            self.optuna.tell(number, state=TrialState.FAIL)
            return
        running = optuna.trial.Trial(self.optuna, number)
        for name, value in limits.items():
            running.set_constraint(name, value)
        self.optuna.tell(number, list(values))

    def suggest(self, seed: int) -> Point:
        """Return the point that TPE would try next."""
        self.optuna.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        trial = self.optuna.ask()
        point = self._space.suggest(trial)
        self.optuna.tell(trial, state=TrialState.FAIL)  # only trials that start count
        return point
