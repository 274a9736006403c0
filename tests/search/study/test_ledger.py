"""The append-only record of a study."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.core.errors import UserError
from search.study.ledger import append, ledger_path, parse_lines, read_ledger, read_lines
from search.study.lines import LedgerLine, TrialEnd, TrialRelease, TrialRestart, latest, parse_line, to_json
from tests.support.searches import report, start_line


def test_the_ledger_keeps_the_latest_of_each_trial_and_survives_a_cut(tmp_path: Path):
    append(tmp_path, start_line("a", cost=3))
    append(tmp_path, start_line("b"))
    append(tmp_path, report("b", 5, 0.5))
    append(tmp_path, TrialEnd(trial="a", state="failed", reason="why"))
    append(tmp_path, TrialEnd(trial="b", state="finished"))
    append(tmp_path, start_line("c"))
    whole = ledger_path(tmp_path).read_bytes()
    with ledger_path(tmp_path).open("a") as file:
        file.write(json.dumps({"trial": "c", "state": "finished"})[:-5])
    ended = read_ledger(tmp_path)
    assert [record.trial for record in ended] == ["a", "b"]
    assert (ended[0].state, ended[0].cost, ended[0].reason) == ("failed", 3, "why")
    assert ended[0].to_json() == {**to_json(start_line("a", cost=3)), "state": "failed", "reason": "why"}
    assert ended[1].esr == 0.5
    append(tmp_path, start_line("d"))
    assert ledger_path(tmp_path).read_bytes().startswith(whole)
    assert [line.trial for line in read_lines(tmp_path)][-2:] == ["c", "d"]
    assert read_ledger(tmp_path / "nowhere") == []


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path, start_line("a"))
    before = ledger_path(tmp_path).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(tmp_path, TrialEnd(trial="a", state="finished"))
    assert ledger_path(tmp_path).read_bytes() == before


LIMITS = {"a": {"runaway": -1.5}}
LINES: list[LedgerLine] = [
    start_line("a", control=True),
    start_line("a", control=False),
    start_line("a-0", of="a"),
    report("a", 5, 0.5),
    report("a", 10, 0.25, relative=0.5, seconds=1.5, limits=LIMITS, checkpoint="s3://b/c", survives=False),
    TrialEnd(trial="a", state="finished"),
    TrialEnd(trial="a", state="diverged", step=3, reason="the loss is not finite"),
    TrialRestart(trial="a", starts=2),
    TrialRelease(trial="a"),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.state)
def test_a_line_is_read_as_it_was_written(line: LedgerLine):
    text = json.dumps(to_json(line))
    assert parse_line(json.loads(text)) == line
    assert json.dumps(to_json(parse_line(json.loads(text)))) == text


def test_the_keys_of_a_line_keep_their_order():
    start = ["state", "trial", "number", "point", "label", "form", "steps", "seed", "control"]
    sizes = ["cost", "macs", "parameters", "receptive_field", "columns", "rate_hz"]
    assert list(to_json(LINES[0])) == [*start, *sizes]
    reported = ["state", "trial", "step", "esr", "relative", "amps", "worst", "seconds", "limits", "checkpoint"]
    assert list(to_json(LINES[4])) == [*reported, "survives"]


def test_a_record_is_written_in_the_order_in_which_lines_stated_keys():
    lines = [LINES[0], LINES[7], report("a", 5, 0.5, survives=True), LINES[4], LINES[5]]
    merged: dict[str, Any] = {}
    for line in lines:
        merged.update(to_json(line))
    (record,) = latest(lines)
    assert json.dumps(record.to_json()) == json.dumps(merged)


def test_unknown_keys_of_a_line_are_kept():
    document = {**to_json(report("a", 5, 0.5)), "color": "red"}
    line = parse_line(document)
    assert to_json(line) == document
    (record,) = latest([parse_line({**to_json(start_line("a")), "mood": 1})])
    assert record.to_json()["mood"] == 1


def test_limits_of_an_older_report_are_given_to_each_amp():
    document = {**to_json(report("a", 5, 0.5)), "amps": {"a": 0.5, "b": 0.5}, "limits": {"runaway": 2.0}}
    line = parse_line(document)
    assert to_json(line)["limits"] == {"a": {"runaway": 2.0}, "b": {"runaway": 2.0}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"state": "asleep", "trial": "a"}, "state 'asleep'"),
        ({"state": "report", "trial": "a", "step": 5}, "'esr'"),
    ],
)
def test_a_broken_line_is_refused(document: dict[str, Any], reason: str):
    with pytest.raises(UserError, match=reason):
        parse_lines(json.dumps(document).encode() + b"\n")
