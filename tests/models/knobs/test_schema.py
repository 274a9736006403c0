"""Faceplate numbers become levels, and errors name knob, value and range."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.core.errors import UserError
from models.knobs.automation import read_automation
from models.knobs.schema import Knob, Knobs
from models.knobs.text import parse_setting
from tests.support.makers import KNOBS, examples

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@pytest.mark.parametrize(("low", "high"), [(0, 10), (0, 1), (-12, 12), (20, 20000), (-3, -1)])
def test_ends_and_middle_of_the_turn(low: float, high: float):
    knob = Knob.model_validate({"name": "gain", "min": low, "max": high})
    assert knob.default == (low + high) / 2
    assert [knob.level(value) for value in (low, (low + high) / 2, high)] == [-1, 0, 1]
    assert knob.level(low + (high - low) / 4) == pytest.approx(-0.5)


@given(low=NUMBERS, span=st.floats(0.01, 1e6), turns=st.lists(st.floats(0, 1), min_size=2, max_size=6, unique=True))
@examples(60)
def test_encoding_is_the_turn_of_the_knob(low: float, span: float, turns: list[float]):
    knob = Knob.model_validate({"name": "gain", "min": low, "max": low + span})
    for turn in turns:
        assert knob.level(low + turn * span) == pytest.approx(2 * turn - 1, abs=1e-6)


@pytest.mark.parametrize(
    ("knob", "word"),
    [
        ({"name": "gain", "min": 1, "max": 1}, "below max 1"),
        ({"name": "gain", "min": 2, "max": 1}, "min 2"),
        ({"name": "gain", "max": 10, "default": 11}, "has default 11, outside 0 to 10"),
        ({"name": "gain", "max": 10, "default": -1}, "has default -1"),
        ({"name": "Gain"}, "pattern"),
        ({"name": "2nd"}, "pattern"),
        ({"name": "g" * 33}, "pattern"),
        ({"name": "gain\n"}, "pattern"),
        ({"name": "gain", "max": math.inf}, "finite"),
        ({"name": "gain", "taper": "exponential"}, "'linear' or 'log'"),
        ({"name": "gain", "curve": 1}, "Extra inputs"),
        ({"name": "gain", "step": 2}, "step 2, wider"),
    ],
)
def test_malformed_knob_is_refused(knob: dict, word: str):
    with pytest.raises(ValidationError, match=word):
        Knob.model_validate(knob)


def test_two_knobs_of_one_name_and_too_many_knobs_are_refused():
    with pytest.raises(ValidationError, match="share a name: gain, gain"):
        Knobs.model_validate({"knobs": [{"name": "gain"}, {"name": "gain"}]})
    with pytest.raises(ValidationError, match="at most 32"):
        Knobs.model_validate({"knobs": [{"name": f"k{number}"} for number in range(33)]})


@pytest.mark.parametrize("unit", ["", "decibels", "d B", "<b>", "°C", "7", 'd"', "dB\n"])
def test_units_that_cannot_be_shown_are_refused(unit: str):
    with pytest.raises(ValidationError, match="up to 7 letters, digits, % and /|pattern"):
        Knob(name="gain", min=0, max=10, default=5, unit=unit)


def test_a_unit_is_part_of_what_is_legal():
    knob = Knob.model_validate({"name": "low", "min": -15, "max": 15, "unit": "dB"})
    assert knob.legal == "-15 to 15 dB"
    assert knob.model_dump()["unit"] == "dB" and "unit" not in KNOBS.knobs[0].model_dump()
    assert knob.scale == Knob(name="low", min=-15, max=15, default=0).scale


def test_levels_do_not_depend_on_the_order_of_the_setting():
    assert KNOBS.complete({}) == KNOBS.defaults == {"gain": 5.0, "tone": 0.5}
    for setting in ({"gain": 10, "tone": 0}, {"tone": 0, "gain": 10}):
        assert KNOBS.encode(setting) == [1, -1]
        assert list(KNOBS.complete(setting).items()) == [("gain", 10.0), ("tone", 0.0)]
    assert KNOBS.encode({"tone": 1}) == [0, 1]
    assert KNOBS.complete(KNOBS.complete({"gain": 7})) == {"gain": 7, "tone": 0.5}


@pytest.mark.parametrize("value", [-0.1, 10.5, -1e9, math.inf, math.nan])
def test_value_out_of_range_names_knob_value_and_range(value: float):
    with pytest.raises(UserError) as caught:
        KNOBS.complete({"gain": value}, "take 3")
    message = caught.value.message
    assert message.startswith("take 3: ")
    assert "'gain'" in message
    assert f"{value:.12g}" in message
    assert "0 to 10" in message


def test_value_barely_out_of_range_is_not_rounded_into_it():
    with pytest.raises(UserError, match=r"10\.0000001"):
        KNOBS.complete({"gain": 10.0000001})


@pytest.mark.parametrize(("slip", "meant"), [("gian", "gain"), ("gains", "gain"), ("ton", "tone"), ("toan", "tone")])
def test_error_for_an_unknown_knob_names_the_most_similar(slip: str, meant: str):
    with pytest.raises(UserError) as caught:
        KNOBS.encode({slip: 5})
    assert f"'{slip}'" in caught.value.message
    assert f"Did you mean '{meant}'?" in caught.value.hint
    assert "gain, tone" in caught.value.hint


def test_error_for_an_unknown_knob_lists_the_knobs():
    with pytest.raises(UserError) as caught:
        KNOBS.complete({"presence": 5})
    assert "'presence'" in caught.value.message
    assert "gain, tone" in caught.value.hint
    assert "Did you mean" not in caught.value.hint


def test_settings_are_parsed():
    names = ("gain", "tone", "mid", "low")
    knobs = Knobs.model_validate({"knobs": [{"name": name, "min": -100, "max": 100} for name in names]})
    read = knobs.complete(parse_setting(["gain=7", "tone=.25", "mid=-3", "low=1e2"]))
    assert read == {"gain": 7, "tone": 0.25, "mid": -3, "low": 100}
    assert parse_setting([]) == {}


@pytest.mark.parametrize("pair", ["gain", "gain=", "=7", "gain= ", "gain=1=2", ""])
def test_text_that_sets_no_knob_is_quoted_in_the_error(pair: str):
    with pytest.raises(UserError) as caught:
        parse_setting(["tone=1", pair])
    assert f"'{pair}'" in caught.value.message
    assert "name=number" in caught.value.hint


def test_knob_set_twice_is_refused():
    with pytest.raises(UserError, match="'gain' is set twice"):
        parse_setting(["gain=7", "tone=1", "gain=7"])


@given(pairs=st.lists(st.text(max_size=12) | st.builds("{}={}".format, st.text(max_size=5), st.floats()), max_size=4))
@examples(150)
def test_any_text_is_names_and_texts_or_an_error(pairs: list[str]):
    try:
        setting = parse_setting(pairs)
    except UserError:
        return
    assert len(setting) == len(pairs)
    assert all(name and isinstance(value, str) and value.strip() for name, value in setting.items())


SWITCHED = Knobs.model_validate(
    {
        "knobs": [
            {"name": "volume", "max": 10, "taper": "log", "avoid_zero": True, "step": 0.5},
            {"name": "channel", "positions": ["clean", "crunch", "lead"]},
            {"name": "gain", "max": 10, "gain": True},
        ]
    }
)


def test_switch_is_one_hot_and_rests_at_its_first_position():
    assert SWITCHED.columns() == 5
    assert SWITCHED.defaults == {"volume": 5, "channel": "clean", "gain": 5}
    assert SWITCHED.encode({"channel": "lead"})[1:] == [0, 0, 1, 0]
    assert SWITCHED.complete(parse_setting(["channel=crunch", "gain=2"]))["channel"] == "crunch"


@pytest.mark.parametrize(
    ("knob", "word"),
    [
        ({"name": "mode", "positions": ["on"]}, "at least 2"),
        ({"name": "mode", "positions": ["on", "on"]}, "two positions of one name"),
        ({"name": "mode", "positions": ["on", "off"], "default": "up"}, "none of on, off"),
        ({"name": "mode", "positions": ["on", "off\n"]}, "pattern"),
        ({"name": "mode", "positions": ["on", "off"], "max": 2}, "Extra inputs"),
    ],
)
def test_malformed_switch_is_refused(knob: dict, word: str):
    with pytest.raises(ValidationError, match=word):
        Knobs.model_validate({"knobs": [knob]})


def test_unknown_position_lists_the_known_ones():
    with pytest.raises(UserError) as caught:
        SWITCHED.complete({"channel": "leed"}, "take 3")
    assert caught.value.message == "take 3: switch 'channel' is 'leed'"
    assert caught.value.hint == "Its positions are: clean, crunch, lead. Did you mean 'lead'?"


@pytest.mark.parametrize("value", [None, [], {}, b"lead", 1j, 10**400, float("nan")])
def test_what_no_position_can_be_is_refused_in_our_words(value: Any):
    """As Python code may state it."""
    with pytest.raises(UserError, match="take 3: switch 'channel' is "):
        SWITCHED.complete({"channel": value}, "take 3")


def test_two_gains_are_refused():
    with pytest.raises(ValidationError, match="more than one knob is the gain: a, b"):
        Knobs.model_validate({"knobs": [{"name": "a", "gain": True}, {"name": "b", "gain": True}]})


def test_a_gain_cannot_filter_after_the_distortion_that_it_drives():
    with pytest.raises(ValidationError, match=r"'a' cannot drive the amp \(gain\) and filter after its distortion"):
        Knobs.model_validate({"knobs": [{"name": "a", "gain": True, "after": True}]})


def test_a_stated_filter_is_in_the_dump_and_has_the_scale_of_any_knob():
    plain, stated = Knob(name="tone", default=0), Knob(name="tone", default=0, after=True)
    assert stated.model_dump()["after"] is True
    assert "after" not in plain.model_dump()
    assert plain.scale == stated.scale


def test_audio_taper_divides_by_15_percent_at_the_middle():
    volume = SWITCHED.knobs[0]
    assert isinstance(volume, Knob)
    assert [(volume.level(value) + 1) / 2 for value in (0, 5, 10)] == pytest.approx([0, 0.15, 1])


def test_dump_leaves_out_usual_values_and_reads_back():
    dumped = SWITCHED.model_dump()["knobs"]
    assert dumped[2] == {"name": "gain", "min": 0, "max": 10, "default": 5, "gain": True}
    assert Knobs.model_validate({"knobs": dumped}) == SWITCHED


def test_type_level_encodes_the_moved_knob_and_its_level():
    assert KNOBS.columns("type_level") == 3
    assert KNOBS.encode({}, "type_level") == [0, 0, 0]
    assert KNOBS.encode({"gain": 10}, "type_level") == [1, 0, 1]
    assert KNOBS.encode({"gain": 6, "tone": 0}, "type_level") == [0, 1, -1]  # the farthest of two
    with pytest.raises(UserError, match="switch"):
        SWITCHED.encode({}, "type_level")


@pytest.mark.parametrize(
    ("positions", "value", "found"),
    [
        (["1", "2"], "1", "1"),
        (["1", "2"], 1, "1"),
        (["1", "2"], 2.0, "2"),
        (["1", "1.0"], "1.0", "1.0"),
        (["1", "1.0"], 1.0, "1.0"),
        (["1", "1.0"], 1, "1"),
        (["1e3", "007", "1234567"], "1e3", "1e3"),
        (["1e3", "007", "1234567"], "007", "007"),
        (["1e3", "007", "1234567"], 7, "007"),
        (["1e3", "007", "1234567"], 1234567, "1234567"),
        (["0.1", "0.2"], np.float32(0.1), "0.1"),
        (["nan", "inf"], "inf", "inf"),
        (["off", "on"], True, "on"),
        (["Off", "On"], False, "Off"),
        (["on", "true"], True, "true"),
        (["lead ", "clean"], "lead ", "lead "),
        (["lead", "clean"], " lead", "lead"),
        (["1", "2"], True, None),
        (["off", "on"], 1, None),
        (["off", "on"], "ON", None),
        (["1", "2"], "1.0", None),
    ],
)
def test_position_is_its_name_letter_for_letter_wherever_it_is_written(
    tmp_path: Path, positions: list[str], value: Any, found: str | None
):
    knobs = Knobs.model_validate({"knobs": [{"name": "mode", "positions": positions}]})
    settings: list[Any] = [{"mode": value}]
    if isinstance(value, str):
        settings.append(parse_setting([f"mode={value}"]))
    if found is None:
        for setting in settings:
            with pytest.raises(UserError, match="switch 'mode' is '"):
                knobs.complete(setting)
        return
    assert [knobs.complete(setting) for setting in settings] == [{"mode": found}] * len(settings)
    (tmp_path / "moves.csv").write_text(
        f"seconds,mode\n0,{value}\n" if isinstance(value, str) else f"seconds,mode\n0,{found}\n"
    )
    assert read_automation(tmp_path / "moves.csv", knobs, {}).settings == ({"mode": found},)


@pytest.mark.parametrize("value", [True, False, None, "1_0", "nan", [1], 10**400, "loud", np.bool_(True)])
def test_what_is_no_number_turns_no_knob(value: Any):
    knobs = Knobs.model_validate({"knobs": [{"name": "gain", "max": 10}]})
    with pytest.raises(UserError, match="'gain' is '.*', which is not a number"):
        knobs.complete({"gain": value})
