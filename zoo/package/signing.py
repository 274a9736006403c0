"""Ed25519 signatures over a package's manifest, the user's own signing key, and the pinned keys of owners.

A signature proves that the holder of the key made exactly these bytes. It proves neither the name under which they
are published nor that they are the newest; `zoo.lock` pins those. The signed bytes are `ampzoo.signature/1`, a line
feed, and `manifest.json` as it is.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from models.core.errors import IntegrityError, NotFound, UserError, shell_words
from models.core.extras import install_command
from models.core.files import staged_file, write_json
from models.core.schema import Frozen, read_document, spelled
from models.core.user_folders import user_folder
from zoo.package.layout import MANIFEST, SIGNATURE
from zoo.package.manifest import parse_package_document, read_package_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


CONTEXT = b"ampzoo.signature/1\n"

KEY = re.compile(r"[0-9a-f]{64}")  # a public key: 32 bytes in hexadecimal digits

PublicKey = Annotated[str, spelled(rf"^{KEY.pattern}$", "a public key, 64 of the digits 0-9 and a-f")]


class Signature(Frozen):
    """`manifest.json.sig`: the public key and the signature (64 bytes), both in hexadecimal digits."""

    schema_name: Annotated[Literal["ampzoo.signature/1"], Field(alias="schema")] = "ampzoo.signature/1"
    key: PublicKey
    signature: Annotated[str, spelled(r"^[0-9a-f]{128}$", "128 of the digits 0-9 and a-f")]


class Trust(Frozen):
    """`trust.json`: owner in lower case -> the one key that must have signed the owner's packages."""

    schema_name: Annotated[Literal["ampzoo.trust/1"], Field(alias="schema")] = "ampzoo.trust/1"
    owners: dict[Annotated[str, spelled(r"^[a-z0-9][a-z0-9._-]{0,95}$", "an owner in lower case")], PublicKey] = Field(
        default_factory=dict
    )


def config_folder() -> Path:
    """Return `$AMPZOO_CONFIG`, or `ampzoo` in this platform's folder for settings of a user."""
    windows, linux = ("APPDATA", "AppData/Roaming"), ("XDG_CONFIG_HOME", ".config")
    return user_folder("AMPZOO_CONFIG", windows, "Library/Application Support", linux)


def read_trust() -> Trust:
    """Read the pinned keys. Raises `UserError` for a malformed file, so that no key is trusted by mistake."""
    path = config_folder() / "trust.json"
    return read_document(path, Trust) if path.exists() else Trust()


def pin_key(owner: str, key: str) -> None:
    """Pin the key of an owner in place of an earlier one; an empty `key` removes the pin."""
    owners = {name: known for name, known in read_trust().owners.items() if name != owner.lower()}
    trust = Trust(owners=dict(sorted({**owners, **({owner.lower(): key} if key else {})}.items())))
    write_json(config_folder() / "trust.json", trust.model_dump(mode="json", by_alias=True))


def load_signing_key(create: bool = False) -> "Ed25519PrivateKey":
    """Read the user's own signing key; with `create`, make one where there is none.

    Raises `NotFound` when there is no key, `UserError` when other users may read the file or it holds no such key.
    """
    _need_cryptography("a signing key")
    path = signing_key_path()
    if not path.exists():
        if not create:
            raise NotFound(f"there is no signing key at {path}", "Make one: zoo key.")
        return _create_key(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise UserError(f"{path} may be read by others", f"Make it yours alone: chmod 600 {path}.")
    return _read_key(path)


def signing_key_path() -> Path:
    """Return the file of the user's own signing key."""
    return config_folder() / "signing-key.pem"


def public_key_hex(key: "Ed25519PrivateKey") -> str:
    """Return the public key, 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def sign(folder: Path, key: "Ed25519PrivateKey") -> None:
    """Sign a package: write `manifest.json.sig` beside its manifest. The same package and key give the same bytes."""
    signed = key.sign(CONTEXT + read_package_file(folder, MANIFEST)).hex()
    document = Signature(key=public_key_hex(key), signature=signed)
    write_json(folder / SIGNATURE, document.model_dump(mode="json", by_alias=True))


def check_signature(name: str, manifest: bytes, signature: bytes | None) -> str:
    """Check a package's signature and say in words who signed it.

    Args:
        name: The amp, `owner/amp`, or the name of a folder, which has no known owner.
        manifest: The bytes of `manifest.json`.
        signature: The bytes of `manifest.json.sig`, None where there is no such file.

    Raises `IntegrityError` for an invalid signature and, where the owner's key is pinned, for a package that is
    unsigned or signed with another key; `UserError` where a pinned key cannot be checked because `cryptography` is
    missing.
    """
    owner = name.partition("/")[0].lower() if "/" in name else ""
    pinned_key = read_trust().owners.get(owner, "")
    refused = f"Nothing was saved or sent. If {owner} announced a new key: zoo trust {shell_words(owner)} KEY."
    if signature is None:
        if pinned_key:
            raise IntegrityError(
                f"{name} is not signed, but the key of '{owner}' is pinned",
                f"{refused} To sign a package of your own: zoo package --sign.",
            )
        return "not signed"
    found = parse_package_document(signature, Signature, f"{name}: {SIGNATURE}")
    if pinned_key and found.key != pinned_key:
        raise IntegrityError(
            f"{name} is signed with {found.key[:16]}, pinned for '{owner}' is {pinned_key[:16]}", refused
        )
    if not pinned_key and not _has_cryptography():
        return f"signed by {found.key} (not checked: {install_command('sign')})"
    _need_cryptography(f"the check of who signed {name}")
    if not _is_valid(found, manifest):
        raise IntegrityError(f"{name}: {MANIFEST} is not what {found.key[:16]} signed", "Report it to the amp's owner.")
    return f"signed by {found.key} ({'pinned' if pinned_key else 'not known here'})"


def describe_signer(folder: Path, name: str = "") -> str:
    """Check the signature of a package on disk and say who signed it; raises as `check_signature` does."""
    signature = read_package_file(folder, SIGNATURE) if (folder / SIGNATURE).exists() else None
    return check_signature(name or folder.name, read_package_file(folder, MANIFEST), signature)


def _create_key(path: Path) -> "Ed25519PrivateKey":
    """Make a key and write it to `path`, never readable by other users."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with staged_file(path, mode=0o600) as staged:
        staged.write_bytes(pem)
    return key


def _read_key(path: Path) -> "Ed25519PrivateKey":
    """Read a key. Raises `UserError` for a file that is not an Ed25519 key without a password."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path} is not an Ed25519 key without a password", "Move it away; zoo key makes one.")
    return key


def _is_valid(found: Signature, manifest: bytes) -> bool:
    """Return whether the signature is one of these manifest bytes by its key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.key))
        key.verify(bytes.fromhex(found.signature), CONTEXT + manifest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _need_cryptography(purpose: str) -> None:
    """Raise `UserError` where the optional library `cryptography` is not installed."""
    if not _has_cryptography():
        raise UserError(
            f"{purpose} needs the library 'cryptography', which is not installed",
            f"Install it: {install_command('sign')}",
        )


def _has_cryptography() -> bool:
    try:
        import cryptography  # noqa: F401 (only whether it is installed)
    except ImportError:
        return False
    return True
