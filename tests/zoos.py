"""A tiny run, its package as plain bytes, and the command `zoo`, run in this process or as a user runs it."""

import functools
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from models.documents import EVAL, Evaluation, Score, SettingScore
from models.files import write_json
from models.run import save_model
from tests.makers import GRID, model
from zoo.cli import main
from zoo.package import package
from zoo.verify import write_manifest

AMP = "alice/tiny"
ZOO = Path(sys.executable).with_name("zoo")


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, data, talk."""

    code: int
    out: str
    err: str


def score(*esrs: float) -> Score:
    """A score with one setting for each ESR."""
    settings = [SettingScore(setting=s, esr=e, baseline_esr=0.5) for s, e in zip(GRID, esrs, strict=False)]
    return Score(mean=sum(esrs) / len(esrs), median=esrs[0], worst=max(esrs), baseline_mean=0.5, settings=tuple(settings))


def evaluation() -> Evaluation:
    """Scores as training would have left them."""
    config, net = model()
    return Evaluation(
        step=30,
        parameters=net.parameter_count,
        macs_per_sample=config.architecture.macs_per_sample(2),
        seconds=1.5,
        device="tiny",
        recordings_license="cc0-1.0",
        validation=score(0.125),
        held=score(0.25, 0.125),
        seen=None,
    )


def write_run(folder: Path) -> Path:
    """A finished run folder, without training."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, *model())
    write_json(folder / EVAL, evaluation().model_dump(mode="json", by_alias=True))
    return folder


@functools.cache
def _packed() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return read_files(package(write_run(Path(folder, "run")), Path(folder, "package"), "cc-by-4.0"))


def files() -> dict[str, bytes]:
    """The files of a sound package."""
    return dict(_packed())


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write_files(folder: Path, content: Mapping[str, bytes]) -> Path:
    """Exactly these files in a new folder."""
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_package(folder: Path, **changed: bytes) -> Path:
    """A sound package, or one whose changed files its manifest covers all the same (`config_json=b"{}"`)."""
    write_files(folder, {**files(), **{name.replace("_json", ".json"): data for name, data in changed.items()}})
    if changed:
        write_manifest(folder, "tiny", "ampzoo 0.1.0")
    return folder


def zoo(*words: object) -> Ran:
    """The command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with mock.patch.object(sys, "argv", ["zoo", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    out.seek(0), err.seek(0)
    return Ran(code, out.read(), err.read())


def shell(*words: object, **env: str) -> Ran:
    """The command as a user runs it."""
    done = subprocess.run(
        [ZOO, *map(str, words)], env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)
