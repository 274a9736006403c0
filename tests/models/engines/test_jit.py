"""Kernels on disk: processes that begin together compile each of them once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.engines.jit import _claim
from tests.support.packages import around

PROGRAM = """
import sys
from pathlib import Path

import numpy as np

from models.engines.jit import cached_njit


def double(x):
    for n in range(len(x)):
        x[n] *= 2


kernel = cached_njit(double, Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
x = np.ones(3)
kernel(x)
assert x[0] == 2
print("loaded" if kernel.stats.cache_hits else "compiled")
"""


def test_processes_that_begin_together_compile_a_kernel_once(tmp_path: Path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "sources")]
    env = around(AMPZOO_CACHE=str(tmp_path / "cache"), PYTHONPATH=str(Path(__file__).parents[3]))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=env, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert sorted(said) == ["compiled", "loaded"]
    assert len(list((tmp_path / "cache").rglob("*.kernel"))) == 1


@pytest.mark.parametrize("how", ["link", "pipe"])
def test_a_claim_that_is_no_file_is_not_waited_for(tmp_path: Path, how: str):
    """Nor is what a link leads to emptied: others may write to a cache that is shared."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    lock = tmp_path / "k.lock"
    os.mkfifo(lock) if how == "pipe" else lock.symlink_to(mine)
    signal.alarm(60)
    try:
        assert _claim(tmp_path / "k") is None
    finally:
        signal.alarm(0)
    assert mine.read_text() == "mine"


def test_a_claim_of_a_process_that_died_holds_nobody_up(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from models.engines.jit import _claim; kept = _claim(Path(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "k")],
        env=around(PYTHONPATH=str(Path(__file__).parents[3])),
        check=True,
    )
    claim = _claim(tmp_path / "k")
    assert claim
    claim.close()
