"""Who made a package: an Ed25519 signature over its manifest, and the keys by which owners are known here.

A signature says that whoever holds the key made exactly these bytes; under which name, and that nothing newer replaced them, it does not
say: `zoo.lock` pins those. The signed bytes are `ampzoo.signature/1`, a line feed, and `manifest.json` as it is.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import write_json
from models.core.schema import Frozen, read_document
from models.core.user_folders import user_folder
from zoo.package.layout import MANIFEST, SIGNATURE, max_bytes
from zoo.package.manifest import parse_part

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


CONTEXT = b"ampzoo.signature/1\n"

EXTRA = "Install it: pip install 'ampzoo[sign]'."

KEY = re.compile(r"[0-9a-f]{64}")  # a public one: 32 bytes in hexadecimal digits

Key = Annotated[str, Field(pattern=rf"^{KEY.pattern}$")]


class Signature(Frozen):
    """`manifest.json.sig`: the public key, and what its holder signed the manifest with (64 bytes in hexadecimal digits)."""

    schema_name: Annotated[Literal["ampzoo.signature/1"], Field(alias="schema")] = "ampzoo.signature/1"
    key: Key
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Trust(Frozen):
    """`trust.json`: owner, in small letters -> the one key that their packages must be signed with."""

    schema_name: Annotated[Literal["ampzoo.trust/1"], Field(alias="schema")] = "ampzoo.trust/1"
    owners: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,95}$")], Key] = Field(default_factory=dict)


def config_folder() -> Path:
    """`$AMPZOO_CONFIG`, or `ampzoo` in the user's own folder of settings on this platform."""
    windows, linux = ("APPDATA", "AppData/Roaming"), ("XDG_CONFIG_HOME", ".config")
    return user_folder("AMPZOO_CONFIG", windows, "Library/Application Support", linux)


def read_trust() -> Trust:
    """The pinned keys; raises `UserError` when the file is malformed, so that nothing is trusted by mistake."""
    path = config_folder() / "trust.json"
    return read_document(path, Trust) if path.exists() else Trust()


def pin_key(owner: str, key: str) -> None:
    """Pin the key of an owner in place of an earlier one; an empty one takes the pin away."""
    owners = {name: pinned for name, pinned in read_trust().owners.items() if name != owner.lower()}
    trust = Trust(owners=dict(sorted({**owners, **({owner.lower(): key} if key else {})}.items())))
    write_json(config_folder() / "trust.json", trust.model_dump(mode="json", by_alias=True))


def own_key(make: bool = False) -> "Ed25519PrivateKey":
    """One's own signing key, in a file that nobody else may read.

    Raises `NotFound` when there is none and none is to be made, `UserError` when others may read it or it is no such key.
    """
    _need_cryptography("a signing key")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = key_path()
    if not path.exists():
        if not make:
            raise NotFound(f"there is no signing key at {path}", "Make one: zoo key.")
        key = Ed25519PrivateKey.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        staged = Path(tempfile.mkdtemp(dir=path.parent)) / path.name  # a folder that nobody else may enter
        try:
            staged.touch(0o600)
            staged.write_bytes(pem)
            staged.replace(path)
        finally:
            shutil.rmtree(staged.parent)
        return key
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise UserError(f"{path} may be read by others", f"Make it yours alone: chmod 600 {path}.")
    try:
        key = form.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{path} is not an Ed25519 key without a password", "Move it away; zoo key makes one.")
    return key


def key_path() -> Path:
    """Where one's own signing key lies."""
    return config_folder() / "signing-key.pem"


def public(key: "Ed25519PrivateKey") -> str:
    """The half of a key that everybody may know."""
    return key.public_key().public_bytes_raw().hex()


def sign(folder: Path, key: "Ed25519PrivateKey") -> None:
    """Sign a package: write `manifest.json.sig` beside its manifest. The same package and key give the same bytes."""
    signed = key.sign(CONTEXT + (folder / MANIFEST).read_bytes()).hex()
    document = Signature(key=public(key), signature=signed)
    write_json(folder / SIGNATURE, document.model_dump(mode="json", by_alias=True))


def check_signed(name: str, manifest: bytes, signature: bytes | None) -> str:
    """Who signed these bytes, in words, given the content of the package's two files.

    `name` is `owner/amp`, or a folder, whose owner nobody knows. Raises `IntegrityError` for a signature that does not fit, and, once the
    key of its owner is pinned, for a package that is signed with another key or not at all; `UserError` where that cannot be checked.
    """
    owner = name.partition("/")[0].lower() if "/" in name else ""
    pinned = read_trust().owners.get(owner, "")
    refused = f"Nothing was kept or sent. If {owner} has a new key, and told you so: zoo trust {owner} KEY."
    if signature is None:
        if pinned:
            raise IntegrityError(
                f"{name} is not signed, but the key of '{owner}' is pinned",
                f"{refused} One of your own: zoo package --sign.",
            )
        return "not signed"
    found = parse_part(signature, Signature, f"{name}: {SIGNATURE}")
    if pinned and found.key != pinned:
        raise IntegrityError(f"{name} is signed with {found.key[:16]}, pinned for '{owner}' is {pinned[:16]}", refused)
    if not pinned and not _can_check():
        return f"signed by {found.key} (not checked: pip install 'ampzoo[sign]')"
    _need_cryptography(f"the check of who signed {name}")
    if not _fits(found, manifest):
        raise IntegrityError(f"{name}: {MANIFEST} is not what {found.key[:16]} signed", "Tell the owner of the amp.")
    return f"signed by {found.key} ({'pinned' if pinned else 'not known here'})"


def signer(folder: Path, name: str = "") -> str:
    """The same of a package on disk, at most as large as a signature may be."""
    path = folder / SIGNATURE
    if path.exists() and path.stat().st_size > max_bytes(SIGNATURE):
        raise IntegrityError(f"{path} is larger than {max_bytes(SIGNATURE):,} bytes", "Get the amp again.")
    signature = path.read_bytes() if path.exists() else None
    return check_signed(name or folder.name, (folder / MANIFEST).read_bytes(), signature)


def _fits(found: Signature, manifest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.key)).verify(
            bytes.fromhex(found.signature), CONTEXT + manifest
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _need_cryptography(purpose: str) -> None:
    """Raise `UserError` where the optional library is not installed."""
    if not _can_check():
        raise UserError(f"{purpose} takes the library 'cryptography', which is not installed", EXTRA)


def _can_check() -> bool:
    try:
        import cryptography  # noqa: F401 (is it there?)
    except ImportError:
        return False
    return True
