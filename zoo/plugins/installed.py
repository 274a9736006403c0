"""One plugin in the user's plugin folders that plays every amp of a shelf.

The plugin reads `SHELF/.plugins`, where each amp of the shelf is an `amp.bin`. A pull, push or removal writes that
folder again; a rescan in the DAW then finds the new amps.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.core.errors import NotFound, UserError
from models.core.files import read_regular, staged_file, write_json
from models.core.schema import Frozen, read_document
from models.core.user_folders import home_folder, stated_folder
from models.formats.player.layout import AMP_VERSION
from models.formats.player.reader import AmpFile, read_amp
from models.formats.plugin.bundles import PLUGIN_FORMATS, formats_for, shelf_data, write_plugin, write_turtle
from models.formats.plugin.targets import this_machine
from zoo.package.manifest import digest
from zoo.plugins.export import check_formats, plugin_amp
from zoo.registry.shelf import Shelf

PLUGINS_FOLDER = ".plugins"  # of a shelf; shelves list no folder whose name begins with a dot
RECORD, PLUGIN_NAME = "installed.json", "ampzoo"
MAX_AMP_FILE = 1 << 28  # bytes; as FILE_MOST in player/plugin/files.h
AMP_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*--[A-Za-z0-9][A-Za-z0-9._-]*\.bin")  # OWNER--AMP.bin


class InstalledPlugins(Frozen):
    """`installed.json`: the plugins that were written, and the sha256 of the manifest of each amp that they play.

    `amp_version` is the version of `amp.bin` that they read.
    """

    schema_name: Annotated[Literal["zoo.installed_plugins/1"], Field(alias="schema")] = "zoo.installed_plugins/1"
    plugins: tuple[str, ...] = ()
    amps: dict[str, str] = Field(default_factory=dict)
    max_peak_dbfs: float | None = None
    amp_version: int = 1

    @property
    def paths(self) -> list[Path]:
        """The plugins; any other path, which no command of ours wrote, is left alone."""
        names = [f"{PLUGIN_NAME}.{kind}" for kind in PLUGIN_FORMATS]
        return [path for path in map(Path, self.plugins) if path.name in names and path.is_absolute()]


def plugin_folders(home: Path) -> dict[str, Path]:
    """Return where a user's own plugins are on this system: format -> folder.

    From the documents of the formats: VST 3's "Plug-in Locations", CLAP's `entry.h`, and LV2's filesystem hierarchy.
    """
    if sys.platform == "darwin":
        library = home / "Library" / "Audio" / "Plug-Ins"
        return {"vst3": library / "VST3", "clap": library / "CLAP"}
    if sys.platform == "win32":
        common = (stated_folder("LOCALAPPDATA") or home / "AppData" / "Local") / "Programs" / "Common"
        return {"vst3": common / "VST3", "clap": common / "CLAP"}
    return {"vst3": home / ".vst3", "clap": home / ".clap", "lv2": home / ".lv2"}


def install_plugins(
    shelf: Shelf, kinds: tuple[str, ...], max_peak_dbfs: float | None, on_skip: Callable[[str], None]
) -> list[Path]:
    """Write the plugin in each format, and the amps that it plays; returns the paths of the plugins.

    Args:
        shelf: the shelf that the plugin plays.
        kinds: of `PLUGIN_FORMATS`; none are all of this machine.
        max_peak_dbfs: leave out amps that are louder, None for what each claims.
        on_skip: called with a sentence for an amp that is left out.

    Raises `UserError` for a format that there is not here, and where there is no compiler.
    """
    target = this_machine()
    check_formats(kinds, [target])
    folders, own = plugin_folders(home_folder()), shelf.folder / PLUGINS_FOLDER
    own.mkdir(parents=True, exist_ok=True)
    try:
        record = _read_record(own)
    except UserError:  # damaged: all that it says is found out again
        record = InstalledPlugins()
    same = max_peak_dbfs == record.max_peak_dbfs and record.amp_version == AMP_VERSION
    now = {"max_peak_dbfs": max_peak_dbfs, "amp_version": AMP_VERSION, "amps": record.amps if same else {}}
    record = record.model_copy(update=now)
    amps = _write_amps(shelf, own, record, on_skip)
    data, files = shelf_data(own), _amp_files(own)
    made = [
        write_plugin(kind, target, folders[kind], PLUGIN_NAME, data, files)
        for kind in formats_for(target)
        if kind in (kinds or PLUGIN_FORMATS)
    ]
    plugins = tuple(sorted({*record.plugins, *map(str, made)}))
    _write_record(own, record.model_copy(update={"plugins": plugins, "amps": amps}))
    return made


def refresh_plugins(shelf: Shelf, on_skip: Callable[[str], None]) -> bool:
    """Make the installed plugin play the amps that the shelf has now; returns whether any changed.

    Nothing happens where none is installed. One that reads another version of `amp.bin` is installed again. Hosts look
    at a plugin again whose time has changed, so that is set.
    """
    own = shelf.folder / PLUGINS_FOLDER
    if not (own / RECORD).exists():
        return False
    record = _read_record(own)
    if record.amp_version != AMP_VERSION:
        kinds = {Path(path).suffix[1:] for path in record.plugins}
        install_plugins(shelf, tuple(sorted(kinds)), record.max_peak_dbfs, on_skip)
        return True
    amps = _write_amps(shelf, own, record, on_skip)
    if amps == record.amps:
        return False
    for path in record.paths:
        if path.suffix == ".lv2" and path.is_dir():
            write_turtle(path, _amp_files(own))
        for part in (path, *path.rglob("*")) if path.is_dir() else [path]:
            with suppress(OSError):  # one that was removed by hand
                os.utime(part)
    _write_record(own, record.model_copy(update={"amps": amps}))
    return True


def uninstall_plugins(shelf: Shelf) -> list[Path]:
    """Remove the plugin and the amps that it played; returns the paths of the plugins. Raises `NotFound`."""
    own = shelf.folder / PLUGINS_FOLDER
    if not (own / RECORD).exists():
        raise NotFound(f"no plugin plays the shelf {shelf.folder}", "Install one: zoo install.")
    removed = _read_record(own).paths
    for path in removed:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    shutil.rmtree(own)
    return removed


def _read_record(own: Path) -> InstalledPlugins:
    return read_document(own / RECORD, InstalledPlugins) if (own / RECORD).exists() else InstalledPlugins()


def _write_record(own: Path, record: InstalledPlugins) -> None:
    write_json(own / RECORD, record.model_dump(mode="json", by_alias=True))


def _amp_files(own: Path) -> list[AmpFile]:
    found = (_read_amp_file(path) for path in sorted(own.glob("*.bin")) if AMP_FILE_NAME.fullmatch(path.name))
    return [amp for amp in found if amp is not None]


def _read_amp_file(path: Path) -> AmpFile | None:
    """Return what a file says of its amp, None for a file that is missing, damaged or none of ours."""
    try:
        return read_amp(read_regular(path, MAX_AMP_FILE))
    except (OSError, UserError):
        return None


def _write_amps(shelf: Shelf, own: Path, record: InstalledPlugins, on_skip: Callable[[str], None]) -> dict[str, str]:
    """Write the amps that changed, remove those that are gone; returns the sha256 of the manifest of each."""
    amps = {}
    for name in shelf.names():
        path, revision = own / f"{name.replace('/', '--')}.bin", digest(shelf.folder / name)
        if record.amps.get(name) != revision or _read_amp_file(path) is None:
            try:
                _write_amp(shelf.folder / name, name, path, record.max_peak_dbfs)
            except UserError as problem:
                on_skip(f"{name} is not in the plugin: {problem.message}")
                continue
        amps[name] = revision
    names = {f"{name.replace('/', '--')}.bin" for name in amps}
    for path in own.glob("*.bin"):
        if path.name not in names and AMP_FILE_NAME.fullmatch(path.name):
            path.unlink()
    return amps


def _write_amp(folder: Path, name: str, path: Path, max_peak_dbfs: float | None) -> None:
    """Write a package as `amp.bin`, its files and its loudness checked."""
    from zoo.package.verify import verify

    verify(folder, max_peak_dbfs=max_peak_dbfs)
    data = plugin_amp(folder, name).data
    with staged_file(path) as staged:
        staged.write_bytes(data)
