"""Studies that go on under other circumstances: elsewhere, with more trials, moved while they run."""

import json
import shutil
from pathlib import Path

import pytest

from models.core.errors import UserError
from search.config.study import read_search
from search.launch.launcher import run_search
from search.study.files import RECORDINGS
from search.study.ledger import read_ledger
from search.study.lines import TrialRecord
from tests.support.searches import counted, search_file


def test_a_copied_study_goes_on_with_copied_takes(tmp_path: Path):
    """The fingerprints prove the same sound; other sound, and a study without fingerprints, are refused."""
    path = search_file(tmp_path / "here", amps=1, trials=2)
    run_search(read_search(path), tmp_path / "here" / "study", counted(local=True))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    config, study = read_search(tmp_path / "there" / "search.json"), tmp_path / "there" / "study"
    before = read_ledger(study)
    run_search(config.model_copy(update={"trials": 3}), study, counted(local=True, resume=True))
    assert read_ledger(study)[:2] == before and len(read_ledger(study)) == 3

    split = config.datasets[0].model_copy(update={"validation_seconds": 0.125})
    with pytest.raises(UserError, match="datasets changed"):
        run_search(config.model_copy(update={"datasets": (split,)}), study, counted(local=True, resume=True))
    wet = tmp_path / "there" / "amp0" / "train_4.wav"
    wet.write_bytes(wet.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match="audio of amp0 changed") as refused:
        run_search(config, study, counted(local=True, resume=True))
    assert f"--from {study}" in refused.value.hint
    (study / RECORDINGS).unlink()
    with pytest.raises(UserError, match="datasets changed"):
        run_search(config, study, counted(local=True, resume=True))


def test_more_trials_go_on_and_another_meaning_is_refused(tmp_path: Path):
    config, study = read_search(search_file(tmp_path, amps=1, trials=1)), tmp_path / "study"
    run_search(config, study, counted(local=True))
    (first,) = read_ledger(study)
    more = config.model_copy(update={"trials": 2, "concurrent": 1, "cpus_per_trial": 0.5, "stacked_trials": 2})
    assert len(run_search(more, study, counted(local=True, resume=True)).trials) == 2
    assert read_ledger(study)[0] == first
    assert len(run_search(config, study, counted(local=True, resume=True)).trials) == 2, "fewer take nothing away"
    for change in ({"seed": 7}, {"mode": "per_amp"}, {"pruning": None}):
        with pytest.raises(UserError, match=f"begun with another config: {next(iter(change))} changed") as refused:
            run_search(config.model_copy(update=change), study, counted(local=True, resume=True))
        assert f"--out NEW --from {study}" in refused.value.hint


@pytest.mark.parametrize("removed", [False, True])
def test_a_study_that_is_moved_while_it_runs_is_told(tmp_path: Path, removed: bool):
    config, study, away = read_search(search_file(tmp_path, amps=1)), tmp_path / "study", tmp_path / "away"

    def move(record: TrialRecord) -> None:
        if record.state == "report" and study.exists():
            shutil.rmtree(study) if removed else study.rename(away)

    with pytest.raises(UserError, match=f"{study} was moved or removed while it was searched"):
        run_search(config, study, counted(local=True, listener=move))
    assert not (study / "ledger.jsonl").exists(), "no second record begins at the old place"
    if not removed:
        board = run_search(config, away, counted(local=True, resume=True))
        assert [trial.state for trial in board.trials] == ["finished"] * 3


@pytest.mark.parametrize("document", [[], "x", 7])
def test_fingerprints_that_are_none_are_told(tmp_path: Path, document: object):
    config, study = read_search(search_file(tmp_path, amps=1, trials=1)), tmp_path / "study"
    run_search(config, study, counted(local=True))
    (study / RECORDINGS).write_text(json.dumps(document))
    with pytest.raises(UserError, match="recordings.json holds .*, not an object"):
        run_search(config, study, counted(local=True, resume=True))


def test_what_a_killed_search_was_writing_is_swept(tmp_path: Path):
    config, study = read_search(search_file(tmp_path, amps=1, trials=1)), tmp_path / "study"
    run_search(config, study, counted(local=True))
    half, only = study / "trials" / ".staged-half", study / "trials" / ".staged-only-old"
    for folder in (half, only):
        (folder / "amp0").mkdir(parents=True)
    (study / ".staged-board.json").touch()
    run_search(config, study, counted(local=True, resume=True))
    assert not half.exists() and not (study / ".staged-board.json").exists()
    assert only.exists(), "it could be the only copy"
