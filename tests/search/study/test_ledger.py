"""The append-only record of a study."""

import json
from pathlib import Path

import pytest

from search.study.ledger import append, ledger_path, read_ledger, read_lines


def test_the_ledger_knows_the_last_word_of_each_trial_and_survives_a_cut(tmp_path: Path):
    append(tmp_path, {"trial": "a", "state": "start", "cost": 3})
    append(tmp_path, {"trial": "b", "state": "start"})
    append(tmp_path, {"trial": "b", "state": "report", "step": 5, "esr": 0.5})
    append(tmp_path, {"trial": "a", "state": "failed", "reason": "why"})
    append(tmp_path, {"trial": "b", "state": "finished"})
    append(tmp_path, {"trial": "c", "state": "start"})
    whole = ledger_path(tmp_path).read_bytes()
    with ledger_path(tmp_path).open("a") as file:
        file.write(json.dumps({"trial": "c", "state": "finished"})[:-5])
    ended = read_ledger(tmp_path)
    assert [line["trial"] for line in ended] == ["a", "b"]
    assert ended[0] == {"trial": "a", "state": "failed", "cost": 3, "reason": "why"} and ended[1]["esr"] == 0.5
    append(tmp_path, {"trial": "d", "state": "start"})
    assert ledger_path(tmp_path).read_bytes().startswith(whole)
    assert [line["trial"] for line in read_lines(tmp_path)][-2:] == ["c", "d"]
    assert read_ledger(tmp_path / "nowhere") == []


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path, {"trial": "a", "state": "start"})
    before = ledger_path(tmp_path).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(tmp_path, {"trial": "a", "state": "finished"})
    assert ledger_path(tmp_path).read_bytes() == before
