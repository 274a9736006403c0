"""The commands that move amps between folders, shelves and hubs: `zoo push`, `pull`, `verify` and `rm`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.core.user_folders import expand_home
from zoo.cli.options import (
    PATH,
    FiniteRange,
    amp_argument,
    bundle,
    complete_amps,
    json_option,
    max_peak_option,
    tier_option,
    yes_option,
    zoo_option,
)
from zoo.cli.plugins import refresh_installed

if TYPE_CHECKING:
    from zoo.names import Ref
    from zoo.registry.pull_plan import PullPlan
    from zoo.registry.push_plan import PushPlan


@dataclass(frozen=True)
class PushOptions:
    """The options of `zoo push`."""

    package: Path
    name: str
    where: str | None
    private: bool
    pr: bool
    tag: str
    space: bool
    dry_run: bool
    yes: bool
    max_peak_dbfs: float | None
    as_json: bool


@dataclass(frozen=True)
class PullOptions:
    """The options of `zoo pull`."""

    amps: tuple[str, ...]
    where: str | None
    tier: str
    to: Path | None
    lock: bool
    locked: bool
    max_mb: float | None
    licenses: tuple[str, ...]
    max_peak_dbfs: float | None
    dry_run: bool
    as_json: bool


@click.command(epilog="Example: zoo push packages/plexi-59 alice/plexi-59 --zoo hub --tag v1.0.0")
@click.argument("package", type=PATH)
@click.argument("name", metavar="OWNER/AMP")
@zoo_option
@click.option("--private", is_flag=True, help="Create a new amp as private: only its owner sees it.")
@click.option("--pr", is_flag=True, help="Propose the change to the owner as a pull request.")
@click.option("--tag", default="", metavar="v1.0.0", help="Name this revision.")
@click.option("--space", is_flag=True, help="Publish a page that plays the amp, too, as a static Space.")
@click.option("--dry-run", is_flag=True, help="Show what would be published, and stop.")
@yes_option
@max_peak_option
@json_option
@bundle(PushOptions)
def push(options: PushOptions) -> None:
    """Publish a package to a shelf or a hub."""
    from zoo.cli import output
    from zoo.package.layout import refuse_nam_file
    from zoo.registry.resolve import resolve_zoo

    refuse_nam_file(options.package)
    ref = _push_target(options)
    zoo = resolve_zoo(options.where, new=True)
    plan = zoo.plan(options.package, ref.name, options.max_peak_dbfs)
    if options.space:
        from zoo.player_page.space import check_public

        check_public(ref.name, plan.private)
    summary = f"{len(plan.writes)} files, {plan.bytes:,} bytes; {plan.unchanged} were there already"
    document = {"schema": "zoo.push/1", "name": ref.name, "zoo": zoo.label}
    changes = {"writes": {file: len(body) for file, body in plan.writes.items()}, "removes": list(plan.removes)}
    _warn_of_quality(plan, zoo.label)
    if options.dry_run:
        _show_plan(plan)
        output.info(f"would publish on {zoo.label}: {summary}")
        output.data_json({**document, **changes, "dry_run": True}) if options.as_json else output.data(ref.name)
        return
    if plan.replaces and not options.yes:
        question = f"this push would replace another amp, '{plan.replaces}', at '{ref.name}' on {zoo.label}"
        output.confirm(question, "Choose another name, or add --yes.")
    with output.progress("publishing") as bar:
        bar(0, 0, summary)
        revision = zoo.push(plan, options.private, options.pr, options.tag)
    if plan.writes or plan.removes:
        output.info(f"published on {zoo.label} at revision {revision[:12]}: {summary}")
    else:
        output.info(f"{zoo.label} has all of it already, at revision {revision[:12]}")
    if options.space:
        output.info(f"the page is at {_push_space(zoo, options)}")
    refresh_installed(options.where)
    if options.as_json:
        output.data_json({**document, "revision": revision, "tag": options.tag or None, **changes})
    else:
        output.data(ref.name)


def _warn_of_quality(plan: "PushPlan", label: str) -> None:
    """Warn of what is wrong with a model, and when the published revision has a lower error than the one to push."""
    from models.artifacts.evaluation import read_evaluation
    from zoo.cli import output

    for warning in read_evaluation(plan.package).warnings:
        output.warn(warning)
    ours, theirs = plan.esr, plan.published_esr
    if theirs is not None and ours is not None and ours > theirs:
        output.warn(f"this revision is worse than the one on {label}: mean held ESR {ours:.4f}, there {theirs:.4f}")


def _push_target(options: PushOptions) -> "Ref":
    """Return the amp to publish as; raises `UserError` for a name with a revision and for a tag that cannot be."""
    from models.core.errors import UserError
    from zoo.names import REVISION, parse_ref
    from zoo.registry.resolve import address_of

    ref = parse_ref(options.name)
    if ref.revision:
        raise UserError(
            f"'{options.name}' names a revision, but a push makes a new one",
            f"Write {ref.name}, and add --tag to name the revision.",
        )
    if options.space and (options.pr or options.private or address_of(options.where) is None):
        raise UserError("--space is for public amps of a hub", "Leave it out, or push to --zoo hub without --pr.")
    if options.tag and (options.pr or not REVISION.fullmatch(options.tag)):
        raise UserError(f"'{options.tag}' cannot be a tag here", "Write one like v1.0.0, without --pr.")
    return ref


def _push_space(zoo: Any, options: PushOptions) -> str:
    """Publish the page of the amp that was pushed and return its address."""
    from zoo.player_page.site import one_amp
    from zoo.player_page.space import push_space

    return push_space(zoo, options.name, one_amp(options.name, options.package))


def _show_plan(plan: Any) -> None:
    from zoo.cli import output

    for file, body in sorted(plan.writes.items()):
        output.info(f"  write   {file} ({len(body):,} bytes)")
    for file in plan.removes:
        output.info(f"  remove  {file}")


@click.command(epilog="Example: zoo pull alice/plexi-59@v1.0.0 --zoo hub --lock")
@click.argument("amps", metavar="OWNER/AMP[@REVISION]", nargs=-1, shell_complete=complete_amps)
@zoo_option
@tier_option
@click.option("--to", type=PATH, help="Folder for the package. Default: its place on your own shelf.")
@click.option("--lock", is_flag=True, help="Write what was pulled into ./zoo.lock.")
@click.option("--locked", is_flag=True, help="Pull exactly what ./zoo.lock lists; all of it if no amp is given.")
@click.option(
    "--max-size", "max_mb", type=FiniteRange(0), metavar="MB", help="Refuse a larger amp before anything is downloaded."
)
@click.option(
    "--require-license", "licenses", multiple=True, metavar="ID", help="Refuse other licenses; may be repeated."
)
@max_peak_option
@click.option("--dry-run", is_flag=True, help="Show what would be downloaded, and stop.")
@json_option
@bundle(PullOptions)
def pull(options: PullOptions) -> None:
    """Download amps and verify every byte."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.registry.lockfile import read_lock
    from zoo.registry.pull_plan import PullRequest, plan_pull

    names = options.amps or (tuple(read_lock().amps) if options.locked else ())
    if not names:
        raise click.UsageError("Missing argument 'OWNER/AMP[@REVISION]'.")
    if options.to is not None and len(names) > 1:
        raise UserError("--to is a folder for one amp", "Leave it out to pull them to your shelf.")
    if options.lock and options.locked:
        raise UserError("--lock writes ./zoo.lock, --locked only reads it", "Give one of them.")
    pulled = []
    for name in names:
        request = PullRequest(
            name,
            options.where,
            options.tier,
            options.to,
            options.locked,
            options.max_mb,
            options.licenses,
            options.max_peak_dbfs,
        )
        plan = plan_pull(request)
        pulled.append(_show_pull(plan) if options.dry_run else pull_planned(plan, options.lock))
    if not options.dry_run:
        refresh_installed()
    if options.as_json:
        output.data_json({"schema": "zoo.pull/1", "dry_run": options.dry_run, "amps": pulled})
    else:
        for amp in pulled:
            output.data(amp["folder"])


