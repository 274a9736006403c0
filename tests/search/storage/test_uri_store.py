"""Files at a URI; a study that is copied to one, and goes on elsewhere when its machine is lost."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import ArrowInvalid

from models.core.errors import NotFound, UserError
from models.core.renames import STAGED
from models.recordings.loading import load_data
from search.config.study import read_search
from search.launch.launcher import run_search
from search.storage.uri_store import Store, below, inside
from search.study import remote_copy
from search.study.ledger import append, read_ledger, read_lines
from search.study.lines import AGAIN, LedgerLine, TrialRecord, TrialReport, TrialRestart, to_json
from search.study.remote_copy import RemoteCopy
from search.study.results import TrialFault, parse_result
from search.study.summary import summarize
from tests.support.bucket_server import Bucket
from tests.support.makers import examples
from tests.support.searches import (
    LOCAL,
    RAY_WARNINGS,
    PowerCut,
    counted,
    cut_after,
    report,
    scheduler_of,
    search_file,
    stable_lines,
    start_line,
)
from tests.support.store_contract import check_store

pytestmark = RAY_WARNINGS

SEARCH: dict[str, Any] = {"amps": 1, "trials": 5}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """An empty folder: on disk, or below `$AMPZOO_TEST_STORAGE`, to test with real storage."""
    real = os.environ.get("AMPZOO_TEST_STORAGE")
    return below(real, tmp_path.name) if real else (tmp_path / "far").as_uri()


@pytest.mark.parametrize("loopback", [True, False])
def test_files_are_written_listed_read_and_fetched_once(loopback: bool, bucket: Bucket, uri: str, tmp_path: Path):
    check_store(Store(bucket.uri("far") if loopback else uri), tmp_path / "here")


def test_a_uri_that_cannot_be_used_is_named(bucket: Bucket):
    for uri, words in (
        ("ftp://a/b", "only s3://, gs:// and file://"),
        ("s3://", "bucket"),
        ("s3://me:pass@a/b", "password"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            Store(uri)
        assert "pass@" not in caught.value.message
    bucket.put("a/b", b"data")
    bucket.broken = True
    store = Store(bucket.uri("a"))
    uses: list[Callable[[], object]] = [
        lambda: store.read("b"),
        lambda: store.write("c", b""),
        lambda: store.sizes("b"),
        lambda: store.size("b"),
    ]
    for use in uses:
        with pytest.raises(UserError, match=r"^s3://zoo/a.* cannot be used: .*access is denied") as caught:
            use()
        assert "credentials" in caught.value.hint


@pytest.mark.parametrize("problem", [OSError("words of a client"), ArrowInvalid("words of a client")])
def test_an_error_of_a_storage_that_is_not_known_is_told_in_our_words(
    problem: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(path: str) -> None:
        raise problem

    store = Store(tmp_path.as_uri())
    monkeypatch.setattr(store, "filesystem", SimpleNamespace(get_file_info=fail))
    with pytest.raises(UserError, match="cannot be used: its storage gives a reason that is not known") as caught:
        store.sizes("x")
    assert "words of a client" not in caught.value.message + caught.value.hint and "--debug" in caught.value.hint
    assert caught.value.__cause__ is problem, "which --debug shows"


def test_a_place_below_another():
    assert below("/a/b/", "c", "d") == "/a/b/c/d"
    assert below("s3://a/b?x=1&y=/", "c", "d") == "s3://a/b/c/d?x=1&y=/"
    assert below("gs://a", "c") == "gs://a/c"


@given(st.text(alphabet="ab./\\:~\0 ", max_size=12))
@examples(300)
def test_no_name_leads_out_of_its_folder(name: str):
    try:
        path = Path("/folder") / inside(name, "a list")
    except UserError as problem:
        assert problem.message.startswith("a list names ")
        return
    assert Path(os.path.normpath(path)).is_relative_to("/folder") and os.path.normpath(path) != "/folder"


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "C:\\a", "C:a", "s3://b/c", "a\\b", "", ".", "a\0b"])
def test_names_that_lead_out_are_refused(name: str):
    with pytest.raises(UserError, match="a list names"):
        inside(name, "a list")


def cut_after_the_final(record: TrialRecord) -> None:
    """A listener on whose machine the power fails when all is trained."""
    if record.state == "finished" and record.is_final:
        raise PowerCut


def test_a_search_goes_on_elsewhere_from_its_copy(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The machine is lost three times: before a trial's first report, between two reports, and after the last trial."""
    monkeypatch.setattr(remote_copy, "PART", 5000)  # several parts, lines across them
    final = {"steps": 50, "seeds": 1, "top": 1}
    path = search_file(tmp_path, amps=1, **{**LOCAL, "final": final})
    config = read_search(path)
    with pytest.raises(PowerCut):
        run_search(config, tmp_path / "whole", counted(local=True, listener=cut_after_the_final))
    whole = read_lines(tmp_path / "whole")
    done = 0
    for number, lines in enumerate((1, 12, len(whole))):
        study = tmp_path / f"lost{number}"
        with pytest.raises(PowerCut):
            options = counted(local=True, storage=uri, resume=number > 0, listener=cut_after(lines - done))
            run_search(config, study, options)
        # A start alone is not copied: the next machine starts the same trial. One that had reported is restarted.
        done = lines - 1 if number else 0
        shutil.rmtree(study)
    board = run_search(config, tmp_path / "last", counted(local=True, storage=uri, resume=True))
    assert stable_lines(tmp_path / "last") == stable_lines(tmp_path / "whole")
    again = [line for line in read_lines(tmp_path / "last") if line.state == AGAIN]
    assert again == [TrialRestart(trial=whole[11].trial, starts=1)], "it had reported, and goes on"
    assert AGAIN not in {line.state for line in whole}
    assert board.fronts == summarize(config, whole).fronts
    assert all(trial.held for trial in board.trials if trial.front)
    assert "pruned" in {record.state for record in read_ledger(tmp_path / "last")}
    finished = {record.trial for record in read_ledger(tmp_path / "last") if record.state == "finished"}
    for study in ("last", "whole"):
        assert {folder.name for folder in (tmp_path / study / "trials").iterdir()} == finished
    assert {name.split("/")[1] for name in Store(uri).sizes("trials")} == finished
    store, files = Store(uri), [path for path in (tmp_path / "last").rglob("*") if path.is_file()]
    for path in files:
        name = path.relative_to(tmp_path / "last").as_posix()
        assert name == "ledger.jsonl" or store.read(name) == path.read_bytes()


