"""What a shelf and a hub have in common: the `Zoo` protocol and the result of a pull."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from models.core.schema import Document
from zoo.names import Ref
from zoo.package.card_schema import AmpSummary

if TYPE_CHECKING:
    from zoo.registry.push_plan import PushPlan

TransferProgress = Callable[[float, float], None]  # bytes done, bytes in all


def no_progress(done: float, total: float) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Pulled:
    """The result of a pull.

    Attributes:
        revision: A hub's commit, or the sha256 of the manifest on a shelf.
        manifest: The sha256 of the manifest.
        files: How many files the package has here.
        bytes_moved: How many bytes were transferred or copied.
        ignored: How many files there do not belong to a package.
        signer: Who signed the package, in words.
    """

    revision: str
    manifest: str
    files: int
    bytes_moved: int
    ignored: int = 0
    signer: str = ""


class Zoo(Protocol):
    """A place with amps: a shelf or a hub. Its methods raise `NotFound` for an amp or a revision that is not there."""

    label: str  # the shelf's folder or the hub's URL, for messages

    def list(self, on_skip: Callable[[str], None]) -> list[AmpSummary]:
        """Return every amp; `on_skip` is called with a sentence for each one whose card cannot be read."""
        ...

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """Return one JSON document of an amp, checked against its schema."""
        ...

    def front_matter(self, ref: Ref) -> dict[str, Any]:
        """Return the front matter of an amp's card."""
        ...

    def revision(self, ref: Ref) -> str:
        """Return the full revision that a name stands for."""
        ...

    def sizes(self, ref: Ref) -> dict[str, int]:
        """Return the files of an amp, name -> size in bytes."""
        ...

    def read(self, ref: Ref, file: str) -> bytes:
        """Return the bytes of one file of an amp."""
        ...

    def pull(
        self,
        ref: Ref,
        to: Path,
        tier: str = "",
        on_progress: TransferProgress = no_progress,
        pin: str = "",
        max_peak_dbfs: float | None = None,
    ) -> Pulled:
        """Copy an amp, or one `tier` of it, into the folder `to`, verified.

        `pin` is the sha256 that its manifest must have, empty for any; `max_peak_dbfs` is as in `check_loudness`.
        """
        ...

    def plan(self, package: Path, name: str, max_peak_dbfs: float | None = None) -> "PushPlan":
        """Return what a push of a package under a name would change."""
        ...

    def push(self, plan: "PushPlan", private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push and return the new revision."""
        ...
