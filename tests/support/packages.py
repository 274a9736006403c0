"""A tiny run, its package as plain bytes, and the command `zoo`, run in this process or as a user runs it."""

import fcntl
import functools
import io
import os
import pty
import re
import resource
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from models.artifacts.evaluation import CornerScan, Evaluation, KnobTurn, Score, SettingScore
from models.artifacts.folder import save_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import EVAL
from models.core.files import write_json
from models.network.wavenet import WaveNet
from tests.support.makers import GRID, JSON, model
from zoo.cli.main import main
from zoo.package.build import PackageRequest, package
from zoo.package.card_schema import Terms
from zoo.package.manifest import write_manifest

AMP = "alice/tiny"
PULL = ("pull", AMP, "--to", "amp")
LICENSE = "cc-by-4.0"
ZOO = Path(sys.executable).with_name("zoo")


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code, data, talk."""

    code: int
    out: str
    err: str


CORNERS = CornerScan(
    settings=1004,
    peak_dbfs=-1.0,
    peak_setting={"gain": 10, "tone": 1},
    recorded_peak_dbfs=-2.0,
    silence_dbfs=-70.0,
    silence_setting={"gain": 10, "tone": 0},
    dc_dbfs=-60.0,
)


def score(*esrs: float) -> Score:
    """A score with one setting for each ESR."""
    settings = tuple(SettingScore(setting=s, esr=e, baseline_esr=0.5) for s, e in zip(GRID, esrs, strict=False))
    return Score(mean=sum(esrs) / len(esrs), median=esrs[0], worst=max(esrs), baseline_mean=0.5, settings=settings)


def evaluation(net: WaveNet) -> Evaluation:
    """Scores as training would have left them."""
    return Evaluation(
        step=30,
        parameters=net.parameter_count,
        macs_per_sample=net.config.macs_per_sample(net.knobs),
        realtime_factor=0.004,
        seconds=1.5,
        device="tiny",
        recordings_license="cc0-1.0",
        validation=score(0.125),
        held=score(0.25, 0.125),
        seen=None,
        corners=CORNERS,
        knob_moves_dbfs={"10": -50.0, "50": -60.0, "200": -70.0},
        knob_turns=(KnobTurn(name="gain", change_db=-3.0, rising=1.0),),
    )


def write_run(folder: Path, made: tuple[ModelConfig, WaveNet] | None = None) -> Path:
    """A finished run folder, without training."""
    config, net = made or model()
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, config, net)
    write_json(folder / EVAL, evaluation(net).model_dump(mode="json", by_alias=True))
    return folder


def pack(run: Path, out: Path, license_id: str = LICENSE, force: bool = False, take: bool = False) -> Path:
    """Package a run under a license and return the package's folder."""
    return package(PackageRequest(run, out, Terms(license=license_id), force=force, take=take))


@functools.cache
def _packed() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return read_files(pack(write_run(Path(folder, "run")), Path(folder, "package")))


def files() -> dict[str, bytes]:
    """The files of a sound package."""
    return dict(_packed())


def read_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write_files(folder: Path, content: Mapping[str, bytes]) -> Path:
    """These files in a folder."""
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_package(folder: Path, changed: Mapping[str, bytes] | None = None) -> Path:
    """A sound package, or one with changed files that its manifest covers all the same."""
    write_files(folder, {**files(), **(changed or {})})
    if changed:
        write_manifest(folder, "tiny", "ampzoo")
    return folder


def flip(data: bytes) -> bytes:
    """The same bytes but for one bit near the end."""
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


def card(**front: str) -> bytes:
    """A sound card with lines of its front matter replaced: `card(license="mit")`."""
    text = files()["README.md"].decode()
    for key, line in front.items():
        text, count = re.subn(
            rf"(?m)^( *){key}:.*$", lambda found, line=line, key=key: f"{found[1]}{key}: {line}", text
        )
        assert count == 1, key
    return text.encode()


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """No file grows beyond `free` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def zoo(*words: object) -> Ran:
    """The command in this process; what would be a traceback is raised."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code: object = 0
    with mock.patch.object(sys, "argv", ["zoo", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err) if not stream.flush()))


def around(**env: str) -> dict[str, str]:
    """The environment of a process of its own; on one thread, as `tests.support.makers` has it here."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **env}


def shell(*words: object, **env: str) -> Ran:
    """The command as a user runs it."""
    done = subprocess.run([ZOO, *map(str, words)], env=around(**env), capture_output=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(ran: Ran, code: int, *words: object) -> None:
    """The command ended with one sentence that has these words in it, and a hint, and gave no data.

    Before it, a command may have said what it reads or packages.
    """
    assert (ran.code, ran.out) == (code, ""), ran
    before = "loading|reading|aligning|packaging|handing|measuring|joining|starting"
    assert re.fullmatch(rf"(({before}) [^\n]+\n)*error: [^\n]+\n\nhint: [^\n]+\n", ran.err), ran.err
    assert all(str(word) in ran.err for word in words), ran.err


def at(hub: Any) -> tuple[str, str]:
    """The option that names a hub."""
    return "--zoo", hub.url


def pulled(folder: str | Path) -> dict[str, bytes]:
    """What was pulled."""
    return read_files(Path(folder))


def there(content: Mapping[str, bytes], name: str = AMP) -> dict[str, bytes]:
    """These files as a push puts them there: the card says whose amp it is."""
    return {**content, "README.md": content["README.md"].replace(b"OWNER/tiny", name.encode())}


def litter() -> set[str]:
    """What lies in the current folder."""
    return {path.name for path in Path().iterdir()}


def bent(draw: Callable[..., Any], document: Any) -> Any:
    """The document with the value at one place, however deep, replaced or taken out."""
    if isinstance(document, dict | list) and document and draw(st.integers(0, 3)):
        keys = list(document) if isinstance(document, dict) else range(len(document))
        key = draw(st.sampled_from(keys))
        pairs = dict(document) if isinstance(document, dict) else list(document)
        if draw(st.integers(0, 4)):
            pairs[key] = bent(draw, document[key])
        else:
            del pairs[key]
        return pairs
    return draw(JSON)


def terminal(*words: object, columns: int = 0, answer: str = "", **env: str) -> tuple[int, str]:
    """Exit code and screen of the command on a terminal this wide, where a person types the answer."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {name: value for name, value in around().items() if name not in ("COLUMNS", "LINES")}
    command = [ZOO, *map(str, words)]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**plain, "TERM": "xterm", **env}
    ) as run:
        os.close(theirs)
        os.write(ours, answer.encode())
        screen = b""
        with suppress(OSError):  # how a terminal signals its end
            while seen := os.read(ours, 1 << 16):
                screen += seen
        os.close(ours)
        return run.wait(timeout=60), screen.decode()
