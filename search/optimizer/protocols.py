"""What a search needs of a sampler and of a pruner: two protocols, each with one contract suite in the tests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from search.optimizer.candidates import Candidate

Values = tuple[float, float]  # log10 of the error and of the cost: the two objectives of a front, both minimized


class Sampler(Protocol):
    """Suggests what to train next. The same calls in the same order give the same suggestions."""

    def suggest(self) -> Candidate | None:
        """Return a candidate that is new in its pool, or None where the sampler finds none."""
        ...

    def vary_learning(self, candidate: Candidate, fits: Callable[[Candidate], bool]) -> Candidate | None:
        """Return a new candidate with the same model and other learning settings that `fits` accepts, or None."""
        ...

    def on_start(self, trial: str, candidate: Candidate) -> None:
        """Take note that a trial of a candidate starts."""
        ...

    def on_end(self, trial: str, values: Mapping[str, Values], limits: Mapping[str, Mapping[str, float]]) -> None:
        """Take note of what a trial reached.

        Args:
            trial: a trial that has started.
            values: front -> the two objectives; empty for a trial without a result.
            limits: front -> limit -> by how much it is broken (above 0) or respected.
        """
        ...


class Pruner(Protocol):
    """Decides whether a trial continues training. The same calls in the same order give the same answers."""

    def observe(self, trial: str, step: int, values: Sequence[Values]) -> None:
        """Take note of a report: the objectives at a step, one pair for each front."""
        ...

    def should_continue(self, trial: str, step: int, values: Sequence[Values]) -> bool | None:
        """Take note of a report; return whether the trial continues training, None where that cannot be decided yet."""
        ...

    def on_finish(self, trial: str) -> None:
        """Take note that a trial has trained to its last step."""
        ...
