"""Takes in other trainers' formats equal those of the joint format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import UserError
from models.recordings.manifest import Manifest, read_manifest
from tests.support.makers import JOINT, JSON, examples

SETTINGS = [(f"{entry['output_file']}", entry["knobs"]) for entry in JOINT["entries"]]
CUTS = {"start_seconds": None, "stop_seconds": -9.0, "ny": 8192}
PARAMETRIC: dict[str, Any] = {
    "type": "parametric",
    "train": [{"y_path": wet, "params": {"Gain": s["gain"], "Channel": s["channel"]}, **CUTS} for wet, s in SETTINGS],
    "validation": [{"y_path": "5.wav", "params": {"Gain": 4.5, "Channel": "clean"}, "delay": 7}],
    "common": {"x_path": "di.wav", "delay": 3, "sample_rate": 48000},
}
MULTI_KNOB = {
    "type": "multi_knob",
    "train": [{"x_path": "di.wav", "y_path": wet, "knob_settings": s, "ny": 8192} for wet, s in SETTINGS],
    "validation": {"x_path": "di.wav", "y_path": "5.wav", "knob_settings": {"gain": 4.5, "channel": "clean"}},
    "common": {"sample_rate": 48000, "delay": 1534},
}


def read(folder: Path, value: Any) -> Manifest:
    (folder / "amp.json").write_text(json.dumps(value), encoding="utf-8")
    return read_manifest(folder / "amp.json")


def plain(manifest: Manifest) -> tuple:
    takes = [(take.dry, take.wet, take.setting) for take in manifest.takes]
    return manifest.knobs, takes, manifest.sample_rate


@pytest.mark.parametrize("other", [PARAMETRIC, MULTI_KNOB], ids=["parametric", "multi_knob"])
def test_form_gives_the_takes_of_the_joint_form(tmp_path: Path, other: dict):
    joint, found = read(tmp_path, JOINT), read(tmp_path, other)
    assert plain(found) == plain(joint) and not joint.held_takes
    assert [(t.wet.name, t.setting) for t in found.held_takes] == [("5.wav", {"gain": 4.5, "channel": "clean"})]


def test_delay_is_carried_with_the_sign_of_its_form(tmp_path: Path):
    """Parametric: the output is late. Multi-knob: so many samples of the output's start were cut."""
    read_as = {"parametric": PARAMETRIC, "multi_knob": MULTI_KNOB}
    found = {kind: read(tmp_path, value) for kind, value in read_as.items()}
    assert {take.delay_samples for take in found["parametric"].takes} == {3}
    assert [take.delay_samples for take in found["parametric"].held_takes] == [7]
    assert {take.delay_samples for take in found["multi_knob"].takes} == {-1534}
    own = {**JOINT, "entries": [{**JOINT["entries"][0], "delay_samples": -2.25}, JOINT["entries"][1]]}
    assert [take.delay_samples for take in read(tmp_path, own).takes] == [-2.25, None]


def test_isolated_and_joint_format_give_the_same_takes(tmp_path: Path):
    levels = {"gain": (0.0, 1.0), "tone": (0.0, 1.0)}
    rest = {"gain": 0.5, "tone": 0.5}
    moved = [(knob, level) for knob, ends in levels.items() for level in ends]
    files = [{"input_path": "di.wav", "output_path": f"{knob}{level}.wav"} for knob, level in moved]
    isolated = [
        {**file, "knob_type": knob, "knob_level": level} for file, (knob, level) in zip(files, moved, strict=True)
    ]
    joint = [{**file, "knobs": {**rest, knob: level}} for file, (knob, level) in zip(files, moved, strict=True)]
    assert plain(read(tmp_path, isolated)) == plain(read(tmp_path, {"entries": joint, "knobs": ["gain", "tone"]}))
    assert plain(read(tmp_path, {"entries": isolated})) == plain(read(tmp_path, isolated))


def test_entries_under_common_with_described_parameters(tmp_path: Path):
    knob = {"type": "continuous", "default_value": 3.0, "minimum_value": 0.0, "maximum_value": 10.0}
    (tmp_path / "audio").mkdir()
    for name in ("1.wav", "4.wav"):
        (tmp_path / "audio" / name).touch()
    data = [{"y_path": f"audio\\{n}.wav", "parameters": {"Drive Knob": n}} for n in (1, 4)]
    common = {"x_path": "di.wav", "parameters": {"Drive Knob": knob}, "data": data}
    found = read(tmp_path, {"type": "parametric", "train": CUTS, "validation": CUTS, "common": common})
    assert (found.knobs.knobs[0].scale, found.knobs.defaults) == (("drive_knob", 0, 10, "linear"), {"drive_knob": 3})
    assert [(t.wet, t.setting) for t in found.takes] == [
        (tmp_path / "audio" / f"{n}.wav", {"drive_knob": n}) for n in (1, 4)
    ]


def test_undeclared_knobs_of_a_trainers_form_are_what_occurs(tmp_path: Path):
    params = [
        {"gain": 0.2, "bass": 3, "bright": True, "bank": "a", "presence": 7},
        {"gain": 0.9, "bass": -2, "bright": False, "bank": "a", "presence": 7},
    ]
    train = [{"x_path": "d.wav", "y_path": f"{n}.wav", "params": p} for n, p in enumerate(params)]
    found = read(tmp_path, {"type": "parametric", "train": train})
    assert [knob.scale for knob in found.knobs.knobs] == [
        ("gain", 0, 1, "linear"),
        ("bass", -2, 3, "linear"),
        ("bright", "on", "off"),
    ]  # and what stands still at a word or off 0 to 1 is left out
    assert [take.setting["bright"] for take in found.takes] == ["on", "off"]
    declared = {"knobs": [{"name": "bass", "min": -5, "max": 5}, "gain", "bright"]}
    with pytest.raises(UserError, match="'bank'"):
        read(tmp_path, {"type": "parametric", "train": train, **declared})


