"""Packages, shelves, hubs and the command `zoo`. In Python: `zoo.pull("owner/amp")(x_T, gain=7)`."""

from typing import TYPE_CHECKING, Any

from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.amp import Amp, pull

__all__ = ["Amp", "__version__", "pull"]


def __getattr__(name: str) -> Any:
    """`zoo.pull` and `zoo.Amp` load torch only when they are asked for."""
    if name in ("Amp", "pull"):
        from zoo import amp

        return getattr(amp, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
