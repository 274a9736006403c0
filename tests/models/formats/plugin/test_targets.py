"""Plugins for other systems: linked for all of them here, with the names that hosts look for, needing nothing else."""

import plistlib
import struct
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import UserError
from models.formats.player import build
from models.formats.player.reader import read_amp
from models.formats.player.universal import MACHO_PROCESSORS, universal
from models.formats.plugin import targets
from models.formats.plugin.bundles import PLUGIN_FORMATS, formats_for, write_plugin
from models.formats.plugin.targets import TARGETS, plugin_binary, this_machine
from tests.support.makers import architecture, wavenet
from tests.support.plugins import needs_plugins, plugin_data

ENTRIES = {
    "linux": {"clap_entry", "lv2_descriptor", "GetPluginFactory", "ModuleEntry", "ModuleExit"},
    "windows": {"clap_entry", "lv2_descriptor", "GetPluginFactory", "InitDll", "ExitDll"},
    "macos": {"clap_entry", "lv2_descriptor", "GetPluginFactory", "bundleEntry", "bundleExit"},
}
LINUX_LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}
needs_zig = pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed (pip install ziglang)")
needs_lief = pytest.mark.skipif(find_spec("lief") is None, reason="lief is not installed (pip install lief)")
DATA = plugin_data(wavenet(architecture("film"), 5))


def names(symbols: Iterable) -> set[str]:
    """The names of symbols as C has them."""
    return {str(symbol.name).removeprefix("_") for symbol in symbols}


@needs_zig
@needs_lief
@pytest.mark.parametrize("target", ["linux-x86_64", "linux-aarch64"])
def test_linux_files_need_the_c_library_alone(target: str):
    import lief

    binary = lief.ELF.parse(list(plugin_binary(target)))
    assert binary
    assert names(binary.exported_symbols) == ENTRIES["linux"]
    assert set(binary.libraries) <= LINUX_LIBRARIES
    versions = {str(aux.name) for need in binary.symbols_version_requirement for aux in need.get_auxiliary_symbols()}
    assert max(tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in versions) <= (2, 17)
    assert (
        str(binary.header.machine_type).rpartition(".")[2]
        == {"x86_64": "X86_64", "aarch64": "AARCH64"}[target.partition("-")[2]]
    )


@needs_zig
@needs_lief
def test_windows_files_need_windows_alone():
    import lief

    binary = lief.PE.parse(list(plugin_binary("windows-x86_64")))
    assert binary and (exports := binary.get_export())
    assert {entry.name for entry in exports.entries} == ENTRIES["windows"]
    libraries = {str(one.name).lower() for one in binary.imports}
    others = {name for name in libraries if not name.startswith(("api-ms-win-crt-", "ucrtbase"))}
    assert others == {"kernel32.dll"}


@needs_zig
@needs_lief
def test_macos_files_hold_both_processors_and_a_signature():
    import lief

    fat = lief.MachO.parse(list(plugin_binary("macos")))
    assert fat
    found = {}
    for number in range(fat.size):
        binary = fat.at(number)
        assert binary
        found[str(binary.header.cpu_type).rpartition(".")[2]] = binary
        assert ENTRIES["macos"] <= names(binary.exported_symbols)
        assert {one.name for one in binary.libraries} <= {"/usr/lib/libSystem.B.dylib", *own_names(binary)}
    assert set(found) == {"X86_64", "ARM64"}
    assert found["ARM64"].has_code_signature  # without one no Mac with Apple silicon loads it


def own_names(binary: Any) -> set[str]:
    """The name that a library gives to itself."""
    return {one.name for one in binary.libraries if "ampzoo" in one.name}


def test_parts_of_a_universal_file_begin_where_its_head_says():
    parts = {name: bytes([n]) * (1000 + 20_000 * n) for n, name in enumerate(MACHO_PROCESSORS, 1)}
    data = universal(parts)
    assert struct.unpack_from(">2I", data) == (0xCAFEBABE, 2)
    for number, (name, part) in enumerate(parts.items()):
        *processor, begin, size, power = struct.unpack_from(">5I", data, 8 + 20 * number)
        assert tuple(processor) == MACHO_PROCESSORS[name]
        assert data[begin : begin + size] == part
        assert begin % 2**power == 0


@pytest.mark.parametrize("target", TARGETS)
def test_bundles_have_the_layout_of_their_system(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.formats.plugin.bundles.plugin_binary", lambda name: name.encode())
    for kind in formats_for(target):
        write_plugin(kind, target, tmp_path, "me-amp", DATA, [read_amp(DATA)])
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    library = {
        "linux-x86_64": "x86_64-linux/me-amp.so",
        "linux-aarch64": "aarch64-linux/me-amp.so",
        "windows-x86_64": "x86_64-win/me-amp.vst3",
        "macos": "MacOS/me-amp",
    }[target]
    assert {f"me-amp.vst3/Contents/{library}", "me-amp.vst3/Contents/Resources/amp.bin"} <= found
    if target == "macos":
        assert {"me-amp.clap/Contents/MacOS/me-amp", "me-amp.clap/Contents/Resources/amp.bin"} <= found
        facts = plistlib.loads((tmp_path / "me-amp.clap/Contents/Info.plist").read_bytes())
        assert (facts["CFBundleExecutable"], facts["CFBundlePackageType"]) == ("me-amp", "BNDL")
    else:
        data = (tmp_path / "me-amp.clap").read_bytes()
        assert data == target.encode() + DATA + struct.pack("<I", len(DATA)) + b"AMPZTAIL"
    assert ("me-amp.lv2/manifest.ttl" in found) == target.startswith("linux")


def test_a_bundle_replaces_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.formats.plugin.bundles.plugin_binary", lambda name: b"library")
    for _ in range(2):
        path = write_plugin("vst3", "linux-x86_64", tmp_path, "me-amp", DATA, [])
        (path / "old").write_text("")
    assert (path / "old").exists()
    write_plugin("vst3", "linux-x86_64", tmp_path, "me-amp", DATA, [])
    assert not (path / "old").exists()


@needs_plugins
def test_this_machine_has_all_its_formats():
    assert set(formats_for(this_machine())) <= set(PLUGIN_FORMATS)


def test_a_machine_without_plugins_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(targets, "host", lambda: "freebsd-riscv64")
    with pytest.raises(UserError, match="there are no plugins for freebsd-riscv64"):
        this_machine()


def test_a_compiler_of_this_machine_does_not_build_for_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "compilers", lambda: ["cc"])
    monkeypatch.setattr(targets, "compilers", lambda: ["cc"])
    other = "windows-x86_64" if this_machine() != "windows-x86_64" else "linux-x86_64"
    with pytest.raises(UserError, match=f"cc does not build the player for {other}") as caught:
        plugin_binary(other)
    assert "[plugin]" in caught.value.hint
