"""The commands `zoo search` and `zoo board`, in one process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.study.board import read_study
from search.study.ledger import read_ledger
from tests.support.packages import refused, zoo
from tests.support.searches import counted_costs, search_file


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    """Costs are the same on every machine."""
    with counted_costs():
        yield


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two studies; the second starts from the best models of the first."""
    folder = tmp_path_factory.mktemp("studies")
    path = search_file(folder, amps=1)
    ran = zoo("search", str(path), "--out", str(folder / "one"), "--local")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, str(folder / "one")), ran.err
    first, *trials = ran.err.splitlines()[:4]
    assert first == "at most 3 trainings on one amp: 3 trials of 20 steps"
    assert all(t.startswith("trial ") for t in trials)
    ran = zoo("search", str(path), "--out", str(folder / "two"), "--local", "--from", str(folder / "one"), "--json")
    assert ran.code == 0, ran.err
    return folder


def test_board_is_a_table_or_a_document(studies: Path):
    ran = zoo("board", str(studies / "one"))
    header, *rows = [line.split("\t") for line in ran.out.splitlines()]
    assert header == ["TRIAL", "ESR", "COST", "HELD amp0", "KNOBS AT", "STATE", "LAYERS", "RATE"]
    ended = {record.trial: record for record in read_ledger(studies / "one")}
    assert {row[0].rstrip("*") for row in rows} == set(ended)
    assert any(row[0].endswith("*") and row[3] for row in rows)
    document = json.loads(zoo("board", str(studies / "one"), "--json").out)
    assert document["schema"] == "zoo.board/1"
    assert document["complete"]
    assert len(document["trials"]) == 3
    followed = zoo("board", str(studies / "one"), "--follow").out.splitlines()
    assert [line.split()[1] for line in followed] == list(ended)
    refused(zoo("board", str(studies / "none")), 3, "holds no study")


def test_board_of_a_running_search(studies: Path, tmp_path: Path):
    (tmp_path / "study.json").write_bytes((studies / "one" / "study.json").read_bytes())
    assert json.loads(zoo("board", str(tmp_path), "--json").out)["trials"] == []
    lines = (studies / "one" / "ledger.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ledger.jsonl").write_text("".join(lines[:2]))
    ran = zoo("board", str(tmp_path))
    assert "running, step 10 of 20" in ran.out
    document = json.loads(zoo("board", str(tmp_path), "--json").out)
    assert not document["complete"]
    assert document["best"] is None


def test_search_starts_from_another_study(studies: Path):
    first, second = (read_ledger(studies / name) for name in ("one", "two"))
    best = min((record for record in first if record.state == "finished"), key=lambda record: record.esr)
    assert best.point in [record.point for record in second]
    config = str(studies / "search.json")
    (prior,) = read_study(studies / "two").prior
    assert [trial.point for trial in prior] == [record.point for record in first if record.state == "finished"]
    assert zoo("search", config, "--out", str(studies / "two"), "--resume", "--local").code == 0
    refused(zoo("search", config, "--out", str(studies / "two"), "--local"), 1, "already holds a study")
    refused(zoo("search", config, "--local", "--out", "s3://bucket/mine"), 1, "a study is a folder on this machine")
    refused(zoo("search", config, "--local", "--address", "auto"), 1, "give only one of")
    refused(zoo("search", config, "--out", str(studies / "x"), "--from", str(studies)), 3, "no study, package or run")


@pytest.mark.parametrize(
    "words",
    [
        ("--storage", "s3://AK:SEC/RET@bucket/y"),
        ("--storage", "s3://AK:SECRET@bucket/y", "--submit", "http://127.0.0.1:9"),
        ("--submit", "http://u:SECRET@127.0.0.1:9"),
        ("--submit", "http://u:SEC/RET@127.0.0.1:9"),
        ("--address", "u:SECRET@127.0.0.1:9"),
        ("--address", "ray://u:SECRET@127.0.0.1:9"),
        ("--from", "zoo:", "--zoo", "http://u:SEC/RET@127.0.0.1:9"),
    ],
    ids=lambda words: words[-2],
)
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path, words: tuple[str, ...]):
    ran = zoo("search", str(search_file(tmp_path, amps=1)), "--out", str(tmp_path / "study"), *words)
    assert ran.code in (1, 2, 3, 5), ran.err
    assert "error: " in ran.err and "this is a bug" not in ran.err
    assert "SEC" not in ran.err + ran.out and "RET" not in ran.err
    assert not (tmp_path / "study").exists()
