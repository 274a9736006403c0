"""An amp that is not on the user's own shelf yet: a terminal is asked whether to pull it."""

import sys
from difflib import get_close_matches

from models.core.errors import shell_words
from models.core.user_folders import expand_home


def offer_to_pull(amp: str, where: str | None, tier: str = "") -> None:
    """Pull an amp that is missing on the user's own shelf, if a person at the terminal says so.

    Nothing happens for files, folders and studies, for other zoos, for a name that is much like one on the shelf, and
    without a terminal: there the command's own error says how to pull it.
    """
    from zoo.cli import output
    from zoo.cli.transfer import pull_planned
    from zoo.names import parse_ref
    from zoo.registry.folders import shelf_folder
    from zoo.registry.index import zoo_that_lists
    from zoo.registry.pull_plan import PullRequest, plan_pull
    from zoo.registry.shelf import Shelf
    from zoo.studies import named_study

    is_here = expand_home(amp).exists() or named_study(amp)
    if where is not None or is_here or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    ref, names = parse_ref(amp), Shelf(shelf_folder()).names()
    if ref.name in names or get_close_matches(ref.name, names, 1, 0.5):
        return
    label = zoo_that_lists(ref.name)
    place = "the hub" if label == "hub" else label
    output.confirm(
        f"{amp} is not on your shelf; it would be pulled from {place}",
        shell_words("zoo", "pull", amp, "--zoo", label),
    )
    pull_planned(plan_pull(PullRequest(amp, label, tier)), lock=False)
