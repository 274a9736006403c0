"""Several files of one take: positions of a switch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.knobs.schema import Knobs, Switch
from models.recordings.align_dataset import align_dataset
from models.recordings.checks.check import check
from models.recordings.default_split import default_split
from models.recordings.loading import load_data
from models.recordings.manifest import interpret_manifest, read_manifest
from tests.support.makers import (
    GRID,
    KNOBS,
    RATE,
    amp,
    architecture,
    data_config,
    di,
    examples,
    write_manifest,
    write_wav,
)

MIC_LATE = 12


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every take as a DI, and by a microphone that is away from the speaker and of inverted polarity."""
    folder = tmp_path_factory.mktemp("mics")
    x_T = write_and_return(folder / "di.wav", di(2.0))
    entries = []
    for number, setting in enumerate(GRID):
        y_T = write_and_return(folder / f"{number}_line.wav", amp(x_T, **setting))
        y_T[1:] += 0.3 * y_T[:-1].copy()
        write_wav(folder / f"{number}_57.wav", -0.5 * np.concatenate([np.zeros(MIC_LATE), y_T[:-MIC_LATE]]))
        files = {"line": f"{number}_line.wav", "57": f"{number}_57.wav"}
        entries.append({"input_file": "di.wav", "output_files": files, "knobs": setting})
    return write_manifest(folder / "train.json", entries)


def write_and_return(path: Path, x_T: np.ndarray) -> np.ndarray:
    write_wav(path, x_T)
    return x_T.copy()


def interpret(entries: list[dict[str, Any]], **top: Any) -> Any:
    return interpret_manifest({**top, "entries": entries}, Path("m.json"))


def several(files: dict[str, str], **knobs: Any) -> dict[str, Any]:
    return {"input_file": "di.wav", "output_files": files, "knobs": knobs}


def test_files_are_positions_of_a_switch(session: Path):
    manifest = read_manifest(session)
    assert manifest.knobs.outputs == Switch(name="output", positions=("line", "57"), default="line", files=True)
    assert manifest.knobs.without_outputs() == KNOBS
    assert len(manifest.takes) == 2 * len(GRID)
    assert [take.wet.name for take in manifest.takes[:2]] == ["0_line.wav", "0_57.wav"]
    assert manifest.takes[1].setting == {**GRID[0], "output": "57"}


def test_default_is_the_first_and_own_names_are_kept():
    entries = [several({"a": "1.wav", "b": "2.wav"}, gain=0.1), several({"b": "3.wav"}, gain=0.5)]
    assert interpret(entries).knobs.defaults["output"] == "a"
    listed = {"name": "mic", "positions": ["b", "a"], "files": True}
    named = interpret(entries, knobs=["gain", listed])
    assert (named.knobs.names, named.knobs.defaults["mic"]) == (("gain", "mic"), "b")
    isolated = [{"input_file": "d", "output_files": {"a": "1", "b": "2"}, "knob_type": "gain", "knob_level": 0.5}]
    assert interpret(isolated).takes[1].setting == {"gain": 0.5, "output": "b"}


@pytest.mark.parametrize(
    ("entries", "top", "expected"),
    [
        ([{"input_file": "d", "knobs": {}}], {}, "is missing, or"),
        ([{**several({"a": "1", "b": "2"}), "output_file": "3"}], {}, "are both given"),
        ([several({})], {}, "output_files"),
        ([several({"a": "1"})], {}, "output_files names 1, 2 to 16 can be"),
        ([several({f"m{n}": f"{n}" for n in range(17)})], {}, "output_files names 17"),
        ([several({"ä": "1", "b": "2"})], {}, "no file of a take can be called 'ä'"),
        ([several({"a": "1", "b": "2"}, output="a")], {}, "states 'output', and has output_files"),
        ([several({"a": "1", "b": "2"}), {"input_file": "d", "output_file": "3", "knobs": {}}], {}, "states no output"),
        ([several({"a": "1", "b": "2"})], {"knobs": [{"name": "output"}]}, "'output' is a knob, and the switch"),
        (
            [several({"a": "1", "c": "2"})],
            {"knobs": [{"name": "output", "positions": ["a", "b"], "files": True}]},
            "switch 'output' is 'c'",
        ),
        (
            [several({"a": "1", "b": "2"})],
            {"knobs": [{"name": n, "positions": ["a", "b"], "files": True} for n in ("x", "y")]},
            "positions of one switch, not of x and y",
        ),
    ],
)
def test_mistake_is_told(entries: list[dict[str, Any]], top: dict[str, Any], expected: str):
    with pytest.raises(UserError) as caught:
        interpret(entries, **top)
    assert expected in caught.value.message
    assert "m.json" in caught.value.message


