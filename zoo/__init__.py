"""Packages of trained amps, the shelves and hubs they are shared on, and the command `zoo`.

In Python: `zoo.pull("owner/amp")(x_T, gain=7)`.

* `amp`: an amp as a function of audio (`Amp`, `pull`)
* `package`: a package: made, verified, signed, played again
* `registry`: shelves and hubs: list, pull, push
* `cli`: the command `zoo`
* `names`: how amps and zoos are written
* `version`: the version of `ampzoo`
"""

from typing import TYPE_CHECKING, Any

from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.amp import Amp, pull

__all__ = ["Amp", "__version__", "pull"]


def __getattr__(name: str) -> Any:
    """Import `zoo.pull` and `zoo.Amp` at their first use: they load torch."""
    if name in ("Amp", "pull"):
        from zoo import amp

        return getattr(amp, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
