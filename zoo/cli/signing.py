"""The commands `zoo key` and `zoo trust`: your own signing key, and the pinned keys of owners."""

import click

from models.core.errors import NotFound, UserError, shell_words
from zoo.cli.options import json_option, yes_option


@click.command(short_help="Show the key you sign with.", epilog="Example: zoo key")
@json_option
def key(as_json: bool) -> None:
    """Show the public key you sign packages with; a key is created if you have none."""
    from zoo.cli import output
    from zoo.package.signing import load_signing_key, public_key_hex, signing_key_path

    new = not signing_key_path().exists()
    known = public_key_hex(load_signing_key(create=True))
    if new:
        output.info(
            f"created {signing_key_path()}; anyone who has this file can sign as you, so keep it private and back it up"
        )
    output.data_json({"schema": "zoo.key/1", "key": known}) if as_json else output.data(known)


@click.command(short_help="Pin the key an owner signs with.", epilog="Example: zoo trust alice KEY")
@click.argument("owner", default="")
@click.argument("pinned", metavar="[KEY]", default="")
@click.option("--remove", is_flag=True, help="Remove the pinned key of an owner.")
@yes_option
@json_option
def trust(owner: str, pinned: str, remove: bool, yes: bool, as_json: bool) -> None:
    """Show the pinned keys, or pin one.

    Once the key of an owner is pinned, amps of this owner are refused if they are not signed, or signed with another.
    """
    from zoo.cli import output
    from zoo.names import OWNER
    from zoo.package.signing import KEY, pin_key, read_trust

    if (owner or pinned or remove) and not OWNER.fullmatch(owner):
        raise UserError(f"'{owner}' is not an owner of amps", "Write the part of OWNER/AMP before the slash.")
    if pinned and (remove or not KEY.fullmatch(pinned)):
        raise UserError(f"'{pinned}' is not a key", "Write the 64 hexadecimal digits that zoo key shows the owner.")
    known = read_trust().owners
    before = known.get(owner.lower(), "")
    if owner and not pinned and not before:
        raise NotFound(f"no key of '{owner}' is pinned", f"Pin one: zoo trust {shell_words(owner)} KEY.")
    if pinned or remove:
        if before not in ("", pinned) and not yes:
            output.confirm(f"the pinned key of '{owner}', {before}, would be removed", "Add --yes.")
        pin_key(owner, pinned)
        known = read_trust().owners
    shown = {name: found for name, found in known.items() if owner.lower() in ("", name)}
    if as_json:
        output.data_json({"schema": "zoo.trust/1", "owners": shown})
    elif shown:
        output.data_table(("OWNER", "KEY"), list(shown.items()))
    else:
        output.info("no key is pinned")
