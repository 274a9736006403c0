"""`zoo render STUDY` and `zoo play STUDY`: the best model of a search, finished or running."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.artifacts.names import CONFIG, WEIGHTS
from models.core.errors import NotFound
from search.config.study import read_search
from search.run import run_study
from search.run_options import Interrupted
from search.study.best_so_far import best_so_far
from search.study.board import best_runs, read_board, tier_runs
from search.study.ledger import ledger_path, read_ledger, read_lines
from search.study.lines import TrialReport, latest, to_json
from search.study.lock import study_lock
from tests.support.makers import di, write_wav
from tests.support.packages import refused, write_files, zoo
from tests.support.searches import counted, counted_costs, search_file
from zoo.amp import load
from zoo.cli.player_page import _site
from zoo.studies import named_study


@pytest.fixture(scope="module", autouse=True)
def _counted() -> Iterator[None]:
    """Costs are the same on every machine."""
    with counted_costs():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of one amp, and one of two amps that was stopped in its second trial."""
    folder = tmp_path_factory.mktemp("studies")
    final = {"steps": 30, "seeds": 1, "top": 2}
    run_study(read_search(search_file(folder / "a", amps=1, final=final)), folder / "done", counted(local=True))

    def stop(record) -> None:
        if record.number == 1 and record.step == 10:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        config = read_search(search_file(folder / "b", amps=2))
        run_study(config, folder / "running", counted(local=True, listener=stop))
    write_wav(folder / "in.wav", di(0.3))
    return folder


def played(folder: Path, study: str, *words: str) -> tuple[np.ndarray, str]:
    ran = zoo("render", str(folder / study), str(folder / "in.wav"), str(folder / "out.wav"), *words)
    assert ran.code == 0, ran.err
    return soundfile.read(folder / "out.wav")[0], ran.err


def test_a_finished_study_plays_its_best(folder: Path):
    y_T, told = played(folder, "done", "--knob", "gain=3")
    (best,) = best_runs(folder / "done")
    same_T = played(folder, str(best.relative_to(folder)), "--knob", "gain=3")[0]
    assert np.array_equal(y_T, same_T)
    board = read_board(folder / "done")
    trial = board.by_name[str(board.best)]
    first = " ".join(told.splitlines()[:2])
    assert f"trial {board.best} (" in first and f"the best of {len(board.trials)}" in first
    assert f"validation ESR {trial.amps['amp0']:.4f}" in first
    assert f"held ESR {trial.held['amp0']['mean']:.4f}" in first
    for tier, run in tier_runs(folder / "done")["amp0"].items():
        tier_T = played(folder, "done", "--knob", "gain=3", "--tier", tier)[0]
        assert np.array_equal(tier_T, played(folder, str(run.relative_to(folder)), "--knob", "gain=3")[0])
    refused(zoo("render", folder / "done", folder / "in.wav", folder / "x.wav", "--tier", "huge"), 3, "no tier 'huge'")


def test_a_running_study_plays_the_best_so_far(folder: Path):
    """The first trial has finished; the second has weights, too, and is played once its error is lower."""
    study = folder / "running"
    first, second = latest(read_lines(study))
    assert (first.state, second.step) == ("finished", 10)
    better = min((first, second), key=lambda record: record.esr)
    for amp in ("amp0", "amp1"):
        told = played(folder, f"running/{amp}")[1]
        assert f"trial {better.trial} (" in told and "the best so far, 1 ended" in told
        assert f"validation ESR {better.amps[amp]:.4f}" in told
    refused(zoo("render", study, folder / "in.wav", folder / "x.wav"), 3, "is of 2 amps", f"{study}/amp0")
    refused(zoo("render", study / "amp7", folder / "in.wav", folder / "x.wav"), 3, "no amp 'amp7'")


def test_a_trial_that_still_trains_is_played(folder: Path, tmp_path: Path):
    study = shutil.copytree(folder / "running", tmp_path / "mine")
    lines = read_lines(study)
    _, second = latest(lines)
    low = [
        replace(line, esr=1e-3, amps=dict.fromkeys(line.amps, 1e-3))
        if isinstance(line, TrialReport) and line.trial == second.trial
        else line
        for line in lines
    ]
    ledger_path(study).write_text("".join(json.dumps(to_json(line)) + "\n" for line in low))
    write_wav(tmp_path / "in.wav", di(0.3))
    with study_lock(study):
        y_T, told = played(tmp_path, "mine/amp1")
    assert f"trial {second.trial} (" in told and re.search(r"trains still,\s+step 10 of 20", told)
    told = played(tmp_path, "mine/amp1")[1]
    assert re.search(r"its training was interrupted,\s+step 10 of 20", told), "no process drives the search"
    assert np.isfinite(y_T).all() and np.abs(y_T).max() > 0
    run = study / "trials" / second.trial
    with best_so_far(study, "amp1") as best:
        shutil.rmtree(run)  # pruned meanwhile
        assert all((best.folder / name).is_file() for name in (CONFIG, WEIGHTS))
    assert "the best so far" in (told := played(tmp_path, "mine/amp1")[1])
    assert f"trial {second.trial} (" not in told, "it has no weights any more"


