"""Errors of a zoo that is not on this machine."""


class Unreachable(ConnectionError):
    """No hub answers, or it keeps failing."""
