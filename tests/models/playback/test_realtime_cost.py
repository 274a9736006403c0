"""The cost of a model in real time is measured once per machine and then read."""

from pathlib import Path

import pytest
import torch

from models.playback import realtime_cost as costs
from models.playback.realtime_cost import cost
from tests.support.makers import architecture


def test_cost_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(costs, "TIMED_SECONDS", 0.01)
    config, seed = architecture(), torch.random.get_rng_state()
    found = cost(config, 2)
    assert 0 < found < 1 and cost(config, 2) == found
    assert torch.equal(torch.random.get_rng_state(), seed)
    assert cost(config, 2, 96_000) == pytest.approx(2 * found)
    for stored in (tmp_path / "costs").iterdir():
        stored.write_text('{"found": "?"}')
    found = cost(config, 2)
    assert 0 < found < 1
    monkeypatch.setattr(costs, "measure_cost", lambda *_: (1.0, 1e-12))  # a machine that is faster today
    assert cost(config, 1) > 1e-9 and cost(config, 2) == found
    assert len(list((tmp_path / "costs").iterdir())) == 3  # two models and the reference
