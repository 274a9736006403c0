"""The commands that make, share and show amps, with a shelf."""

import json
import os
from pathlib import Path

import pytest

from models.artifacts.model_config import make_config
from models.artifacts.names import EVAL
from tests.support.makers import KNOBS, architecture, wavenet
from tests.support.packages import (
    AMP,
    LICENSE,
    files,
    read_files,
    refused,
    shell,
    terminal,
    write_package,
    write_run,
    zoo,
)
from tests.zoo.cli.conftest import created


def test_package_push_list_pull(here: Path):
    run = write_run(here / "runs" / "best")
    ran = zoo("package", run, "--license", LICENSE)
    assert (ran.code, ran.out) == (0, "packages/best\n")
    phases = ("reading", "playing", "baking", "drawing", "checking")
    assert ran.err.splitlines() == [f"packaging best: {phase}" for phase in phases]
    assert read_files(here / "packages/best") == files()
    shelf = ("--zoo", "shelf")
    ran = zoo("push", "packages/best", "bob/best", *shelf)
    assert (ran.code, ran.out) == (0, "bob/best\n")
    assert ran.err.startswith("published on shelf at revision ")
    revision = json.loads(zoo("push", "packages/best", "bob/best", *shelf, "--json").out)["revision"]
    assert zoo("list", "-q", *shelf).out == "bob/best\n"
    head, row = (line.split("\t") for line in zoo("list", *shelf).out.splitlines())
    assert head == ["AMP", "KNOBS", "ESR", "MACS", "KIND", "LICENSE", "RATE", "UPDATED", "REVISION"]
    assert row[:7] == ["bob/best", "gain tone", "0.1875", "177", "amp", LICENSE, "8000"]
    assert row[8] == revision[:12]
    ran = zoo("pull", "bob/best", *shelf, "--to", "mine")
    assert (ran.code, ran.out) == (0, "mine\n")
    assert read_files(here / "mine") == files()
    ran = zoo("pull", "bob/best", *shelf, "--json")
    home = os.environ["ZOO_HOME"]
    [pulled] = json.loads(ran.out)["amps"]
    assert [pulled[key] for key in ("name", "revision", "folder")] == ["bob/best", revision, f"{home}/bob/best"]
    assert (pulled["files"], pulled["bytes"]) == (len(files()), sum(map(len, files().values())))
    assert zoo("list", "-q").out == f"{AMP}\nbob/best\n"


@pytest.mark.parametrize("missing", ["eval.json", "config.json"])
def test_package_of_an_unfinished_run_is_refused(here: Path, missing: str):
    (write_run(here / "run") / missing).unlink()
    refused(zoo("package", "nope", "--license", "mit"), 3, "nope does not exist", "a run folder", "a study folder")
    refused(zoo("package", "run", "--license", "mit"), 3 if missing == "config.json" else 1, missing)
    assert created(here) == {"run"}


def test_show_and_knobs(here: Path):
    assert zoo("knobs", AMP).out == "KNOB\tRANGE\tDEFAULT\ngain\t0 to 10\t5\ntone\t0 to 1\t0.5\n"
    document = json.loads(zoo("knobs", AMP, "--json").out)
    assert document == {"schema": "zoo.knobs/1", "name": AMP, **KNOBS.model_dump(mode="json")}
    shown = zoo("show", AMP).out
    assert "8000 Hz mono" in shown
    assert "295 parameters" in shown
    assert "mean 0.1875" in shown
    document = json.loads(zoo("show", AMP, "--json").out)
    assert (document["schema"], document["name"]) == ("zoo.show/1", AMP)
    assert document["config"] == json.loads(files()["config.json"])
    assert document["eval"] == json.loads(files()[EVAL])
    for verb in ("show", "knobs"):
        refused(zoo(verb, "alice/tinny"), 3, "Did you mean alice/tiny?")


@pytest.mark.parametrize("columns", [80, 60, 40])
def test_diff_keeps_both_sides_on_a_narrow_terminal(here: Path, tmp_path: Path, columns: int):
    write_package(tmp_path / "home" / "alice/other", {"presets.json": b'{"schema_version": "1.0"}'})
    code, screen = terminal("diff", AMP, "alice/other", columns=columns)
    head, *rows = screen.splitlines()
    assert code == 0
    assert max(map(len, (head, *rows))) <= columns
    assert head.split() == ["WHAT", AMP, "alice/other"]
    assert [row.split()[0] for row in rows] == ["revision", "presets.json"]


def complete(words: str, **env: str) -> list[str]:
    ran = shell(_ZOO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1), **env)
    return [line.split(",", 1)[1] for line in ran.out.splitlines() if line]


def test_knobs_and_folders_complete(here: Path):
    (here / "runs" / "one").mkdir(parents=True)
    (here / "runs" / ".hidden").mkdir()
    assert complete(f"zoo render {AMP} in.wav out.wav --knob ") == ["gain=", "tone="]
    assert complete(f"zoo render {AMP} in.wav out.wav -k to") == ["tone="]
    assert complete(f"zoo export {AMP} out.nam --bake gain=7,t") == ["gain=7,tone="]
    assert complete("zoo render bob/none in.wav out.wav --knob ") == []
    assert complete("zoo list --knob g") == ["gain"]
    assert complete("zoo render ru") == ["runs"]
    assert complete("zoo render runs/") == ["runs/one"]


def test_diff_begins_with_what_matters(here: Path, tmp_path: Path):
    made = make_config("tiny", 8000, KNOBS, architecture("input"))
    write_run(tmp_path / "worse", (made, wavenet(made.architecture)))
    shown = [line.split("\t")[0] for line in zoo("diff", AMP, tmp_path / "worse").out.splitlines()[1:]]
    assert shown[0] in ("held ESR", "parameters")
    first = next(n for n, name in enumerate(shown) if name.startswith("architecture."))
    assert all(name.startswith("architecture.") for name in shown[first:])
