"""The journal that optuna-dashboard watches: it grows with the ledger and continues with the study."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import optuna
import pytest
from optuna.trial import TrialState

from models.recordings.dataset import AmpData
from search.config.study import SearchConfig
from search.report.optuna_export import StudyJournal, objective_names
from search.study.files import JOURNAL
from search.study.ledger import read_lines
from search.study.lines import curves, latest, trained_seconds
from search.study.summary import choose
from tests.support.searches import play, scheduler_of, wait_until


def open_journal(config: SearchConfig, study: Path) -> optuna.Study:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(study / JOURNAL)))
    return optuna.load_study(study_name=config.name, storage=storage)


def check_same(config: SearchConfig, study: Path) -> None:
    """The journal states what the ledger states."""
    lines, trials = read_lines(study), open_journal(config, study).trials
    records, reported = {record.trial: record for record in latest(lines)}, curves(lines)
    assert [trial.user_attrs["trial"] for trial in trials] == list(records)
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for trial, record in zip(trials, records.values(), strict=True):
        assert trial.state == states.get(record.state, TrialState.RUNNING)
        assert trial.intermediate_values == reported.get(record.trial, {})
        assert trial.values == ([record.esr, record.cost] if record.state == "finished" else None)
        assert trial.params == {axis: record.point[axis] for axis in trial.params}
        assert trial.datetime_start
        assert trial.user_attrs.get("final of") == record.of


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_journal_grows_with_the_ledger(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    def search(most: int) -> None:
        journal = StudyJournal(small, tmp_path, read_lines(tmp_path))
        scheduler = scheduler_of(small, tmp_path, amps, listener=journal.update)
        play(scheduler, most=most)
        if not scheduler.open and not scheduler.running:
            scheduler.begin_finals(choose(small, tmp_path, small.finals))
            play(scheduler)

    search(14)
    check_same(small, tmp_path)
    assert any(trial.state == TrialState.RUNNING for trial in open_journal(small, tmp_path).trials)
    search(10**6)
    check_same(small, tmp_path)
    study = open_journal(small, tmp_path)
    assert study.metric_names == objective_names(small) == ["validation ESR", "cost: seconds of one core per second"]
    assert any("final of" in trial.user_attrs for trial in study.trials)
    assert all(t.datetime_complete and t.datetime_start < t.datetime_complete for t in study.trials if t.datetime_start)
    fixed = {axis for axis, choices in small.space if isinstance(choices, tuple) and len(choices) == 1}
    assert fixed and not any(fixed & trial.params.keys() for trial in study.trials), "an axis with one choice is none"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_study_without_a_journal_gets_one(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    play(scheduler_of(small, tmp_path, amps), most=60)
    other = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / JOURNAL)))
    optuna.create_study(study_name=small.name, storage=other, directions=["minimize"])  # of an earlier version
    lines = read_lines(tmp_path)
    StudyJournal(small, tmp_path, lines)
    check_same(small, tmp_path)
    seconds = trained_seconds(lines)
    for trial in open_journal(small, tmp_path).trials:
        if trial.state.is_finished():
            assert trial.duration == timedelta(seconds=seconds[trial.user_attrs["trial"]])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_each_front_has_an_objective(small: SearchConfig, tmp_path: Path):
    names = [{**small.datasets[0].model_dump(), "name": name} for name in ("clean", "fuzz")]
    config = SearchConfig.model_validate({**small.model_dump(), "datasets": names, "mode": "per_amp"})
    StudyJournal(config, tmp_path)
    wanted = ["validation ESR of clean", "validation ESR of fuzz", "cost: seconds of one core per second"]
    assert open_journal(config, tmp_path).metric_names == wanted


DAMAGES = (b"{", b"[1]\n", b'{"op_code": 99}\n', b"\xff\xfe\0\n", b'{"op_code": 4, "worker_id": "x"}\n', b"null\n{}\n")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_written_anew(damage: bytes, small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """The ledger has all that it holds, so it costs no search."""
    play(scheduler_of(small, tmp_path, amps, listener=StudyJournal(small, tmp_path).update), most=14)
    whole = (tmp_path / JOURNAL).read_bytes()
    for content in (damage, damage + whole, whole[: len(whole) // 2] + damage + whole[len(whole) // 2 :]):
        (tmp_path / JOURNAL).write_bytes(content)
        StudyJournal(small, tmp_path, read_lines(tmp_path))
        check_same(small, tmp_path)


@contextmanager
def dashboard(journal: Path) -> Iterator[str]:
    """The address of an optuna-dashboard on loopback that has a journal open."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("optuna-dashboard")
    words = [str(command), "--host", "127.0.0.1", "--port", str(port), str(journal)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def ask(url: str) -> Any:
    """The JSON document at an address, past any proxy."""
    with build_opener(ProxyHandler({})).open(url, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_dashboard_lists_the_trials_of_a_running_search(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    journal = StudyJournal(small, tmp_path)
    scheduler = scheduler_of(small, tmp_path, amps, listener=journal.update)
    play(scheduler, most=60)

    def names(url: str) -> list[str]:
        facts = [{one["key"]: one["value"] for one in trial["user_attrs"]} for trial in ask(url)["trials"]]
        return [fact["trial"].strip('"') for fact in facts]

    with dashboard(tmp_path / JOURNAL) as address:
        (study,) = ask(f"{address}/api/studies")["study_summaries"]
        assert study["study_name"] == small.name
        url = f"{address}/api/studies/{study['study_id']}"
        found = ask(url)
        assert names(url) == [record.trial for record in latest(read_lines(tmp_path))]
        assert {"Running", "Complete"} <= {trial["state"] for trial in found["trials"]}
        assert found["objective_names"] == objective_names(small)
        complete = next(trial for trial in found["trials"] if trial["state"] == "Complete")
        first = scheduler.record(names(url)[complete["number"]])
        assert complete["values"] == [first.esr, first.cost]
        steps = [one["step"] for one in complete["intermediate_values"]]
        assert steps == sorted(curves(read_lines(tmp_path))[first.trial])
        play(scheduler)
        wanted = [record.trial for record in latest(read_lines(tmp_path))]
        wait_until(lambda: names(url) == wanted, 60)
