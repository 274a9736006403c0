"""Whole searches over tiny amps, on Ray and in this process: faults, interruptions, resuming."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

from models.artifacts.evaluation import read_evaluation
from models.artifacts.folder import load_model
from models.artifacts.names import EVAL
from models.core.errors import NotFound, UserError
from models.evaluation.robustness import worst_move
from models.training.trainer import Trainer
from search.config.study import SearchConfig, read_search
from search.launch.launcher import run_search
from search.optimizer.pareto import front
from search.storage.recordings import load_amp
from search.study.board import BoardTier, best_runs, compared_runs, read_board, tier_runs
from search.study.cost import CountedCost, read_costs, tier_budgets
from search.study.files import RECORDINGS, STUDY
from search.study.ledger import read_ledger, read_lines
from search.study.lines import TrialRecord, latest
from tests.support.makers import KNOBS, RATE
from tests.support.packages import zoo
from tests.support.searches import LOCAL, RAY_WARNINGS, TINY_STEPS, comparable_lines, counted, search_file, wait_until

pytestmark = [pytest.mark.ray, *RAY_WARNINGS]


Finished = tuple[SearchConfig, Path, list[TrialRecord]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A whole search over two amps, one trial of which diverges, and all records that its listener got."""
    folder = tmp_path_factory.mktemp("search")
    wild = {"learning_rate": [1.0, 1.0], "activation": ["Tanh", "ReLU"], "channels": [8], "depth": [30]}
    learning = {"steps": TINY_STEPS, "batch": 2, "segment": 128, "report_every": 10, "gradient_clip": 1e30, "warmup": 0}
    space = {"shapes": [], "dilations": ["pow2x5"], **wild}
    path = search_file(folder, space=space, learning=learning, trials=5, seed=3)
    config, records = read_search(path), list[TrialRecord]()
    away = [(folder / data.name, folder / f"{data.name}-away") for data in config.datasets]

    def listener(record: TrialRecord) -> None:
        if not records:  # no trial trains yet: from here on nobody finds the recordings
            for place, elsewhere in away:
                place.rename(elsewhere)
        records.append(record)

    run_search(config, folder / "study", counted(listener=listener))
    for place, elsewhere in away:
        assert not place.exists()
        elsewhere.rename(place)
    return config, folder / "study", records


def test_recordings_are_read_by_the_driver_alone(finished: Finished):
    """They are moved away when the first trial is suggested, and travel through Ray's shared memory, once per node."""
    _, study, records = finished
    assert records[0].state == "start"
    assert sum(record.state == "finished" for record in read_ledger(study)) > 1


def test_a_trial_that_diverges_is_recorded_and_stops_nothing(finished: Finished):
    config, study, _ = finished
    states = {record.point["activation"]: record.state for record in read_ledger(study)}
    assert len(read_ledger(study)) == config.trials
    assert states == {"Tanh": "finished", "ReLU": "diverged"}
    diverged = [record for record in read_ledger(study) if record.state == "diverged"]
    assert all("not finite" in (record.reason or "") for record in diverged)


def test_a_trial_is_one_architecture_on_every_amp(finished: Finished):
    config, study, _ = finished
    for record in read_ledger(study):
        if record.state == "finished":
            assert set(record.amps) == {"amp0", "amp1"}
            shapes = [load_model(study / "trials" / record.trial / amp)[0].architecture for amp in record.amps]
            assert shapes[0] == shapes[1] == config.space.model(record.point)
            first, second = record.amps.values()
            assert record.esr == pytest.approx((first * second) ** 0.5)
            assert all(record.worst[amp] >= record.amps[amp] for amp in record.amps)


