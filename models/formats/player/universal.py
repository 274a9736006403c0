"""Libraries of several processors of macOS in one file."""

import struct

FAT_MAGIC, FAT_ALIGNMENT = 0xCAFEBABE, 14  # of a Mach-O file for several processors; parts begin at multiples of 2^14
MACHO_PROCESSORS = {"macos-x86_64": (0x01000007, 3), "macos-aarch64": (0x0100000C, 0)}  # type and subtype


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
