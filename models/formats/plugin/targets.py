"""The systems that plugins are made for, and the library of each.

A target is one file that a system loads: `linux-x86_64`, `linux-aarch64`, `windows-x86_64`, `macos` (both processors).
"""

from models.core.errors import UserError
from models.formats.player.build import carried_library, compiler_hint, compilers, host, plugin_library
from models.formats.player.universal import MACHO_PROCESSORS, universal

SYSTEMS = {  # what people name -> targets
    "linux": ("linux-x86_64", "linux-aarch64"),
    "windows": ("windows-x86_64",),
    "macos": ("macos",),
}
TARGETS = tuple(target for targets in SYSTEMS.values() for target in targets)


def this_machine() -> str:
    """Return the target of this machine. Raises `UserError` where no plugins are made for it."""
    target = "macos" if host().startswith("macos") else host()
    if target not in TARGETS:
        raise UserError(f"there are no plugins for {target}", f"They are made for {', '.join(TARGETS)}.")
    return target


def plugin_binary(target: str) -> bytes:
    """Return the library of a target: the one that the wheel carries, else one that is compiled at the first call.

    Raises `UserError` where there is no compiler for it.
    """
    if target != "macos":
        return plugin_library(target).read_bytes()
    if carried := carried_library("ampzoo-plugin", target):
        return carried.read_bytes()
    if "zig" in compilers():
        return universal({name: plugin_library(name).read_bytes() for name in MACHO_PROCESSORS})
    if host() not in MACHO_PROCESSORS:
        raise UserError("the compiler of this machine does not build for macos", compiler_hint())
    return plugin_library(host()).read_bytes()
