"""A search whose machines break: a trial's process is killed, a node loses its power or its network."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.ledger import read_ledger, read_lines
from search.study import read_search, run_search
from tests.ray_nodes import ENVIRONMENT, Cluster, cable, cluster, run
from tests.test_study import pytestmark, search_file, wait_until  # noqa: F401 (the marks hold here too)

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


def search_over_a_loss(folder: Path, nodes: Cluster, lose: Callable[[], object]) -> None:
    """Search on a cluster whose only worker is lost in the first trial, and which then gets another."""
    learning = {**LEARNING, "steps": 200}
    path, study = search_file(folder, amps=1, trials=2, concurrent=1, learning=learning), folder / "study"
    words = ["search", str(path), "--out", str(study), "--address", nodes.address, "--json"]
    searching = subprocess.Popen(
        [sys.executable, "-c", "from zoo.cli import main; main()", *words],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: reports(study) or searching.poll() is not None)
        lose()
        nodes.add("127.0.0.3")
        assert not read_ledger(study), "the node was lost before the trial ended"
        out, err = searching.communicate(timeout=120)
    finally:
        searching.kill()
        searching.wait()
    assert searching.returncode == 0, err
    trials = json.loads(out)["trials"]
    assert [trial["state"] for trial in trials] == ["finished"] * 2
    for trial in trials:
        lines = [line for line in reports(study) if line["trial"] == trial["trial"]]
        assert [line["step"] for line in lines] == list(range(10, 210, 10)), "each report once, none lost"
        saved = [int(Path(line["checkpoint"]).parent.name.rpartition("_")[2]) for line in lines]
        assert saved == list(range(20)), "nothing that was reported is trained again"


def test_a_trial_goes_on_when_its_node_loses_its_power(tmp_path: Path):
    with cluster("127.0.0.1") as nodes:
        nodes.add("127.0.0.2")
        search_over_a_loss(tmp_path, nodes, lambda: nodes.kill("127.0.0.2"))


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
def test_a_trial_goes_on_when_its_node_loses_its_network(tmp_path: Path):
    """The node lives on, cut off: what it still does must not spoil what the other trains."""
    here, there = (f"198.18.{os.getpid() % 256}.{host}" for host in (1, 2))
    with cable(here, there) as (within, pull_out), cluster(here) as nodes:
        nodes.add(there, within)
        search_over_a_loss(tmp_path, nodes, lambda: run(*pull_out))
