"""Rendering a file equals playing the whole signal, and leaves the whole result or nothing."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.audio import io as audio
from models.audio.io import read_audio
from models.core.errors import UserError
from models.playback.render import render
from models.playback.stream import play
from tests.support.makers import KNOBS, RATE, di, esr, model, read_wav, write_wav

DI = di(1.1)
STEP = 2.0**-23  # of 24 bits
SETTING = {"gain": 8.5}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "BLOCK", 1000)  # DI is nine blocks


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "di.wav", DI)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("name", "form"), [("out.wav", "WAV"), ("out.flac", "FLAC"), ("OUT.WAV", "WAV")])
def test_rendered_blocks_equal_the_whole_signal(tmp_path: Path, source: Path, name: str, form: str):
    (config, net), seen = model(), []
    done = render((config, net), source, tmp_path / "new" / name, SETTING, lambda *progress: seen.append(progress))
    info = sf.info(tmp_path / "new" / name)
    assert (info.format, info.subtype, info.channels, info.samplerate) == (form, "PCM_24", 1, RATE)
    whole_T = play(net, DI, KNOBS.encode(SETTING))
    assert np.abs(whole_T).max() < 1
    np.testing.assert_allclose(read_wav(tmp_path / "new" / name), whole_T, atol=3 * STEP)
    assert seen == [(min(1000 * block, len(DI)), len(DI)) for block in range(1, 10)]
    assert done.path == tmp_path / "new" / name and done.setting == {"gain": 8.5, "tone": 0.5}
    assert done.seconds == pytest.approx(1.1) and done.peak == pytest.approx(float(np.abs(whole_T).max()), abs=1e-6)
    assert names(tmp_path / "new") == [name]


def test_sound_beyond_full_scale_is_clipped_and_reported(tmp_path: Path, source: Path):
    config, net = model()
    net.head_scale.mul_(20)
    peak = render((config, net), source, tmp_path / "out.wav", {}).peak
    whole_T = play(net, DI, [0.0, 0.0])
    assert peak == pytest.approx(float(np.abs(whole_T).max()), rel=1e-5) and peak > 1
    np.testing.assert_allclose(read_wav(tmp_path / "out.wav"), np.clip(whole_T, -1, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"gain": 10.5}, ["'gain'", "10.5", "0 to 10"]),
        ({"tone": -0.25}, ["'tone'", "-0.25", "0 to 1"]),
        ({"gain": float("nan")}, ["'gain'", "nan", "0 to 10"]),
        ({"gian": 5}, ["'gian'", "tiny"]),
    ],
)
def test_unknown_knob_or_value_is_named(tmp_path: Path, source: Path, setting: dict[str, float], words: list[str]):
    with pytest.raises(UserError) as caught:
        render(model(), source, tmp_path / "out.wav", setting)
    assert all(word in caught.value.message for word in words) and caught.value.hint
    assert names(tmp_path) == ["di.wav"]


def test_wrong_rate_is_refused(tmp_path: Path):
    source = write_wav(tmp_path / "di.wav", DI, 44100)
    with pytest.raises(UserError, match=r"di\.wav is at 44100 Hz; tiny plays at 8000 Hz") as caught:
        render(model(), source, tmp_path / "out.wav", {})
    assert "resampled" in caught.value.hint and names(tmp_path) == ["di.wav"]


@pytest.mark.parametrize("way", ["di.wav", "sub/../di.wav", "link.wav"])
def test_output_onto_itself_is_refused(tmp_path: Path, source: Path, way: str):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.wav").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(UserError, match="is the file being played"):
        render(model(), source, tmp_path / way, {})
    assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["out", "out.mp3", "out.wav.txt"])
def test_name_without_a_known_format_is_refused(tmp_path: Path, source: Path, name: str):
    with pytest.raises(UserError) as caught:
        render(model(), source, tmp_path / name, {})
    assert name in caught.value.message and ".wav or .flac" in caught.value.hint
    assert names(tmp_path) == ["di.wav"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "di.wav does not exist"),
        (b"not audio", "di.wav is not audio"),
        (DI[:0], "di.wav is empty"),
        (np.stack([DI, -DI], axis=1), "di.wav has 2 channels"),
        (np.where(np.arange(len(DI)) == 4567, np.float32("nan"), DI), "di.wav: sample 4567 is not a finite number"),
    ],
)
@pytest.mark.parametrize("before", [None, b"before"])
def test_failed_render_leaves_what_was_there(
    tmp_path: Path, content: np.ndarray | bytes | None, words: str, before: bytes | None
):
    source, target = tmp_path / "in" / "di.wav", tmp_path / "out" / "out.wav"
    source.parent.mkdir()
    target.parent.mkdir()
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content is not None:
        write_wav(source, content)
    if before:
        target.write_bytes(before)
    with pytest.raises(UserError, match=words):
        render(model(), source, target, {})
    assert names(target.parent) == (["out.wav"] if before else [])
    assert not before or target.read_bytes() == before


def test_interrupted_render_leaves_nothing(tmp_path: Path, source: Path):
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(model(), source, tmp_path / "out.wav", {}, stop)
    assert names(tmp_path) == ["di.wav"]


@pytest.mark.parametrize("rate", [11025, 44100, 6000])
def test_file_at_another_rate_is_resampled_and_back(tmp_path: Path, rate: int):
    """The result is that of the same sound recorded at the model's rate: same length, no delay."""

    def tones(at_hz: int) -> np.ndarray:
        t_T = np.arange(int(2.03 * at_hz)) / at_hz
        fade_T = np.clip(np.minimum(t_T, t_T[-1] - t_T) / 0.2, 0, 1)
        return (fade_T * sum(0.2 * np.sin(2 * np.pi * hz * t_T) for hz in (97, 331, 655))).astype(np.float32)

    for at_hz in (rate, RATE):
        write_wav(tmp_path / f"{at_hz}.wav", tones(at_hz), at_hz)
    done = render(model(), tmp_path / f"{rate}.wav", tmp_path / "there.wav", {}, any_rate=True, subtype="FLOAT")
    render(model(), tmp_path / f"{RATE}.wav", tmp_path / "plain.wav", {}, any_rate=True, subtype="FLOAT")
    found, found_rate = read_audio(tmp_path / "there.wav")
    truth, _ = read_audio(tmp_path / "plain.wav", rate_hz=rate)
    assert found_rate == rate and len(found) == int(2.03 * rate) and done.seconds == pytest.approx(2.03, abs=1e-3)
    length = min(len(found), len(truth))
    inner = slice(rate // 10, length - rate // 10)
    assert esr(found[inner], truth[inner]) < 1e-4
    np.testing.assert_allclose(read_wav(tmp_path / "plain.wav"), play(model()[1], tones(RATE), [0, 0]), atol=1e-6)
