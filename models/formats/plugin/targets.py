"""The systems that plugins are made for, and the library of each.

A target is one file that a system loads: `linux-x86_64`, `linux-aarch64`, `windows-x86_64`, `macos` (both processors).
"""

import struct

from models.core.errors import UserError
from models.formats.player.build import HINT_COMPILER, compilers, host, plugin_library

SYSTEMS = {  # what people name -> targets
    "linux": ("linux-x86_64", "linux-aarch64"),
    "windows": ("windows-x86_64",),
    "macos": ("macos",),
}
TARGETS = tuple(target for targets in SYSTEMS.values() for target in targets)

FAT_MAGIC, FAT_ALIGNMENT = 0xCAFEBABE, 14  # of a Mach-O file for several processors; parts begin at multiples of 2^14
MACHO_PROCESSORS = {"macos-x86_64": (0x01000007, 3), "macos-aarch64": (0x0100000C, 0)}  # type and subtype


def this_machine() -> str:
    """Return the target of this machine. Raises `UserError` where no plugins are made for it."""
    target = "macos" if host().startswith("macos") else host()
    if target not in TARGETS:
        raise UserError(f"there are no plugins for {target}", f"They are made for {', '.join(TARGETS)}.")
    return target


def plugin_binary(target: str) -> bytes:
    """Return the library of a target, compiled at the first call.

    Raises `UserError` where there is no compiler for it.
    """
    if target != "macos":
        return plugin_library(target).read_bytes()
    if "zig" in compilers():
        return universal({name: plugin_library(name).read_bytes() for name in MACHO_PROCESSORS})
    if host() not in MACHO_PROCESSORS:
        raise UserError("the compiler of this machine does not build for macos", HINT_COMPILER)
    return plugin_library(host()).read_bytes()


def universal(parts: dict[str, bytes]) -> bytes:
    """Return Mach-O files of several processors (keys of `MACHO_PROCESSORS`) as one.

    The layout is `fat_header` and `fat_arch` of Apple's `mach-o/fat.h`: big-endian, then the parts.
    """
    unit = 1 << FAT_ALIGNMENT
    head, body = struct.pack(">2I", FAT_MAGIC, len(parts)), b""
    for name, part in parts.items():
        head += struct.pack(">5I", *MACHO_PROCESSORS[name], unit + len(body), len(part), FAT_ALIGNMENT)
        body += part + bytes(-len(part) % unit)
    return head.ljust(unit, b"\0") + body
