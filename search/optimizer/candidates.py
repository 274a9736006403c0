"""The candidates of a search: which points stand for one, and which of them may be trained and are new."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from pydantic import ValidationError

from search.config.space import Point
from search.optimizer.protocols import AnyCandidate, SearchSpace


class CandidatePool(Generic[AnyCandidate]):
    """Makes candidates from points of a space, and decides which of them may be trained and are new.

    Args:
        space: where samplers draw points.
        to_candidate: makes a candidate; raises pydantic's `ValidationError` for a point that stands for no model.
        violation: why a candidate may not be trained, or None.
        first: candidates that are tried before any sampler is asked, in this order.
    """

    def __init__(
        self,
        space: SearchSpace,
        to_candidate: Callable[[Point], AnyCandidate],
        violation: Callable[[AnyCandidate], str | None],
        first: Sequence[AnyCandidate] = (),
    ) -> None:
        self.space, self.first = space, tuple(first)
        self.trained: dict[str, AnyCandidate] = {}  # trial -> its candidate, in the order in which they started
        self.refused: Counter[str] = Counter()  # reason -> how often a candidate was refused
        self._to_candidate, self._violation = to_candidate, violation
        self._queue = deque(self.first)
        self._identities: set[str] = set()

    def next_first(self) -> AnyCandidate | None:
        """Return the next of the `first` candidates that may be trained and is new; None where none is left."""
        while self._queue:
            candidate = self._queue.popleft()
            if self.is_new(candidate):
                return candidate
        return None

    def candidates(self, points: Iterable[Point]) -> list[AnyCandidate]:
        """Return the candidates of points that stand for a model; where none does, the faults count as refused."""
        found, faults = list[AnyCandidate](), list[str]()
        for point in points:
            try:
                found.append(self._to_candidate(point))
            except ValidationError as problem:
                faults.append(problem.errors()[0]["msg"].removeprefix("Value error, "))
        if not found:
            self.refused.update(faults)
        return found

    def is_allowed(self, candidate: AnyCandidate) -> bool:
        """Return whether the bounds allow a candidate to be trained."""
        return self._violation(candidate) is None

    def is_new(self, candidate: AnyCandidate) -> bool:
        """Return whether a candidate may be trained and was not trained yet; otherwise count the reason as refused."""
        reason = self._violation(candidate)
        if reason is None and candidate.identity in self._identities:
            reason = "it was trained already"
        if reason:
            self.refused[reason] += 1
        return reason is None

    def start(self, trial: str, point: Point) -> AnyCandidate:
        """Return the candidate of a trial that starts; from now on it is not new."""
        candidate = self.trained[trial] = self._to_candidate(point)
        self._identities.add(trial)
        return candidate
