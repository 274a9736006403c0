"""The commands `zoo outdated` and `zoo lock`: what is newer on a hub than here, and taking it over."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import complete_amps, json_option

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class NewerAmp:
    """An amp with a newer revision on its hub; `pinned` is true for one of `./zoo.lock`."""

    name: str
    zoo: str
    here: str
    newest: str
    pinned: bool


@click.command(short_help="List amps that are newer on their hub.", epilog="Example: zoo outdated")
@json_option
def outdated(as_json: bool) -> None:
    """Show which amps are newer on their hubs: those of ./zoo.lock and those pulled to your shelf.

    Amps pinned to a named revision, such as a tag, are left out.
    """
    from zoo.cli import output

    found = list(find_newer())
    if as_json:
        output.data_json({"schema": "zoo.outdated/1", "amps": [asdict(one) for one in found]})
        return
    if not found:
        output.info("no amp that was pulled from a hub is newer there")
        return
    rows = [(n.name, n.here[:12], n.newest[:12], "zoo.lock" if n.pinned else "shelf", n.zoo) for n in found]
    output.data_table(("AMP", "HERE", "NEWEST", "IN", "ZOO"), rows)
    output.info("zoo pull AMP --zoo ZOO takes over one, zoo lock --upgrade all of zoo.lock")


def find_newer() -> "Iterable[NewerAmp]":
    """Yield the amps that a hub has newer than `./zoo.lock` and the user's own shelf; one request for each amp."""
    from zoo.names import Ref
    from zoo.registry.folders import shelf_folder
    from zoo.registry.lockfile import LOCK, read_lock
    from zoo.registry.origins import read_origins
    from zoo.registry.resolve import resolve_zoo
    from zoo.registry.shelf import Shelf

    zoos: dict[str, Any] = {}
    known: list[tuple[str, str, str, bool]] = []
    if LOCK.exists():
        known += [(name, pin.zoo, pin.commit, True) for name, pin in read_lock().amps.items() if not pin.revision]
    shelf, origins = Shelf(shelf_folder()), read_origins()
    for name in shelf.names():
        origin = origins.get(shelf.revision(Ref(name)))
        if origin is not None and origin.name == name:
            known.append((name, origin.zoo, origin.commit, False))
    for name, label, commit, pinned in known:
        zoo = zoos[label] = zoos.get(label) or resolve_zoo(label)
        newest = zoo.revision(Ref(name))
        if newest != commit:
            yield NewerAmp(name, label, commit, newest, pinned)


@click.command(short_help="Show or renew the pins of ./zoo.lock.", epilog="Example: zoo lock --upgrade")
@click.argument("amps", metavar="[OWNER/AMP]...", nargs=-1, shell_complete=complete_amps)
@click.option("--upgrade", is_flag=True, help="Pull the newest revision of each pinned amp, and pin that.")
@json_option
def lock(amps: tuple[str, ...], upgrade: bool, as_json: bool) -> None:
    """Show what ./zoo.lock pins; with --upgrade, move its pins to the newest revisions.

    Without names, all amps of the file. A pin to a named revision, such as a tag, is moved to what the name stands for
    now.
    """
    from zoo.cli import output
    from zoo.cli.transfer import pull_planned
    from zoo.registry.lockfile import read_lock, read_pin
    from zoo.registry.pull_plan import PullRequest, plan_pull

    pins = {name: read_pin(name) for name in amps} if amps else read_lock().amps
    if upgrade:
        for name, pin in pins.items():
            revision = f"@{pin.revision}" if pin.revision else ""
            pull_planned(plan_pull(PullRequest(f"{name}{revision}", pin.zoo, pin.tier)), lock=True)
        pins = {name: read_pin(name) for name in pins}
    if as_json:
        output.data_json(
            {"schema": "zoo.lock/1", "amps": {name: pin.model_dump(mode="json") for name, pin in pins.items()}}
        )
    else:
        rows = [(n, pin.revision or "newest", pin.commit[:12], pin.tier or "-", pin.zoo) for n, pin in pins.items()]
        output.data_table(("AMP", "WANTED", "COMMIT", "TIER", "ZOO"), rows)
