"""Where the output goes: pipes, narrow terminals, full devices, encodings."""

import subprocess
from pathlib import Path

import pytest

from tests.support.packages import AMP, ZOO, card, refused, shell, terminal, write_files


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
