"""Takes are read, resampled and aligned; an error names a take that cannot be used."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.audio.interpolation import HALF, read_between
from models.core.errors import UserError
from models.core.files import write_json
from models.knobs.schema import Setting
from models.recordings.config import DataConfig
from models.recordings.loading import load_data
from models.training.config import Recipe, read_recipe
from tests.support.makers import (
    GRID,
    RATE,
    amp,
    architecture,
    data_config,
    di,
    entry,
    esr,
    read_wav,
    record,
    wavenet,
    write_manifest,
    write_wav,
)

BETWEEN = ({"gain": 3.5, "tone": 0.25}, {"gain": 6.5, "tone": 0.65})
DI, OTHER_DI = di(1.5), di(0.8, seed=1)


@pytest.mark.parametrize("later", ["held", "validation"])
def test_alignment_does_not_depend_on_later_audio(tmp_path: Path, later: str):
    """Neither through the estimated delay nor through the taps of the interpolator."""
    config = data_config(record(tmp_path, "train", DI), align=True, held_seconds=0.6)
    wet, start = tmp_path / "train_0.wav", len(DI) - int((0.6 if later == "held" else 0.85) * RATE)
    x_T = np.concatenate([np.zeros(1, np.float32), read_wav(wet)[:-1]])  # the delay is no whole number
    write_wav(wet, x_T)
    before = load_data(config)
    assert before.lags[str(wet)].delay_samples % 1
    write_wav(wet, np.concatenate([x_T[:start], 5 * x_T[start - 100 : -100]]))
    after = load_data(config)
    groups = ("train", "validation") if later == "held" else ("train",)
    pairs = [zip(getattr(before, group), getattr(after, group), strict=True) for group in groups]
    for piece, other in chain(*pairs):
        assert torch.equal(piece.wet_T[piece.start : piece.stop], other.wet_T[other.start : other.stop])


def write_recipe(folder: Path, **data: Any) -> Recipe:
    write_json(folder / "data.json", {"name": "tiny", "train": "../amp/train.json", **data})
    write_json(folder / "model.json", {"arrays": [{"channels": 2, "dilations": [1, 2]}]})
    write_json(folder / "learning.json", {"steps": 5})
    return read_recipe(folder / "data.json", folder / "model.json", folder / "learning.json")


def test_paths_are_relative_to_the_data_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plan = write_recipe(Path("configs"), held="held.json")
    assert plan.data.train == tmp_path / "amp" / "train.json" and plan.data.held == tmp_path / "configs" / "held.json"
    with pytest.raises(UserError) as caught:
        write_recipe(tmp_path / "configs", held_settings=2)
    assert "data.json" in caught.value.message and "held_seconds" in caught.value.message


def test_held_manifest_with_other_knobs_is_refused(tmp_path: Path):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", OTHER_DI, BETWEEN)
    held.write_text(held.read_text().replace('"max": 10', '"max": 11'))
    with pytest.raises(UserError, match="held.json has knobs gain, tone with other names or ranges than .*train.json"):
        load_data(data_config(train, held=held, held_settings=()))


@pytest.mark.parametrize(
    ("file", "content", "rate", "words"),
    [
        ("train_3.wav", amp(DI, 5, 0.5)[:200], RATE, "train_3.wav has -11800 samples against its dry train_dry.wav"),
        ("train_3.wav", 1e-6 * DI, RATE, "train_3.wav is silent"),
        ("train_3.wav", DI, 2 * RATE, "train_3.wav is at 16000 Hz but tiny is at 8000 Hz"),
        ("train_dry.wav", DI, 2 * RATE, "train_dry.wav is at 16000 Hz but tiny is at 8000 Hz"),
        ("train_dry.wav", DI[:0], RATE, "train_dry.wav is empty"),
        ("train_3.wav", np.full_like(DI, np.nan), RATE, "train_3.wav: sample 0 is not a finite number"),
    ],
)
def test_error_names_the_take_that_cannot_be_used(
    tmp_path: Path, file: str, content: np.ndarray, rate: int, words: str
):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / file, content, rate)
    with pytest.raises(UserError, match=words):
        load_data(data_config(train))


@pytest.mark.parametrize("cut", [700, 0, -400])
@pytest.mark.parametrize("polarity", [1, -1])
def test_aligned_cut_take_equals_the_uncut_take(tmp_path: Path, cut: int, polarity: int):
    plain = load_data(data_config(record(tmp_path / "plain", "train", DI), align=True))
    train = record(tmp_path / "cut", "train", DI)
    wet = tmp_path / "cut" / "train_3.wav"
    late_T = np.concatenate([np.zeros(max(-cut, 0), np.float32), read_wav(wet)])
    write_wav(wet, polarity * late_T[max(cut, 0) :])
    aligned = load_data(data_config(train, align=True))
    lag, plain_lag = aligned.lags[str(wet)], plain.lags[str(tmp_path / "plain" / "train_3.wav")]
    assert lag.delay_samples == pytest.approx(plain_lag.delay_samples - cut, abs=0.01)
    assert lag.polarity == polarity * plain_lag.polarity
    for group in ("train", "validation", "held"):
        for piece, target in zip(getattr(aligned, group), getattr(plain, group), strict=True):
            assert piece.setting == target.setting and piece.stop == target.stop
            span = slice(max(piece.start, target.start), piece.stop)
            assert esr(piece.wet_T[span], target.wet_T[span]) < 1e-3
            if piece.setting == GRID[3] and piece.start < 1000:
                assert cut <= piece.start <= max(cut, 0) + 2 * HALF  # training leaves out what was not recorded


def test_take_is_unchanged_without_align(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / "train_3.wav", -read_wav(tmp_path / "train_3.wav"))
    data = load_data(data_config(train))
    (piece,) = (piece for piece in data.train + data.validation + data.held if piece.setting == GRID[3])
    assert not data.lags
    assert torch.equal(piece.wet_T[:500], torch.from_numpy(-amp(DI, **GRID[3])[:500]))


@pytest.mark.parametrize("delay", [-700, 25, 3.5])
@pytest.mark.parametrize("rate", [None, 2 * RATE])
def test_stated_delay_is_removed_unless_delays_are_estimated(tmp_path: Path, delay: float, rate: int | None):
    plain = load_data(data_config(record(tmp_path / "plain", "train", DI), sample_rate=rate))
    train = record(tmp_path / "late", "train", DI)
    wet = tmp_path / "late" / "train_3.wav"
    write_wav(wet, read_between(read_wav(wet), -delay, 1.0, len(DI) + int(delay)).astype(np.float32))
    document = json.loads(train.read_text())
    document["entries"][3]["delay_samples"] = delay
    train.write_text(json.dumps(document))
    stated, found = (load_data(data_config(train, sample_rate=rate, align=align)) for align in (False, True))
    scale = (rate or RATE) / RATE
    assert {Path(name).name: (lag.delay_samples, lag.polarity) for name, lag in stated.lags.items()} == {
        "train_3.wav": (delay * scale, 1)
    }
    assert stated.describe()["causal_margin"] == 0 < found.describe()["causal_margin"]
    for group in ("train", "validation", "held"):
        for piece, target in zip(getattr(stated, group), getattr(plain, group), strict=True):
            span = slice(piece.start, piece.stop)
            assert piece.stop - piece.start > len(target.wet_T[target.start : target.stop]) - 1600
            # white noise reaches up to half the rate, where nothing can be read between samples
            assert esr(piece.wet_T[span], target.wet_T[span]) < (0.1 if delay % 1 else 1e-3)
    lag = found.lags[str(wet)].delay_samples
    assert lag == pytest.approx(delay * scale, abs=1.5) and lag != delay * scale


def test_cut_take_is_refused_unless_aligned(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / "train_3.wav", read_wav(tmp_path / "train_3.wav")[700:])
    with pytest.raises(UserError, match=r"train_3\.wav has -700 samples against its dry train_dry\.wav") as refusal:
        load_data(data_config(train))
    assert '"align": true' in refusal.value.hint
    load_data(data_config(train, align=True))


def test_pieces_have_the_context_of_the_whole_take(tmp_path: Path):
    """A net plays every piece as it plays the whole take, with silence before the recording began."""
    data, net = load_data(data_config(record(tmp_path, "train", DI))), wavenet(architecture())
    context = net.receptive_field - 1
    for piece in (data.train[0], data.validation[0], data.held[0]):
        x_T, _ = data.with_context(piece, net.receptive_field)
        whole_T = torch.cat([torch.zeros(context), torch.from_numpy(DI)])
        with torch.no_grad():
            part_T, all_T = (net(signal[None], piece.levels_K[None])[0] for signal in (x_T, whole_T))
        torch.testing.assert_close(part_T, all_T[piece.start : piece.stop], atol=1e-6, rtol=1e-5)


def test_copies_of_a_dry_signal_are_one_signal(tmp_path: Path):
    record(tmp_path, "train", DI)
    write_wav(tmp_path / "copy.wav", DI)
    names = ("train_dry.wav", "copy.wav")
    entries = [entry(names[n % 2], f"train_{n}.wav", setting) for n, setting in enumerate(GRID)]
    data = load_data(data_config(write_manifest(tmp_path / "two.json", entries)))
    assert len(data.dry_T) == 1 and {piece.dry for piece in data.train + data.held} == {0}


def test_dataset_without_held_takes_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="tiny: no take is held back"):
        load_data(data_config(record(tmp_path, "train", DI), held_settings=()))


def test_takes_are_resampled_to_a_stated_rate(tmp_path: Path):
    """A tone that both rates can carry is the same tone, and dry and wet stay together."""

    def tone(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate).astype(np.float32)

    entries = []
    for number, rate in enumerate((RATE, 2 * RATE, 11025, RATE)):
        write_wav(tmp_path / f"dry{number}.wav", tone(rate), rate)
        write_wav(tmp_path / f"wet{number}.wav", (number + 1) * 0.2 * tone(rate), rate)
        entries.append(entry(f"dry{number}.wav", f"wet{number}.wav", {"gain": 10 * number / 3}))
    config = data_config(write_manifest(tmp_path / "amp.json", entries), held_settings=1, validation_settings=0)
    with pytest.raises(UserError, match="16000 Hz but tiny is at 8000 Hz") as caught:
        load_data(config)
    assert '"sample_rate": 8000' in caught.value.hint
    data = load_data(config.model_copy(update={"sample_rate": 12000}))
    assert data.rate_hz == 12000 and {len(x) for x in data.dry_T} == {24000}
    for piece in data.recorded:
        scale = 0.2 * (1 + float(piece.setting["gain"]) * 0.3)
        inner = slice(1200, -1200)
        assert esr(piece.wet_T[inner], scale * data.dry_T[piece.dry][inner]) < 1e-9
        assert esr(data.dry_T[piece.dry][inner], tone(12000)[inner]) < 1e-7


def test_stated_channel_of_a_stereo_take_is_used(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    plain = load_data(data_config(train))
    manifest = json.loads(train.read_text())
    for take in manifest["entries"]:
        wet_T = read_wav(tmp_path / take["output_file"])
        write_wav(tmp_path / take["output_file"], np.stack([0.1 * wet_T[::-1], wet_T], axis=1))
    with pytest.raises(UserError, match="train_0.wav has 2 channels"):
        load_data(data_config(train))
    train.write_text(json.dumps({**manifest, "channel": "right"}))
    for piece, other in zip(plain.recorded, load_data(data_config(train)).recorded, strict=True):
        assert torch.equal(piece.wet_T, other.wet_T)


def test_a_held_take_with_its_own_dry_signal_has_a_baseline(tmp_path: Path):
    """It is compared with the most similar take of another setting that was recorded with the same dry signal."""
    settings: list[Setting] = [{"gain": gain, "tone": tone} for gain, tone in ((3.5, 0.25), (6.5, 0.65), (9.5, 0.65))]
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", OTHER_DI, settings)
    split = data_config(train).model_dump(exclude={"held_settings"})
    data = load_data(DataConfig.model_validate({**split, "held": held}))
    wets = [amp(OTHER_DI, **setting) for setting in settings]
    for piece in data.held:
        own = settings.index(piece.setting)
        assert data.neighbor(piece) is None
        signal, error = data.baseline(piece)
        errors = [esr(wets[other], wets[own]) for other in range(3) if other != own]
        assert error / signal == pytest.approx(min(errors), rel=1e-3)
