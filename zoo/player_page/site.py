"""The files of the page, each made when it is asked for: by the server, or all of them to be written."""

import threading
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path

import yaml

from models.core.errors import UserError
from models.core.files import staged_folder
from models.core.plain_text import plain_text
from models.core.scratch import scratch_folder
from models.core.system_files import is_empty
from models.formats.open_model import open_model
from models.formats.player.build import library
from models.formats.player.writer import amp_bytes
from zoo.package.layout import CARD, list_files, package_of
from zoo.package.manifest import read_package_file
from zoo.player_page.documents import DRY_CLIP, AmpPage, AmpSource, ShelfRow, SitePage, describe_amp

STATIC = Path(__file__).parent / "static"
AMP_FILE, AMP_DOCUMENT, SITE_DOCUMENT, ENGINE_FILE = "amp.bin", "amp.json", "site.json", "engine.wasm"


class AmpFiles:
    """The files of one amp: `amp.json`, `amp.bin`, the dry clip, and takes where the package has them."""

    def __init__(self, name: str, resolve: Callable[[], Path]) -> None:
        """`resolve` returns the folder of the model, verified, or a `.nam` file; it is called at the first use."""
        self.name = name
        self._resolve = resolve
        self._lock = threading.RLock()

    @cached_property
    def folder(self) -> Path:
        """The folder of the model, or its `.nam` file."""
        return self._resolve()

    @cached_property
    def page(self) -> AmpPage:
        """What the page shows of the amp."""
        return describe_amp(self.folder, self.name)

    @cached_property
    def binary(self) -> bytes:
        """The bytes of `amp.bin`."""
        return amp_bytes(*open_model(self.folder), identity=self.name)

    @cached_property
    def dry_clip(self) -> bytes:
        """The dry clip of the package, or the one that packages are made with."""
        package = package_of(self.folder)
        return read_package_file(package, DRY_CLIP) if package and (package / DRY_CLIP).exists() else self._made_clip()

    def names(self) -> list[str]:
        """Return the names of all files."""
        takes = [name for preset in self.page.presets for name in (preset.dry, preset.target) if name]
        return [AMP_DOCUMENT, AMP_FILE, DRY_CLIP, *sorted(set(takes))]

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where there is none of that name. Raises what reading a model raises."""
        with self._lock:
            if name == AMP_DOCUMENT:
                return self.page.model_dump_json(by_alias=True).encode()
            if name == AMP_FILE:
                return self.binary
            if name == DRY_CLIP:
                return self.dry_clip
            if name not in self.names():
                return None
            package = package_of(self.folder)
            assert package is not None, "only packages have takes"
            return read_package_file(package, name)

    def _made_clip(self) -> bytes:
        from models.audio.guitar import guitar
        from models.audio.io import write_audio
        from zoo.package.demo_clips import DEMO_SECONDS, DEMO_SEED

        rate_hz = open_model(self.folder)[0].audio.sample_rate
        with scratch_folder() as made:
            path = made / "di.flac"
            write_audio(path, guitar(DEMO_SECONDS, rate_hz, DEMO_SEED), rate_hz)
            return path.read_bytes()


class Site:
    """All files of the page: its own, `site.json`, the engine, and those of the amps in `amps/NAME/`."""

    def __init__(self, label: str, amps: Mapping[str, AmpFiles], rows: Iterable[ShelfRow], single: bool) -> None:
        """`rows` are the list of amps, `label` says where they are from; a `single` amp is shown at once."""
        self._amps = amps
        self.document = SitePage(label=plain_text(label), single=single, amps=tuple(rows))
        self._static = {path.name: path for path in STATIC.iterdir() if path.is_file()}

    def with_source(self, source: AmpSource) -> "Site":
        """Return the same page, which fetches files of its amp from elsewhere."""
        site = copy(self)
        site.document = self.document.model_copy(update={"source": source})
        return site

    def amp_files(self, name: str) -> list[str]:
        """Return the names of the files of an amp, below its folder."""
        return self._amps[name].names()

    def names(self) -> list[str]:
        """Return the names of all files; every amp is read for that."""
        own = [*sorted(self._static), SITE_DOCUMENT, ENGINE_FILE]
        return own + [f"amps/{name}/{file}" for name, amp in self._amps.items() for file in amp.names()]

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where there is none of that name.

        Raises `UserError` for a model that cannot be played, and where there is no compiler for the engine.
        """
        if name in self._static:
            return self._static[name].read_bytes()
        if name == SITE_DOCUMENT:
            return self.document.model_dump_json(by_alias=True).encode()
        if name == ENGINE_FILE:
            return library("wasm32").read_bytes()
        for amp, files in self._amps.items():
            if name.startswith(prefix := f"amps/{amp}/"):
                return files.read(name.removeprefix(prefix))
        return None


def one_amp(name: str, folder: Path) -> Site:
    """Return the page of one amp, from the verified folder of its model."""
    return Site(name, {name: AmpFiles(name, lambda: folder)}, [ShelfRow(name=name)], single=True)


def many_amps(label: str, rows: Iterable[ShelfRow], resolve: Callable[[str], Path]) -> Site:
    """Return the page of a shelf or a hub; `resolve(name)` returns the verified folder of an amp of it."""
    rows = tuple(rows)
    amps = {row.name: AmpFiles(row.name, lambda name=row.name: resolve(name)) for row in rows}
    return Site(label, amps, rows, single=False)


def space_card(site: Site) -> str:
    """Return the `README.md` that makes the files of a page a static Space of the Hugging Face hub."""
    page = site.document
    models = [row.name for row in page.amps if "/" in row.name]
    front = {"title": page.amps[0].name if page.single else "Amps", "emoji": "🎸", "sdk": "static", "models": models}
    return f"---\n{yaml.safe_dump(front, allow_unicode=True, sort_keys=False)}---\n\nAmps whose knobs turn live.\n"


def write_site(site: Site, folder: Path) -> int:
    """Write all files of a page, whole or not at all, in place of an earlier page; returns their size in bytes.

    Beside them is the `README.md` of a static Space.

    Raises `UserError` when the folder holds anything else, and as `Site.read` does.
    """
    if folder.is_file() or (folder.is_dir() and not is_empty(folder) and not _is_page(folder)):
        raise UserError(f"{folder} exists and is not a page", "Choose another folder.")
    size = 0
    with staged_folder(folder) as staged:
        for name in site.names():
            data = site.read(name)
            assert data is not None, name
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(data)
            size += len(data)
        (staged / CARD).write_text(space_card(site), encoding="utf-8")
    return size


def _is_page(folder: Path) -> bool:
    """Return whether a folder holds a page and nothing else at its top."""
    own = {SITE_DOCUMENT, ENGINE_FILE, CARD, *(path.name for path in STATIC.iterdir())}
    return SITE_DOCUMENT in (found := list_files(folder)) and all(
        name in own or name.startswith("amps/") for name in found
    )
