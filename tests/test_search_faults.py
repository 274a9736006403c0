"""A search whose machines break: a trial's process is killed, a node is taken away."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from search.ledger import read_lines
from search.study import read_search, run_search
from tests.test_study import pytestmark, search_file  # noqa: F401 (the marks hold here too)

LEARNING = {"steps": 120, "batch": 2, "segment": 256, "report_every": 10}


def reports(study: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(study) if line["state"] == "report"]


def trial_processes() -> list[int]:
    """Processes below this one that train a trial."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "cmdline").read_bytes()
                ours = f"ZOO_TEST={os.getpid()}".encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if ours and name.startswith(b"ray::ImplicitFunc"):
                found.append(int(entry.name))
    return found


def test_a_killed_trial_goes_on_from_its_last_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_TEST", str(os.getpid()))
    config, study = (
        read_search(search_file(tmp_path, amps=1, trials=2, concurrent=1, learning=LEARNING)),
        tmp_path / "study",
    )
    killed: list[int] = []

    def kill(line: dict[str, Any]) -> None:
        if line["state"] == "report" and line["step"] >= 30 and not killed:
            killed.extend(trial_processes())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    board = run_search(config, study, listener=kill)
    assert killed
    assert [trial["state"] for trial in board["trials"]] == ["finished"] * 2
    for trial in board["trials"]:
        steps = [line["step"] for line in reports(study) if line["trial"] == trial["trial"]]
        assert steps == list(range(10, 130, 10)), "each report once, none lost"
