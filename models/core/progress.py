"""What long work tells its caller while it runs."""

from typing import Protocol


class PhaseListener(Protocol):
    """Called when a phase of some work begins, and as it goes on."""

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Take note of a phase, such as `aligning my-amp`, and that `done` of its `total` parts are done, if any."""


def ignore_phase(phase: str, done: int = 0, total: int = 0) -> None:
    """Do nothing: the listener of callers that show no progress."""
