"""`pip install ampzoo` is enough to list, pull, verify, play and export; other commands name the extra they need."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from models.formats.player.build import library
from tests.support.light_install import HEAVY
from tests.support.makers import di, esr, model, read_wav, write_wav
from tests.support.packages import AMP, Ran, around, write_package
from zoo.cli.errors import EXTRAS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own shelf with one amp; the current folder holds a dry signal."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "shelf"))
    write_package(tmp_path / "shelf" / AMP)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_wav(Path("in.wav"), di(0.3))
    return tmp_path / "shelf"


def light(*words: object, **env: str) -> Ran:
    """The command where the heavy packages are not installed."""
    command = [sys.executable, "-m", "tests.support.light_install", *map(str, words)]
    done = subprocess.run(
        command, env=around(PYTHONPATH=str(ROOT), **env), capture_output=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def done(*words: object, **env: str) -> str:
    """What a command prints that ends well."""
    ran = light(*words, **env)
    assert ran.code == 0, ran
    return ran.out


def test_amps_are_looked_at_and_moved_without_the_extras(shelf: Path):
    library()
    assert AMP in done("list")
    assert "0.1875" in done("show", AMP)
    assert "gain" in done("knobs", AMP)
    assert done("push", shelf / AMP, "bob/tiny", "--zoo", "other") == "bob/tiny\n"
    assert done("pull", "bob/tiny", "--zoo", "other", "--to", "amp") == "amp\n"
    assert "DIFFERS" not in done("verify", "amp")
    assert done("diff", "amp", AMP) == ""


@pytest.mark.parametrize("compiler", [True, False], ids=["the C player", "numpy"])
def test_an_amp_plays_and_is_exported_without_the_extras(shelf: Path, tmp_path: Path, compiler: bool):
    library()
    none = {} if compiler else {"PATH": str(tmp_path), "AMPZOO_CACHE": str(tmp_path / "cache")}
    assert "ok" in done("verify", AMP, **none)
    done("render", AMP, "in.wav", "out.wav", "--knob", "gain=7", **none)
    wet_T = play_with_torch()
    assert esr(read_wav(Path("out.wav")), wet_T) < 1e-9
    done("export", AMP, "crunch.nam", "--bake", "gain=7", **none)
    done("export", AMP, "live.nam", "--live", **none)
    assert Path("live.nam").stat().st_size > 1000
    doctor = light("doctor", "--zoo", "http://127.0.0.1:9", **none).out
    assert ("the C player" in doctor) == compiler


def play_with_torch():
    """The amp at gain 7, played by the torch module."""
    from models.playback.stream import play

    config, net = model()
    return play(net, di(0.3), config.encode({"gain": 7}))


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("train", "--data", "d", "--model", "m", "--learning", "l", "--out", "o"), "train"),
        (("plan", "knobs.json"), "train"),
        (("check", "takes.json"), "train"),
        (("search", "search.json"), "search"),
        (("board", "studies/one"), "search"),
        (("record", "session"), "train,audio"),
        (("session", "import", "exports", "session"), "train,audio"),
        (("key",), "sign"),
        (("init", "takes", "--pattern", "g{gain}"), "train"),
    ],
)
def test_a_command_that_needs_more_names_its_extra(words: tuple[str, ...], extra: str, tmp_path: Path):
    ran = light(*words, AMPZOO_CONFIG=str(tmp_path))
    assert ran.code == 1
    assert ran.out == ""
    assert "pip install -e '" in ran.err.splitlines()[-1] and f"[{extra}]'" in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err


def test_every_heavy_package_belongs_to_an_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    light_names, *rest = (
        {re.split(r"[\[>]", line)[0] for line in lines}
        for lines in (project["dependencies"], *project["optional-dependencies"].values())
    )
    assert not light_names & HEAVY
    assert {"numpy", "safetensors", "soundfile"} <= light_names
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])
    assert set(EXTRAS) - {"llvmlite", "rtmidi"} <= set().union(*rest)


def test_the_wheel_has_our_packages_alone_and_the_sources_of_the_player(tmp_path: Path):
    tree = tmp_path / "tree"
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in tracked.stdout.decode().splitlines():
        if name.startswith(("models/", "search/", "zoo/", "player/")) or "/" not in name:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    (tree / "player" / "binaries" / "linux-x86_64").mkdir(parents=True)
    (tree / "player" / "binaries" / "linux-x86_64" / "ampzoo-player.so").write_bytes(b"compiled before")
    build = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, str(tmp_path)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        check=True,
    )
    with zipfile.ZipFile(tmp_path / made.stdout.decode().splitlines()[-1]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("METADATA"))).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"models", "search", "zoo"}
    sources = {name.partition("csources/")[2] for name in names if "csources/" in name}
    assert sources == {path.relative_to(ROOT / "player").as_posix() for path in (ROOT / "player").rglob("*.[ch]")}
    assert "models/formats/player/binaries/linux-x86_64/ampzoo-player.so" in names
    assert "Requires-Python: >=3.11" in metadata
    assert 'Requires-Dist: torch>=2.13; extra == "train"' in metadata
