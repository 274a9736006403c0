"""What a search that a cluster drives passes on to the machine that asked for it; the cluster is left out."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.study import SearchConfig
from search.launch import ray_client
from search.run_options import RunOptions
from search.study.lines import TrialRecord
from tests.support.searches import RAY_WARNINGS, config_of, start_line

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]


def test_phases_and_records_come_through_the_queue_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    queue, record = ray_client.LineQueue(), TrialRecord.of_start(start_line("aa"))

    def drive(config: SearchConfig, study: Path, options: RunOptions) -> str:
        options.on_phase("aligning amp", 3, 12)
        assert options.listener
        options.listener(record)
        options.on_phase("scoring")
        return f"{config.name} in {study}, {options.address}"

    monkeypatch.setattr(ray_client, "run_study", drive)
    monkeypatch.setattr(ray_client.ray, "get", lambda reference: reference)
    there: Any = SimpleNamespace(add=SimpleNamespace(remote=queue.add))
    config = config_of()
    told = ray_client._search_remotely(config.model_dump(mode="json"), str(tmp_path), False, None, there)
    assert told == f"{config.name} in {tmp_path}, auto"
    assert queue.take() == [("aligning amp", 3, 12), record, ("scoring", 0, 0)]
    assert queue.take() == []
