"""The append-only record of a study."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from models.core.errors import UserError
from search.study.ledger import append, ledger_path, read_ledger, read_lines
from search.study.lines import LedgerLine, TrialEnd, TrialRelease, TrialRestart, latest, parse_line, to_json
from tests.support.searches import SMALL, config_of, report, start_line


def test_the_ledger_keeps_the_latest_of_each_trial_and_survives_a_cut(tmp_path: Path):
    append(tmp_path, start_line("a", cost=3))
    append(tmp_path, start_line("b"))
    append(tmp_path, report("b", 10, 0.5))
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


WHOLE = json.dumps(to_json(start_line("a"))).encode()

DAMAGED = {
    "an empty line": (b"", "it is empty"),
    "an unknown state": (b'{"state": "asleep", "trial": "a"}', "its 'state' is 'asleep', which this zoo does not know"),
    "a state that is a list": (b'{"state": [], "trial": "a"}', r"its 'state' is \[\]"),
    "a missing error": (b'{"state": "report", "trial": "a", "step": 5, "amps": {}}', "its 'esr' is missing"),
    "a missing trial": (b'{"state": "left"}', "its 'trial' is missing"),
    "a trial outside of the study": (b'{"state": "left", "trial": "../../home"}', "its 'trial' is '../../home'"),
    "a number that is text": (b'{"state": "again", "trial": "a", "starts": "2"}', "its 'starts' is '2'"),
    "an infinite number": (
        b'{"state": "report", "trial": "a", "step": 5, "esr": 1e400, "amps": {}}',
        "it is not valid JSON",
    ),
    "a cost of nothing": (WHOLE.replace(b'"cost": 1', b'"cost": 0'), "its 'cost' is 0"),
    "a list": (b"[]", "it is no JSON object"),
    "garbage": (b"}{", "it is not valid JSON"),
    "NULs": (b"\0" * 40, "NUL characters stand in it, as after a power cut"),
    "no text": (b"\xff\xfe", "it is not valid JSON"),
    "5,000 digits": (b'{"state": "left", "trial": ' + b"1" * 5000 + b"}", "it is not valid JSON"),
    "a deep nest": (b"[" * 10**5, "it is not valid JSON"),
    "a key twice": (b'{"state": "left", "state": "left", "trial": "a"}', "it is not valid JSON"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_line_names_file_and_line_and_what_to_do(case: str, tmp_path: Path):
    """Without that line, whatever it was, all that the other lines state is there."""
    line, reason = DAMAGED[case]
    ledger_path(tmp_path).write_bytes(WHOLE + b"\n" + line + b"\n" + WHOLE.replace(b'"a"', b'"b"') + b"\n")
    with pytest.raises(UserError, match=f"ledger.jsonl: line 2 is damaged: .*{reason}") as refused:
        read_lines(tmp_path)
    assert str(ledger_path(tmp_path)) in refused.value.message
    assert "delete that line" in refused.value.hint
    ledger_path(tmp_path).write_bytes(WHOLE + b"\n" + WHOLE.replace(b'"a"', b'"b"') + b"\n")
    assert [found.trial for found in read_lines(tmp_path)] == ["a", "b"]


def test_lines_of_a_trial_whose_start_was_deleted_are_left_out(tmp_path: Path):
    lines = (report("a", 5, 0.5), start_line("b"), TrialEnd(trial="a", state="finished"))
    ledger_path(tmp_path).write_text("".join(json.dumps(to_json(line)) + "\n" for line in lines))
    assert [line.trial for line in read_lines(tmp_path)] == ["b"]


@pytest.mark.parametrize(("state", "reports"), [("finished", 0), ("finished", 1), ("pruned", 0)])
def test_an_end_whose_last_report_was_deleted_is_left_out(state: str, reports: int, tmp_path: Path):
    """Such a trial has no error that could be compared; it is trained to its end again."""
    lines = [start_line("a", steps=20), report("a", 10, 0.5), report("a", 20, 0.25)][: 1 + reports]
    for line in (*lines, TrialEnd(trial="a", state=state), start_line("b")):
        append(tmp_path, line)
    assert [(line.trial, line.state) for line in read_lines(tmp_path)] == [
        *((line.trial, line.state) for line in lines),
        ("b", "start"),
    ]


def test_a_line_of_another_search_is_damaged(tmp_path: Path):
    config = config_of(space=SMALL["space"])
    point = config.space.draw(Random(0))
    append(tmp_path, start_line("a", point=point))
    append(tmp_path, report("a", 5, 0.5, limits=LIMITS))
    assert len(read_lines(tmp_path, config)) == 2
    bad_points = ({}, {**point, "depth": 10**6}, {**point, "depth": "3"}, {**point, "learning_rate": None})
    for bad in (*bad_points, {key: value for key, value in point.items() if key != "channels"}):
        ledger_path(tmp_path).unlink()
        append(tmp_path, start_line("a", point=bad))
        with pytest.raises(UserError, match="line 1 is damaged: its 'point' stands for no model"):
            read_lines(tmp_path, config)
    ledger_path(tmp_path).write_text(json.dumps(to_json(report("a", 5, 0.5, amps={"z": 1.0}))) + "\n")
    with pytest.raises(UserError, match="line 1 is damaged: its 'amps' are of other amps than a"):
        read_lines(tmp_path, config)


def test_only_the_first_trial_begins_a_ledger(tmp_path: Path):
    """A study that was moved away while it is searched does not begin again at its old place."""
    for line in (report("a", 5, 0.5), start_line("a", number=1), TrialEnd(trial="a", state="finished")):
        with pytest.raises(UserError, match="was moved or removed while it was searched"):
            append(tmp_path, line)
    assert not ledger_path(tmp_path).exists()
