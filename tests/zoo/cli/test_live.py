"""`zoo play --live`: what keys and MIDI messages do, and what is said where nothing can be played."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.playback.live import parse_controllers
from tests.models.playback.test_live import ALL, Echo, live
from tests.support.packages import AMP, refused, zoo
from zoo.cli.keys import END_OF_KEYS
from zoo.cli.live import LiveDesk


def change(control: int, value: int) -> SimpleNamespace:
    """A control change as mido gives it."""
    return SimpleNamespace(type="control_change", control=control, value=value)


def desk() -> LiveDesk:
    """A desk with an amp of four knobs."""
    return LiveDesk(live(Echo()), parse_controllers((), ALL))


def test_keys_turn_the_chosen_knob():
    found = desk()
    for key in "+2---3+b9?":
        assert found.press(key)
    assert found.amp.setting == {"gain": 5.5, "tone": pytest.approx(0.35), "channel": "crunch", "mix": 0}
    assert found.chosen == "channel" and found.amp.is_bypassed
    assert found.press("d") and found.amp.setting["channel"] == "clean"
    assert not found.press("q") and not found.press(END_OF_KEYS)


def test_midi_turns_knobs_and_is_learned():
    found = desk()
    found.receive([change(20, 127), change(22, 64), change(99, 3), SimpleNamespace(type="note_on", note=1)])
    assert (found.amp.setting["gain"], found.amp.setting["channel"]) == (10.0, "crunch")
    found.press("2")
    found.press("m")
    assert "move a controller for tone (now 21)" in found.status(0)
    found.receive([change(20, 0)])  # it was gain's
    assert found.amp.setting["tone"] == 0.0 and found.controllers[20] == "tone"
    assert sorted(found.controllers.values()) == sorted(ALL.names)


def test_the_status_has_knobs_levels_and_drop_outs():
    found = desk()
    out_T = np.zeros(8, np.float32)
    found.amp.process(np.full(8, 0.5, np.float32), out_T)
    text = found.status(3)
    assert ">gain 5  tone 0.5  channel clean  mix 0" in text and "in -6  out -6 dBFS" in text
    assert "3 drop-outs" in text and "in -200" in found.status(3)


def test_what_cannot_be_played_is_said(here, monkeypatch: pytest.MonkeyPatch):
    refused(zoo("play", "--live"), 1, "--live needs an amp")
    refused(zoo("play", AMP, "--knob", "gain=3", "--cc", "gain=1"), 2, "--cc and --knob: only for --live", "#gain=3")
    refused(zoo("play", AMP, "--live", "--cc", "drive=1"), 1, "'drive=1' gives no knob a controller")
    refused(zoo("play", AMP, "--live", "--knob", "gain=99"), 1, "gain")
    monkeypatch.setattr(pytest.importorskip("mido"), "get_input_names", lambda: ["Keys 49"], raising=False)
    refused(zoo("play", AMP, "--live", "--midi", "x"), 3, "no MIDI input is called 'x'", "Keys 49")
