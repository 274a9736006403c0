"""Which trials of packs were pruned: told by a search's driver, asked by its workers. Light, for it lives in a process of its own."""

from collections.abc import Collection


class Pruned:
    """Trials that need not be trained any further."""

    def __init__(self) -> None:
        self.trials: set[str] = set()

    def add(self, trial: str) -> None:
        """One more."""
        self.trials.add(trial)

    def among(self, trials: Collection[str]) -> set[str]:
        """Those of these."""
        return self.trials & set(trials)
