"""Packages, shelves, hubs and the command `zoo`. In Python: `zoo.pull("owner/amp")(x_T, gain=7)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.model import Amp, pull

__version__ = "0.1.0"
__all__ = ["Amp", "__version__", "pull"]


def __getattr__(name: str) -> Any:
    """`zoo.pull` and `zoo.Amp` load torch only when they are asked for."""
    if name in ("Amp", "pull"):
        from zoo import model

        return getattr(model, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