def test_the_board_is_chosen_by_validation_alone(finished: Finished):
    _, study, _ = finished
    board = read_board(study)
    done = [trial for trial in board.trials if trial.state == "finished"]
    done = [trial for trial in done if trial.feasible] or done
    ahead = [done[index].trial for index in front([(trial.esr, trial.cost) for trial in done])]
    assert board.fronts == {"all": ahead}
    assert board.best == ahead[0]
    assert board.best_of == {"amp0": ahead[0], "amp1": ahead[0]}
    assert board.tiers["all"]["hifi"] == BoardTier(budget=None, trial=ahead[0])
    for trial in done:
        runs = [study / "trials" / trial.trial / amp for amp in board.amps]
        assert trial.front == (trial.trial in ahead)
        assert all((run / EVAL).exists() == trial.front for run in runs), "only the front is scored on held audio"
        if trial.front:
            assert [trial.held[run.name]["mean"] for run in runs] == [read_evaluation(r).held.mean for r in runs]
    assert [run.name for run in best_runs(study)] == ["amp0", "amp1"]
    assert (study / "board.png").read_bytes().startswith(b"\x89PNG")


def test_models_to_compare_are_those_of_one_amp(finished: Finished):
    config, study, _ = finished
    manifest = config.datasets[0].train
    assert isinstance(manifest, Path)
    runs = compared_runs(study, manifest)
    assert len(runs) > 1
    assert {run.name for run in runs} == {config.datasets[0].name}
    assert all(load_model(run)[0].knobs == KNOBS for run in runs)
    with pytest.raises(UserError, match="none of its amps"):
        compared_runs(study, manifest.parent / "elsewhere.json")


def test_the_report_needs_no_other_file_and_optuna_opens(finished: Finished):
    config, study, _ = finished
    page = (study / "report.html").read_text()
    assert "http://" not in page and "https://" not in page and page.count("<svg") >= 3 and page.count("<audio") >= 2
    for record in read_ledger(study):
        assert record.trial in page
        assert f'<g class="tip"><title>{record.trial}: ' in page
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(study / "optuna.journal")))
    states = [trial.state.name for trial in optuna.load_study(study_name=config.name, storage=journal).trials]
    assert states == ["COMPLETE" if record.state == "finished" else "FAIL" for record in latest(read_lines(study))]


def test_costs_are_written_when_a_search_begins(finished: Finished):
    _, study, _ = finished
    costs, board = read_costs(study), read_board(study)
    assert costs
    assert costs.tiers == tier_budgets(KNOBS.columns(), RATE, CountedCost())
    assert {tier: found.budget for tier, found in board.tiers["all"].items()} == costs.tiers


def test_a_limit_holds_for_the_knob_that_moves_worst(tmp_path: Path):
    config = read_search(search_file(tmp_path, amps=1, trials=1, limits={"knob_move_dbfs": -40.0, "runaway": False}))
    board = run_search(config, tmp_path / "study", counted(local=True))
    (trial,), (run,) = board.trials, best_runs(tmp_path / "study")
    data = load_amp(config.datasets[0])
    move = worst_move(load_model(run)[1], data.knobs, data.dry_T[data.validation[0].dry], data.rate_hz, 50)
    assert trial.limits["amp0"]["knob_move"] == pytest.approx(move + 40.0, abs=0.01)


def test_trials_report_as_they_go(finished: Finished):
    config, study, records = finished
    best = read_board(study).best
    assert [record.step for record in records if record.trial == best and record.state == "report"] == [10, 20]
    assert sum(record.has_ended for record in records) == config.trials


def test_a_finished_study_is_not_searched_again_nor_mixed(finished: Finished):
    config, study, _ = finished
    before = (study / "ledger.jsonl").read_bytes()
    with pytest.raises(UserError, match="already holds a study"):
        run_search(config, study, counted())
    with pytest.raises(UserError, match="seed changed"):
        run_search(config.model_copy(update={"seed": 9}), study, counted(resume=True))
    records: list[TrialRecord] = []
    board = run_search(config, study, counted(resume=True, listener=records.append))
    assert board == read_board(study)
    assert (study / "ledger.jsonl").read_bytes() == before
    assert records == []


