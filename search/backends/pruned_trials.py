"""The trials of groups that were pruned: a Ray actor that the driver updates and the workers query. No torch."""

from collections.abc import Collection


class PrunedTrials:
    """The trials that need not be trained any further."""

    def __init__(self) -> None:
        self._trials: set[str] = set()

    def add(self, trial: str) -> None:
        """Add a pruned trial."""
        self._trials.add(trial)

    def among(self, trials: Collection[str]) -> set[str]:
        """Return which of `trials` were pruned."""
        return self._trials & set(trials)