def test_a_checkpoint_is_played_where_it_is(folder: Path, tmp_path: Path):
    """On Ray a trial's weights are in its checkpoint until it has finished."""
    study = shutil.copytree(folder / "running", tmp_path / "mine")
    _, second = latest(read_lines(study))
    place = shutil.move(study / "trials" / second.trial, tmp_path / "checkpoint")
    for record in read_ledger(study):
        shutil.rmtree(study / "trials" / record.trial)
    lines = [
        replace(line, checkpoint=str(place)) if isinstance(line, TrialReport) and line.trial == second.trial else line
        for line in read_lines(study)
    ]
    ledger_path(study).write_text("".join(json.dumps(to_json(line)) + "\n" for line in lines))
    write_wav(tmp_path / "in.wav", di(0.3))
    assert f"trial {second.trial} (" in played(tmp_path, "mine/amp0")[1]
    shutil.rmtree(place)
    refused(zoo("render", study / "amp0", tmp_path / "in.wav", tmp_path / "x.wav"), 3, "has no model to play")


def test_a_study_that_reads_its_recordings_has_none(tmp_path: Path):
    write_wav(tmp_path / "in.wav", di(0.3))
    with study_lock(tmp_path / "new"):
        refused(
            zoo("render", tmp_path / "new", tmp_path / "in.wav", tmp_path / "x.wav"), 3, "is reading its recordings"
        )


def test_the_page_of_a_study(folder: Path):
    with _site(str(folder / "done"), None, "") as site:
        assert b'"amp0"' in (site.read("site.json") or b"")
        assert site.read("amps/amp0/amp.bin")
    with _site(str(folder / "running" / "amp1"), None, "") as site:
        assert site.read("amps/amp1/amp.bin") and site.read("amps/amp1/amp.json")


def test_show_and_knobs_of_a_study_are_those_of_its_best(folder: Path, tmp_path: Path):
    (best,) = best_runs(folder / "done")
    for command in ("show", "knobs"):
        ran = zoo(command, folder / "done", "--json")
        assert ran.code == 0 and f"trial {read_board(folder / 'done').best} (" in ran.err
        shown, same = (json.loads(text) for text in (ran.out, zoo(command, best, "--json").out))
        assert {**shown, "name": ""} == {**same, "name": ""}
    assert zoo("knobs", folder / "running" / "amp0").code == 0
    refused(zoo("show", folder / "running"), 3, "is of 2 amps")
    (tmp_path / "empty").mkdir()
    for command in ("show", "knobs"):
        refused(zoo(command, tmp_path / "empty"), 3, "holds no model", "Name a run folder")
    refused(zoo("diff", folder / "done", best), 3, "is a study", f"zoo board {folder / 'done'}")
    write_files(tmp_path / "run", {CONFIG: (best / CONFIG).read_bytes()})
    refused(zoo("show", tmp_path / "run"), 3, "has not ended", "zoo knobs")


def test_a_study_and_a_trial_are_loaded_in_python(folder: Path):
    (best,), x_T = best_runs(folder / "done"), di(0.1)
    y_T = load(best)(x_T, gain=3)
    assert np.array_equal(load(folder / "done")(x_T, gain=3), y_T)
    assert np.array_equal(load(best.parent)(x_T, gain=3), y_T)
    assert np.array_equal(
        played(folder, str(best.parent), "--knob", "gain=3")[0], played(folder, str(best), "--knob", "gain=3")[0]
    )
    assert np.isfinite(load(folder / "running" / "amp1")(x_T)).all(), "it is read before its copy is removed"
    trial = next((folder / "running" / "trials").iterdir())
    with pytest.raises(NotFound, match="is a trial of 2 amps"):
        load(trial)
    with pytest.raises(NotFound, match="is of 2 amps"):
        load(folder / "running")


def test_other_words_are_no_study(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert named_study("alice/plexi-59") is None and named_study("plexi-59") is None
    assert named_study(str(folder / "done" / "trials")) is None
    assert named_study(str(folder / "done")) == (folder / "done", "")
