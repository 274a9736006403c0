"""What a pull would fetch: zoo and revision resolved, pin and limits checked before a byte moves."""

from dataclasses import dataclass
from pathlib import Path

from models.core.errors import UserError
from models.core.plain_text import is_text
from zoo.names import Ref, parse_ref
from zoo.package.front_matter import text_of
from zoo.package.layout import MANIFEST, files_of_tier, select_files
from zoo.package.manifest import PackageManifest
from zoo.registry.folders import shelf_folder
from zoo.registry.lockfile import Pin, check_revision, read_pin, write_pin
from zoo.registry.protocol import Pulled, TransferProgress, Zoo
from zoo.registry.resolve import resolve_zoo


@dataclass(frozen=True)
class PullRequest:
    """An amp to pull, and the conditions under which it is pulled.

    Attributes:
        amp: `owner/amp` or `owner/amp@revision`.
        where: The zoo, as on the command line; None for the pinned zoo, or else the user's own shelf.
        tier: A tier of the amp, empty for all of them.
        to: The package's folder; None for the amp's place on the user's own shelf.
        locked: Pull exactly what `zoo.lock` pins.
        max_mb: Refuse an amp of more megabytes, None for any size.
        licenses: Refuse an amp under any other license, empty for any license.
        max_peak_dbfs: Refuse an amp that plays louder, None for what it claims and some dB.
    """

    amp: str
    where: str | None = None
    tier: str = ""
    to: Path | None = None
    locked: bool = False
    max_mb: float | None = None
    licenses: tuple[str, ...] = ()
    max_peak_dbfs: float | None = None


@dataclass(frozen=True)
class PullPlan:
    """A pull that was not made yet; `pin` is the sha256 that the manifest must have, empty for any."""

    zoo: Zoo
    ref: Ref
    tier: str
    folder: Path
    pin: str = ""
    max_peak_dbfs: float | None = None

    def sizes(self) -> dict[str, int]:
        """Return the files that the pull would fetch, name -> size in bytes. Raises `NotFound` for an unknown tier."""
        sizes = self.zoo.sizes(self.ref)
        root = self.zoo.document(self.ref, MANIFEST, PackageManifest).tier if self.tier else ""
        return {name: sizes[name] for name in select_files(sizes, self.tier, root, self.ref.name)}

    def run(self, on_progress: TransferProgress) -> Pulled:
        """Make the pull."""
        return self.zoo.pull(self.ref, self.folder, self.tier, on_progress, self.pin, self.max_peak_dbfs)

    def write_lock(self, pulled: Pulled) -> None:
        """Pin what was pulled in `./zoo.lock`. Raises `UserError` for a shelf whose path no text file can hold."""
        if not is_text(self.zoo.label):
            raise UserError(
                f"zoo.lock cannot hold the shelf {self.zoo.label}: its name is no UTF-8 text",
                "Rename the folder in plain letters.",
            )
        made = Pin(
            zoo=self.zoo.label,
            revision=self.ref.revision,
            commit=pulled.revision,
            manifest=pulled.manifest,
            tier=self.tier,
        )
        write_pin(self.ref.name, made)


def plan_pull(request: PullRequest) -> PullPlan:
    """Resolve a request; nothing is fetched but what the zoo lists.

    Raises `NotFound` for an amp that is unknown or not pinned, `IntegrityError` when a pinned revision now names
    another commit, `UserError` for an amp that is too large or under another license.
    """
    ref = parse_ref(request.amp)
    pin = read_pin(ref.name) if request.locked else None
    zoo = resolve_zoo(request.where or (pin.zoo if pin else None))
    tier = request.tier or (pin.tier if pin else "")
    if pin is not None:
        named = Ref(ref.name, ref.revision or pin.revision)
        if named.revision:
            check_revision(ref.name, pin.model_copy(update={"revision": named.revision}), zoo.revision(named))
        ref = Ref(ref.name, pin.commit)
    _check_size(zoo, ref, tier, request.max_mb)
    _check_license(zoo, ref, request.licenses)
    folder, expected = request.to or shelf_folder() / ref.name, pin.manifest if pin else ""
    return PullPlan(zoo, ref, tier, folder, expected, request.max_peak_dbfs)


def stated_license(zoo: Zoo, ref: Ref) -> str:
    """Return the license that an amp's card states, `not stated` where it states none or cannot be read."""
    try:
        stated = text_of(zoo.front_matter(ref), "license")
    except UserError:
        stated = "-"
    return "not stated" if stated == "-" else stated


def _check_size(zoo: Zoo, ref: Ref, tier: str, max_mb: float | None) -> None:
    """Raise `UserError` when the files to pull are larger than `max_mb` megabytes."""
    if max_mb is None:
        return
    sizes = zoo.sizes(ref)
    total = sum(sizes[name] for name in files_of_tier(sizes, tier))
    if total > max_mb * 1e6:
        raise UserError(
            f"{ref.name} is {total / 1e6:.1f} MB, --max-size allows {max_mb:g}",
            "Allow more." if tier else "Allow more, or add a smaller --tier.",
        )


def _check_license(zoo: Zoo, ref: Ref, licenses: tuple[str, ...]) -> None:
    """Raise `UserError` when an amp's license is none of `licenses`; case does not matter."""
    if licenses and (found := stated_license(zoo, ref)).lower() not in [one.lower() for one in licenses]:
        raise UserError(
            f"the license of {ref.name} is {found}, not {' or '.join(licenses)}",
            "Ask its owner, or choose another amp.",
        )
