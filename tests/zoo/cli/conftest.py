"""What the tests of the commands share: a current folder, and an amp on a shelf."""

from pathlib import Path

import pytest

from tests.support.makers import di, write_wav
from tests.support.packages import AMP, write_package

DI = di(0.3)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a dry signal in it; one amp lies on the user's own shelf."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    write_package(tmp_path / "home" / AMP)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_wav(Path("in.wav"), DI)
    return tmp_path / "here"


def created(here: Path) -> set[str]:
    """The names of what a command made in the current folder."""
    return {path.name for path in here.iterdir()} - {"in.wav"}
