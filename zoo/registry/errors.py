"""The errors of a hub that does not answer, or not now."""


class Unreachable(ConnectionError):
    """No hub answers, or it keeps failing; `hint` says what to do where that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class RateLimited(Unreachable):
    """The hub answers, and asks us to wait."""
