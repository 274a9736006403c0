"""What a search needs of a space, of a sampler and of a pruner, as protocols; the tests have their contracts."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol, TypeVar

from search.config.space import Point

Values = tuple[float, float]  # log10 of the error and of the cost: the two objectives of a front, both minimized


class SearchSpace(Protocol):
    """Where points come from; `search.config.space.Space` is one."""

    def draw(self, random: Random, near: Point | None = None) -> Point:
        """Return a random point; with `near`, one that shares most of that point's values."""
        ...

    def vary_learning(self, random: Random, point: Point) -> Point:
        """Return the point with its learning axes, if there are any, drawn again."""
        ...


class Candidate(Protocol):
    """A point with what a sampler knows of it before training."""

    @property
    def point(self) -> Point:
        """The point."""
        ...

    @property
    def features(self) -> Mapping[str, float]:
        """The point as numbers by name, for a surrogate."""
        ...

    @property
    def log_cost(self) -> float:
        """log10 of the cost, which is known before training."""
        ...

    @property
    def identity(self) -> str:
        """Equal for two candidates that train the same model in the same way."""
        ...


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)


class Sampler(Protocol[AnyCandidate]):
    """Suggests what to train next. The same calls in the same order give the same suggestions."""

    def suggest(self, left: int | None = None) -> AnyCandidate | None:
        """Return a candidate that is new in its pool, or None where the sampler finds none.

        `left` is how many trials the search still has, this one included; None where that is not known.
        """
        ...

    def vary_learning(self, candidate: AnyCandidate, fits: Callable[[AnyCandidate], bool]) -> AnyCandidate | None:
        """Return a new candidate with the same model and other learning settings that `fits` accepts, or None."""
        ...

    def on_start(self, trial: str, candidate: AnyCandidate) -> None:
        """Take note that a trial of a candidate starts."""
        ...

    def on_end(
        self,
        trial: str,
        values: Mapping[str, Values],
        limits: Mapping[str, Mapping[str, float]],
        work: float | None = None,
    ) -> None:
        """Take note of what a trial reached.

        Args:
            trial: a trial that has started.
            values: front -> the two objectives; empty for a trial without a result.
            limits: front -> limit -> by how much it is broken (above 0) or respected.
            work: what the whole training takes, in seconds or any other unit; None where that is not known.
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
