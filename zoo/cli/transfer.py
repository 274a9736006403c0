"""Verbs that publish, fetch, verify and remove amps. Heavy imports wait inside them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import PATH, amp_argument, complete_amps, json_option, tier_option, zoo_option

if TYPE_CHECKING:
    from zoo.registry.pull_plan import PullPlan


@click.command(epilog="Example: zoo push packages/plexi-59 alice/plexi-59 --zoo hub --tag v1.0.0")
@click.argument("package", type=PATH)
@click.argument("name", metavar="OWNER/AMP")
@zoo_option
@click.option("--private", is_flag=True, help="A new amp that only its owner sees.")
@click.option("--pr", is_flag=True, help="Propose it to the owner as a pull request.")
@click.option("--tag", default="", metavar="v1.0.0", help="Name this revision.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and stop.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
def push(
    package: Path,
    name: str,
    where: str | None,
    private: bool,
    pr: bool,
    tag: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Publish a package to a shelf or a hub."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.names import REVISION, parse_ref
    from zoo.registry.resolve import resolve_zoo

    ref = parse_ref(name)
    if ref.revision:
        raise UserError(
            f"'{name}' names a revision; a push makes a new one", f"Write {ref.name}, and --tag for a name."
        )
    if tag and (pr or not REVISION.fullmatch(tag)):
        raise UserError(f"'{tag}' cannot be a tag here", "Write one like v1.0.0, without --pr.")
    zoo = resolve_zoo(where, new=True)
    plan = zoo.plan(package, ref.name)
    moves = f"{len(plan.writes)} files, {plan.bytes:,} bytes; {plan.unchanged} were there already"
    document = {"schema": "zoo.push/1", "name": ref.name, "zoo": zoo.label}
    changes = {"writes": {file: len(body) for file, body in plan.writes.items()}, "removes": list(plan.removes)}
    if dry_run:
        for file, body in sorted(plan.writes.items()):
            output.info(f"  write   {file} ({len(body):,} bytes)")
        for file in plan.removes:
            output.info(f"  remove  {file}")
        output.info(f"would publish on {zoo.label}: {moves}")
        return output.data_json({**document, **changes, "dry_run": True}) if as_json else output.data(ref.name)
    if plan.replaces and not yes:
        question = f"'{ref.name}' on {zoo.label} is another amp, '{plan.replaces}', which this push would replace"
        output.ask(question, "Choose another name, or say --yes.")
    with output.progress("publishing") as bar:
        bar(0, 0, moves)
        revision = zoo.push(plan, private, pr, tag)
    changed = f"published on {zoo.label} at revision {revision[:12]}: {moves}"
    same = f"{zoo.label} has all of it already, at revision {revision[:12]}"
    output.info(changed if plan.writes or plan.removes else same)
    if as_json:
        output.data_json({**document, "revision": revision, "tag": tag or None, **changes})
    else:
        output.data(ref.name)
    return None


@click.command(epilog="Example: zoo pull alice/plexi-59@v1.0.0 --zoo hub --lock")
@click.argument("amps", metavar="OWNER/AMP[@REVISION]", nargs=-1, shell_complete=complete_amps)
@zoo_option
@tier_option
@click.option("--to", type=PATH, help="Folder for the package. Default: its place on your own shelf.")
@click.option("--lock", is_flag=True, help="Pin what was pulled in ./zoo.lock.")
@click.option("--locked", is_flag=True, help="Pull what ./zoo.lock pins, exactly; all of it if no amp is named.")
@click.option("--max-size", type=float, metavar="MB", help="Refuse an amp of more megabytes, before any of it moves.")
@click.option("--require-license", "licenses", multiple=True, metavar="ID", help="Refuse any other; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, and stop.")
@json_option
def pull(
    amps: tuple[str, ...],
    where: str | None,
    tier: str,
    to: Path | None,
    lock: bool,
    locked: bool,
    max_size: float | None,
    licenses: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch amps, checked byte for byte."""
    from models.core.errors import UserError
    from zoo.cli import output
    from zoo.registry.lockfile import read_lock
    from zoo.registry.pull_plan import PullRequest, plan_pull

    names = amps or (tuple(read_lock().amps) if locked else ())
    if not names:
        raise click.UsageError("Missing argument 'OWNER/AMP[@REVISION]'.")
    if to is not None and len(names) > 1:
        raise UserError("--to is a folder for one amp", "Leave it out, and they go to your shelf.")
    if lock and locked:
        raise UserError("--lock writes ./zoo.lock, --locked keeps to it", "Say one of them.")

    pulled = []
    for name in names:
        plan = plan_pull(PullRequest(name, where, tier, to, locked, max_size, licenses))
        pulled.append(_show_pull(plan) if dry_run else _pull(plan, lock))
    if as_json:
        output.data_json({"schema": "zoo.pull/1", "dry_run": dry_run, "amps": pulled})
    else:
        for one in pulled:
            output.data(one["folder"])


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


def _pull(plan: "PullPlan", lock: bool) -> dict[str, Any]:
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


@click.command(epilog="Example: zoo verify alice/plexi-59")
@amp_argument
@zoo_option
@json_option
def verify(amp: str, where: str | None, as_json: bool) -> None:
    """Check an amp byte for byte, and by ear."""
    from models.core.errors import NotFound
    from zoo.cli import output
    from zoo.cli.options import one_thread
    from zoo.names import parse_ref
    from zoo.package.layout import MANIFEST
    from zoo.package.manifest import digest, package_files
    from zoo.package.replay import replay
    from zoo.package.signing import describe_signer
    from zoo.registry.resolve import resolve_package

    one_thread()
    with output.progress("fetching") as bar:
        folder = resolve_package(amp, where, on_progress=bar, on_warning=output.warn)
    if not (folder / MANIFEST).exists():
        raise NotFound(f"{folder} is not a package ({MANIFEST} is missing)", "Make one: zoo package RUN --license ID.")
    with output.progress("playing") as bar:
        played, files, revision = replay(folder, bar), len(package_files(folder)), digest(folder)
    sound, signed = (
        all(one.same for one in played),
        describe_signer(folder, "" if Path(amp).is_dir() else parse_ref(amp).name),
    )
    if as_json:
        sounds = [{"file": one.name, "esr": min(one.esr, 1e9), "same": one.same} for one in played]
        output.data_json(
            {
                "schema": "zoo.verify/1",
                "name": amp,
                "manifest": revision,
                "signer": signed,
                "same": sound,
                "sounds": sounds,
            }
        )
    else:
        rows = [(one.name, f"{one.esr:.1e}", "ok" if one.same else "DIFFERS") for one in played]
        output.data_table(("FILE", "ERROR", ""), rows)
    same = sum(one.same for one in played)
    output.info(
        f"{amp}: {files} files as the manifest says, {same} of {len(played)} sounds are the same here; {signed}"
    )
    if not sound:
        sys.exit(6)


@click.command(epilog="Example: zoo rm alice/plexi-59")
@click.argument("amp", metavar="OWNER/AMP", shell_complete=complete_amps)
@click.option("--yes", is_flag=True, help="Ask nothing.")
def rm(amp: str, yes: bool) -> None:
    """Take an amp off your own shelf."""
    from zoo.cli import output
    from zoo.names import parse_ref
    from zoo.registry.resolve import resolve_zoo
    from zoo.registry.shelf import Shelf

    ref, shelf = parse_ref(amp), resolve_zoo(None)
    assert isinstance(shelf, Shelf)
    folder = shelf.find(ref)
    if not yes:
        output.ask(f"{folder} would be removed", "Say --yes.")
    shelf.remove(ref)
    output.data(str(folder))
