"""Compiles the player and the plugins for every target into one folder, which a wheel then carries.

    python -m models.formats.player.binaries

The folder is `player/binaries`: `DIGEST` (of the sources, see `build.sources_digest`), `TARGET/ampzoo-player.*` and
`TARGET/ampzoo-plugin.*`; both processors of macOS are in one file. Needs PyPI's `ziglang`.
"""

import shutil
from pathlib import Path

from models.core.scratch import scratch_folder
from models.formats.player.build import BINARIES, UNIVERSAL, ZIG_TARGETS, library, plugin_library, sources_digest
from models.formats.player.universal import MACHO_PROCESSORS, universal


def build_binaries(folder: Path = BINARIES) -> list[Path]:
    """Compile the libraries for every target into a folder, which is replaced; returns the files."""
    with scratch_folder() as made:
        for compile_for, none_for in ((library, ()), (plugin_library, ("wasm32",))):
            compiled = {target: compile_for(target, "zig") for target in ZIG_TARGETS if target not in none_for}
            for target, path in compiled.items():
                if target not in MACHO_PROCESSORS:
                    (made / target).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, made / target / path.name)
            parts = {target: compiled[target] for target in MACHO_PROCESSORS}
            (made / UNIVERSAL).mkdir(exist_ok=True)
            name = next(iter(parts.values())).name
            (made / UNIVERSAL / name).write_bytes(universal({at: path.read_bytes() for at, path in parts.items()}))
        (made / "DIGEST").write_text(sources_digest() + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    build_binaries()
