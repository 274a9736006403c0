"""What the tests of the page share: one browser for all of a file, and sites of tiny amps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.model_config import make_config
from models.audio.io import write_audio
from tests.support.browser import browsing
from tests.support.makers import RATE, architecture, di, wavenet
from tests.support.native import PEDAL
from tests.support.packages import files, write_package, write_run
from zoo.player_page.site import Site, one_amp


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A package with two plain knobs."""
    return one_amp("alice/tiny", write_package(tmp_path / "package"))


@pytest.fixture
def pedal(tmp_path: Path) -> Path:
    """A run folder without clips: a gain, an audio taper with steps, a switch."""
    config = architecture("film")
    return write_run(tmp_path / "pedal", (make_config("pedal", RATE, PEDAL, config), wavenet(config, PEDAL.columns())))


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A package with a take: a dry clip and what the amp itself made of it."""
    for name, seed in (("held-di", 5), ("held", 6), ("held.target", 7)):
        write_audio(tmp_path / f"{name}.flac", di(0.8, seed=seed), RATE)
    clips = {f"audio/{path.name}": path.read_bytes() for path in tmp_path.glob("held*.flac")}
    document = json.loads(files()["presets.json"])
    preset = {"id": "held", "knobs": {"gain": 7.5, "tone": 0.2}, "audio": "audio/held.flac", "gain_db": -3.5}
    document["presets"].append(preset | {"dry": "audio/held-di.flac", "target": "audio/held.target.flac"})
    return write_package(tmp_path / "taken", {"presets.json": json.dumps(document).encode(), **clips})
