"""The parsers of a session: what a plan wrote and people change, and the names of the files that they bring."""

import json
import warnings
from pathlib import Path
from shutil import rmtree

import numpy as np
import soundfile as sf

from models.capture.nam_captures import read_capture_names
from models.capture.named_takes import parse_ranges, read_take_names
from models.capture.sheet import TRAIN_MANIFEST
from models.core.errors import Notice
from models.knobs.schema import Knobs
from models.recordings.align_dataset import HELD_MANIFEST
from models.sessions.exported import match_exports
from models.sessions.session_takes import SessionTakes, turned_knobs
from tests.fuzz.harness import Target

RATE = 8000

GAIN = {"name": "gain", "max": 10}

SESSION = {
    "$schema": "urn:ampzoo:manifest:1",
    "sample_rate": RATE,
    "knobs": [GAIN, {"name": "mode", "positions": ["1", "2"]}],
    "entries": [
        {"input_file": "di.wav", "output_file": f"{n}.wav", "knobs": {"gain": n, "mode": "1"}} for n in range(3)
    ],
}
SEVERAL = {
    "knobs": [GAIN, {"name": "output", "positions": ["di", "57"], "files": True}],
    "entries": [
        {"input_file": "di.wav", "output_files": {"di": f"{n}d.wav", "57": f"{n}m.wav"}, "knobs": {"gain": n}}
        for n in range(2)
    ],
}
NAMED = ("G{gain} {mode}", "gain=0:10:5", "mode=1,2", "amp G0 1.wav", "amp G2 1.wav", "di.wav", "._amp G0 1.wav")
CAPTURES = ("G{gain}.nam", "gain=0:10", "JCM G2.nam", "JCM G7,5.nam", "._JCM G2.nam", "notes.txt")
LONGEST_NAME = 100


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def _fresh(folder: Path) -> Path:
    """Return a folder of that name that is empty."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _parse_session(data: bytes, folder: Path) -> object:
    """Read a session and do with it what an evening does: ask for takes, match exports, leave one out."""
    for path in folder.iterdir():
        path.unlink()
    sf.write(folder / "di.wav", np.sin(np.arange(64)), RATE)
    (folder / TRAIN_MANIFEST).write_bytes(data)
    (folder / HELD_MANIFEST).write_bytes(_dumped(SESSION))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        session = SessionTakes(folder)
        takes = session.takes
        turned = [turned_knobs(session.knobs, takes[0].take.setting, one.take.setting) for one in takes if not one.held]
        session.leave_out([takes[0].name])
        return turned, session.missing, session.seconds, SessionTakes(folder).takes


def _parse_names(data: bytes, folder: Path) -> object:
    """Read a pattern, ranges and file names, one in each line, as `zoo init` and `zoo session import` do."""
    pattern, *lines = data.decode("utf-8", "surrogateescape").split("\n")
    stated = parse_ranges(tuple(line for line in lines if "=" in line and not line.startswith(".")))
    named, session = _fresh(folder / "named"), _fresh(folder / "session")
    _touch(named, [line for line in lines if "=" not in line])
    sf.write(session / "di.wav", np.sin(np.arange(64)), RATE)
    (session / TRAIN_MANIFEST).write_bytes(_dumped(SESSION))
    found = read_take_names(named, pattern, None, stated)
    match_exports(named, SessionTakes(session))
    return found, match_exports(named, SessionTakes(session), pattern)


def _parse_capture_names(data: bytes, folder: Path) -> object:
    """Read a pattern, ranges and the names of `.nam` files, one in each line, as `zoo plan --from-nam` does."""
    pattern, *lines = data.decode("utf-8", "surrogateescape").split("\n")
    captures = _fresh(folder / "captures")
    _touch(captures, [line for line in lines if "=" not in line])
    read_capture_names(captures, pattern)
    return read_capture_names(captures, pattern, Knobs.model_validate({"knobs": [GAIN]}))


def _touch(folder: Path, names: list[str]) -> None:
    """Make empty files, of the names that a file system takes."""
    for name in names:
        plain = name.replace("/", "_").replace("\0", "_")[:LONGEST_NAME]
        if plain not in ("", ".", ".."):
            (folder / plain.encode("utf-8", "replace").decode()).write_bytes(b"")


SESSION_TARGETS = (
    Target("session-takes", (_dumped(SESSION), _dumped(SEVERAL)), _parse_session),
    Target("take-names", ("\n".join(NAMED).encode(),), _parse_names),
    Target("capture-names", ("\n".join(CAPTURES).encode(),), _parse_capture_names),
)
