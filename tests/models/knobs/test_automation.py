"""Moving knobs are exact at every sample, and errors name what cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.audio.io import BLOCK
from models.core.errors import UserError
from models.knobs.automation import hold, read_automation, sweep
from models.playback.render import render
from tests.support.makers import KNOBS, RATE, di, examples, model, read_wav, write_wav


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "moves.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_sweep_is_even_and_ends_at_its_ends():
    moves = sweep(KNOBS, {"tone": 0.25}, ["gain=0:10"], seconds=2.0)
    levels_KT = moves.levels(0, 2 * RATE + 1, RATE)
    np.testing.assert_allclose(levels_KT[0], np.linspace(-1, 1, 2 * RATE + 1), atol=1e-12)
    np.testing.assert_allclose(levels_KT[1], -0.5)
    assert moves.first == {"gain": 0, "tone": 0.25}


@given(cut=st.integers(1, 999))
@examples(20)
def test_levels_do_not_depend_on_where_blocks_are_cut(cut: int):
    moves = sweep(KNOBS, {}, ["gain=3:9", "tone=1:0"], seconds=0.1)
    parts = [moves.levels(0, cut, RATE), moves.levels(cut, 1000 - cut, RATE)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), moves.levels(0, 1000, RATE))


def test_csv_moves_in_straight_lines_and_holds_its_ends(tmp_path: Path):
    moves = read_automation(csv(tmp_path, "seconds,gain\n0.5,0\n1.0,10\n1.5,5\n"), KNOBS, {"tone": 1})
    at = [moves.levels(int(t * RATE), 1, RATE)[:, 0].tolist() for t in (0, 0.5, 0.75, 1.0, 1.25, 1.5, 9)]
    assert [gain for gain, _ in at] == pytest.approx([-1, -1, 0, 1, 0.5, 0, 0])
    assert all(tone == 1 for _, tone in at)


def test_rendered_file_agrees_with_the_net(tmp_path: Path):
    (config, net), x_T = model(), di((BLOCK + 700) / RATE)
    source, target = write_wav(tmp_path / "in.wav", 0.5 * x_T), tmp_path / "out.wav"
    moves = sweep(KNOBS, {}, ["gain=0:10"], len(x_T) / RATE)
    assert render((config, net), source, target, moves).setting is None
    context = 2 * net.receptive_field
    heard_T = np.concatenate([np.zeros(context, np.float32), 0.5 * x_T])
    levels_KT = np.concatenate(
        [np.tile(np.array(KNOBS.encode(moves.first))[:, None], context), moves.levels(0, len(x_T), RATE)], axis=1
    )
    with torch.no_grad():
        whole_T = net(torch.from_numpy(heard_T)[None], torch.from_numpy(levels_KT).float()[None])[
            0, -len(x_T) :
        ].numpy()
    np.testing.assert_allclose(read_wav(target), whole_T, atol=1e-5)


def test_hold_is_a_constant_setting(tmp_path: Path):
    source = write_wav(tmp_path / "in.wav", 0.5 * di(0.2))
    render(model(), source, tmp_path / "still.wav", {"gain": 7})
    render(model(), source, tmp_path / "held.wav", hold(KNOBS, {"gain": 7}))
    np.testing.assert_allclose(read_wav(tmp_path / "held.wav"), read_wav(tmp_path / "still.wav"), atol=1e-6)


@pytest.mark.parametrize("text", ["gain", "gain=1", "gain=1:2:3", "=1:2", "gain=a:2", "gain=nan:1"])
def test_malformed_sweep_is_refused(text: str):
    with pytest.raises(UserError, match="is not a sweep"):
        sweep(KNOBS, {}, [text], 1.0)


def test_sweep_out_of_range_or_twice_is_refused():
    with pytest.raises(UserError, match="'gain' is 11, outside its range 0 to 10"):
        sweep(KNOBS, {}, ["gain=0:11"], 1.0)
    with pytest.raises(UserError, match="no knob is called 'gian'"):
        sweep(KNOBS, {}, ["gian=0:1"], 1.0)
    with pytest.raises(UserError, match="'gain' is set and swept"):
        sweep(KNOBS, {"gain": 3}, ["gain=0:10"], 1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a list of knob moves"),
        ("seconds,gain\n", "not a list of knob moves"),
        ("time,gain\n0,1\n", "not a list of knob moves; it begins with 'time, gain'"),
        ("seconds;gain\n0;1\n", "not a list of knob moves; it begins with 'seconds;gain'"),
        ("seconds,gian\n0,1\n", "line 1: no knob is called 'gian'"),
        ("seconds,gain\n0,1\n1,x\n", "line 3: knob 'gain' is 'x'"),
        ("seconds,gain\n0,1,2\n", "line 2 is not 2 values"),
        ("seconds,gain\n0,nan\n", "line 2: knob 'gain' is 'nan', which is not a number"),
        ("seconds,gain\n1,1\n1,2\n", "line 3: seconds is 1"),
        ("seconds,gain\n-1,1\n", "line 2: seconds is -1"),
        ("seconds,gain\n0,99\n", "line 2: knob 'gain' is 99"),
    ],
)
def test_error_in_a_csv_names_its_line(tmp_path: Path, text: str, words: str):
    path = csv(tmp_path, text)
    with pytest.raises(UserError) as refusal:
        read_automation(path, KNOBS, {})
    assert words in refusal.value.message
    assert str(path) in refusal.value.message + str(path) * ("gian" in text)


def test_knob_cannot_both_move_and_be_set(tmp_path: Path):
    path = csv(tmp_path, "seconds,gain\n0,1\n")
    with pytest.raises(UserError, match="gain moves in .* and is also set to one value"):
        read_automation(path, KNOBS, {"gain": 3})


def test_missing_csv_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.csv does not exist$"):
        read_automation(tmp_path / "gone.csv", KNOBS, {})


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfseconds,gain\r\n0,1\r\n2,3\r\n\r\n",
        b'"seconds" , "gain"\n"0","1"\n\n2, 3\n,\n'.replace(b" , ", b","),
        "seconds,gain\n0,1\n2,3\n".encode("utf-16"),
        b"seconds,gain\r0,1\r2,3\r",
    ],
)
def test_what_other_systems_add_to_a_csv_does_not_matter(tmp_path: Path, text: bytes):
    (tmp_path / "moves.csv").write_bytes(text)
    read = read_automation(tmp_path / "moves.csv", KNOBS, {})
    assert list(read.times_N) == [0, 2] and [setting["gain"] for setting in read.settings] == [1, 3]


def test_csv_that_is_none_is_told_without_the_words_of_its_reader(tmp_path: Path):
    for text in (b'seconds,gain\n0,"1\n', b'seconds,gain\n0,"1"2\n', b"seconds,gain\n0," + b"1" * 200_000):
        (tmp_path / "moves.csv").write_bytes(text)
        with pytest.raises(UserError, match=r"moves.csv: line 2 is no CSV: a quote is missing"):
            read_automation(tmp_path / "moves.csv", KNOBS, {})
    with pytest.raises(UserError, match="is a device or a pipe"):
        read_automation(Path("/dev/zero"), KNOBS, {})
