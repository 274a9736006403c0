"""What a push would do, before it does it: may strangers see this package, and what of it is new there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.package.card import merge_cards, read_front_matter
from zoo.package.card_page import OWNER_PLACEHOLDER
from zoo.package.layout import CARD
from zoo.package.licenses import check_license
from zoo.package.manifest import package_files
from zoo.package.privacy import check_private
from zoo.package.signing import describe_signer


@dataclass(frozen=True)
class PushPlan:
    """A push that was not made yet. `writes` are whole files, name -> bytes, `kept` how many are there already.

    `head` is the revision it goes on top of, empty for a new amp; `replaces` is what a different amp is called that would go.
    """

    package: Path
    name: str
    writes: Mapping[str, bytes]
    removes: tuple[str, ...] = ()
    kept: int = 0
    head: str = ""
    replaces: str = ""
    private: bool = False

    @property
    def bytes(self) -> int:
        """How much would move at most."""
        return sum(map(len, self.writes.values()))


def read_publishable(package: Path, name: str) -> dict[str, bytes]:
    """The files of a package that strangers may see under a name, file -> bytes.

    Raises as `verify` does, and `UserError` for one without a license that a hub knows, or with secrets in it.
    """
    from zoo.package.verify import verify

    verify(package, whole=True)
    describe_signer(package, name)
    front = read_front_matter(package / CARD)
    check_license(front.get("license"), front.get("license_name"), front.get("license_link"))
    check_private(package)
    return {name: (package / name).read_bytes() for name in package_files(package)}


def card_for(name: str, ours: bytes, theirs: bytes | None) -> bytes:
    """The card as it should stand at `name`, `owner/amp`: with that name in it, and with what its owner wrote there kept.

    A shelf, where a name is local, gives none. `ours` was read before; it is a card.
    """
    text = ours.decode("utf-8")
    if name:
        text = re.sub(rf"\b{re.escape(OWNER_PLACEHOLDER)}[a-z0-9_-]+", name, text)
    return (text if theirs is None else merge_cards(text, theirs.decode("utf-8", "replace"))).encode()
