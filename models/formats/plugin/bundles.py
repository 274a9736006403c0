"""The files that a host loads: a library with its amp, laid out as each format asks for it.

The library finds the amps beside it or at its own end (`player/plugin/catalog.h`).
"""

import os
import plistlib
import struct
from collections.abc import Sequence
from pathlib import Path

from models.core.files import staged_file, staged_folder
from models.formats.player.reader import AmpFile
from models.formats.plugin.targets import plugin_binary
from models.formats.plugin.turtle import AMP_TURTLE, LIBRARY_NAME, MANIFEST_TURTLE, amp_turtle, manifest_turtle

PLUGIN_FORMATS = ("vst3", "clap", "lv2")
VST3_FOLDERS = {  # target -> folder in the bundle, and how the library's name ends
    "linux-x86_64": ("x86_64-linux", ".so"),
    "linux-aarch64": ("aarch64-linux", ".so"),
    "windows-x86_64": ("x86_64-win", ".vst3"),
    "macos": ("MacOS", ""),
}
AMP_DATA = "amp.bin"
TAIL_MAGIC, SHELF_MAGIC = b"AMPZTAIL", b"AMPSHELF\n"


def formats_for(target: str) -> tuple[str, ...]:
    """Return the formats of a target: LV2 is for Linux."""
    return tuple(name for name in PLUGIN_FORMATS if name != "lv2" or target.startswith("linux"))


def shelf_data(folder: Path) -> bytes:
    """Return the data of a plugin that plays every amp of a folder."""
    return SHELF_MAGIC + os.fsencode(folder.absolute())


def write_plugin(kind: str, target: str, place: Path, name: str, data: bytes, amps: Sequence[AmpFile]) -> Path:
    """Write a plugin in a folder, whole or not at all, in place of an earlier one; returns its path.

    Args:
        kind: one of `formats_for(target)`.
        target: one of `targets.TARGETS`.
        place: the folder; it is made where there is none.
        name: of the file or bundle, without its ending.
        data: the bytes of `amp.bin`, or `shelf_data`.
        amps: the amps that the plugin has now; LV2 lists them.

    Raises `UserError` where the library cannot be built.
    """
    path, library = place / f"{name}.{kind}", plugin_binary(target)
    place.mkdir(parents=True, exist_ok=True)
    if kind == "clap" and target != "macos":
        with staged_file(path) as staged:
            staged.write_bytes(library + data + struct.pack("<I", len(data)) + TAIL_MAGIC)
        return path
    with staged_folder(path) as staged:
        if kind == "lv2":
            (staged / LIBRARY_NAME).write_bytes(library)
            (staged / AMP_DATA).write_bytes(data)
            write_turtle(staged, amps)
        else:
            _write_contents(staged / "Contents", target, name, library, data)
    return path


def write_turtle(folder: Path, amps: Sequence[AmpFile]) -> None:
    """Write what an LV2 bundle says of its plugins: `manifest.ttl`, and a file per amp."""
    for amp in amps:
        (folder / AMP_TURTLE.format(amp.identity.hex())).write_text(amp_turtle(amp), encoding="utf-8")
    (folder / MANIFEST_TURTLE).write_text(manifest_turtle(amps), encoding="utf-8")


def _write_contents(contents: Path, target: str, name: str, library: bytes, data: bytes) -> None:
    """Write the folder `Contents` of a VST 3 bundle, or of any bundle of macOS."""
    folder, ending = VST3_FOLDERS[target]
    (contents / folder).mkdir(parents=True)
    (contents / "Resources").mkdir()
    (contents / folder / f"{name}{ending}").write_bytes(library)
    (contents / "Resources" / AMP_DATA).write_bytes(data)
    if target == "macos":
        facts = {
            "CFBundleExecutable": name,
            "CFBundleIdentifier": f"org.ampzoo.{name}",
            "CFBundleName": name,
            "CFBundlePackageType": "BNDL",
            "CFBundleVersion": "1.0.0",
        }
        (contents / "Info.plist").write_bytes(plistlib.dumps(facts))
        (contents / "PkgInfo").write_text("BNDL????")
