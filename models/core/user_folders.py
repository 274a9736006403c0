"""Where each platform keeps the settings and caches of a user."""

import os
import sys
from pathlib import Path


def user_folder(own: str, windows: tuple[str, str], mac: str, other: tuple[str, str]) -> Path:
    """Return the folder in the environment variable `own`, else `ampzoo` in this platform's usual place.

    `windows` and `other` (Linux) are each a variable and, where it is not set, a path below the home folder; `mac` is a
    path below the home folder.
    """
    if stated := os.environ.get(own):
        return Path(stated)
    if sys.platform == "darwin":
        return Path.home() / mac / "ampzoo"
    variable, below_home = windows if sys.platform == "win32" else other
    return Path(os.environ.get(variable, Path.home() / below_home)) / "ampzoo"
