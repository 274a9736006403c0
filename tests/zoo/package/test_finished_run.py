"""A finished run is loaded once."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.names import CONFIG, EVAL, WEIGHTS
from models.core.files import write_json
from tests.support.packages import pack, write_run
from zoo.package.finished_run import FinishedRun, publishing_fault


def test_each_file_of_a_run_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run, reads, open_file = write_run(tmp_path / "run"), Counter[str](), os.open

    def count(path: Any, *args: Any, **more: Any) -> int:
        if Path(path).parent == run:
            reads[Path(path).name] += 1
        return open_file(path, *args, **more)

    monkeypatch.setattr(os, "open", count)
    pack(run, tmp_path / "package")
    assert reads[CONFIG] == 1
    assert reads[EVAL] == 1


def test_run_outside_a_study_has_no_study_and_no_tiers(tmp_path: Path):
    run = FinishedRun.load(write_run(tmp_path / "run"))
    assert run.config.name == "tiny"
    assert (run.study, run.front_chart, run.recipe, run.provenance) == (None, None, None, None)
    assert run.tiers == {}
    assert run.fault is None


def test_what_is_not_packaged_has_a_fault(tmp_path: Path):
    run = FinishedRun.load(write_run(tmp_path / "run"))
    good, held = run.evaluation, run.evaluation.held
    assert publishing_fault(good) is None
    poor = good.model_copy(update={"held": held.model_copy(update={"baseline_mean": held.mean / 2})})
    fault = f"mean ESR at held settings is {held.mean:.4f}, while playing the nearest recorded setting"
    assert fault in (publishing_fault(poor) or "")
    loud = good.model_copy(update={"corners": good.corners.model_copy(update={"silence_dbfs": 0.0})})
    assert publishing_fault(loud) == loud.corners.fault is not None


def test_run_of_a_study_has_its_front_chart(tmp_path: Path):
    folder = write_run(tmp_path / "study" / "trials" / "0007" / "tiny")
    assert FinishedRun.load(folder).study is None  # no study.json yet
    write_json(tmp_path / "study" / "study.json", {"name": "mine"})
    run = FinishedRun.load(folder)
    assert run.study == tmp_path / "study"
    assert run.front_chart is None
    (tmp_path / "study" / "board.png").write_bytes(b"chart")
    assert run.front_chart == tmp_path / "study" / "board.png"


def test_package_is_loaded_as_a_run(tmp_path: Path):
    package = pack(write_run(tmp_path / "run"), tmp_path / "package")
    first, second = FinishedRun.load(tmp_path / "run"), FinishedRun.load(package)
    assert (first.config, first.evaluation) == (second.config, second.evaluation)
    assert (package / WEIGHTS).read_bytes() == (tmp_path / "run" / WEIGHTS).read_bytes()
