"""The plugin of other systems, run in an emulator where one is installed: it gives the sound of this machine."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from models.formats.player.build import SOURCES, ZIG_TARGETS
from models.formats.player.reader import read_amp
from models.formats.plugin.bundles import write_plugin
from models.knobs.schema import Setting
from tests.support.makers import architecture, di, esr, wavenet
from tests.support.native import PEDAL
from tests.support.plugins import faceplate, plugin_data, reference

PROGRAM = Path(__file__).parents[3] / "support" / "clap_player.c"
SYSROOT = Path("/usr/aarch64-linux-gnu")  # of Debian's libc6-arm64-cross
NET = wavenet(architecture("film"), 5)
SETTING: Setting = {"gain": 7, "volume": -1.5, "bright": "Half +2.5"}
DI = di(0.5, 48_000)
pytestmark = pytest.mark.skipif(find_spec("ziglang") is None, reason="ziglang is not installed (pip install ziglang)")


def played(target: str, folder: Path, emulator: list[str], *flags: str, **env: str) -> np.ndarray:
    """What the CLAP file of a target makes of the signal, after a tenth of a second of silence."""
    data, silence = plugin_data(NET), 4_800
    path, program = write_plugin("clap", target, folder, "tiny", data, [read_amp(data)]), folder / "player.exe"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[target], "-std=gnu11", "-w"]
    subprocess.run([*compiler, f"-I{SOURCES / 'plugin'}", PROGRAM, *flags, "-o", program], check=True, cwd=folder)
    np.concatenate([np.zeros(silence, np.float32), DI]).tofile(folder / "in.f32")
    values = map(str, faceplate(PEDAL, SETTING).values())
    words = [*emulator, str(program), f"./{path.name}", "in.f32", "out.f32", "48000", *values]
    env = {**os.environ, **env}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "out.f32", np.float32)[silence:]


@pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("qemu-aarch64") and SYSROOT.is_dir()),
    reason="qemu-user and libc6-arm64-cross are not installed",
)
def test_linux_arm64(tmp_path: Path):
    y_T = played("linux-aarch64", tmp_path, ["qemu-aarch64", "-L", str(SYSROOT)], "-ldl")
    assert esr(y_T, reference(NET, DI, SETTING)) < 1e-10


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("wine"), reason="wine is not installed")
def test_windows(tmp_path: Path):
    prefix = {"WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all"}
    y_T = played("windows-x86_64", tmp_path, ["wine"], **prefix)
    assert esr(y_T, reference(NET, DI, SETTING)) < 1e-10
