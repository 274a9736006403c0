"""Compiles the player for every target into one folder, which a wheel then carries.

    python -m models.formats.player.binaries

The folder is `player/binaries`: `DIGEST` (of the sources, see `build.sources_digest`) and `TARGET/ampzoo-player.*`;
both processors of macOS are in one file. Needs PyPI's `ziglang`.
"""

import shutil
import struct
import sys
import tempfile
from pathlib import Path

from models.formats.player.build import BINARIES, UNIVERSAL, ZIG_TARGETS, library, sources_digest

FAT_MAGIC, PAGE_BITS = 0xCAFEBABE, 14  # of Apple's universal files; 16 KiB, the pages of arm64
PROCESSORS = {"macos-x86_64": (0x01000007, 3), "macos-aarch64": (0x0100000C, 0)}  # type and subtype in Mach-O


def build_binaries(folder: Path = BINARIES) -> list[Path]:
    """Compile the player for every target into a folder, which is replaced; returns the files."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        made, macs = Path(work) / "new", {}
        for target in ZIG_TARGETS:
            compiled = library(target, "zig")
            if target in PROCESSORS:
                macs[target] = compiled.read_bytes()
                continue
            (made / target).mkdir(parents=True)
            shutil.copyfile(compiled, made / target / compiled.name)
        (made / UNIVERSAL).mkdir()
        (made / UNIVERSAL / "ampzoo-player.dylib").write_bytes(join_universal(macs))
        (made / "DIGEST").write_text(sources_digest() + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def join_universal(parts: dict[str, bytes]) -> bytes:
    """Return Apple's universal file of libraries by target: a big-endian table of the parts, then the parts."""
    entries, body, begin = [], [], 1 << PAGE_BITS
    for target, data in parts.items():
        entries.append(struct.pack(">5I", *PROCESSORS[target], begin, len(data), PAGE_BITS))
        body.append(data.ljust(_padded(len(data)), b"\0"))
        begin += _padded(len(data))
    table = struct.pack(">2I", FAT_MAGIC, len(parts)) + b"".join(entries)
    return table.ljust(1 << PAGE_BITS, b"\0") + b"".join(body)


def _padded(size: int) -> int:
    """Return a size rounded up to whole pages."""
    return -(-size >> PAGE_BITS) << PAGE_BITS


if __name__ == "__main__":
    for path in build_binaries():
        sys.stdout.write(f"{path} {path.stat().st_size:,} bytes\n")