NAMES = st.sampled_from(("a", "b", "57", "", "ä", "x" * 40)) | st.text(max_size=4)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"input_file": st.just("d.wav"), "knobs": st.dictionaries(st.sampled_from(("gain", "output")), st.just(0.5))},
        optional={"output_files": st.dictionaries(NAMES, NAMES, max_size=3), "output_file": NAMES},
    ),
    max_size=3,
)


@given(entries=ENTRIES, top=st.sampled_from([{}, {"knobs": ["gain"]}, {"knobs": ["output"]}]))
@examples(300)
def test_any_entries_are_takes_or_a_user_error(entries: list[dict[str, Any]], top: dict[str, Any]):
    try:
        found = interpret(entries, **top)
    except UserError as problem:
        assert "m.json" in problem.message
        return
    files = sum(len(one.get("output_files", [0])) for one in entries)
    assert 0 < len(found.takes) <= files
    assert (found.knobs.outputs is None) == all("output_files" not in one for one in entries)


@pytest.mark.parametrize("held", [2, ({"gain": 8.0, "tone": 0.5, "output": "57"},), ({"gain": 8.0, "tone": 0.5},)])
def test_files_of_a_take_are_on_one_side(session: Path, held: Any):
    data = load_data(data_config(session, align=True, held_settings=held, validation_settings=2))
    sides = [{piece.key[:2] for piece in part} for part in (data.train, data.validation, data.held)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert [len(part) for part in (data.train, data.validation, data.held)] == [2 * len(side) for side in sides]
    assert len(sides[2]) == (held if isinstance(held, int) else 1)


def test_a_held_manifest_does_not_hold_another_file_of_a_trained_take(session: Path):
    entries = json.loads(session.read_text())["entries"]
    train = write_manifest(session.with_name("lines.json"), entries[:-2] + [entries[-2]])
    held = write_manifest(session.with_name("held.json"), entries[-2:])
    config = data_config(train, held=held, held_settings=(), align=True)
    assert {piece.key[:2] for piece in load_data(config).held} == {tuple(GRID[-1].values())}


def test_delays_and_polarities_are_those_of_each_file(session: Path):
    data = load_data(data_config(session, align=True))
    for take, lag in data.lags.items():
        late = MIC_LATE if take.endswith("57.wav") else 0
        assert (round(lag.delay_samples), lag.polarity) == (late, -1 if late else 1)
    report = check(session)
    assert not report.faults
    assert not [found for found in report.warnings if "late" in found.message or "polarity" in found.message]


def test_aligned_copies_are_files_of_their_takes(session: Path, tmp_path: Path):
    manifest, _ = align_dataset(session, tmp_path / "aligned")
    again = read_manifest(manifest)
    assert again.knobs == read_manifest(session).knobs
    data = load_data(data_config(manifest))
    assert {piece.key[:2] for piece in data.held}.isdisjoint(piece.key[:2] for piece in data.train)


def test_default_split_counts_takes_not_files(session: Path):
    config = default_split(read_manifest(session), "amp", session)
    assert config.held_settings == len(GRID) // 8


def test_model_has_a_plain_switch():
    switch = Switch(name="output", positions=("line", "57"), default="line", files=True)
    config = make_config("amp", RATE, Knobs(knobs=(*KNOBS.knobs, switch)), architecture())
    assert config.knobs.knobs[-1] == switch.model_copy(update={"files": False})
