"""Candidates: points with all that is known of them before training, and which of them may be trained."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from models.network.architecture import WaveNetConfig
from models.training.config import LearningConfig
from search.config.space import Point, Space
from search.config.study import identity_of
from search.optimizer.surrogate import Encoded, Features


@dataclass(frozen=True)
class Candidate:
    """A point, the model and the learning it stands for, and its features (see `search.optimizer.surrogate`).

    `log_macs` is log10 of the multiply-accumulates per sample.
    """

    point: Point
    model: WaveNetConfig
    learning: LearningConfig
    features: Features
    log_macs: float

    @cached_property
    def identity(self) -> str:
        """Eight letters, equal for two candidates that train the same model in the same way."""
        return identity_of(self.model, self.learning)

    @property
    def encoded(self) -> Encoded:
        """The candidate as the surrogate takes it."""
        return self.features, self.log_macs


class CandidatePool:
    """Makes candidates from points of a space, and decides which of them may be trained and are new.

    Args:
        space: where samplers draw points.
        to_candidate: makes a candidate; raises pydantic's `ValidationError` for a point that stands for no model.
        violation: why a candidate may not be trained, or None.
        first: candidates that are tried before any sampler is asked, in this order.
    """

    def __init__(
        self,
        space: Space,
        to_candidate: Callable[[Point], Candidate],
        violation: Callable[[Candidate], str | None],
        first: Sequence[Candidate] = (),
    ) -> None:
        self.space, self.first = space, tuple(first)
        self.trained: dict[str, Candidate] = {}  # trial -> its candidate, in the order in which they started
        self.refused: Counter[str] = Counter()  # reason -> how often a candidate was refused
        self._to_candidate, self._violation = to_candidate, violation
        self._queue = deque(self.first)
        self._identities: set[str] = set()

    def next_first(self) -> Candidate | None:
        """Return the next of the `first` candidates that may be trained and is new; None where none is left."""
        while self._queue:
            candidate = self._queue.popleft()
            if self.is_new(candidate):
                return candidate
        return None

    def candidates(self, points: Iterable[Point]) -> list[Candidate]:
        """Return the candidates of points that stand for a model; where none does, the faults count as refused."""
        found, faults = list[Candidate](), list[str]()
        for point in points:
            try:
                found.append(self._to_candidate(point))
            except ValidationError as problem:
                faults.append(problem.errors()[0]["msg"].removeprefix("Value error, "))
        if not found:
            self.refused.update(faults)
        return found

    def is_allowed(self, candidate: Candidate) -> bool:
        """Return whether the bounds allow a candidate to be trained."""
        return self._violation(candidate) is None

    def is_new(self, candidate: Candidate) -> bool:
        """Return whether a candidate may be trained and was not trained yet; otherwise count the reason as refused."""
        reason = self._violation(candidate)
        if reason is None and candidate.identity in self._identities:
            reason = "it was trained already"
        if reason:
            self.refused[reason] += 1
        return reason is None

    def start(self, trial: str, point: Point) -> Candidate:
        """Return the candidate of a trial that starts; from now on it is not new."""
        candidate = self.trained[trial] = self._to_candidate(point)
        self._identities.add(trial)
        return candidate
