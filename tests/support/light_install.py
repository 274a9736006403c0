"""The command `zoo` in a process where only the light install's packages can be imported; a script.

`python -m tests.support.light_install list --zoo shelf` is `zoo list --zoo shelf` without the packages of the extras.
"""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

HEAVY = {
    *("torch", "ray", "optuna", "matplotlib", "scipy", "numba", "llvmlite", "pandas", "sklearn"),
    *("ziglang", "cryptography", "triton", "nam"),
    *("sounddevice", "pyfiglet", "mido", "rtmidi"),
}


class Hiding(MetaPathFinder):
    """A finder that does not find the heavy packages."""

    def __init__(self, finder: Any) -> None:
        self.finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the finder finds, None for a heavy package."""
        return None if name.partition(".")[0] in HEAVY else self.finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


if __name__ == "__main__":
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
    sys.argv[0] = "zoo"
    from zoo.cli.main import main

    main()
