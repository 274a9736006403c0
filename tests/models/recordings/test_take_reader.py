"""Every file is decoded once, also that of a take whose delay others correct; one dry signal at a time is in memory."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.recordings import take_reader
from models.recordings.align_dataset import align_dataset
from models.recordings.checks.check import check
from models.recordings.loading import load_data
from models.recordings.manifest import Take
from models.recordings.take_reader import TakeReader, group_by_dry
from tests.support.makers import GRID, RATE, data_config, di, record, write_wav


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each file was decoded."""
    counts: Counter[Path] = Counter()
    read_audio = take_reader.read_audio

    def counted(path: Path, *rest: Any) -> tuple[np.ndarray, int]:
        counts[path] += 1
        return read_audio(path, *rest)

    monkeypatch.setattr(take_reader, "read_audio", counted)
    return counts


@pytest.mark.parametrize("use", ["load", "load aligned", "check", "align"])
def test_each_file_is_decoded_once(tmp_path: Path, decoded: Counter[Path], use: str):
    path = record(tmp_path / "amp", "amp", di(1.5))
    if use.startswith("load"):
        load_data(data_config(path, align=use == "load aligned"))
    elif use == "check":
        check(path)
    else:
        align_dataset(path, tmp_path / "out")
    assert len(decoded) == len(GRID) + 1
    assert set(decoded.values()) == {1}


def test_dry_signal_is_decoded_again_after_another_one(tmp_path: Path, decoded: Counter[Path]):
    dries = [write_wav(tmp_path / f"{n}.wav", di(0.1, seed=n)) for n in range(2)]
    takes = [Take(dries[n], dries[n], {}) for n in (0, 0, 1, 0)]
    reader = TakeReader(2 * RATE)
    signals = [reader.read_dry(take) for take in takes]
    assert signals[0] is signals[1]
    assert signals[0] is not signals[3]
    assert signals[0].sha256 == signals[3].sha256 != signals[2].sha256
    assert {signal.rate_hz for signal in signals} == {2 * RATE}
    assert [decoded[path] for path in dries] == [2, 1]


def test_takes_are_grouped_in_the_order_of_appearance():
    assert group_by_dry("abacb", lambda item: item) == [["a", "a"], ["b", "b"], ["c"]]
