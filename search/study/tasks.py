"""Tasks: what a backend trains, and the queue of trials that have started and wait to continue training."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from models.training.stacked import form_of
from search.config.space import Point
from search.study.constraints import ModelCandidate
from search.study.state import StudyState


@dataclass(frozen=True)
class Task:
    """A trial to train: its point, its last step, and the checkpoint of an earlier start to continue from, if any."""

    trial: str
    point: Point
    steps: int
    seed: int
    checkpoint: str | None = None


def task_of(state: StudyState, trial: str) -> Task:
    """Return the task of a trial that has started."""
    record = state.record(trial)
    return Task(trial, record.point, record.steps, record.seed, record.checkpoint)


class RestartQueue:
    """Trials that have started and wait to continue training, first in first out."""

    def __init__(self, state: StudyState, candidate_of: Callable[[str], ModelCandidate], trials: Iterable[str]) -> None:
        self._state, self._candidate_of, self._waiting = state, candidate_of, deque(trials)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, trial: str) -> None:
        """Let a trial wait."""
        self._waiting.append(trial)

    def take(self) -> Task:
        """Take the trial that has waited longest."""
        return task_of(self._state, self._waiting.popleft())

    def take_alike(self, task: Task, most: int) -> list[Task]:
        """Take at most so many trials that can be trained together with `task` and are at the same step."""
        form, step = self._form(task), self._state.record(task.trial).step
        alike: list[Task] = []
        for other in [task_of(self._state, trial) for trial in self._waiting]:
            if len(alike) < most and self._form(other) == form and self._state.record(other.trial).step == step:
                self._waiting.remove(other.trial)
                alike.append(other)
        return alike

    def _form(self, task: Task) -> Hashable:
        """Return what trials that are trained together must have in common."""
        candidate = self._candidate_of(task.trial)
        return form_of(candidate.model, candidate.learning.model_copy(update={"steps": task.steps}))
