"""The one command for a GPU, benchmarks/gpu.py: what of it runs without one, and what it makes of parts that fail."""

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from models.engines.gpu.batched import Batched, StackPlayer
from models.network.folding import Folding

OLD = "# On a GPU: results\n\nNewest first.\n\n## 2026-11-01\n\nold\n"


def test_its_parts_together_take_less_than_ten_minutes():
    assert list(gpu.LIMITS_S) == list(gpu.PARTS)
    assert sum(gpu.LIMITS_S.values()) <= 570, "half a minute is left for the machine's start"


def test_a_part_without_a_gpu_goes_into_the_log(tmp_path: Path):
    log = tmp_path / "gpu.md"
    log.write_text(OLD)
    gpu.main(["--device", "cpu", "--small", "--log", str(log), "--limits", '{"variants": 600}'])
    head, first, second = log.read_text().split("\n## ")
    assert head == OLD.partition("\n## ")[0] and second == "2026-11-01\n\nold\n"
    assert "python -m benchmarks.gpu --device=cpu --small" in first and f"torch {torch.__version__}" in first
    assert "a1-nano-film" in first and "batched" in first and "Triton" not in first.partition("ms of a step")[2]


def test_parts_that_fail_or_take_too_long_are_told():
    words = [sys.executable, "-u", "-c"]
    text, _ = gpu.run_part([*words, "print('found'); raise SystemExit(3)"], 600)
    assert text == "found\nFAILED with exit code 3"
    text, _ = gpu.run_part([*words, "import time; print('found'); time.sleep(600)"], 20)
    assert text == "found\nSTOPPED at its limit of 20 s"


def test_its_search_has_few_architectures(tmp_path: Path):
    config = gpu.search_config(tmp_path, 16, 500, None)
    assert (config.trials, config.gpus_per_trial, config.final) == (16, None, None)
    shapes = len(config.space.depth) * len(config.space.dilations) * len(config.space.channels)
    assert shapes * config.stacked_trials == 16, "stacks of each architecture fill the search"


def test_a_player_that_errs_is_found(monkeypatch: pytest.MonkeyPatch):
    def wrong(folding: Folding, device: torch.device, truncates: bool) -> StackPlayer:
        play = Batched(folding, truncates)
        return lambda weights_MN, x_MT: 1.1 * play(weights_MN, x_MT)

    monkeypatch.setattr(gpu, "_players", lambda device: [("wrong", wrong)])
    with pytest.raises(AssertionError, match="wrong"):
        gpu.variants(torch.device("cpu"), small=True)
