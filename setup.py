"""What pyproject.toml cannot say: the C sources of `player/` are part of the package that compiles them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSources(build_py):
    """Copies the C sources into the wheel as `models/formats/player/csources`."""

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


setup(cmdclass={"build_py": BuildWithSources})