def _show_pull(plan: "PullPlan") -> dict[str, Any]:
    """Show what a pull would fetch, and describe it for `--json`."""
    from zoo.cli import output

    sizes = plan.sizes()
    for file, size in sizes.items():
        output.info(f"  {file} ({size:,} bytes)")
    revision, total = plan.zoo.revision(plan.ref), sum(sizes.values())
    output.info(
        f"{plan.ref.name} at revision {revision[:12]} from {plan.zoo.label}: {len(sizes)} files, {total:,} bytes"
    )
    return _describe_pull(plan, revision, len(sizes), total)


def pull_planned(plan: "PullPlan", lock: bool) -> dict[str, Any]:
    """Make a pull, show it, and describe it for `--json`."""
    from zoo.cli import output
    from zoo.registry.pull_plan import stated_license

    with output.progress(f"pulling {plan.ref.name}") as bar:
        done = plan.run(bar)
    output.info(
        f"{plan.ref.name} at revision {done.revision[:12]} from {plan.zoo.label}: "
        f"{done.files} files, {done.bytes_moved:,} bytes moved"
    )
    output.info(f"license: {stated_license(plan.zoo, plan.ref)}; {done.signer}")
    if done.ignored:
        output.info(f"ignored {done.ignored} files that are no part of a package")
    if lock:
        plan.write_lock(done)
    return {**_describe_pull(plan, done.revision, done.files, done.bytes_moved), "signer": done.signer}


