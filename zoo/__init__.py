"""Packages of trained amps, the shelves and hubs they are shared on, and the command `zoo`.

In Python: `zoo.load("owner/amp")(x_T, gain=7)`. `dir(zoo)` lists all that is for users; docs/reference/python.md
describes it.

* `amp`: an amp as a function of audio (`Amp`, `load`, `pull`), and the amps of a zoo (`list`)
* `studies`: a search from Python (`search`); `registry.score_model` is `score`
* `package`: a package: made, verified, signed, played again
* `registry`: shelves and hubs: list, pull, push
* `cli`: the command `zoo`
* `names`: how amps and zoos are written
* `version`: the version of `ampzoo`
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.amp import Amp, load, pull
    from zoo.amp import summarize_amps as list
    from zoo.registry.score_model import score_model as score
    from zoo.studies import search_models as search

__all__ = ["Amp", "__version__", "list", "load", "pull", "score", "search"]

FACE = {  # what users call -> where it is; imported at its first use
    "Amp": ("zoo.amp", "Amp"),
    "list": ("zoo.amp", "summarize_amps"),
    "load": ("zoo.amp", "load"),
    "pull": ("zoo.amp", "pull"),
    "score": ("zoo.registry.score_model", "score_model"),
    "search": ("zoo.studies", "search_models"),
}


def __getattr__(name: str) -> Any:
    """Import a name of `FACE` at its first use: `import zoo` itself is light."""
    if name in FACE:
        module, attribute = FACE[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> "tuple[str, ...]":
    """Return what is for users, and nothing else."""
    return tuple(__all__)
