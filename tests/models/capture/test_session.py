"""A session on disk has manifests that can be read and a sheet with every take; nothing is overwritten."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from models.audio.io import read_audio, write_audio
from models.capture.plan import make_plan, propose_settings
from models.capture.session import write_session
from models.capture.sheet import name_take
from models.capture.virtual_amp import VirtualAmp
from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import read_json
from models.knobs.schema import Knobs
from models.recordings.checks.check import check
from models.recordings.manifest import read_manifest
from tests.support.makers import RATE, amp, di, write_wav

DEVICE = "<b>Amp</b> & cab"
SCHEMA = Knobs.model_validate(
    {
        "knobs": [
            {"name": "gain", "min": 0, "max": 10, "default": 5, "step": 0.5, "gain": True, "taper": "log"},
            {"name": "tone", "min": 0, "max": 1, "default": 0.5},
            {"name": "channel", "positions": ["clean", "lead"]},
        ]
    }
)
PLAN = make_plan(SCHEMA, "space-filling", count=20, held=4)


class Sheet(HTMLParser):
    """The rows of all tables of a page: text and classes of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str]]] = []
        self.heads: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(("", dict(attrs).get("class") or ""))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            text, kind = self.rows[-1][-1]
            self.rows[-1][-1] = text + data, kind
        if self.open and self.open[-1] == "h1":
            self.heads.append(data)


@pytest.fixture
def signal(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "my di.wav", di(0.5))


@pytest.fixture
def session(tmp_path: Path, signal: Path) -> Path:
    assert PLAN.train
    assert PLAN.held
    write_session(tmp_path / "rec", SCHEMA, PLAN.train, PLAN.held, signal, device=DEVICE, license_id="cc0-1.0")
    return tmp_path / "rec"


def test_manifests_are_read_as_planned(session: Path):
    train, held = (read_manifest(session / name) for name in ("train.json", "held.json"))
    assert [take.setting for take in train.takes] == PLAN.train
    assert [take.setting for take in held.takes] == PLAN.held
    assert train.knobs == held.knobs == SCHEMA
    assert (train.device, train.license, train.sample_rate) == (DEVICE, "cc0-1.0", RATE)
    assert {take.dry for take in train.takes + held.takes} == {session / "my di.wav"}
    wets = [take.wet.name for take in train.takes + held.takes]
    assert len(set(wets)) == 24
    assert wets[0].startswith("001_gain5_tone0.5")
    assert wets[20].startswith("held_001_")
    assert sorted(path.name for path in session.iterdir()) == ["held.json", "my di.wav", "sheet.html", "train.json"]


def test_sheet_has_every_take_and_frames_turned_knobs(session: Path):
    page = Sheet((session / "sheet.html").read_text())
    assert "".join(page.heads) == DEVICE  # as text, not as markup
    train = read_manifest(session / "train.json").takes
    rows = [row for row in page.rows if row[0][0] == "\u2610"]
    assert len(rows) == 24
    last = None
    for row, take in zip(rows, train, strict=False):
        shown = [text for text, _ in row]
        assert shown[-1] == take.wet.name
        assert shown[2:-1] == [str(v).removesuffix(".0") for v in take.setting.values()]
        turned = {n for n, (_, kind) in zip(SCHEMA.names, row[2:-1], strict=True) if kind == "changed"}
        assert turned == {n for n in SCHEMA.names if last is None or take.setting[n] != last[n]}
        last = take.setting
    assert all(f"<span>{name}</span>" in (session / "sheet.html").read_text() for name in ("date", "serial number"))
    assert not re.search(r'(src|href)="?http', (session / "sheet.html").read_text())


def test_recorded_session_has_no_fault(tmp_path: Path):
    """As a person would go on: record every take under its name, then check."""
    x_T = di(0.5, 48000)
    write_audio(tmp_path / "di.wav", x_T, 48000)
    schema = Knobs.model_validate({"knobs": [{"name": n, "max": 10} for n in ("gain", "tone", "volume")]})
    plan = make_plan(schema, "space-filling", count=12, held=2)
    write_session(tmp_path / "rec", schema, plan.train or [], plan.held or [], tmp_path / "di.wav")
    for name in ("train.json", "held.json"):
        for take in read_manifest(tmp_path / "rec" / name).takes:
            played = VirtualAmp(48000).process(x_T, **{n: float(v) for n, v in take.setting.items()})
            write_audio(take.wet, played, 48000)
        assert not check(tmp_path / "rec" / name).faults


def test_extended_session_leaves_existing_takes_in_place(tmp_path: Path, session: Path, signal: Path):
    old = read_manifest(session / "train.json")
    for take in old.takes:
        write_wav(take.wet, amp(di(0.5), take.setting["gain"], take.setting["tone"]))
    document = read_json(session / "train.json")
    document["entries"][0] |= {"delay_samples": 2.5, "channel": "right"}
    write_json(session / "train.json", document)
    old = read_manifest(session / "train.json")
    new = propose_settings(SCHEMA, [take.setting for take in old.takes], 3)
    made = write_session(tmp_path / "more" / "rec", SCHEMA, new, [], signal, existing=old.takes)
    assert [path.name for path in made] == ["train.json", "sheet.html"]
    both = read_manifest(made[0]).takes
    assert [take.setting for take in both] == [*(take.setting for take in old.takes), *new]
    assert (both[0].delay_samples, both[0].channel) == (2.5, 1)
    for take, before in zip(both, old.takes, strict=False):
        assert np.array_equal(read_audio(take.wet)[0], read_audio(before.wet)[0])
    assert both[20].wet.name.startswith("021_")
    assert both[20].wet.parent == tmp_path / "more" / "rec"
    assert len([row for row in Sheet(made[1].read_text()).rows if row[0][0] == "\u2610"]) == 3


def test_nothing_is_overwritten(session: Path, signal: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in session.iterdir()}
    with pytest.raises(UserError, match="rec is in the way"):
        write_session(session, SCHEMA, PLAN.train or [], [], signal)
    assert {path: path.read_bytes() for path in session.iterdir()} == before
    with pytest.raises(UserError, match="none.wav does not exist"):
        write_session(tmp_path / "new", SCHEMA, PLAN.train or [], [], tmp_path / "none.wav")
    assert not (tmp_path / "new").exists()


def test_name_of_a_take_is_a_legal_file_name():
    assert name_take("", 7, {"gain": 2.0, "tone": -1.5, "mode": "Hi Fi+"}) == "007_gain2_tone-1.5_modeHi-Fi+.wav"
    assert name_take("held_", 12, {}) == "held_012.wav"
    assert name_take("", 1, {f"knob{n}": 0.123456789 for n in range(32)}) == "001.wav"
