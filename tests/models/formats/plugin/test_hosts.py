"""Random hosts of all formats under the sanitizers: no fault, no memory taken while playing, no sample that is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.formats.player.build import build_program
from models.formats.plugin.bundles import shelf_data
from models.knobs.schema import Knobs
from tests.support.makers import architecture, wavenet
from tests.support.native import PEDAL, plain_knobs
from tests.support.plugins import plugin_data

SEQUENCES = int(os.environ.get("AMPZOO_HOSTS", "1000"))
WRAPPED = ",".join(f"--wrap={name}" for name in ("malloc", "calloc", "realloc", "free"))
FLAGS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-Wl,{WRAPPED}")
SANITIZE_HOSTS = pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs cc on Linux")


@SANITIZE_HOSTS
def test_random_hosts_find_no_fault(tmp_path: Path):
    folder = tmp_path / "amps"
    folder.mkdir()
    amps = {"pedal": (5, PEDAL), "plain": (2, plain_knobs(2)), "none": (0, Knobs(knobs=()))}
    for name, (columns, knobs) in amps.items():
        net = wavenet(architecture("film" if columns else "mixin"), columns)
        (folder / f"me--{name}.bin").write_bytes(plugin_data(net, knobs, f"me/{name}", name))
    program = tmp_path / "hosts"
    shutil.copy(build_program("plugin/hosts.c", "cc", FLAGS), program)
    (tmp_path / "amp.bin").write_bytes(shelf_data(folder))
    words = [program, str(SEQUENCES), "1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{SEQUENCES} sequences, ")
    assert int(done.stdout.split()[2]) > 300 * SEQUENCES