def test_words_alone_make_a_switch_in_our_own_form(tmp_path: Path):
    entries: list[dict[str, Any]] = [
        {"input_file": "d.wav", "output_file": f"{n}.wav", "knobs": {"gain": n, "channel": word}}
        for n, word in ((0, "lead"), (1, "clean"))
    ]
    assert [k.scale for k in read(tmp_path, entries).knobs.knobs][1] == ("channel", "lead", "clean")
    entries[0]["knobs"]["channel"] = 0.5
    with pytest.raises(UserError, match="'clean', which is not a number"):
        read(tmp_path, entries)


@pytest.mark.parametrize(("top", "entry", "found"), [(None, None, None), ("left", None, 0), (0, "right", 1), (1, 0, 0)])
def test_channel_is_named_at_the_top_or_in_the_entry(tmp_path: Path, top: Any, entry: Any, found: int | None):
    one = {**JOINT["entries"][0], **({} if entry is None else {"channel": entry})}
    assert read(tmp_path, {**JOINT, "entries": [one], "channel": top}).takes[0].channel == found
    theirs = {"type": "multi_knob", "train": {"x_path": "d", "y_path": "w", "knob_settings": {}, "channel": entry}}
    assert read(tmp_path, {**theirs, "channel": top}).takes[0].channel == found


ENTRY = PARAMETRIC["train"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "lstm"}, ["'type' is 'lstm'"]),
        ({"train": []}, ["lists no takes"]),
        ({"train": [3]}, ["'train", "3"]),
        ({"train": [{"params": {}}]}, ["train 1", "'y_path' is missing"]),
        ({"train": [ENTRY, {**ENTRY, "y_scale": 2.0}]}, ["train 2", "unknown key 'y_scale'"]),
        ({"train": [{**ENTRY, "params": {"Gain": 1, "gain": 2}}]}, ["train 1", "share a name: gain, gain"]),
        ({"train": [{**ENTRY, "params": {"Gain": [1]}}]}, ["train 1", "[1]"]),
        ({"train": [{**ENTRY, "delay": "late"}]}, ["train 1", "'delay' is 'late'"]),
        ({"train": [{**ENTRY, "channel": 2}]}, ["train 1", "'channel' is 2"]),
        ({"common": {"sample_rate": 3}}, ["common", "'sample_rate' is 3"]),
        ({"common": {"data": 3}}, ["common.data is not an object"]),
        ({"common": {"data": [ENTRY], "parameters": 3}}, ["common.parameters is not an object"]),
        ({"common": {"data": [ENTRY], "parameters": {"Gain": {"type": "lfo"}}}}, ["parameters.Gain", "'lfo'"]),
        ({"color": 1}, ["unknown key 'color'"]),
    ],
)
def test_fault_in_a_trainers_form_names_the_place(tmp_path: Path, change: dict, words: list[str]):
    whole = {**PARAMETRIC, **change}
    if "sample_rate" not in whole["common"]:
        whole["common"] = {"x_path": "di.wav", **whole["common"]}
    with pytest.raises(UserError) as caught:
        read(tmp_path, whole)
    message = caught.value.message
    assert str(tmp_path / "amp.json") in message and all(word in message for word in words), message
    assert "\n" not in message and caught.value.hint


VALUES = st.booleans() | st.floats(-20, 20) | st.sampled_from(["lead", "clean", ""]) | JSON
THEIR_ENTRIES = st.fixed_dictionaries(
    {"y_path": st.sampled_from(["1.wav", "2.wav"])},
    optional={
        "x_path": st.just("d.wav"),
        "params": st.dictionaries(st.sampled_from(["Gain", "gain", "Tone"]) | st.text(max_size=4), VALUES, max_size=3),
        "knob_settings": st.dictionaries(st.sampled_from(["gain", "tone"]), VALUES, max_size=3) | JSON,
        "delay": st.floats(-99, 99) | JSON,
        "ny": JSON,
        "channel": st.sampled_from([0, 1, "left", "right", 2]) | JSON,
        "color": JSON,
    },
)
PARTS = THEIR_ENTRIES | st.lists(THEIR_ENTRIES, max_size=4) | JSON
THEIRS = st.fixed_dictionaries(
    {"type": st.sampled_from(["parametric", "multi_knob"]) | JSON, "train": PARTS},
    optional={
        "validation": PARTS,
        "common": st.fixed_dictionaries(
            {"x_path": st.just("d.wav")},
            optional={
                "delay": JSON,
                "sample_rate": st.just(48000) | JSON,
                "data": PARTS,
                "parameters": st.dictionaries(
                    st.sampled_from(["Gain", "Tone"]), st.fixed_dictionaries({}, optional={"minimum_value": VALUES})
                )
                | JSON,
            },
        )
        | JSON,
        "knobs": JSON,
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


@given(value=THEIRS)
@examples(300)
def test_any_file_of_a_trainer_is_takes_or_a_user_error(folder: Path, value: Any):
    try:
        found = read(folder, value)
    except UserError as problem:
        assert "amp.json" in problem.message
        return
    for take in found.takes + found.held_takes:
        assert list(take.setting) == list(found.knobs.names)
        assert np.all(np.abs(found.knobs.encode(take.setting)) <= 1) and take.channel in (None, 0, 1)
