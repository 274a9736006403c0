"""The commands that look at amps and change nothing: `zoo list`, `show`, `knobs`, `diff` and `doctor`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import click

from zoo.cli.offer import offer_to_pull
from zoo.cli.options import amp_argument, bundle, complete_knob_names, json_option, zoo_option
from zoo.package.vocabulary import Kind, Tone

if TYPE_CHECKING:
    from zoo.names import Address
    from zoo.package.card_schema import AmpSummary
    from zoo.registry.hub.hub import Hub

    ShowRows = Callable[[Sequence[AmpSummary], str, float | None], None]  # rows, label of the zoo, age of the list in s

KIND_HELP = f"Only this kind: {', '.join(get_args(Kind))}."

TONE_HELP = f"Only this tone: {', '.join(get_args(Tone))}."

STALE_S = 60  # an older list is shown with its age


class _Order(click.Choice):
    """The orders of `zoo list`; `cost` was the name of `macs` until 0.2."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert("macs" if value == "cost" else value, param, ctx)


@dataclass(frozen=True)
class ListOptions:
    """The options of `zoo list`."""

    query: str
    where: str | None
    knobs: tuple[str, ...]
    kind: str
    tone: str
    license: str
    max_macs: int | None
    sort: str
    cached: bool
    refresh: bool
    as_json: bool
    quiet: bool


@click.command("list", epilog="Example: zoo list crunch --zoo hub --knob gain --max-macs 20000 --sort esr")
@click.argument("query", default="")
@zoo_option
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_knob_names,
    help="Only amps with this knob; may be repeated.",
)
@click.option("--kind", default="", type=click.Choice(["", *get_args(Kind)]), metavar="KIND", help=KIND_HELP)
@click.option("--tone", default="", type=click.Choice(["", *get_args(Tone)]), metavar="TONE", help=TONE_HELP)
@click.option("--license", default="", metavar="ID", help="Only amps under this license.")
@click.option("--max-macs", type=int, metavar="N", help="At most N multiply-accumulates (MACs) per sample.")
@click.option("--max-cost", "max_macs", type=int, hidden=True)  # its name until 0.2
@click.option(
    "--sort",
    type=_Order(["name", "esr", "macs", "downloads", "updated"]),
    default="name",
    show_default=True,
    help="Order of the list.",
)
@click.option("--cached", is_flag=True, help="Show the saved list of a hub; no network.")
@click.option("--refresh", is_flag=True, help="Ask the hub for a new list.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print names only.")
@bundle(ListOptions)
def list_amps(options: ListOptions) -> None:
    """List the amps of a shelf or a hub.

    QUERY is one or more words; each must be in the name, the kind, a tone or a knob of an amp.
    """
    from zoo.cli import output
    from zoo.registry.filters import AmpFilter
    from zoo.registry.resolve import address_of, resolve_zoo

    wanted = AmpFilter(
        options.query, options.knobs, options.kind, options.tone, options.license, options.max_macs, options.sort
    )

    def show_rows(rows: "Sequence[AmpSummary]", label: str, age_s: float | None) -> None:
        _show_list(wanted.select(rows), label, age_s, options, wanted.explain_none(rows, label) if rows else "")

    address = address_of(options.where)
    if address is not None:
        _list_hub(address, show_rows, options)
    else:
        zoo = resolve_zoo(options.where)
        show_rows(zoo.list(output.info), zoo.label, None)


def _list_hub(address: "Address", show_rows: "ShowRows", options: ListOptions) -> None:
    """Show the saved list while it is fresh; a stale one is shown at once, and a new one is fetched meanwhile."""
    from zoo.cli import output
    from zoo.cli.errors import explain
    from zoo.registry.index import ListFetch, read_index, require_index

    label = address.label
    saved = require_index(label) if options.cached else read_index(label)
    begun = saved if saved and saved.following and saved.is_fresh and not options.refresh else None
    if saved is not None and (options.cached or (saved.is_fresh and not options.refresh and begun is None)):
        show_rows(saved.amps, label, saved.age_seconds)
        return

    def open_hub() -> "Hub":
        from zoo.registry.hub.hub import Hub

        return Hub(address)

    if saved is not None and begun is None and not options.refresh:
        fetch = ListFetch(label, open_hub, lambda text: None)
        show_rows(saved.amps, label, saved.age_seconds)
        output.close_data()
        with output.progress("renewing the list"):
            _wait(fetch, saved)
        return
    with output.progress("listing") as bar:
        fetch = ListFetch(label, open_hub, output.info, begun, lambda amps: bar(0, 0, f"{amps} amps"))
        found = _wait(fetch, saved)
    show_rows(found.amps, label, found.age_seconds)
    if found.following and found is not saved:
        explained = explain(fetch.failure) if fetch.failure else None
        output.warn(f"the list is not whole: {explained.message if explained else 'it stopped'}; list again to go on")


def _wait(fetch: Any, saved: Any) -> Any:
    """Return the fetched list, or the saved one with a warning when there is no network."""
    from zoo.cli import output
    from zoo.cli.errors import NO_NETWORK, explain
    from zoo.registry.index import format_age

    try:
        return fetch.wait()
    except Exception as error:
        explained = explain(error)
        if saved is None or explained is None or explained.code != NO_NETWORK:
            raise
        output.warn(f"{explained.message}; this list is {format_age(saved.age_seconds)} old")
        return saved


