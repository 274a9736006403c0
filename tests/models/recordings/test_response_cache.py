"""Responses of takes are measured once for the same audio."""

from pathlib import Path

import numpy as np
import pytest

from models.recordings import response_cache
from models.recordings.alignment import TakeResponse, measure_response
from models.recordings.response_cache import recall_response
from tests.support.makers import RATE, di

DRY = di(1.0)
WET = np.concatenate([np.zeros(40, np.float32), 0.5 * DRY])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))


def same(one: TakeResponse, other: TakeResponse) -> bool:
    assert one.wide and other.wide
    wides = [
        (wide.delay, wide.low_bin, wide.high_bin, wide.response_F.tolist(), wide.coherence_F.tolist())
        for wide in (one.wide, other.wide)
    ]
    equal = (one.lag, one.rate_hz) == (other.lag, other.rate_hz) and wides[0] == wides[1]
    return equal and np.array_equal(one.local_F, other.local_F)


def test_a_take_too_short_for_all_frequencies_is_kept():
    wanted = recall_response(DRY[:900], WET[:900], RATE)
    assert wanted.wide is None and recall_response(DRY[:900], WET[:900], RATE).lag == wanted.lag


def test_the_same_audio_is_measured_once(monkeypatch: pytest.MonkeyPatch):
    wanted = measure_response(DRY, WET, RATE)
    assert same(recall_response(DRY, WET, RATE), wanted)
    measured: list[int] = []
    monkeypatch.setattr(response_cache, "measure_response", lambda *audio: measured.append(1) or wanted)
    assert same(recall_response(DRY, WET.copy(), RATE), wanted)
    assert not measured
    recall_response(DRY, 2 * WET, RATE)
    recall_response(DRY[:-1], WET, RATE)
    recall_response(DRY, WET, 2 * RATE)
    assert len(measured) == 3, "other audio and another rate are measured"
    monkeypatch.setattr(response_cache, "source_digest", lambda *folders: "another version")
    recall_response(DRY, WET, RATE)
    assert len(measured) == 4, "what another version measured is not used"


def test_a_damaged_file_is_measured_again(tmp_path: Path):
    wanted = recall_response(DRY, WET, RATE)
    (stored,) = (tmp_path / "cache").rglob("*.response")
    whole = stored.read_bytes()
    shape = whole.index(b"'shape': (") + 10
    huge = whole[:shape] + b"9" + whole[shape + 1 :]
    for damage in (b"", b"no archive", whole[:-60], huge):
        stored.write_bytes(damage)
        assert same(recall_response(DRY, WET, RATE), wanted)
        assert stored.read_bytes() == whole
