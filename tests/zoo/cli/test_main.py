"""The command as a whole: help, usage errors, exit codes, interrupts."""

import errno
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import click
import httpx2
import pytest
from click.testing import CliRunner

from models.core.errors import DivergedError, IntegrityError, NotFound, UserError, WaitNotice
from tests.support.packages import AMP, refused, shell, zoo
from zoo.cli.errors import explain
from zoo.cli.main import ELSEWHERE, cli

GROUPS = {
    "Start": ["quickstart", "doctor"],
    "Record": ["plan", "signal", "record", "session", "init", "check", "align"],
    "Make": ["train", "search", "board", "score", "bench", "package"],
    "Share": ["push", "list", "show", "diff", "pull", "outdated", "lock", "verify", "rm", "key", "trust"],
    "Play": ["knobs", "play", "page", "render", "export", "install", "uninstall"],
}
HEAVY = ["torch", "ray", "optuna", "huggingface_hub", "numpy", "scipy", "matplotlib", "pydantic", "soundfile", "rich"]


def test_help_imports_nothing_heavy():
    script = f"""
import sys
from click.testing import CliRunner
from zoo.cli.main import cli
for words in (["--help"], ["--version"], *([verb, "--help"] for verb in cli.commands)):
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
print(sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_groups_the_commands_in_order_of_use():
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=60).output
    rows = {}
    for heading, commands in GROUPS.items():
        rows[heading] = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split()[0] for line in rows[heading]] == commands
    assert list(cli.commands) == [name for commands in GROUPS.values() for name in commands]
    assert not [line for lines in rows.values() for line in lines if line.endswith("...")]


@pytest.mark.parametrize("words", [(), *((name,) for name in cli.commands)], ids="-".join)
def test_help_fits_80_columns(words: tuple[str, ...]):
    shown = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).output
    assert max(map(len, shown.splitlines())) <= 80


def test_wrong_usage_exits_2(here: Path):
    for words, expected in (
        (["lisst"], "lisst"),
        (["render", AMP], "IN.wav"),
        (["list", "--color"], "--color"),
        (["train", "--model", "m.json"], "TAKES"),
        (["train", "takes.json", "--data", "d.json"], "TAKES and --data are two ways"),
        (["package", "run"], "--license"),
    ):
        ran = zoo(*words)
        assert (ran.code, ran.out) == (2, "")
        assert expected in ran.err
        assert "Usage: " in ran.err


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_word_of_another_tool_is_understood(word: str):
    ran = zoo(word, "x")
    assert ran.code == 2
    assert f"No such command '{word}'. Here: {ELSEWHERE[word]}." in ran.err
    named = re.findall(r"(?<![-\w])zoo (\w+)", ELSEWHERE[word])
    assert set(named) <= set(cli.commands)
    assert word not in cli.commands


def test_error_is_one_line(here: Path):
    refused(zoo("check", "two\nlines.json"), 3, "does not exist")


def test_exit_code_of_every_kind_of_error():
    no_connection = httpx2.ConnectError("[Errno 111] Connection refused")
    for error, code in (
        (UserError("a", "b"), 1),
        (NotFound("a"), 3),
        (IntegrityError("a"), 6),
        (DivergedError("at step 3"), 1),
        (no_connection, 5),
        (httpx2.ReadTimeout("timed out"), 5),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 5),
        (MemoryError(), 1),
        *((OSError(number, os.strerror(number), "/x/y"), 1) for number in sorted(errno.errorcode)
          if not isinstance(OSError(number, ""), ConnectionError)),
    ):  # fmt: skip
        explained = explain(error)
        assert explained is not None and explained.code == code, error
        assert explained.message
        assert "\n" not in explained.message
        assert not isinstance(error, OSError) or code == 5 or "/x/y: " in explained.message
    for bug in (ValueError("x"), KeyError("x"), AssertionError(), RecursionError()):
        assert explain(bug) is None


def test_debug_shows_the_traceback(here: Path):
    ran = zoo("--debug", "show", "alice/tinny")
    assert ran.code == 3
    assert "Traceback" in ran.err
    assert "in _find_amp\n" in ran.err
    assert "error: no amp" in ran.err


def test_bug_is_reported_as_a_bug(here: Path):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=KeyError("oops")):
        ran = zoo("knobs", AMP)
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "this is a bug in zoo: KeyError: 'oops'" in ran.err


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.Abort])
def test_interrupt_exits_130_without_a_traceback(here: Path, stop: type[BaseException]):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=stop):
        ran = zoo("knobs", AMP)
    assert (ran.code, ran.out) == (130, "")
    assert "Traceback" not in ran.err


@pytest.mark.filterwarnings("always::models.core.errors.WaitNotice")
def test_why_a_person_waits_is_no_warning(here: Path):
    def wait(*words: object) -> None:
        warnings.warn("compiling, once", WaitNotice, stacklevel=1)

    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=wait):
        assert zoo("knobs", AMP).err == "compiling, once\n"


def test_end_of_a_file_is_no_interrupt(here: Path):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=EOFError("Ran out of input")):
        ran = zoo("knobs", AMP)
    assert ran.code == 1 and "interrupted" not in ran.err and "EOFError" in ran.err


def test_interrupt_prints_one_word(here: Path):
    with mock.patch("zoo.cli.views.amps.show_knobs", side_effect=KeyboardInterrupt):
        assert zoo("knobs", AMP).err.split() == ["interrupted"]


def test_error_in_a_real_process(here: Path):
    refused(shell("render", AMP, "in.wav", "out.wav", "-k", "gain=11"), 1, "'gain' is 11", "0 to 10")
    ran = shell("render", AMP, "in.wav", "out.wav")
    assert (ran.code, ran.out, ran.err) == (0, "out.wav\n", "0.3 s at gain=5 tone=0.5\n")
