"""A search whose machines break: a process is killed, a node loses power or network, the head is lost with its disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.core.cache import cache_folder
from models.core.files import write_json
from search.study.ledger import parse_lines, read_ledger, read_lines
from search.study.lines import TrialReport, TrialStart
from tests.support.bucket_server import ENVIRONMENT as CREDENTIALS
from tests.support.bucket_server import Bucket
from tests.support.ray_nodes import ENVIRONMENT, cable, cluster, run
from tests.support.searches import RAY_WARNINGS, search_file, wait_until

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]

STEPS, EVERY = 200, 10
LEARNING = {"steps": STEPS, "batch": 2, "segment": 256, "report_every": EVERY}
SEARCH: dict[str, Any] = {"amps": 1, "trials": 2, "concurrent": 1, "learning": LEARNING}


def reports(study: Path, number: int = 0) -> list[TrialReport]:
    """The reports of the first trial, or of another."""
    lines = read_lines(study)
    started = [line.trial for line in lines if isinstance(line, TrialStart)][number : number + 1]
    return [line for line in lines if isinstance(line, TrialReport) and line.trial in started]


@contextmanager
def searching(path: Path, study: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`zoo search` in a process of its own, which is gone afterwards."""
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "search", path, "--out", study, "--json"]
    search = subprocess.Popen(
        [*command, *words],
        env={**os.environ, **ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield search
    finally:
        search.kill()
        search.communicate()


def goes_on(search: subprocess.Popen[str], study: Path) -> None:
    """Wait until the first trial has reported again, or for the first time."""
    before = len(reports(study))
    wait_until(lambda: len(reports(study)) > before or search.poll() is not None)
    assert search.poll() is None, search.communicate()[1]
    assert not read_ledger(study), "the trial had not ended"


def finish(search: subprocess.Popen[str], study: Path) -> None:
    """Both trials finish, and each of their reports was made once."""
    out, err = search.communicate(timeout=900)
    assert search.returncode == 0, err
    assert [trial["state"] for trial in json.loads(out)["trials"]] == ["finished"] * 2
    for number in range(2):
        assert [line.step for line in reports(study, number)] == list(range(EVERY, STEPS + 1, EVERY))


def checkpoints(study: Path, number: int) -> list[int]:
    """The numbers of a trial's checkpoints: Tune counts those that are saved, also when one is saved again."""
    return [
        int((line.checkpoint or "").partition("checkpoint_")[2].partition("/")[0]) for line in reports(study, number)
    ]


def test_a_search_survives_processes_nodes_and_head(bucket: Bucket, tmp_path: Path):
    """The trial's process is killed, then its node loses power, then head and driver are lost with the study's disk.

    Another machine goes on from the bucket, which has the recordings too; the rest of the old cluster does no harm.
    """
    path, storage, study = search_file(tmp_path, **SEARCH), bucket.uri("study"), tmp_path / "lost"
    for file in (tmp_path / "amp0").iterdir():
        bucket.put(f"amp0/{file.name}", file.read_bytes())
    document = json.loads(path.read_text())
    document["datasets"][0]["train"] = bucket.uri("amp0/train.json")
    write_json(path, document)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(cache_folder() / "kernels")
    environment = {**CREDENTIALS, "AMPZOO_CACHE": str(tmp_path / "cache")}
    with cluster("127.0.0.1") as nodes:
        nodes.add("127.0.0.2")
        with searching(path, study, "--address", nodes.address, "--storage", storage, **environment) as search:
            goes_on(search, study)
            nodes.add("127.0.0.3")
            for process in nodes.training()["127.0.0.2"]:
                os.kill(process, signal.SIGKILL)
            goes_on(search, study)
            nodes.wait_for("127.0.0.3")
            (node,) = nodes.training()
            nodes.kill(node)
            goes_on(search, study)
            wait_until(lambda: len(reports(study, 1)) > 1)
            search.kill()
            nodes.kill("127.0.0.1")
        assert checkpoints(study, 0) == list(range(STEPS // EVERY)), "nothing that was reported is trained again"
        (kept,) = read_ledger(study)
        shutil.rmtree(study)
        there = parse_lines(bucket.objects["study/ledger/000000"][0])
        done = sum(isinstance(line, TrialReport) and line.trial != kept.trial for line in there)

        study = tmp_path / "found"
        with searching(path, study, "--resume", "--storage", storage, **environment) as search:
            finish(search, study)
        assert read_ledger(study)[0] == kept
        assert (study / "trials" / kept.trial / "amp0").exists()
        again = STEPS // EVERY - done
        assert done and checkpoints(study, 1) == [*range(done), *range(again)], "nothing that is there is trained again"


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
def test_a_trial_goes_on_when_its_node_loses_its_network(tmp_path: Path):
    """The node lives on, cut off: what it still does must not spoil what the other trains."""
    path, study = search_file(tmp_path, **SEARCH), tmp_path / "study"
    here, there = (f"198.18.{os.getpid() % 256}.{host}" for host in (1, 2))
    with cable(here, there) as (within, pull_out), cluster(here) as nodes:
        nodes.add(there, within)
        with searching(path, study, "--address", nodes.address) as search:
            goes_on(search, study)
            run(*pull_out)
            nodes.add("127.0.0.3")
            finish(search, study)
    for number in range(2):
        assert checkpoints(study, number) == list(range(STEPS // EVERY)), "nothing that was reported is trained again"
