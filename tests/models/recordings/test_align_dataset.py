"""Aligned copies have the common delay and polarity; the originals do not change, and gaps are silent."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from models.core.errors import UserError
from models.recordings.align_dataset import align_dataset
from models.recordings.alignment import causal_margin
from models.recordings.checks.check import check
from models.recordings.loading import load_data
from models.recordings.manifest import read_manifest
from tests.support.makers import GRID, RATE, amp, data_config, di, esr, read_wav, record, write_wav

DI = di(1.5)
HRD3 = Path("../shared/data/hrd3")


def messy(folder: Path) -> Path:
    """Takes with different delays, some inverted, some cut."""
    path = record(folder, "amp", DI)
    for number in range(len(GRID)):
        wet, delay = folder / f"amp_{number}.wav", 37 * number - 300
        y_T = np.concatenate([np.zeros(max(delay, 0), np.float32), read_wav(wet)[max(-delay, 0) :]])
        write_wav(wet, y_T if number % 3 else -y_T)
    return path


def test_aligned_takes_have_no_findings_and_originals_stay(tmp_path: Path):
    path = messy(tmp_path / "messy")
    before = {file: sha256(file.read_bytes()).digest() for file in path.parent.iterdir()}
    steps: list[tuple[int, int]] = []
    made, takes = align_dataset(path, tmp_path / "aligned", lambda done, total: steps.append((done, total)))
    assert before == {file: sha256(file.read_bytes()).digest() for file in path.parent.iterdir()}
    assert steps == [(number, len(GRID)) for number in range(1, len(GRID) + 1)]
    assert [round(found.lag.delay_samples - 37 * n + 300) in (0, 1) for n, found in enumerate(takes)] == [True] * 20
    assert [found.lag.polarity for found in takes] == [1 if n % 3 else -1 for n in range(20)]
    assert all(abs(found.head - max(300 - 37 * n, 0)) < 2 > found.tail for n, found in enumerate(takes))
    assert check(path).faults and check(made).findings == []
    was, now = read_manifest(path), read_manifest(made)
    assert (was.knobs, was.sample_rate) == (now.knobs, now.sample_rate)
    assert [take.setting for take in was.takes] == [take.setting for take in now.takes]
    assert np.array_equal(read_wav(now.takes[0].dry), DI)
    delays = [take.lag.delay_samples for take in check(made).takes if take.lag]
    assert delays == pytest.approx([causal_margin(RATE)] * len(GRID), abs=0.05)
    plain = load_data(data_config(made))
    aligned = load_data(data_config(path, align=True))
    for one, other in zip(plain.train, aligned.train, strict=True):
        common = slice(max(one.start, other.start), min(one.stop, other.stop))
        assert one.setting == other.setting and abs(one.start - other.start) <= 64
        assert esr(one.wet_T[common], other.wet_T[common]) < 1e-3


def test_held_takes_and_equal_names_are_separate(tmp_path: Path):
    record(tmp_path / "a", "amp", DI, GRID[:2])
    write_wav(tmp_path / "b" / "amp_0.wav", amp(DI, **GRID[3]))
    paths = ("a/amp_0.wav", "a/amp_1.wav", "b/amp_0.wav")
    takes = [{"x_path": "a/amp_dry.wav", "y_path": p, "knob_settings": s} for p, s in zip(paths, GRID, strict=False)]
    document = {"type": "multi_knob", "train": takes[:2], "validation": takes[2:]}
    (tmp_path / "multi.json").write_text(json.dumps(document))
    made, _ = align_dataset(tmp_path / "multi.json", tmp_path / "out")
    (held,) = read_manifest(made.parent / "held.json").takes
    assert len(read_manifest(made).takes) == 2 and held.wet.name == "amp_0-2.wav"
    margin = causal_margin(RATE)
    shifted = read_wav(held.wet)
    assert max(esr(shifted[margin + n : -200], amp(DI, **GRID[3])[: len(DI) - 200 - margin - n]) < 0.2 for n in (-1, 0))


@pytest.mark.parametrize(
    ("file", "content", "rate", "words"),
    [
        ("amp_3.wav", di(1.5, seed=5), RATE, "has little to do with its dry amp_dry.wav"),
        ("amp_3.wav", DI, 2 * RATE, "is at 16000 Hz but its dry amp_dry.wav is at 8000 Hz"),
        ("amp_3.wav", DI[:0], RATE, "amp_3.wav is empty"),
    ],
)
def test_folder_is_complete_or_absent(tmp_path: Path, file: str, content: np.ndarray, rate: int, words: str):
    path = record(tmp_path / "amp", "amp", DI)
    write_wav(path.parent / file, content, rate)
    with pytest.raises(UserError, match=words):
        align_dataset(path, tmp_path / "out")
    assert [folder.name for folder in tmp_path.iterdir()] == ["amp"]


def test_folder_in_use_is_refused(tmp_path: Path):
    path = record(tmp_path, "amp", DI, GRID[:1])
    with pytest.raises(UserError, match="is in the way"):
        align_dataset(path, tmp_path)


@pytest.mark.skipif(not HRD3.is_dir(), reason="needs the recordings")
def test_real_takes_are_aligned(tmp_path: Path):
    report = check(align_dataset(HRD3 / "single_knob.json", tmp_path / "out")[0])
    assert report.faults == [] and {take.lag.polarity for take in report.takes if take.lag} == {1}
    delays = [take.lag.delay_samples for take in report.takes if take.lag]
    assert delays == pytest.approx([causal_margin(44100)] * 11, abs=0.05)
    first = read_wav(tmp_path / "out" / "Drive 2 Master 6.wav")
    assert not first[:1200].any() and first[1400:].any() and sf.info(tmp_path / "out" / "DI.wav").subtype == "FLOAT"
    piece = load_data(data_config(tmp_path / "out" / "manifest.json")).train[0]
    assert 1200 < piece.start < 1400  # training leaves out the padding
