"""`zoo.lock`: the amps that a project uses, each pinned to a commit and to the sha256 of its manifest."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.core.errors import IntegrityError, NotFound
from models.core.files import write_json
from models.core.schema import SHA256_TEXT, Frozen, read_document, spelled
from zoo.names import NAME
from zoo.package.layout import SLUG, SLUG_WORDS

LOCK = Path("zoo.lock")


class Pin(Frozen):
    """One amp: its zoo, the revision that was asked for (empty for the newest), its commit, manifest and tier."""

    zoo: Annotated[str, Field(max_length=256)]
    revision: Annotated[
        str, spelled(r"^[A-Za-z0-9._-]{0,64}$", "a branch, a tag or a commit: up to 64 letters, digits, ., - and _")
    ] = ""
    commit: Annotated[
        str, spelled(r"^([0-9a-f]{40}|[0-9a-f]{64})$", "a commit or a SHA-256, 40 or 64 of the digits 0-9 and a-f")
    ]
    manifest: Annotated[str, SHA256_TEXT]
    tier: Annotated[str, spelled(rf"^({SLUG})?$", f"empty, or {SLUG_WORDS}")] = ""


class LockFile(Frozen):
    """`zoo.lock`."""

    schema_name: Annotated[Literal["ampzoo.lock/1"], Field(alias="schema")] = "ampzoo.lock/1"
    amps: dict[Annotated[str, spelled(rf"^{NAME.pattern}$", "OWNER/AMP, for example 'alice/plexi'")], Pin] = Field(
        default_factory=dict
    )


def read_lock(path: Path = LOCK) -> LockFile:
    """Read a lock file. Raises `NotFound` when there is none, `UserError` when it is malformed."""
    if not path.exists():
        raise NotFound(f"there is no {path} here", "Write one: zoo pull OWNER/AMP --lock.")
    return read_document(path, LockFile)


def write_pin(name: str, pin: Pin, path: Path = LOCK) -> None:
    """Pin an amp, in place of an earlier pin."""
    amps = read_lock(path).amps if path.exists() else {}
    lock = LockFile(amps=dict(sorted({**amps, name: pin}.items())))
    write_json(path, lock.model_dump(mode="json", by_alias=True))


def read_pin(name: str, path: Path = LOCK) -> Pin:
    """Return the pin of an amp. Raises `NotFound` when it has none."""
    pins = read_lock(path).amps
    if name not in pins:
        raise NotFound(f"{path} does not pin '{name}'", f"It pins: {', '.join(pins) or 'nothing'}.")
    return pins[name]


def check_revision(name: str, pin: Pin, commit: str) -> None:
    """Raise `IntegrityError` when a named revision, such as a tag, is no longer the commit that was pinned."""
    if pin.revision and commit != pin.commit:
        raise IntegrityError(
            f"{name}@{pin.revision} was {pin.commit[:12]} when it was pinned, it is {commit[:12]} now",
            "The revision was moved. Compare with zoo diff; accept the new one with zoo pull --lock.",
        )
