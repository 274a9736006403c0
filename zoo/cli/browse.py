"""Verbs that look at a zoo and change nothing: list, show, knobs, diff, doctor. Heavy imports wait inside them."""

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import amp_argument, json_option, zoo_option

if TYPE_CHECKING:
    from zoo.names import Address
    from zoo.package.card_schema import AmpSummary
    from zoo.registry.protocol import Zoo


@click.command("list", epilog="Example: zoo list crunch --zoo hub --knob gain --max-cost 20000 --sort esr")
@click.argument("query", default="")
@zoo_option
@click.option("--knob", "knobs", multiple=True, metavar="NAME", help="Amps with this knob.")
@click.option("--kind", default="", help="amp, pedal, amp_cab, preamp ...")
@click.option("--tone", default="", help="clean, overdrive, crunch, hi_gain, fuzz.")
@click.option("--license", "license_id", default="", metavar="ID", help="Amps under this license.")
@click.option("--max-cost", type=int, metavar="N", help="At most N multiply-accumulates per sample.")
@click.option(
    "--sort", type=click.Choice(["name", "esr", "cost", "downloads", "updated"]), default="name", show_default=True
)
@click.option("--cached", is_flag=True, help="What the hub said last; no network.")
@click.option("--refresh", is_flag=True, help="Ask the hub now.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Names alone.")
def list_amps(
    query: str,
    where: str | None,
    knobs: tuple[str, ...],
    kind: str,
    tone: str,
    license_id: str,
    max_cost: int | None,
    sort: str,
    cached: bool,
    refresh: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """List the amps of a shelf or a hub."""
    from zoo.cli import output
    from zoo.registry.filters import AmpFilter
    from zoo.registry.resolve import address_of

    amp_filter = AmpFilter(query, knobs, kind, tone, license_id, max_cost, sort)
    address = address_of(where)

    def show(rows: "list[AmpSummary] | tuple[AmpSummary, ...]", label: str, age: float | None) -> None:
        _show_list(amp_filter.select(rows), label, age, as_json, quiet)

    if address is not None:
        _list_hub(address, show, cached, refresh)
    else:
        from zoo.registry.resolve import resolve_zoo

        zoo = resolve_zoo(where)
        show(zoo.list(output.info), zoo.label, None)


def _list_hub(address: "Address", show: Any, cached: bool, refresh: bool) -> None:
    """Show what is kept while it is fresh; where it is not, show it at once and ask the hub meanwhile."""
    from zoo.cli import output
    from zoo.cli.errors import NO_NETWORK, explain
    from zoo.registry.index import ListFetch, format_age, read_index, require_index

    label = address.label
    kept = require_index(label) if cached else read_index(label)
    if kept is not None and (cached or (kept.is_fresh and not refresh)):
        show(kept.amps, label, kept.age_seconds)
        return

    def open_zoo() -> "Zoo":
        from zoo.registry.hub.hub import Hub

        return Hub(address)

    shown = kept is not None and not refresh
    fetch = ListFetch(label, open_zoo, (lambda text: None) if shown else output.info)
    if kept is not None and shown:
        show(kept.amps, label, kept.age_seconds)
        output.close_data()
    try:
        found = fetch.wait()
    except Exception as problem:
        told = explain(problem)
        if kept is None or told is None or told.code != NO_NETWORK:
            raise
        output.info(f"warning: {told.message}; this list is {format_age(kept.age_seconds)} old")
        found = kept
    if not shown:
        show(found.amps, label, found.age_seconds)


def _show_list(rows: "list[AmpSummary]", label: str, age: float | None, as_json: bool, quiet: bool) -> None:
    from zoo.cli import output
    from zoo.cli.views import amps as amps_view
    from zoo.registry.index import format_age

    if as_json:
        amps = [row.model_dump(mode="json", by_alias=True) for row in rows]
        output.data_json({"schema": "zoo.list/1", "zoo": label, "age_seconds": age and round(age), "amps": amps})
        return
    if quiet:
        for row in rows:
            output.data(row.name)
    elif rows:
        amps_view.show_list(rows)
    else:
        more = "zoo push PACKAGE OWNER/AMP publishes one"
        output.info(
            f"no such amps on {label}; {more if age is not None else f'zoo list --zoo hub shows others, {more}'}"
        )
    if age and age >= 60 and not quiet:
        output.info(f"(as of {format_age(age)} ago; --refresh asks {label} now)")


@click.command(epilog="Example: zoo show alice/plexi-59@v1.0.0 --zoo hub")
@amp_argument
@zoo_option
@json_option
def show(amp: str, where: str | None, as_json: bool) -> None:
    """All about one amp."""
    from models.artifacts.evaluation import Evaluation
    from models.artifacts.model_config import ModelConfig
    from models.artifacts.names import CONFIG, EVAL
    from zoo.cli import output
    from zoo.cli.views import amps as amps_view
    from zoo.package.card_schema import read_tiers
    from zoo.registry.resolve import view_amp

    view = view_amp(amp, where)
    config, evaluation = view.document(CONFIG, ModelConfig), view.document(EVAL, Evaluation)
    front, revision = view.front_matter(), view.revision
    tiers = read_tiers(amp, front)
    if as_json:
        documents = {
            "license": front.get("license"),
            "revision": revision,
            "config": config.model_dump(mode="json"),
            "eval": evaluation.model_dump(mode="json", by_alias=True),
            "tiers": [tier.model_dump(mode="json") for tier in tiers],
        }
        output.data_json({"schema": "zoo.show/1", "name": amp, **documents})
    else:
        amps_view.show_amp(amp, config, evaluation, str(front.get("license") or "-"), revision, tiers)


@click.command(epilog="Example: zoo knobs alice/plexi-59")
@amp_argument
@zoo_option
@json_option
def knobs(amp: str, where: str | None, as_json: bool) -> None:
    """The knobs of an amp and their ranges."""
    from models.artifacts.model_config import ModelConfig
    from models.artifacts.names import CONFIG
    from zoo.cli import output
    from zoo.cli.views import amps as amps_view
    from zoo.registry.resolve import view_amp

    schema = view_amp(amp, where).document(CONFIG, ModelConfig).knobs
    if as_json:
        output.data_json({"schema": "zoo.knobs/1", "name": amp, **schema.model_dump(mode="json")})
    else:
        amps_view.show_knobs(schema)


@click.command(
    short_help="What differs between two amps.", epilog="Example: zoo diff packages/plexi-59 alice/plexi-59 --zoo hub"
)
@click.argument("one", metavar="AMP")
@click.argument("other", metavar="AMP")
@zoo_option
@json_option
def diff(one: str, other: str, where: str | None, as_json: bool) -> None:
    """What differs between two amps, or two revisions of one."""
    from zoo.cli import output
    from zoo.registry.compare import compare
    from zoo.registry.resolve import view_amp

    rows = compare(view_amp(one, where), view_amp(other, where))
    if as_json:
        output.data_json({"schema": "zoo.diff/1", "amps": [one, other], "differences": [list(row) for row in rows]})
    elif rows:
        output.data_table(("WHAT", one, other), rows, keep=3)
    else:
        output.info("they are the same")


@click.command(epilog="Example: zoo doctor --zoo hub")
@zoo_option
@json_option
def doctor(where: str | None, as_json: bool) -> None:
    """See whether everything here is in order."""
    import sys

    from zoo.cli import output
    from zoo.cli.doctor import examine

    findings = examine(where)
    if as_json:
        output.data_json({"schema": "zoo.doctor/1", "findings": [vars(finding) for finding in findings]})
    else:
        output.data_pairs([(f"{'ok ' if f.well else 'BAD'} {f.what}", f.found) for f in findings])
    if not all(finding.well for finding in findings):
        sys.exit(1)