def _describe_pull(plan: "PullPlan", revision: str, files: int, size: int) -> dict[str, Any]:
    return {
        "name": plan.ref.name,
        "revision": revision,
        "folder": str(plan.folder),
        "files": files,
        "bytes": size,
    }


@click.command(short_help="Check the files and the sound of an amp.", epilog="Example: zoo verify alice/plexi-59")
@amp_argument
@zoo_option
@max_peak_option
@json_option
def verify(amp: str, where: str | None, max_peak_dbfs: float | None, as_json: bool) -> None:
    """Check every file of an amp against its manifest, then play its sounds again and compare.

    Exits with 6 when a sound differs, or is louder than the amp claims.
    """
    from models.core.errors import NotFound
    from zoo.cli import output
    from zoo.cli.errors import UNTRUSTED
    from zoo.names import parse_ref
    from zoo.package.layout import MANIFEST
    from zoo.package.manifest import digest, package_files
    from zoo.package.replay import replay
    from zoo.package.signing import describe_signer
    from zoo.registry.resolve import FetchOptions, resolve_package

    with output.progress("fetching") as bar:
        folder = resolve_package(amp, FetchOptions(where, "", bar, output.warn, max_peak_dbfs))
    if not (folder / MANIFEST).exists():
        raise NotFound(f"{folder} is not a package ({MANIFEST} is missing)", "Make one: zoo package RUN --license ID.")
    with output.progress("playing") as bar:
        played, files, revision = replay(folder, bar), len(package_files(folder)), digest(folder)
    name = "" if expand_home(amp).is_dir() else parse_ref(amp).name
    same, signed = sum(one.same for one in played), describe_signer(folder, name)
    all_same = same == len(played)
    if as_json:
        sounds = [{"file": one.name, "esr": min(one.esr, 1e9), "same": one.same} for one in played]
        head = {"schema": "zoo.verify/1", "name": amp, "manifest": revision, "signer": signed}
        output.data_json({**head, "same": all_same, "sounds": sounds})
    else:
        rows = [(one.name, f"{one.esr:.1e}", "ok" if one.same else "DIFFERS") for one in played]
        output.data_table(("FILE", "ERROR", ""), rows)
    output.info(f"{amp}: {files} files match the manifest, {same} of {len(played)} sounds are the same here; {signed}")
    if not all_same:
        sys.exit(UNTRUSTED)


@click.command(epilog="Example: zoo rm alice/plexi-59")
@click.argument("amp", metavar="OWNER/AMP", shell_complete=complete_amps)
@yes_option
def rm(amp: str, yes: bool) -> None:
    """Remove an amp from your own shelf."""
    from zoo.cli import output
    from zoo.names import parse_ref
    from zoo.registry.resolve import resolve_zoo
    from zoo.registry.shelf import Shelf

    ref, shelf = parse_ref(amp), resolve_zoo(None)
    assert isinstance(shelf, Shelf)
    folder = shelf.find(ref)
    if not yes:
        output.confirm(f"{folder} would be removed", "Add --yes.")
    shelf.remove(ref)
    refresh_installed()
    output.data(str(folder))
