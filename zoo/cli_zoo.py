"""Verbs on a zoo: publish, fetch, list and look. Heavy imports wait inside them."""

from pathlib import Path

import click

from zoo.options import PATH, json_option, zoo_option


@click.command()
@click.argument("package", type=PATH)
@click.argument("name", metavar="OWNER/AMP")
@zoo_option
@json_option
def push(package: Path, name: str, where: str | None, as_json: bool) -> None:
    """Publish a package to a shelf or a hub."""
    from models.errors import UserError
    from zoo import output
    from zoo.find import find_zoo
    from zoo.names import parse_ref

    ref = parse_ref(name)
    if ref.revision:
        raise UserError(f"'{name}' names a revision; a push makes a new one", f"Write {ref.name}.")
    zoo = find_zoo(where, new=True)
    revision = zoo.push(package, ref.name)
    output.say(f"published on {zoo.label} at revision {revision[:12]}")
    if as_json:
        output.put_json({"schema": "zoo.push/1", "name": ref.name, "revision": revision, "zoo": zoo.label})
    else:
        output.put(ref.name)


@click.command()
@click.argument("amp", metavar="OWNER/AMP[@REVISION]")
@zoo_option
@click.option("--to", type=PATH, help="Folder for the package. Default: its place on your own shelf.")
@json_option
def pull(amp: str, where: str | None, to: Path | None, as_json: bool) -> None:
    """Fetch an amp, checked byte for byte."""
    from zoo import output
    from zoo.find import find_zoo
    from zoo.names import parse_ref
    from zoo.shelf import home

    ref, zoo = parse_ref(amp), find_zoo(where)
    target = to or home() / ref.name
    revision = zoo.pull(ref, target)
    output.say(f"{ref.name} at revision {revision[:12]} from {zoo.label}")
    if as_json:
        output.put_json({"schema": "zoo.pull/1", "name": ref.name, "revision": revision, "folder": str(target)})
    else:
        output.put(str(target))


@click.command("list")
@zoo_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Names alone.")
def list_amps(where: str | None, as_json: bool, quiet: bool) -> None:
    """List the amps of a shelf or a hub."""
    from zoo import output, views
    from zoo.find import find_zoo

    zoo = find_zoo(where)
    rows = zoo.list(output.say)
    if as_json:
        amps = [row.model_dump(mode="json", by_alias=True) for row in rows]
        output.put_json({"schema": "zoo.list/1", "zoo": zoo.label, "amps": amps})
    elif quiet:
        for row in rows:
            output.put(row.name)
    elif rows:
        views.show_list(rows)
    else:
        output.say(f"no amps on {zoo.label}; publish one with zoo push PACKAGE OWNER/AMP")


@click.command()
@click.argument("amp")
@zoo_option
@json_option
def show(amp: str, where: str | None, as_json: bool) -> None:
    """All about one amp."""
    from models.documents import CONFIG, EVAL, Evaluation, ModelConfig
    from zoo import output, views
    from zoo.find import read_of

    config = read_of(amp, where, CONFIG, ModelConfig)
    evaluation = read_of(amp, where, EVAL, Evaluation)
    if as_json:
        documents = {
            "config": config.model_dump(mode="json"),
            "eval": evaluation.model_dump(mode="json", by_alias=True),
        }
        output.put_json({"schema": "zoo.show/1", "name": amp, **documents})
    else:
        views.show_amp(amp, config, evaluation)


@click.command()
@click.argument("amp")
@zoo_option
@json_option
def knobs(amp: str, where: str | None, as_json: bool) -> None:
    """The knobs of an amp and their ranges."""
    from models.documents import CONFIG, ModelConfig
    from zoo import output, views
    from zoo.find import read_of

    schema = read_of(amp, where, CONFIG, ModelConfig).knobs
    if as_json:
        output.put_json({"schema": "zoo.knobs/1", "name": amp, **schema.model_dump(mode="json")})
    else:
        views.show_knobs(schema)