def _show_list(rows: "list[AmpSummary]", label: str, age_s: float | None, options: ListOptions, why_none: str) -> None:
    from zoo.cli import output
    from zoo.cli.views import amps as amps_view
    from zoo.registry.index import format_age

    if options.as_json:
        amps = [row.model_dump(mode="json", by_alias=True) for row in rows]
        output.data_json({"schema": "zoo.list/1", "zoo": label, "age_seconds": age_s and round(age_s), "amps": amps})
        return
    if options.quiet:
        for row in rows:
            output.data(row.name)
    elif rows:
        amps_view.show_list(rows)
    elif why_none:
        output.info(why_none)
    else:
        other = "" if age_s is not None else "zoo list --zoo hub shows others, "
        output.info(f"no such amps on {label}; {other}zoo push PACKAGE OWNER/AMP publishes one")
    if age_s and age_s >= STALE_S and not options.quiet:
        output.info(f"(this list is {format_age(age_s)} old; --refresh gets a new one from {label})")


@click.command(epilog="Example: zoo show alice/plexi-59@v1.0.0 --zoo hub")
@amp_argument
@zoo_option
@json_option
def show(amp: str, where: str | None, as_json: bool) -> None:
    """Show the details of one amp.

    AMP may be a study: its best model is shown.
    """
    from models.artifacts.evaluation import Evaluation
    from models.artifacts.model_config import ModelConfig
    from models.artifacts.names import CONFIG, EVAL
    from zoo.cli import output
    from zoo.cli.study_amp import view_of
    from zoo.cli.views import amps as amps_view
    from zoo.package.card_schema import read_tiers
    from zoo.package.front_matter import text_of

    offer_to_pull(amp, where)
    with view_of(amp, where) as view:
        config, evaluation = view.document(CONFIG, ModelConfig), view.document(EVAL, Evaluation)
        front, revision, origin = view.front_matter(), view.revision, view.origin
    tiers = read_tiers(amp, front)
    if as_json:
        documents = {
            "license": text_of(front, "license"),
            "revision": revision,
            "origin": None if origin is None else origin.model_dump(mode="json"),
            "config": config.model_dump(mode="json"),
            "eval": evaluation.model_dump(mode="json", by_alias=True),
            "tiers": [tier.model_dump(mode="json") for tier in tiers],
        }
        output.data_json({"schema": "zoo.show/1", "name": amp, **documents})
    else:
        shown = f"{revision} (from {origin.zoo}, manifest {origin.manifest[:12]})" if origin else revision
        amps_view.show_amp(amp, config, evaluation, text_of(front, "license"), shown, tiers)


@click.command(epilog="Example: zoo knobs alice/plexi-59")
@amp_argument
@zoo_option
@json_option
def knobs(amp: str, where: str | None, as_json: bool) -> None:
    """Show the knobs of an amp and their ranges.

    AMP may be a study: the knobs of its best model are shown.
    """
    from models.artifacts.model_config import ModelConfig
    from models.artifacts.names import CONFIG, is_nam_file
    from models.core.user_folders import expand_home
    from zoo.cli import output
    from zoo.cli.study_amp import view_of
    from zoo.cli.views import amps as amps_view

    offer_to_pull(amp, where)
    if is_nam_file(path := expand_home(amp)):
        from models.formats.open_model import open_model

        schema = open_model(path)[0].knobs
    else:
        with view_of(amp, where) as view:
            schema = view.document(CONFIG, ModelConfig).knobs
    if as_json:
        output.data_json({"schema": "zoo.knobs/1", "name": amp, **schema.model_dump(mode="json")})
    else:
        amps_view.show_knobs(schema)


@click.command(short_help="Compare two amps.", epilog="Example: zoo diff packages/plexi-59 alice/plexi-59 --zoo hub")
@click.argument("one", metavar="AMP")
@click.argument("other", metavar="AMP")
@zoo_option
@json_option
def diff(one: str, other: str, where: str | None, as_json: bool) -> None:
    """Show what differs between two amps, or between two revisions of one."""
    from zoo.cli import output
    from zoo.registry.compare import compare
    from zoo.registry.resolve import view_amp

    rows = compare(view_amp(one, where), view_amp(other, where))
    if as_json:
        output.data_json({"schema": "zoo.diff/1", "amps": [one, other], "differences": [list(row) for row in rows]})
    elif rows:
        output.data_table(("WHAT", one, other), rows, min_columns=3)
    else:
        output.info("no difference")


@click.command(short_help="Check this installation, shelf and hub.", epilog="Example: zoo doctor --zoo hub")
@zoo_option
@json_option
def doctor(where: str | None, as_json: bool) -> None:
    """Check this installation, your shelf and a hub."""
    from zoo.cli import output
    from zoo.cli.doctor import examine

    checks = examine(where)
    if as_json:
        findings = [{"what": check.name, "found": check.result, "well": check.ok} for check in checks]
        output.data_json({"schema": "zoo.doctor/1", "findings": findings})
    else:
        output.data_pairs([(f"{'ok ' if check.ok else 'BAD'} {check.name}", check.result) for check in checks])
    if not all(check.ok for check in checks):
        sys.exit(1)
