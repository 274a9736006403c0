"""Takes without a data config are split so that training can begin."""

import json
from pathlib import Path

import pytest

from models.core.errors import UserError
from models.knobs.schema import Setting
from models.recordings.default_split import amp_name, data_for
from models.recordings.loading import load_data
from tests.support.makers import GRID, di, record

EDGES = [setting for setting in GRID if setting["tone"] in (0, 1)]  # no setting inside, but some that may go
FIVE = [GRID[n] for n in (0, 3, 8, 16, 19)]  # four corners and one between two of them


@pytest.mark.parametrize(
    ("settings", "held", "validation"),
    [(GRID, 2, 2), (EDGES, 1, 1), (FIVE, 1, 0)],
    ids=["grid", "edges", "five"],
)
def test_split_of_a_manifest_can_be_made(tmp_path: Path, settings: list[Setting], held: int, validation: int):
    data = data_for(record(tmp_path / "My Amp", "takes", di(3), settings))
    assert (data.name, data.held_settings, data.validation_settings) == ("my-amp", held, validation)
    assert (data.held_seconds, data.validation_seconds, data.align) == (0.3, 0.3, True)
    split = load_data(data)
    assert len({piece.key for piece in split.held}) == held
    assert len({piece.key for piece in split.train}) == len(settings) - held - validation
    assert split.validation


def test_takes_of_which_none_can_be_spared_are_refused(tmp_path: Path):
    corners = [setting for setting in GRID if setting["gain"] in (0, 10) and setting["tone"] in (0, 1)]
    with pytest.raises(UserError, match="no take can be held back") as caught:
        data_for(record(tmp_path, "takes", di(1), corners))
    assert "between the ends" in caught.value.hint


def test_held_manifest_beside_the_takes_is_used(tmp_path: Path):
    train = record(tmp_path, "train", di(3), GRID[::2])
    record(tmp_path, "held", di(1, seed=1), GRID[5:8:2])
    data = data_for(train)
    assert (data.held, data.held_settings, data.held_seconds) == (tmp_path / "held.json", (), 0)
    assert len({piece.key for piece in load_data(data).held}) == 2


def test_data_config_is_read_as_it_is(tmp_path: Path):
    record(tmp_path, "takes", di(1))
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"name": "mine", "train": "takes.json", "validation_seconds": 0.5}))
    data = data_for(path)
    assert (data.name, data.train, data.validation_seconds, data.align) == ("mine", tmp_path / "takes.json", 0.5, False)


@pytest.mark.parametrize(
    ("text", "name"), [("My Amp (2)", "my-amp-2"), ("ÄÖ", "my-amp"), ("--", "my-amp"), ("x" * 80, "x" * 64)]
)
def test_any_name_becomes_the_name_of_an_amp(text: str, name: str):
    assert amp_name(text) == name