def test_storage_that_fails_stops_the_search_and_costs_nothing(bucket: Bucket, tmp_path: Path):
    config, study, uri = read_search(search_file(tmp_path, **SEARCH)), tmp_path / "study", bucket.uri("far")

    def fail(record: TrialRecord) -> None:
        bucket.broken = bucket.broken or record.state == "finished"

    with pytest.raises(UserError, match=r"stopped: s3://zoo/far.*access is denied") as caught:
        run_search(config, study, counted(local=True, storage=uri, listener=fail))
    assert "--resume" in caught.value.hint
    before = read_lines(study)
    assert [record.state for record in read_ledger(study)] == ["finished"], "no trial has failed"
    with pytest.raises(UserError, match=r"^s3://zoo/far.*access is denied"):
        run_search(config, study, counted(local=True, storage=uri, resume=True))
    bucket.broken = False
    with pytest.raises(PowerCut):
        run_search(config, study, counted(local=True, storage=uri, resume=True, listener=cut_after(1)))
    RemoteCopy(tmp_path / "there", uri).begin(resume=True)
    assert read_lines(tmp_path / "there") == read_lines(study)
    assert read_lines(study)[:-1] == before
    assert (tmp_path / "there" / "trials" / before[0].trial).exists()


def test_studies_at_one_uri_are_never_mixed(uri: str, tmp_path: Path):
    config = read_search(search_file(tmp_path, **SEARCH))

    def search(out: str, lines: int = 0, **how: Any) -> list[LedgerLine]:
        with pytest.raises(PowerCut):
            options = counted(local=True, storage=uri, listener=cut_after(lines), **how)
            run_search(config, tmp_path / out, options)
        return read_lines(tmp_path / out)

    with pytest.raises(NotFound, match=r"neither .*one nor .*://.* holds a study"):
        search("one", resume=True)
    begun = search("one", 6)
    with pytest.raises(UserError, match="already holds a study"):
        search("two")
    with pytest.raises(UserError, match="seed changed"):
        changed = config.model_copy(update={"seed": 9})
        run_search(changed, tmp_path / "two", counted(local=True, storage=uri, resume=True))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").touch()
    with pytest.raises(UserError, match="is not empty"):
        search("letters", resume=True)
    assert (tmp_path / "letters" / "dear.txt").exists()

    shutil.copytree(tmp_path / "one", tmp_path / "apart")
    *same, last = begun
    assert isinstance(last, TrialReport)
    texts = [json.dumps(to_json(line)) + "\n" for line in (*same, replace(last, esr=2 * last.esr))]
    (tmp_path / "apart" / "ledger.jsonl").write_text("".join(texts))
    (tmp_path / "one" / "notes.txt").touch()
    further = search("two", 2, resume=True)
    assert further[:6] == begun
    assert len(further) == 8
    assert search("one", 1, resume=True)[:8] == further, "the first machine takes over what the other has done"
    assert (tmp_path / "one" / "notes.txt").exists()
    with pytest.raises(UserError, match="went on differently"):
        search("apart", resume=True)
    assert (tmp_path / "apart" / "ledger.jsonl").read_text() == "".join(texts)


