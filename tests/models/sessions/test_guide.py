"""A guided session on a card that is calculated: keep, retake, skip, back, another day, and what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.capture.session import write_session
from models.core.errors import NotFound, UserError
from models.knobs.schema import Switch
from models.recordings.checks.check import check
from models.sessions.guide import GuidedSession
from models.sessions.progress_file import PROGRESS, SessionProgress, read_progress, write_progress
from models.sessions.session_takes import SessionTakes, turned_knobs
from models.sound_card.card import CardLost
from tests.models.sessions.conftest import LATENCY, Bench, signal
from tests.support.makers import GRID, KNOBS, RATE, amp, esr, examples, read_wav, write_wav
from tests.support.packages import bent


def severities(verdict) -> list[tuple[str, str]]:
    """The findings of a verdict, without their folder."""
    return [(found.severity, found.message.rpartition("/")[2]) for found in verdict.findings]


def test_a_session_from_start_to_end(bench: Bench):
    session = bench.open()
    asked = []
    while session.current:
        asked.append(dict(session.to_turn))
        verdict = bench.record(session)
        assert severities(verdict) == [] and verdict.report.lag
        session.keep()
    assert asked == [GRID[0], {"tone": 0.5}, {"tone": 0.8}, {"tone": 1.0}, {"gain": 10.0}]
    for name in ("train.json", "held.json"):
        report = check(bench.folder / name)
        assert report.faults == []
        for take in report.takes:
            assert len(read_wav(take.wet)) == len(read_wav(take.dry))
            true_T = amp(read_wav(take.dry), **take.setting)
            assert esr(read_wav(take.wet)[4:], true_T[:-4]) < 1e-4
    assert not (bench.folder / ".unkept").exists()


def test_a_session_goes_on_where_it_stopped(bench: Bench):
    session = bench.open()
    for _ in range(2):
        bench.record(session)
        session.keep()
    bench.record(session)  # and the machine is switched off
    before = {name: (bench.folder / name).read_bytes() for name in bench.files()}
    again = bench.open()
    assert again.current and again.current.number == 3
    assert again.to_turn == GRID[2]  # another day: nobody knows how the knobs stand
    assert not (bench.folder / ".unkept").exists()
    assert {name: (bench.folder / name).read_bytes() for name in bench.files()} == before
    bench.record(again)
    again.keep()
    assert len(bench.files()) == 3


def test_skipped_takes_come_again_or_are_left_out(bench: Bench):
    session = bench.open()
    bench.record(session)
    session.keep()
    session.skip()
    assert session.current and session.current.number == 3
    assert session.to_turn == {"tone": 0.8}
    session.skip()
    bench.record(session)
    session.keep()
    bench.record(session)
    session.keep()
    assert session.current is None and [planned.number for planned in session.skipped] == [2, 3]
    session = bench.open()
    assert session.current is None
    session.return_to_skipped()
    assert session.current and session.current.number == 2
    bench.record(session)
    session.keep()
    assert session.current and session.current.number == 3
    session.takes.leave_out([session.current.name])
    assert len(SessionTakes(bench.folder).takes) == 4
    assert check(bench.folder / "train.json").faults == []


def test_knobs_of_a_skipped_take_are_asked_for_again(planned: Callable[[int], Bench]):
    bench = planned(6)
    session = bench.open()
    for _ in range(3):
        bench.record(session)
        session.keep()
    session.skip()  # tone 1
    assert session.to_turn == {"gain": 2.0, "tone": 0.0}
    session.skip()  # gain 2, tone 0
    assert session.to_turn == {"gain": 2.0, "tone": 0.5}  # gain, too: nobody knows whether it was turned


def test_back_replaces_a_take_and_keeps_the_old_one(bench: Bench):
    session = bench.open()
    for _ in range(2):
        bench.record(session)
        session.keep()
    old = read_wav(bench.folder / "002_gain0_tone0.5.wav")
    assert session.back() and session.current and session.current.number == 2 and session.current.is_recorded
    bench.record(session)
    session.retake()  # thought better of it
    assert np.array_equal(read_wav(bench.folder / "002_gain0_tone0.5.wav"), old)
    assert severities(bench.record(session)) == []
    session.keep()
    assert np.array_equal(read_wav(bench.folder / "replaced" / "002_gain0_tone0.5-1.wav"), old)
    assert not np.array_equal(read_wav(bench.folder / "002_gain0_tone0.5.wav"), old)
    assert session.current and session.current.number == 3
    assert session.back() and session.back() and not session.back()
    assert session.current.number == 1


@pytest.mark.parametrize(
    ("fault", "severity", "words"),
    [
        ({"drop": (20000,)}, "fault", "the card lost audio once near 2.5 s (xrun)"),
        ({"input_gain": 40.0}, "warning", "is clipped"),
        ({"input_gain": 0.0}, "fault", "is silent"),
        ({"input_gain": 0.002, "noise": 0.0}, "warning", "is faint"),
        ({"noise": 0.05}, "warning", "has noise"),
        ({"latency": LATENCY + 90}, "fault", "is late by +94"),
        ({"device": lambda x_T: x_T}, "warning", "is its dry signal but for the level"),
        ({"device": lambda x_T: -amp(x_T, 0, 0.8)}, "fault", "has inverted polarity"),
    ],
)
def test_what_is_wrong_with_a_take_is_told_at_once(bench: Bench, fault: dict, severity: str, words: str):
    session = bench.open()
    for _ in range(2):
        bench.record(session)
        session.keep()
    usual = {name: getattr(bench.card, name) for name in fault}
    for name, value in fault.items():
        setattr(bench.card, name, value)
    verdict = bench.record(session)
    found = severities(verdict)
    assert any(kind == severity and words in message for kind, message in found), found
    assert verdict.is_better_again == (words != "has noise")  # which may be the device's own
    for name, value in usual.items():
        setattr(bench.card, name, value)
    verdict = bench.record(session)
    assert severities(verdict) == []
    session.keep()


def test_an_amp_that_warms_up_is_told(bench: Bench):
    session = bench.open()
    bench.card.device = lambda x_T: amp(x_T, 0, 0.0) * np.linspace(1, 1.5, len(x_T)).astype(np.float32)
    assert any("does not repeat itself" in message for _, message in severities(session.record()))


def test_a_knob_that_was_not_turned_is_told(bench: Bench):
    session = bench.open()
    bench.record(session)
    session.keep()
    verdict = session.record()
    assert verdict.is_unturned
    assert severities(verdict) == [
        (
            "warning",
            (
                "002_gain0_tone0.5.wav sounds the same as the take before, 001_gain0_tone0.wav "
                f"(ESR {verdict.changed_esr:.1g})"
            ),
        )
    ]
    assert verdict.findings[0].hint.startswith("Was tone turned?")


def test_a_wrong_knob_does_not_fit_its_neighbors(planned: Callable[[int], Bench]):
    bench = planned(16)
    session = bench.open()
    found: list[str] = []
    while session.current and not session.current.held:
        wrong = session.current.number == 14
        bench.dialed |= session.to_turn
        if wrong:
            bench.dialed = {"gain": 2.0, "tone": 0.0}
        found = [message for _, message in severities(session.record()) if "mislabeled" in message]
        assert wrong or not found, (session.current, found)
        if wrong:
            assert found
            return
        session.keep()
    pytest.fail("take 14 was never reached")


def test_a_card_that_stops_changes_nothing(bench: Bench):
    session = bench.open()
    bench.record(session)
    session.keep()
    bench.card.stops_after_s = 2.0
    with pytest.raises(CardLost):
        bench.record(session)
    bench.card.stops_after_s = None
    assert bench.files() == {"001_gain0_tone0.wav"} and not (bench.folder / ".unkept").exists()
    assert session.current and session.current.number == 2
    assert severities(bench.record(session)) == []


def test_a_full_disk_loses_no_kept_take(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    session = bench.open()
    for _ in range(2):
        bench.record(session)
        session.keep()
    session.back()
    bench.record(session)

    def full(*_) -> None:
        raise OSError(28, "No space left on device", "x")

    kept = (bench.folder / "002_gain0_tone0.5.wav").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("models.sessions.session_takes.shutil.copyfile", full)
        with pytest.raises(OSError, match="No space"):
            session.keep()
    assert (bench.folder / "002_gain0_tone0.5.wav").read_bytes() == kept
    assert list(bench.folder.glob("replaced/*.wav")) == []


def test_what_is_no_session_is_refused(bench: Bench, tmp_path: Path):
    with pytest.raises(NotFound, match=r"is no session: it has no train\.json"):
        SessionTakes(tmp_path / "none")
    document = json.loads((bench.folder / "train.json").read_text())
    document["entries"][0]["output_file"] = "../outside.wav"
    (bench.folder / "train.json").write_text(json.dumps(document))
    session = bench.open()
    with pytest.raises(UserError, match="cannot be recorded into"):
        bench.record(session)
    assert not (bench.folder.parent / "outside.wav").exists()


def test_everything_may_be_left_out_but_one_take(bench: Bench):
    takes = SessionTakes(bench.folder)
    takes.leave_out([takes.takes[-1].name])
    assert not (bench.folder / "held.json").exists()
    with pytest.raises(UserError, match="would have no takes"):
        takes.leave_out([planned.name for planned in takes.takes])
    assert len(SessionTakes(bench.folder).takes) == 4


@examples(200)
@given(st.data())
def test_any_progress_file_is_read_or_refused_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("progress")
    progress = SessionProgress(card="x", send_db=-3.0, round_trip_samples=12.5, skipped=("a.wav",))
    write_progress(folder, progress)
    assert read_progress(folder) == progress
    document = bent(data.draw, json.loads((folder / PROGRESS).read_text()))
    (folder / PROGRESS).write_text(json.dumps(document))
    try:
        assert isinstance(read_progress(folder), SessionProgress)
    except UserError as problem:
        assert PROGRESS in problem.message


@examples(100)
@given(st.sampled_from(GRID), st.none() | st.sampled_from(GRID), st.lists(st.sampled_from(KNOBS.names), max_size=2))
def test_turned_knobs_lead_from_one_setting_to_another(setting, before, unsure):
    turn = turned_knobs(KNOBS, before, setting, unsure)
    assert {**(before or {}), **turn} == setting
    assert set(unsure) <= set(turn)
    assert [name for name in KNOBS.names if name in turn] == list(turn)


def test_a_damaged_progress_file_is_named(bench: Bench):
    (bench.folder / PROGRESS).write_text("{")
    with pytest.raises(UserError, match=r"record\.json is not valid JSON"):
        read_progress(bench.folder)


def test_the_session_begins_anew_at_the_first_open_take(bench: Bench):
    session = bench.open()
    assert isinstance(session, GuidedSession) and session.current and session.current.number == 1
    assert session.takes.rate_hz == RATE


@pytest.mark.parametrize("name", [".unkept", "replaced"])
def test_a_link_in_a_session_leads_nowhere(name: str, bench: Bench, tmp_path: Path):
    """A session that came from somewhere neither removes nor writes files of another folder."""
    elsewhere = tmp_path / "mine"
    elsewhere.mkdir()
    (elsewhere / "song.wav").write_bytes(b"mine")
    session = bench.open()
    bench.record(session)
    session.keep()
    (bench.folder / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{name} is a link"):
        again = bench.open()
        again.go_to(1)
        bench.record(again)
        again.keep()
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {"song.wav": b"mine"}


def test_foreign_things_beside_what_nobody_kept_stay(bench: Bench):
    (bench.folder / ".unkept" / "folder").mkdir(parents=True)
    (bench.folder / ".unkept" / "old.wav").write_bytes(b"")
    session = bench.open()
    bench.record(session)
    session.keep()
    assert [path.name for path in (bench.folder / ".unkept").iterdir()] == ["folder"]


def test_files_of_a_take_are_left_out_one_by_one(tmp_path: Path):
    """With a DI and a microphone, one of them may be skipped."""
    outputs = Switch(name="output", positions=("di", "mic", "room"), default="di", files=True)
    dry = write_wav(tmp_path / "di.wav", signal())
    write_session(tmp_path / "session", KNOBS, GRID[:2], GRID[-1:], dry, outputs=outputs)
    takes = SessionTakes(tmp_path / "session")
    names = [planned.name for planned in takes.takes]
    assert len(names) == 9
    takes.leave_out([names[1], *names[3:6]])
    left = SessionTakes(tmp_path / "session")
    assert [planned.name for planned in left.takes] == [names[0], names[2], *names[6:]]
    (entry,) = json.loads((tmp_path / "session/train.json").read_text())["entries"]
    assert list(entry["output_files"]) == ["di", "room"]
