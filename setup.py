"""What pyproject.toml cannot say: the C sources of `player/` are part of the package that compiles them.

So are the libraries in `player/binaries`, where `python -m models.formats.player.binaries` has compiled them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSources(build_py):
    """Copies the C sources into the wheel as `models/formats/player/csources`, and compiled ones as `binaries`."""

    def run(self) -> None:
        """Build, then copy; an editable install reads the sources where they are."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "models", "formats", "player", "csources")
            target.mkdir(parents=True, exist_ok=True)
            for source in Path("player").rglob("*.[ch]"):
                copy = target / source.relative_to("player")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
            if (binaries := Path("player", "binaries")).is_dir():
                shutil.copytree(binaries, target.parent / "binaries", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithSources})