def test_recordings_are_refused_before_any_trial(tmp_path: Path):
    path = search_file(tmp_path, amps=1)
    (tmp_path / "amp0" / "train_3.wav").unlink()
    with pytest.raises(UserError, match=r"train_3\.wav does not exist"):
        run_search(read_search(path), tmp_path / "study", counted())
    assert not (tmp_path / "study").exists()
    with pytest.raises(NotFound, match="no study to continue"):
        run_search(read_search(path), tmp_path / "study", counted(resume=True))
    with pytest.raises(ConnectionError, match="no Ray cluster answers at 127.0.0.1:9"):
        run_search(read_search(path), tmp_path / "study", counted(address="127.0.0.1:9"))
    deep = {"shapes": [], "arrays": [2], "depth": [20], "dilations": ["pow2"]}
    with pytest.raises(UserError, match="receptive field"):
        run_search(read_search(search_file(tmp_path / "long", amps=1, space=deep)), tmp_path / "study2", counted())
    assert not (tmp_path / "study2").exists()
    with pytest.raises(NotFound, match="no board"):
        read_board(tmp_path / "study")


def test_recordings_that_changed_refuse_to_mix(tmp_path: Path):
    """Takes with exchanged labels and changed audio are refused; texts for people and places of files do not matter."""
    config, study = read_search(search_file(tmp_path, trials=1)), tmp_path / "study"
    run_search(config, study, counted(local=True))
    manifest, wet = (tmp_path / "amp1" / name for name in ("train.json", "train_4.wav"))
    before, sound = manifest.read_bytes(), wet.read_bytes()
    document = json.loads(before)
    manifest.write_text(json.dumps({**document, "license": "cc0-1.0"}, indent=1))
    (tmp_path / "amp1").rename(tmp_path / "moved")
    (tmp_path / "amp1").symlink_to(tmp_path / "moved")
    run_search(config, study, counted(local=True, resume=True))

    one, two, *others = document["entries"]
    exchanged = [{**one, "knobs": two["knobs"]}, {**two, "knobs": one["knobs"]}, *others]
    manifest.write_text(json.dumps({**document, "entries": exchanged}))
    with pytest.raises(UserError, match=r"other recordings: takes, settings or audio of amp1 changed$"):
        run_search(config, study, counted(local=True, resume=True))
    manifest.write_bytes(before)
    wet.write_bytes(sound[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match="of amp1 changed"):
        run_search(config, study, counted(local=True, resume=True))

    (study / RECORDINGS).unlink()  # as in studies from before it was written
    run_search(config, study, counted(local=True, resume=True))
    wet.write_bytes(sound)
    with pytest.raises(UserError, match="of amp1 changed"):
        run_search(config, study, counted(local=True, resume=True))


def test_a_study_without_a_finished_trial_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> float:
        raise MemoryError("out of memory")

    monkeypatch.setattr(Trainer, "advance", fail)
    config = read_search(search_file(tmp_path, amps=1, trials=2))
    with pytest.raises(UserError, match="out of memory"):
        run_search(config, tmp_path / "study", counted(local=True))
    assert [record.state for record in read_ledger(tmp_path / "study")] == ["failed"] * 2


def test_finals_train_longer(tmp_path: Path):
    config = read_search(search_file(tmp_path, amps=1, final={"steps": TINY_STEPS}))
    with pytest.raises(UserError, match=rf"final.steps is {TINY_STEPS}"):
        run_search(config, tmp_path / "study", counted(local=True))
    assert not (tmp_path / "study").exists()


def test_a_study_without_the_default_finals_goes_on(tmp_path: Path):
    path = search_file(tmp_path, amps=1)
    board = run_search(read_search(path), tmp_path / "study", counted(local=True))
    document = json.loads(path.read_text())
    del document["final"]
    path.write_text(json.dumps(document))
    assert run_search(read_search(path), tmp_path / "study", counted(resume=True, local=True)) == board


def test_a_study_from_before_silence_and_far_validation_goes_on_as_it_began(tmp_path: Path):
    path, study = search_file(tmp_path, amps=1), tmp_path / "study"
    document = json.loads(path.read_text())
    document["datasets"][0]["validation_composed"] = 0
    path.write_text(json.dumps(document))
    board = run_search(read_search(path), study, counted(local=True))
    for stored in (path, study / STUDY):
        old = json.loads(stored.read_text())
        del old["datasets"][0]["validation_composed"], old["learning"]["silence"], old["learning"]["interaction"]
        stored.write_text(json.dumps(old))
    assert run_search(read_search(path), study, counted(resume=True, local=True)) == board


def test_ray_and_this_process_make_the_same_search(tmp_path: Path):
    """Same trials, errors and decisions, line for line; only finals of the best are packaged."""
    config = read_search(search_file(tmp_path, amps=1, **LOCAL))
    run_search(config, tmp_path / "ray", counted(storage=str(tmp_path / "elsewhere")))
    board = run_search(config, tmp_path / "local", counted(local=True))
    assert comparable_lines(tmp_path / "ray") == comparable_lines(tmp_path / "local")
    finals = [trial for trial in board.trials if trial.is_final]
    assert len(finals) == 2
    assert {trial.step for trial in finals} == {50}
    best = min(finals, key=lambda trial: trial.esr).trial
    assert board.best == best
    assert best_runs(tmp_path / "local") == [tmp_path / "local" / "trials" / best / "amp0"]
    assert load_model(best_runs(tmp_path / "ray")[0])
    (tiers,) = tier_runs(tmp_path / "local").values()
    assert {run.parent.name for run in tiers.values()} <= {trial.trial for trial in finals}, "only finals are packaged"
    assert "pruned" in {record.state for record in read_ledger(tmp_path / "ray")}


def test_out_of_memory_costs_one_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    train, begun = Trainer.advance, list[int]()

    def advance(trainer: Trainer, steps: int, on_step: Any) -> float:
        if (seed := trainer.recipe.learning.seed) not in begun:  # each trial has its own
            begun.append(seed)
        if seed == begun[-1] and len(begun) == 2 and trainer.step:
            raise MemoryError("9 GB are wanted")
        return train(trainer, steps, on_step)

    monkeypatch.setattr(Trainer, "advance", advance)
    study = tmp_path / "study"
    run_search(read_search(search_file(tmp_path, amps=1, trials=5)), study, counted(local=True))
    states = [(record.state, record.reason) for record in read_ledger(study)]
    assert sorted(states) == [("failed", "9 GB are wanted"), *[("finished", None)] * 4]
    finished = {record.trial for record in read_ledger(study) if record.state == "finished"}
    assert {folder.name for folder in (study / "trials").iterdir()} == finished


def test_a_full_disk_stops_the_search_and_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config, study = read_search(search_file(tmp_path, amps=1, trials=4)), tmp_path / "study"
    save, saved = Trainer.save, []

    def full(trainer: Trainer, folder: Path) -> None:
        saved.append(folder)
        if len(saved) > 4:
            raise OSError(28, "No space left on device", str(folder))
        save(trainer, folder)

    monkeypatch.setattr(Trainer, "save", full)
    with pytest.raises(UserError, match="No space left"):
        run_search(config, study, counted(local=True))
    kept = read_ledger(study)
    assert [record.state for record in kept] == ["finished"] * 2
    monkeypatch.undo()
    board = run_search(config, study, counted(resume=True, local=True))
    assert [trial.state for trial in board.trials] == ["finished"] * 4
    assert read_ledger(study)[:2] == kept


def test_a_front_for_each_amp(tmp_path: Path):
    limits = {"worst_esr": 0.4, "knob_move_dbfs": -10.0}
    config = read_search(search_file(tmp_path, mode="per_amp", trials=4, limits=limits))
    board = run_search(config, tmp_path / "study", counted(local=True))
    assert set(board.fronts) == set(board.tiers) == {"amp0", "amp1"}
    by_name = board.by_name
    for amp, members in board.fronts.items():
        errors = [by_name[name].amps[amp] for name in members]
        assert errors == sorted(errors)
        assert board.best_of[amp] == members[0]
        kept = {name: all(excess <= 0 for excess in trial.limits[amp].values()) for name, trial in by_name.items()}
        assert errors[0] == min(trial.amps[amp] for name, trial in by_name.items() if kept[name] == any(kept.values()))
        for trial in board.trials:
            assert trial.limits[amp].keys() == {"worst_esr", "runaway", "knob_move"}
            assert trial.limits[amp]["worst_esr"] == pytest.approx(trial.worst[amp] - 0.4, abs=1e-4)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_search_keeps_its_trials_and_is_resumed(tmp_path: Path, how: signal.Signals):
    path = search_file(
        tmp_path, amps=1, learning={"steps": 150, "batch": 2, "segment": 256, "report_every": 15}, trials=4
    )
    study = tmp_path / "study"
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "search", str(path), "--out", str(study)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: len(read_ledger(study)) >= 1 or running.poll() is not None)
    with pytest.raises(UserError, match=f"{study} is being searched by process {running.pid} on "):
        run_search(read_search(path), study, counted(resume=True, local=True))
    assert json.loads(zoo("board", str(study), "--json").out)["trials"], "readers need no lock"
    os.kill(running.pid, how)
    out, err = running.communicate(timeout=120)
    assert (tmp_path / ".study.lock").exists() == (how == signal.SIGKILL)
    kept = {record.trial: record.esr for record in read_ledger(study)}
    assert 1 <= len(kept) < 4, err
    if how == signal.SIGINT:
        assert running.returncode == 130, err
        assert "--resume" in err and "Traceback" not in err and out == ""
    resumed = subprocess.run([*command, "--resume", "--json"], check=False, capture_output=True, text=True, timeout=600)
    assert resumed.returncode == 0, resumed.stderr
    board = json.loads(resumed.stdout)
    assert [trial["state"] for trial in board["trials"]] == ["finished"] * 4
    esrs = {trial["trial"]: trial["esr"] for trial in board["trials"]}
    assert kept.items() <= esrs.items(), "no finished trial is lost or trained again"
    assert not (tmp_path / ".study.lock").exists()


