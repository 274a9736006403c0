"""Where each platform keeps the settings and caches of a user."""

import os
import sys
from pathlib import Path

from models.core.errors import UserError


class Homeless(UserError):
    """A user without a home folder."""


def user_folder(own: str, windows: tuple[str, str], mac: str, other: tuple[str, str]) -> Path:
    """Return the folder in the environment variable `own`, else `ampzoo` in this platform's usual place.

    `windows` and `other` (Linux) are each a variable and, where it is not set, a path below the home folder; `mac` is a
    path below the home folder.
    """
    if stated := stated_folder(own):
        return stated
    if sys.platform == "darwin":
        return home_folder() / mac / "ampzoo"
    variable, below_home = windows if sys.platform == "win32" else other
    return (stated_folder(variable) or home_folder() / below_home) / "ampzoo"


def home_folder() -> Path:
    """Return the home folder of this user; raises `Homeless` where there is none, as for a container's odd user."""
    try:
        return Path.home()
    except RuntimeError:
        raise Homeless(
            "this user has no home folder",
            "Set HOME to a folder, or ZOO_HOME, AMPZOO_CONFIG and AMPZOO_CACHE to those of the shelf, of settings and "
            "of the cache.",
        ) from None


def stated_folder(variable: str) -> Path | None:
    """Return the folder that an environment variable names, with `~` as home; None where it is not set or empty.

    A shell expands `~`; Docker's ENV, `.env` files, systemd and quotes do not.
    """
    stated = os.environ.get(variable)
    return expand_home(stated) if stated else None


def expand_home(text: str) -> Path:
    """Return a path a person wrote, with a leading `~` or `~USER` as that home folder where there is one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user
        return Path(text)
