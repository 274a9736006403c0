"""Audio of every legal format is read as the same samples, and resampled without delay."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from models.audio.io import BLOCK, read_audio, read_blocks, read_length, write_audio
from models.core.errors import Notice, UserError
from tests.support.makers import RATE, di, esr, examples, write_wav

X_T = di(0.5)


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        *((suffix, f"PCM_{bits}", 2.0 ** (1 - bits)) for suffix in ("wav", "aiff") for bits in (16, 24, 32)),
        *(("flac", f"PCM_{bits}", 2.0 ** (1 - bits)) for bits in (16, 24)),
        *((suffix, "FLOAT", 0) for suffix in ("wav", "aiff")),
        ("wav", "DOUBLE", 0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_format_and_depth_give_the_same_samples(tmp_path: Path, suffix: str, subtype: str, step: float, channels: int):
    path = tmp_path / f"take.{suffix}"
    sf.write(path, np.stack([X_T] * channels, axis=1), RATE, subtype=subtype)
    read, rate = read_audio(path)
    assert (read.shape, read.dtype, rate) == (X_T.shape, np.float32, RATE)
    assert read_length(path) == (len(X_T), RATE)
    assert np.abs(read - X_T).max() <= step + 1e-7


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("wav", "PCM_U8")])
def test_lossy_or_coarse_file_is_refused(tmp_path: Path, suffix: str, subtype: str):
    sf.write(tmp_path / f"take.{suffix}", X_T, RATE, subtype=subtype)
    with pytest.raises(UserError, match=f"{subtype}; takes are WAV, FLAC or AIFF") as caught:
        read_audio(tmp_path / f"take.{suffix}")
    assert f"take.{suffix}" in caught.value.message


def test_stereo_needs_equal_channels_or_the_choice_of_one(tmp_path: Path):
    long_T = np.resize(X_T, BLOCK + 1000)
    dither_T = np.random.default_rng(0).uniform(-1, 1, len(long_T)).astype(np.float32) / (1 << 15)
    same = write_wav(tmp_path / "same.wav", np.stack([long_T, long_T + dither_T], axis=1))
    assert np.array_equal(read_audio(same)[0], long_T)
    other_T = long_T.copy()
    other_T[BLOCK + 400] += 0.01
    apart = write_wav(tmp_path / "apart.wav", np.stack([long_T, other_T], axis=1))
    with pytest.raises(UserError, match=f"apart.wav has 2 channels, which differ from {(BLOCK + 400) / RATE:.3f} s"):
        list(read_blocks(apart))
    for channel, truth_T in enumerate((long_T, other_T)):
        assert np.array_equal(read_audio(apart, channel)[0], truth_T)
    mono = write_wav(tmp_path / "mono.wav", X_T)
    assert np.array_equal(read_audio(mono, 1)[0], X_T)
    three = write_wav(tmp_path / "three.wav", np.stack([X_T] * 3, axis=1))
    with pytest.raises(UserError, match="3 channels"):
        read_audio(three)


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 48000), (48000, 44100), (96000, 48000), (48000, 192000)])
def test_resampled_sine_is_the_sine_at_the_other_rate(tmp_path: Path, rate: int, wanted: int):
    def sine(at_hz: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 997.0 * np.arange(7 * at_hz) / at_hz)  # several blocks

    path = write_wav(tmp_path / "sine.wav", sine(rate).astype(np.float32), rate)
    y_T, found = read_audio(path, rate_hz=wanted)
    assert found == wanted
    assert len(y_T) == 7 * wanted
    inner = slice(wanted // 10, -wanted // 10)  # a sine that begins at once has more than the rate can carry
    assert esr(y_T[inner], sine(wanted)[inner]) < 1e-12


def test_resampling_to_the_same_rate_changes_nothing(tmp_path: Path):
    path = write_wav(tmp_path / "x.wav", X_T)
    assert np.array_equal(read_audio(path, rate_hz=RATE)[0], X_T)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


@given(
    suffix=st.sampled_from(["wav", "flac", "aiff"]),
    holes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.none() | st.integers(0, 700),
)
@examples(120)
def test_any_damaged_file_is_audio_or_a_user_error(
    folder: Path, suffix: str, holes: list[tuple[int, int]], cut: int | None
):
    path = folder / f"take.{suffix}"
    sf.write(path, X_T[:200], RATE)
    content = bytearray(path.read_bytes()[:cut])
    for place, value in holes:
        if place < len(content):
            content[place] = value
    path.write_bytes(content)
    try:
        x_T, rate = read_audio(path)
    except UserError as problem:
        assert path.name in problem.message
        return
    assert np.isfinite(x_T).all()
    assert x_T.ndim == 1
    assert len(x_T)
    assert rate > 0


def unfinished(path: Path, subtype: str, riff_size: int, behind: bytes = b"") -> Path:
    """Write a WAV as a recorder leaves it that stopped before it finished the header."""
    sf.write(path, X_T, RATE, subtype=subtype)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8], data[at : at + 4] = riff_size.to_bytes(4, "little"), bytes(4)
    path.write_bytes(bytes(data) + behind)
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("riff_size", [0, 36, 0xFFFFFFFF])
def test_sound_behind_a_header_that_was_never_finished_is_read(tmp_path: Path, subtype: str, riff_size: int):
    sf.write(tmp_path / "whole.wav", X_T, RATE, subtype=subtype)
    path = unfinished(tmp_path / "cut.wav", subtype, riff_size)
    with pytest.warns(Notice, match=r"cut.wav: its header was never finished, .* all that follows it is read"):
        read, rate = read_audio(path)
    assert np.array_equal(read, read_audio(tmp_path / "whole.wav")[0]) and rate == RATE


def test_wav_without_sound_is_told_as_empty(tmp_path: Path):
    sf.write(tmp_path / "empty.wav", X_T[:0], RATE, subtype="PCM_16")
    with (tmp_path / "empty.wav").open("ab") as file:
        file.write(b"LIST\x04\x00\x00\x00INFO")
    with pytest.raises(UserError, match="empty.wav is empty"):
        read_audio(tmp_path / "empty.wav")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.wav", b"", "it is no WAV, FLAC or AIFF"),
        ("a.wav", b"hello" * 99, "it is no WAV, FLAC or AIFF"),
        ("a.wav", b"RIFF\x24\0\0\0WAVE", "can be read"),
        ("a.flac", b"fLaC" + bytes(60), "can be read"),
        ("a.raw", b"hello", "it is no WAV, FLAC or AIFF"),
    ],
)
def test_file_that_is_no_audio_is_told_without_the_librarys_words(
    tmp_path: Path, name: str, content: bytes, words: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_audio(tmp_path / name)
    assert not any(word in caught.value.message for word in ("Error", "System", "recognised", "Not enough"))


@pytest.mark.parametrize(("path", "words"), [(Path("/dev/zero"), "a device or a pipe"), (Path("/tmp"), "a folder")])
def test_what_is_no_file_is_no_audio(path: Path, words: str):
    with pytest.raises(UserError, match=f"{path} is {words}, not an audio file"):
        read_audio(path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_full_disk_is_told_as_that(full_disk: Path, name: str):
    noise_T = np.random.default_rng(0).uniform(-1, 1, 300_000)
    with pytest.raises(OSError, match="No space left") as caught:
        write_audio(full_disk / name, noise_T, RATE)
    assert caught.value.errno == errno.ENOSPC and str(caught.value.filename) == str(full_disk / name)
    assert [path.name for path in full_disk.iterdir()] == ["filler"]


@pytest.mark.skipif(os.name != "posix", reason="names of files are text on this system")
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_path_that_is_no_utf8_is_read_and_written(suffix: str, tmp_path: Path):
    path = tmp_path / os.fsdecode(b"t\xffkes") / f"a{suffix}"
    x_T = np.linspace(-0.5, 0.5, 999, dtype=np.float32)
    write_audio(path, x_T, 16000)
    assert read_length(path) == (999, 16000)
    assert np.allclose(read_audio(path)[0], x_T, atol=1e-6)
    path.write_bytes(b"RIFF")
    with pytest.raises(UserError, match="is not audio that can be read"):
        read_audio(path)
