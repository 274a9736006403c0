"""What a push would change, and whether a package may be published at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.package.card import merge_cards, parse_card, read_front_matter
from zoo.package.card_page import OWNER_PLACEHOLDER
from zoo.package.card_schema import LIBRARY
from zoo.package.layout import CARD
from zoo.package.licenses import check_license
from zoo.package.manifest import package_files, read_package_file
from zoo.package.privacy import check_private
from zoo.package.signing import describe_signer

KEEP_LINE_ENDS = b"* -text\n"

NO_TEXT = re.compile(rb"^\*[ \t]+([^\n]*[ \t])?-text\b", re.MULTILINE)


@dataclass(frozen=True)
class PushPlan:
    """A push that was not made yet.

    Attributes:
        package: The package's folder.
        name: The amp, `owner/amp`.
        writes: The files that are new or changed, name -> content.
        removes: The files that go.
        unchanged: How many files are there already.
        head: The revision that the push goes on top of, empty for a new amp.
        replaces: The name of a different amp that the push would replace, empty where there is none.
        private: Whether the amp on the hub is private.
        max_peak_dbfs: The highest peak that was allowed, None for what the package claims.
        published_esr: The mean held ESR that the published card states, None where there is none.
        attributes: The new `.gitattributes`, None where it stays; it goes along when something else is written.
    """

    package: Path
    name: str
    writes: Mapping[str, bytes]
    removes: tuple[str, ...] = ()
    unchanged: int = 0
    head: str = ""
    replaces: str = ""
    private: bool = False
    max_peak_dbfs: float | None = None
    published_esr: float | None = None

    @property
    def esr(self) -> float | None:
        """The mean held ESR that the card to push states, None where the card stays as it is."""
        card = self.writes.get(CARD)
        return None if card is None else stated_esr(parse_card(card.decode("utf-8"))[0])

    attributes: bytes | None = None

    @property
    def bytes(self) -> int:
        """How many bytes the push moves at most."""
        return sum(map(len, self.writes.values()))


def read_publishable(package: Path, name: str, max_peak_dbfs: float | None = None) -> dict[str, bytes]:
    """Read the files of a package that is to be published as `name`, file -> content.

    Raises as `verify` and `check_signature` do, and `UserError` for a license that no hub knows, and for a token or a
    private path in a file.
    """
    from zoo.package.verify import verify

    verify(package, whole=True, max_peak_dbfs=max_peak_dbfs)
    describe_signer(package, name)
    front = read_front_matter(package / CARD)
    check_license(front.get("license"), front.get("license_name"), front.get("license_link"))
    check_private(package)
    return {file: read_package_file(package, file) for file in package_files(package)}


def stated_esr(front: dict[str, Any]) -> float | None:
    """Return the mean held ESR that the front matter of a card states, None where it states none."""
    block = front.get(LIBRARY)
    esr = block.get("esr") if isinstance(block, dict) else None
    return esr if isinstance(esr, float | int) else None


def keep_line_ends(attributes: bytes) -> bytes | None:
    """Return a `.gitattributes` in which Git changes no line ends, so that hashes stay; None where it is one already.

    Its other lines stay and follow, since in Git the last one counts.
    """
    return None if NO_TEXT.search(attributes) else KEEP_LINE_ENDS + attributes


def card_for(name: str, ours: bytes, theirs: bytes | None) -> bytes:
    """Return the card to publish: `ours` with the amp's name in it, merged with what its owner wrote into `theirs`.

    `name` is `owner/amp`, empty on a shelf, where the card keeps its placeholder.
    """
    text = ours.decode("utf-8")
    if name:
        text = re.sub(rf"\b{re.escape(OWNER_PLACEHOLDER)}[a-z0-9_-]+", name, text)
    return (text if theirs is None else merge_cards(text, theirs.decode("utf-8", "replace"))).encode()
