"""The error of a hub that does not answer."""


class Unreachable(ConnectionError):
    """No hub answers, or it keeps failing."""
