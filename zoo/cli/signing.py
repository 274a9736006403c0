"""Verbs that say who made an amp: one's own key, and the keys by which others are known. Heavy imports wait inside them."""

import click

from zoo.cli.options import json_option


@click.command(short_help="The key you sign with.", epilog="Example: zoo key")
@json_option
def key(as_json: bool) -> None:
    """The key you sign packages with, made when there is none."""
    from zoo.cli import output
    from zoo.package.signing import load_signing_key, public_key_hex, signing_key_path

    new = not signing_key_path().exists()
    known = public_key_hex(load_signing_key(create=True))
    if new:
        output.info(
            f"made {signing_key_path()}: whoever has that file can sign as you; keep a copy where nobody else looks"
        )
    output.data_json({"schema": "zoo.key/1", "key": known}) if as_json else output.data(known)


@click.command(short_help="Pin the key an owner signs with.", epilog="Example: zoo trust alice KEY")
@click.argument("owner", default="")
@click.argument("pinned", metavar="[KEY]", default="")
@click.option("--remove", is_flag=True, help="Take the pin of an owner away.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@json_option
def trust(owner: str, pinned: str, remove: bool, yes: bool, as_json: bool) -> None:
    """The keys that are pinned. Once an owner's is, amps of theirs that are signed with another, or not at all, are refused."""
    from models.core.errors import NotFound, UserError
    from zoo.cli import output
    from zoo.names import OWNER
    from zoo.package.signing import KEY, pin_key, read_trust

    if (owner or pinned or remove) and not OWNER.fullmatch(owner):
        raise UserError(f"'{owner}' is no owner of amps", "Write the part of OWNER/AMP before the slash.")
    if pinned and (remove or not KEY.fullmatch(pinned)):
        raise UserError(f"'{pinned}' is no key", "Write the 64 hexadecimal digits that zoo key shows its owner.")
    known = read_trust().owners
    before = known.get(owner.lower(), "")
    if owner and not pinned and not before:
        raise NotFound(f"no key of '{owner}' is pinned", f"Pin one: zoo trust {owner} KEY.")
    if pinned or remove:
        if before not in ("", pinned) and not yes:
            output.ask(f"the pinned key of '{owner}', {before}, would go", "Say --yes.")
        pin_key(owner, pinned)
        known = read_trust().owners
    shown = {name: found for name, found in known.items() if owner.lower() in ("", name)}
    if as_json:
        output.data_json({"schema": "zoo.trust/1", "owners": shown})
    elif shown:
        output.data_table(("OWNER", "KEY"), list(shown.items()))
    else:
        output.info("no key is pinned")
