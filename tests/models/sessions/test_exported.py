"""Files of another program as takes of a session: by name, by pattern, in order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.capture.session import write_session
from models.core.errors import NotFound, UserError
from models.sessions.exported import match_exports, natural_key, read_export
from models.sessions.session_takes import SessionTakes
from tests.models.sessions.conftest import Bench
from tests.support.makers import GRID, KNOBS, RATE, examples, write_wav


def export(folder: Path, *names: str) -> Path:
    """Empty recordings with these names."""
    folder.mkdir(exist_ok=True)
    for name in names:
        write_wav(folder / name, np.zeros(64, np.float32))
    return folder


def matched(bench: Bench, folder: Path, **how) -> tuple[dict[str, int], str]:
    """File -> number of its take, and how they were told apart."""
    found = match_exports(folder, SessionTakes(bench.folder), **how)
    return {taken.file.name: taken.planned.number for taken in found.takes}, found.how


def test_files_are_told_apart_by_name(bench: Bench, tmp_path: Path):
    folder = export(tmp_path / "out", "003_gain0_tone0.8.wav", "001_gain0_tone0.wav", "room.wav", "._x.wav")
    assert matched(bench, folder) == ({"001_gain0_tone0.wav": 1, "003_gain0_tone0.8.wav": 3}, "by name")
    assert [path.name for path in match_exports(folder, SessionTakes(bench.folder)).left_out] == ["room.wav"]


def test_files_are_told_apart_by_a_pattern(bench: Bench, tmp_path: Path):
    folder = export(tmp_path / "out", "amp G0 T0,5.wav", "amp G10 T1.wav", "notes.wav")
    numbers, how = matched(bench, folder, pattern="G{gain} T{tone}.wav")
    assert (numbers, how) == ({"amp G0 T0,5.wav": 2, "amp G10 T1.wav": 5}, "by 'G{gain} T{tone}.wav'")
    with pytest.raises(UserError, match=r"amp G0 T0,5\.wav: gain=0 fits 4 takes"):
        matched(bench, folder, pattern="G{gain}")
    with pytest.raises(UserError, match="no knob of the session is called 'drive'"):
        matched(bench, folder, pattern="G{drive}")
    with pytest.raises(UserError, match="no file name fits"):
        matched(bench, folder, pattern="X{gain}")
    export(folder, "amp G7 T1.wav")
    with pytest.raises(UserError, match=r"amp G7 T1\.wav: gain=7 tone=1 is not planned"):
        matched(bench, folder, pattern="G{gain} T{tone}")


def test_files_are_taken_in_order(bench: Bench, tmp_path: Path):
    folder = export(tmp_path / "out", "amp 10.wav", "amp 9.wav", "Amp 2.wav")  # of a session of five
    in_order = {"Amp 2.wav": 1, "amp 9.wav": 2, "amp 10.wav": 3}
    assert matched(bench, folder) == (in_order, "in the order of their names")
    assert matched(bench, folder, first=3)[0] == {"Amp 2.wav": 3, "amp 9.wav": 4, "amp 10.wav": 5}
    export(bench.folder, "001_gain0_tone0.wav")
    assert matched(bench, folder)[0] == {"Amp 2.wav": 2, "amp 9.wav": 3, "amp 10.wav": 4}
    with pytest.raises(UserError, match="has 3 files; takes from number 4 on: 2"):
        matched(bench, folder, first=4)
    with pytest.raises(UserError, match="there is no take 9"):
        matched(bench, folder, first=9)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["take 1", "take 2", "take 4", "take 5"], [1, 2, 4, 5]),  # the third was forgotten
        (["take 4"], [4]),
        (["DS1 05", "DS1 02"], [5, 2]),
        (["TS9-2026 take 3 (1)", "ts9-2026 take 2 (1)"], [3, 2]),
        (["a", "b"], [1, 2]),
        (["take 3", "Tom 2"], [1, 2]),  # in the order of their names
        (["take 3", "take 6"], [1, 2]),  # no take of five
    ],
)
def test_numbers_in_names_are_those_of_takes(bench: Bench, tmp_path: Path, names: list[str], numbers: list[int]):
    folder = export(tmp_path / "out", *(f"{name}.wav" for name in names))
    assert matched(bench, folder)[0] == {f"{name}.wav": number for name, number in zip(names, numbers, strict=True)}


def test_the_number_of_a_recorded_take_is_not_guessed_at(bench: Bench, tmp_path: Path):
    export(bench.folder, "001_gain0_tone0.wav")
    folder = export(tmp_path / "out", "take 1.wav", "take 2.wav")
    with pytest.raises(UserError, match=r"take 1\.wav may be take 1, which is recorded"):
        matched(bench, folder)
    assert matched(bench, folder, first=2)[0] == {"take 1.wav": 2, "take 2.wav": 3}


def test_what_is_not_clear_is_refused(bench: Bench, tmp_path: Path):
    with pytest.raises(NotFound, match="is no folder"):
        matched(bench, tmp_path / "none")
    with pytest.raises(UserError, match="has no WAV, FLAC or AIFF file"):
        matched(bench, export(tmp_path / "empty"))
    folder = export(tmp_path / "out", "001_gain0_tone0.wav")
    write_wav(folder / "other.wav", np.zeros(64, np.float32), RATE * 2)
    (folder / "001_gain0_tone0.flac").write_bytes(b"")
    with pytest.raises(UserError, match="are both take 1"):
        matched(bench, folder)
    found = match_exports(export(tmp_path / "two", "x.wav"), SessionTakes(bench.folder)).takes[0]
    write_wav(found.file, np.zeros(64, np.float32), 2 * RATE)
    with pytest.raises(UserError, match="the session is at 8000 Hz"):
        read_export(found, SessionTakes(bench.folder))


@examples(300)
@given(st.lists(st.text(max_size=12), max_size=6), st.randoms())
def test_any_names_have_an_order(names, chance):
    shuffled = chance.sample(names, len(names))
    assert [*map(natural_key, sorted(shuffled, key=natural_key))] == sorted(map(natural_key, names))


@examples(200)
@given(st.lists(st.integers(0, 10**9), unique=True), st.text(st.characters(categories=["L", "Z"]), max_size=5))
def test_numbers_in_names_are_in_order(numbers, word):
    names = [f"{word}{number}.wav" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{word}{number}.wav" for number in sorted(numbers)]


NAMES = st.lists(st.text(st.sampled_from("G0T15., x"), min_size=1, max_size=8), max_size=3)


@examples(150)
@given(pattern=st.text(st.sampled_from("G{}gaintone .0,5x"), max_size=16), names=NAMES)
def test_any_pattern_and_names_are_matched_or_refused_in_a_sentence(tmp_path_factory, pattern, names):
    root = tmp_path_factory.mktemp("any")
    write_session(root / "s", KNOBS, GRID[:3], [], write_wav(root / "di.wav", np.ones(64, np.float32)))
    (root / "out").mkdir()
    for name in names:
        (root / "out" / f"{name}.wav").write_bytes(b"")
    try:
        found = match_exports(root / "out", SessionTakes(root / "s"), pattern)
    except UserError as problem:
        assert problem.message
    else:
        assert {taken.planned.number for taken in found.takes} <= {1, 2, 3}