def test_a_running_cluster_that_asks_for_a_token_is_joined(tmp_path: Path):
    with socket.socket() as free, socket.socket() as also_free:
        for each in (free, also_free):
            each.bind(("127.0.0.1", 0))
        address, client = (f"127.0.0.1:{each.getsockname()[1]}" for each in (free, also_free))
    # Session folders hold sockets, whose paths must be short.
    folder = tempfile.mkdtemp(prefix="zoo-ray-")
    words = f"start --head --block --num-cpus=1 --port={address.rpartition(':')[2]} --node-ip-address=127.0.0.1"
    words += f" --ray-client-server-port={client.rpartition(':')[2]}"
    quiet = f"--include-dashboard=false --disable-usage-stats --object-store-memory=100000000 --temp-dir={folder}"
    token = {**os.environ, "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    ray = Path(sys.executable).with_name("ray")
    head = subprocess.Popen(
        [ray, *words.split(), *quiet.split()],
        env={**token, "RAY_AUTH_MODE": "token"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _listens(address))
        time.sleep(5)  # the port listens before the cluster takes drivers
        path = search_file(tmp_path, amps=1, trials=1)
        command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "search", str(path), "--json"]
        for study, place in (("joined", address), ("driven", f"ray://{client}")):
            done = subprocess.run(
                [*command, "--out", str(tmp_path / study), "--address", place],
                check=False,
                env=token,
                capture_output=True,
                text=True,
                timeout=200,
            )
            assert done.returncode == 0, done.stderr
            assert [trial["state"] for trial in json.loads(done.stdout)["trials"]] == ["finished"]
            shown = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("trial ")]
            assert shown == [record.trial for record in read_ledger(tmp_path / study)]
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
