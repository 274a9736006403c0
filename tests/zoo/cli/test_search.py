"""The commands `zoo search` and `zoo board`, in one process."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import pytest

from models.artifacts.evaluation import read_evaluation
from models.artifacts.names import EVAL
from models.core.files import write_json
from models.core.schema import read_json
from search.run_options import Interrupted
from search.study.board import best_runs, read_study
from search.study.ledger import read_ledger
from search.study.lock import study_lock
from search.study.summary import current_board
from tests.support.makers import di, write_wav
from tests.support.packages import refused, terminal, zoo
from tests.support.searches import counted_costs, search_file
from zoo.cli.views import board as board_view
from zoo.package.finished_run import publishing_fault


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
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == str(best_runs(folder / "one")[-1])
    *phases, first = ran.err.splitlines()[:5]
    trials = ran.err.splitlines()[5:8]
    assert phases == ["loading libraries", "reading amp0", "measuring what models cost", "training"]
    assert first == "at most 3 trainings on one amp: 3 trials of 20 steps"
    assert all(t.startswith("trial ") for t in trials)
    assert {"scoring", "writing the report"} <= set(ran.err.splitlines())
    ran = zoo("search", str(path), "--out", str(folder / "two"), "--local", "--from", str(folder / "one"), "--json")
    assert ran.code == 0, ran.err
    assert f"the search begins with 1 model of {folder / 'one'}" in ran.err.splitlines()
    return folder


def test_board_is_a_table_or_a_document(studies: Path):
    ran = zoo("board", str(studies / "one"))
    header, *rows = [line.split("\t") for line in ran.out.splitlines()]
    assert header == [
        "TRIAL", "ESR", "COST", "HELD ESR", "KNOBS AT", "STATE", "STEPS", "LAYERS", "LEARNING RATE",
    ]  # fmt: skip
    ended = {record.trial: record for record in read_ledger(studies / "one")}
    assert {row[0].rstrip("*") for row in rows} == set(ended)
    assert any(row[0].endswith("*") and row[3] for row in rows)
    document = json.loads(zoo("board", str(studies / "one"), "--json").out)
    assert document["schema"] == "zoo.board/1"
    assert document["complete"]
    assert len(document["trials"]) == 3
    (best,) = (line for line in zoo("board", str(studies / "one")).err.splitlines() if line.startswith("best for "))
    assert best.startswith(f"best for amp0: {document['best']}, held ESR ")
    assert best.endswith(
        "poor: clearly another sound; 3 trials of 20 steps: more steps, more trials or more takes help"
    )
    followed = zoo("board", str(studies / "one"), "--follow").out.splitlines()
    assert [line.split()[1] for line in followed] == list(ended)
    refused(zoo("board", str(studies / "none")), 3, "holds no study")


def test_board_is_sorted_and_cut(studies: Path):
    study, trials = studies / "one", current_board(studies / "one").trials

    def rows(*words: str) -> list[list[str]]:
        return [line.split("\t") for line in zoo("board", str(study), *words).out.splitlines()[1:]]

    def names(*words: str) -> list[str]:
        return [row[0].rstrip("*") for row in rows(*words)]

    assert names("--sort", "trial") == [record.trial for record in sorted(trials, key=lambda trial: trial.number)]
    assert names("--sort", "COST") == [trial.trial for trial in sorted(trials, key=lambda trial: trial.cost)]
    assert [float(row[-1]) for row in rows("--sort", "rate")] == sorted(
        round(trial.point["learning_rate"], 4) for trial in trials
    )
    by_held = [row[3] for row in rows("--sort", "held")]
    assert by_held == sorted(by_held, key=lambda held: float(held or "inf"))
    assert names("--sort", "cost", "--top", "2") == names("--sort", "cost")[:2]
    assert "1 more trials" in zoo("board", str(study), "--top", "2").err
    for column in board_view.ORDERS:
        assert sorted(names("--sort", column)) == sorted(trial.trial for trial in trials)
    ran = zoo("board", str(study), "--sort", "beauty")
    assert ran.code == 2 and all(f"'{column}'" in ran.err for column in board_view.ORDERS), "the help names all"
    ran = zoo("board", str(study), "--json", "--top", "2")
    assert ran.code == 2 and "--sort and --top are for the table" in ran.err


@pytest.mark.parametrize("columns", [60, 100])
def test_board_fits_a_terminal(studies: Path, columns: int):
    code, screen = terminal("board", studies / "one", columns=columns)
    lines = screen.splitlines()
    assert code == 0 and max(map(len, lines)) <= columns
    header = next(number for number, line in enumerate(lines) if line.startswith("TRIAL"))
    words = ("TRIAL", "ESR", "COST", "KNOBS AT", "STATE")
    assert all(word in lines[header] for word in words)
    assert (header > 0) and "HELD" in lines[header - 1], "a long heading stands in two lines"
    rows = lines[header + 1 : header + 4]
    numbers = [re.match(r"\S+ +\d\.\d{4}(?= )", row) for row in rows]
    assert len({number.end() for number in numbers if number}) == 1 and all(numbers), "numbers end at one place"
    assert ("LAYERS" in lines[header]) == (columns == 100)


def test_board_of_a_running_search(studies: Path, tmp_path: Path):
    (tmp_path / "study.json").write_bytes((studies / "one" / "study.json").read_bytes())
    assert json.loads(zoo("board", str(tmp_path), "--json").out)["trials"] == []
    lines = (studies / "one" / "ledger.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ledger.jsonl").write_text("".join(lines[:2]))
    for held, outcome in ((study_lock(tmp_path), "running"), (nullcontext(), "interrupted")):
        with held:
            ran = zoo("board", str(tmp_path))
        (row,) = [line.split("\t") for line in ran.out.splitlines()[1:]]
        assert row[5:7] == [outcome, "10 of 20"]
        assert ("zoo search CONFIG --resume" in ran.err) == (outcome == "interrupted")
    (tmp_path / "ledger.jsonl").write_text("".join(lines))
    assert "*: on the Pareto front so far." in zoo("board", str(tmp_path)).err.splitlines()
    (tmp_path / "ledger.jsonl").write_text("".join(lines[:2]))
    document = json.loads(zoo("board", str(tmp_path), "--json").out)
    assert not document["complete"]
    assert document["best"] is None


def test_what_is_no_search_config_is_told(studies: Path, tmp_path: Path):
    amp = json.loads((studies / "search.json").read_text())["datasets"][0]
    data, sound = tmp_path / "data.json", write_wav(tmp_path / "take.wav", di(0.1))
    data.write_text(json.dumps(amp))
    manifest = (studies / amp["train"]).resolve()
    refused(zoo("search", manifest), 1, "is a manifest of takes, not the config", "'train' of", f"zoo train {manifest}")
    refused(zoo("search", data), 1, "is a data config (D), not the config", "Copy what it holds", f"zoo train {data}")
    refused(zoo("search", sound), 1, "is a sound file, not a JSON file", "a manifest of takes")
    study = studies / "one"
    refused(zoo("search", study), 1, "is the folder of a study", f"zoo search CONFIG --out {study} --resume")
    refused(zoo("check", studies / "search.json"), 1, "is the config of a search, not a manifest of takes")


def test_search_starts_from_another_study(studies: Path):
    first, second = (read_ledger(studies / name) for name in ("one", "two"))
    best = min((record for record in first if record.state == "finished"), key=lambda record: record.esr)
    assert best.point in [record.point for record in second]
    config = str(studies / "search.json")
    assert zoo("search", config, "--out", str(studies / "two"), "--resume", "--local").code == 0
    refused(zoo("search", config, "--out", str(studies / "two"), "--local"), 1, "already holds a study")
    refused(zoo("search", config, "--local", "--out", "s3://bucket/mine"), 1, "a study is a folder on this machine")
    refused(zoo("search", config, "--local", "--address", "auto"), 2, "give only one of")
    for budget in ("30x", "0", ""):
        refused(zoo("search", config, "--local", "--budget", budget), 2, f"--budget is '{budget}', neither a number")
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


def test_a_stopped_search_says_how_it_goes_on(studies: Path):
    """Ctrl-C is no error; the command that goes on has every flag that was given."""
    config, given = str(studies / "search.json"), ("--address", "10.0.0.1:6379", "--storage", "/shared/my study")
    with mock.patch("search.launch.launcher.run_search", side_effect=Interrupted(1, 3)):
        ran = zoo("search", config, "--out", str(studies / "new"), *given, "--from", str(studies / "one"))
        assert ran.code == 130
        assert "error" not in ran.err
        resumed = shlex.split(ran.err.splitlines()[-1].partition("Go on with: ")[2])
        assert ran.err.splitlines()[-2] == "stopped after 1 of 3 trials"
        assert resumed == ["zoo", "search", config, "--out", str(studies / "new"), "--resume", *given]
        (studies / "new").mkdir()
        (studies / "new/study.json").write_bytes((studies / "one/study.json").read_bytes())
        again = zoo(*resumed[1:])
        assert again.err.splitlines()[-1].endswith(shlex.join(resumed)), "it repeats itself"
        error = json.loads(
            zoo("search", config, "--out", str(studies / "third"), "--local", "--json").err.splitlines()[-1]
        )
    assert error["error"]["exit"] == 130


def test_a_budget_of_trials_or_of_time(tmp_path: Path):
    path = str(search_file(tmp_path, amps=1, final={"steps": 30, "seeds": 2, "top": 1}))
    ran = zoo("search", path, "--out", str(tmp_path / "timed"), "--local", "--budget", "30m")
    assert ran.code == 0, ran.err
    first = "30 min on one amp: as many trials of 20 steps as fit, then the best 1 again, 30 steps"
    assert first in ran.err.splitlines()
    assert read_study(tmp_path / "timed").minutes == 30
    records = read_ledger(tmp_path / "timed")
    assert len([record for record in records if not record.is_final]) == 3, "the config states three trials"
    assert all(record.at and 0 < record.at < 1800 for record in records)
    ran = zoo("search", path, "--out", str(tmp_path / "counted"), "--local", "--budget", "1")
    assert ran.code == 0, ran.err
    assert len([record for record in read_ledger(tmp_path / "counted") if not record.is_final]) == 1
    ran = zoo("search", path, "--out", str(tmp_path / "none"), "--local", "--budget", "soon")
    refused(ran, 2, "--budget is 'soon'", "30m")


def test_the_end_of_a_space_and_of_a_search_is_told(tmp_path: Path):
    space = {"shapes": [], "depth": [2], "dilations": ["pow2"], "channels": [2], "inject": ["mixin", "film"]}
    space["learning_rate"] = [0.01, 0.01]
    final = {"steps": 30, "seeds": 1, "top": 1}
    words = ["search", str(search_file(tmp_path, amps=1, space=space, trials=1000, final=final)), "--local"]
    words += ["--out", str(tmp_path / "study")]
    ran = zoo(*words)
    assert ran.code == 0, ran.err
    lines = ran.err.splitlines()
    assert "the space has no further point: 2 of 1,000 trials" in lines
    assert lines.count("training") == lines.count("training the best again") == 1
    assert "COST: seconds of one core per second." in ran.err and ";\n" not in ran.err
    (best,) = (line for line in lines if line.startswith("best for "))
    assert best.endswith("2 trials of 20 steps: more steps, a wider space or more takes help")
    document = json.loads(zoo("board", str(tmp_path / "study"), "--json").out)
    assert document["untried"] == 998 and current_board(tmp_path / "study").untried == 998

    (run,) = best_runs(tmp_path / "study")
    fault = publishing_fault(read_evaluation(run))
    assert f"amp0 should not be published, and zoo package refuses it: {fault}" in lines, "twenty steps are too few"
    assert "next: zoo package" not in ran.err
    document = read_json(run / EVAL)
    document["held"]["baseline_mean"] = 2 * document["held"]["mean"]
    document["corners"] |= {"peak_dbfs": -20.0, "silence_dbfs": -200.0, "dc_dbfs": -200.0}
    write_json(run / EVAL, document)

    ran = zoo(*words, "--resume", "--budget", "1")
    assert ran.code == 0, ran.err
    assert "the study has 2 trials already; trials: 1 adds none" in ran.err.splitlines()
    assert "training" not in ran.err and "no further point" not in ran.err, "nothing is left to train"
    assert f"next: zoo package {tmp_path / 'study'} --license LICENSE" in ran.err.splitlines()


def test_a_missing_file_is_told_before_heavy_imports(tmp_path: Path):
    script = (
        "import sys; from zoo.cli.main import cli\n"
        "try: cli.main(sys.argv[1:], standalone_mode=False)\n"
        "except Exception as problem: print(problem, {'torch', 'ray', 'optuna', 'scipy'} & set(sys.modules))"
    )
    path = search_file(tmp_path, amps=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    document = json.loads(path.read_text())
    changes = {
        "key": {"tirals": 3},
        "final": {"final": {"steps": 1}},
        "takes": {"datasets": [{**document["datasets"][0], "train": "no/takes.json"}]},
    }
    for name, change in changes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**document, **change}))
    for words, told in (
        (["search", "none.json"], "none.json does not exist"),
        (["quickstart", "none.json"], "none.json does not exist"),
        (["search", "key.json"], "key.json: unknown key 'tirals'"),
        (["search", "final.json"], "final.json: final.steps is 1; it must be more than learning.steps, which is 20"),
        (["search", "takes.json"], f"{tmp_path / 'no/takes.json'} does not exist"),
        (["search", str(path), "--resume"], "holds no study to continue"),
        (["search", str(path), "--out", "other"], "other is not empty and holds no study"),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", script, *words], capture_output=True, cwd=tmp_path, text=True, check=True
        )
        assert ran.stdout.endswith(" set()\n"), (words, ran.stdout)
        assert told in ran.stdout, ran.stderr


def test_a_search_that_reads_is_no_missing_study(tmp_path: Path):
    with study_lock(tmp_path / "new"):
        ran = zoo("board", str(tmp_path / "new"))
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "the search is loading recordings; no trial has started\n"
    refused(zoo("board", str(tmp_path / "new")), 3, "holds no study")


def test_choices_at_the_wrong_place_are_sent_to_the_space(tmp_path: Path):
    path = search_file(tmp_path, amps=1, learning={"batch": [4, 8]})
    wanted = "'learning': batch is [4, 8], a list of choices; it belongs into the space: {\"space\""
    refused(zoo("search", str(path), "--local"), 1, wanted)
    path = search_file(tmp_path / "other", amps=1, space={"depht": [3]})
    refused(zoo("search", str(path), "--local"), 1, "unknown key 'space.depht'", "Did you mean 'depth'?")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trials": 100_001}, ["'trials' is 100001: it must be at most 100000", "trials: Number of trials"]),
        ({"space": {"inject": ["nowhere"]}}, ["knobs cannot enter at 'nowhere'; known are", "Correct 'space' in"]),
        ({"space": {"shapes": ["a9"]}}, ["shapes names 'a9'; known are", "Correct 'space' in"]),
        ({"bounds": {"receptive_field": [1, 2]}}, ["search.json: no point of the space", "Raise the second number"]),
    ],
)
def test_hints_fit_what_is_wrong_in_a_config(tmp_path: Path, changes: dict, told: list[str]):
    ran = zoo("search", str(search_file(tmp_path, amps=1, **changes)), "--local", "--out", str(tmp_path / "study"))
    refused(ran, 1, *told)
    assert "Known keys" not in ran.err