def test_two_searches_at_one_uri_notice_each_other(uri: str, tmp_path: Path):
    config = read_search(search_file(tmp_path, **SEARCH))
    other = RemoteCopy(tmp_path / "other", uri)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ledger.jsonl").write_text(json.dumps(to_json(report("x", 1, 0.1))) + "\n")

    def search_too(record: TrialRecord) -> None:
        shutil.copy(tmp_path / "study" / "study.json", tmp_path / "other")
        other.sync()

    with pytest.raises(UserError, match="another search writes to"):
        run_search(config, tmp_path / "study", counted(local=True, storage=uri, listener=search_too))
    known = Store(uri).read("study.json")
    (tmp_path / "other" / "study.json").write_text("{}")
    with pytest.raises(UserError, match="holds another study than"):
        other.sync()
    assert Store(uri).read("study.json") == known


def copy_study(folder: Path, uri: str, lines: int) -> None:
    """Make a study of so many lines, and its copy."""
    folder.mkdir()
    (folder / "study.json").write_text("{}")
    for number in range(lines):
        append(folder, start_line(f"t{number}", number=number))
    RemoteCopy(folder, uri).sync()


def test_writing_that_stopped_between_parts_is_repaired(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_copy, "PART", 100)
    copy_study(tmp_path / "one", uri, 5)
    store, first = Store(uri), read_lines(tmp_path / "one")
    parts = sorted(store.sizes("ledger"))
    assert len(parts) > 2
    store.write(parts[-1], store.read(parts[-1])[:-9])
    two = RemoteCopy(tmp_path / "two", uri)
    two.begin(resume=True)
    assert read_lines(tmp_path / "two") == first[:4]
    append(tmp_path / "two", first[0])
    two.sync()
    RemoteCopy(tmp_path / "three", uri).begin(resume=True)
    assert read_lines(tmp_path / "three") == [*first[:4], first[0]]


def test_half_written_files_are_not_part_of_a_study(tmp_path: Path):
    far = tmp_path / "far"
    copy_study(tmp_path / "one", far.as_uri(), 2)
    (far / "ledger" / f"{STAGED}x").write_text('{"half')
    (far / "trials" / f"{STAGED}y").mkdir(parents=True)
    (far / "trials" / f"{STAGED}y" / "file").touch()
    RemoteCopy(tmp_path / "two", far.as_uri()).begin(resume=True)
    assert read_lines(tmp_path / "two") == read_lines(tmp_path / "one")
    assert not (tmp_path / "two" / "trials").exists()


def test_a_checkpoint_that_cannot_be_stored_fails_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from search.backends import ray_worker as tuning

    reported: list[dict[str, Any]] = []

    def tune_report(result: dict[str, Any], checkpoint: object = None) -> None:
        if checkpoint:
            raise OSError("AWS Error ACCESS_DENIED during PutObject operation")
        reported.append(json.loads(result["results"]))

    monkeypatch.setattr(tuning.tune, "report", tune_report)
    monkeypatch.setattr(tuning.tune, "get_checkpoint", lambda: None)
    config = read_search(search_file(tmp_path, **SEARCH))
    amps = [load_data(data) for data in config.datasets]
    task = scheduler_of(config, tmp_path, amps).suggest()
    assert task
    tuning.run_group({"tasks": [asdict(task)]}, config.model_dump(mode="json"), amps, 0, None, str(tmp_path))
    reason = "checkpoints cannot be stored: access is denied"
    (results,) = reported
    assert parse_result(results[task.trial]) == TrialFault(task.trial, "stopped", reason)


def test_a_finished_trial_does_not_fail_with_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from search.backends import ray_worker as tuning
    from search.study.trial_group import TrialGroup

    reported: list[dict[str, Any]] = []
    monkeypatch.setattr(
        tuning.tune, "report", lambda result, checkpoint=None: reported.append(json.loads(result["results"]))
    )
    monkeypatch.setattr(tuning.tune, "get_checkpoint", lambda: None)
    save = TrialGroup.save

    def fail(group: TrialGroup, trial: str, folder: Path) -> None:
        if len(reported) == 1:
            raise ValueError("no more")
        save(group, trial, folder)

    monkeypatch.setattr(TrialGroup, "save", fail)
    config = read_search(search_file(tmp_path, **SEARCH))
    amps = [load_data(data) for data in config.datasets]
    task = scheduler_of(config, tmp_path, amps).suggest()
    assert task
    every = config.learning.report_every
    short, long = (asdict(replace(task, trial=name, steps=n * every)) for name, n in (("short", 1), ("long", 2)))
    tuning.run_group({"tasks": [short, long]}, config.model_dump(mode="json"), amps, 0, None, str(tmp_path))
    first, second = reported
    assert first.keys() == {"short", "long"}
    assert list(second) == ["long"]
    assert parse_result(second["long"]) == TrialFault("long", "failed", "no more")
