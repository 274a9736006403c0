"""Where the output goes: pipes, narrow terminals, full devices, encodings."""

import io
import json
import subprocess
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from tests.support.packages import AMP, ZOO, card, refused, shell, terminal, write_files, zoo
from zoo.cli import output


def test_closed_pipe_is_no_error(here: Path):
    with subprocess.Popen([ZOO, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0


def test_full_device_as_stdout_is_an_error(here: Path):
    with Path("/dev/full").open("w") as full:
        run = subprocess.run([ZOO, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "the disk is full" in run.stderr
    assert "Traceback" not in run.stderr


def test_closed_stdout_gives_no_traceback(here: Path):
    command = f"exec '{ZOO}' list >&-"
    run = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert "Traceback" not in run.stderr


def test_ascii_terminal_shows_what_it_can(here: Path, tmp_path: Path):
    write_files(tmp_path / "home" / AMP, {"README.md": card(license="Ålice's own")})
    ran = shell("list", PYTHONIOENCODING="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert "?lice's own" in ran.out
    refused(shell("show", "Ålice", PYTHONIOENCODING="ascii"), 1, "'?lice' does not name an amp")


@pytest.mark.parametrize("how", ["COLUMNS", "terminal"])
def test_narrow_terminal_leaves_columns_out(here: Path, how: str):
    code, screen = terminal("list", COLUMNS="40") if how == "COLUMNS" else terminal("list", columns=40)
    head, row, *note = screen.splitlines()
    assert code == 0
    assert max(len(head), len(row)) <= 40
    assert head.split() == ["AMP", "KNOBS", "ESR", "MACS"]
    assert row.split() == [AMP, "gain", "tone", "0.1875", "177"]
    assert " ".join(map(str.strip, note)) == "(narrow terminal: KIND, LICENSE, RATE, UPDATED, REVISION left out)"
    assert max(map(len, note)) <= 40


def test_terminal_without_a_size_shows_all_columns(here: Path):
    code, screen = terminal("list")
    assert code == 0
    assert "LICENSE" in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_narrow_terminal_never_breaks(here: Path):
    code, screen = terminal("render", AMP, "in.wav", "out.wav", columns=20, PYTHONIOENCODING="ascii")
    assert code == 0
    assert screen.splitlines()[-1] == "out.wav"
    assert "Traceback" not in screen
    code, screen = terminal("knobs", AMP, columns=1)
    assert code == 0
    assert "gain  0 to 10" in screen
    code, screen = terminal("knobs", "alice/tinny", columns=10)
    assert code == 3
    assert "Did you mean alice/tiny?" in screen


@pytest.mark.parametrize("columns", [60, 100])
def test_a_command_to_copy_is_never_broken(columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    with redirect_stderr(screen):
        output.info(
            "stopped after 3 of 24 trials. Go on with: zoo search search.json --out studies/mine --resume --local"
        )
        output.info(
            f"hint: Choose another folder, as {'a word ' * 20}says. Get it: zoo pull 'me/my, own. amp' "
            "--zoo 'hub of mine' --tier nano. Then play it, which takes a while where the machine is slow."
        )
    text = screen.getvalue()
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.endswith("zoo search search.json --out studies/mine --resume --local") for line in lines)
    assert "zoo pull 'me/my, own. amp' --zoo 'hub of mine' --tier nano." in text
    assert [line for line in lines if len(line) > columns and "zoo pull" not in line] == []
    assert len(lines) > 4


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "2>/dev/full", "2>&1 >out.txt | true; cat out.txt"])
def test_a_message_that_nobody_can_read_stops_nothing(here: Path, closed: str):
    """Also a message that is left out is no reason to write into a file that was opened instead."""
    command = f"'{ZOO}' render {AMP} in.wav out.wav {closed}"
    run = subprocess.run(["/bin/bash", "-eo", "pipefail", "-c", command], capture_output=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, b"out.wav\n")
    assert Path("out.wav").stat().st_size > 1000


def test_full_standard_output_is_named(here: Path):
    run = subprocess.run(
        ["/bin/sh", "-c", f"'{ZOO}' list --json >/dev/full"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert run.returncode == 1
    assert "the standard output: the disk is full" in json.loads(run.stderr)["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        "'{ZOO}' --help",
        "PYTHONUNBUFFERED= '{ZOO}' --version",
        "PYTHONUNBUFFERED=1 '{ZOO}' render --help",
        "PYTHONUNBUFFERED= '{ZOO}' show {AMP}",
        "PYTHONUNBUFFERED=1 '{ZOO}' knobs {AMP} --json",
        "PYTHONUNBUFFERED= _ZOO_COMPLETE=bash_source '{ZOO}'",
    ],
)
def test_whatever_a_command_writes_its_output_is_named(here: Path, words: str):
    """Also what click writes; with and without a buffer."""
    command = ["/bin/sh", "-c", f"{words.format(ZOO=ZOO, AMP=AMP)} >/dev/full"]
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert "the standard output: the disk is full" in run.stderr and "a file" not in run.stderr
    assert "Traceback" not in run.stderr and "Exception ignored" not in run.stderr


def test_words_on_the_command_line_are_shown_as_text(here: Path):
    """As `zoo check *` gives them, in a folder of strange names."""
    for words in (("check", "a.json", "\x1b]0;x\x07\u202eb.json"), ("list", "--kind", "\x1b[31m"), ("\x1b[2J\u3164",)):
        ran = shell(*words)
        assert (ran.code, ran.out) == (2, "")
        assert "Error: " in ran.err and not set(ran.err) & set("\x1b\x07\u202e\u3164"), ran.err


def test_a_value_begins_no_line(here: Path, tmp_path: Path):
    forged = '"cc0\\nrevision\\tFORGED \\u202E\\u3164"'
    write_files(tmp_path / "home" / AMP, {"README.md": card(license=forged)})
    lines = [line.split("\t") for line in shell("show", AMP).out.splitlines()]
    assert all(len(line) == 2 for line in lines)
    assert dict(lines)["license"] == "cc0 revision FORGED ??" and dict(lines)["revision"] != "FORGED"
    assert json.loads(shell("show", AMP, "--json").out)["license"] == "cc0 revision FORGED ??"
    (row,) = json.loads(shell("list", "--json").out)["amps"]
    assert row["license"] == "cc0 revision FORGED ??"


def test_messages_are_bounded(here: Path):
    Path("m.json").write_text(json.dumps({"entries": [], "x" * 100_000: {}}))
    for words in (("check", "m.json"), ("check", "n" * 100_000), ("knobs", "a" * 100_000)):
        ran = shell(*words)
        assert ran.code and len(ran.err) < 9000, len(ran.err)


NUMBERS = (
    ("pull", AMP, "--max-peak", "nan"),
    ("pull", AMP, "--max-size", "nan"),
    ("record", "s", "--send", "nan"),
    ("record", "s", "--pause", "NaN"),
    ("plan", "k.json", "--step", "nan"),
    ("plan", "k.json", "--step", "inf"),
)


@pytest.mark.parametrize("words", NUMBERS)
def test_nan_is_in_no_range(here: Path, words: tuple[str, ...]):
    ran = zoo(*words)
    assert (ran.code, ran.out) == (2, "")
    assert f"Invalid value for '{words[2]}'" in ran.err
