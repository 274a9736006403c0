"""A manifest in any format gives the right takes; an error names the file, the key and the value."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import UserError
from models.knobs.schema import Setting
from models.recordings.manifest import Manifest, read_manifest
from tests.support.makers import JSON, entry, examples

TAKE = entry("dry.wav", "wet.wav", {"gain": 0.5})
ISOLATED = {"input_file": "dry.wav", "output_file": "wet.wav", "knob_type": "gain", "knob_level": 0.5}
KNOB = {"name": "gain", "min": 0, "max": 10, "default": 5}


def isolated(wet: str, knob: str, level: float) -> dict[str, Any]:
    return {"input_file": "dry.wav", "output_file": wet, "knob_type": knob, "knob_level": level}


def manifest(folder: Path, value: Any) -> Manifest:
    path = folder / "amp.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return read_manifest(path)


def found(read: Manifest) -> list[tuple[str, Setting]]:
    return [(take.wet.name, take.setting) for take in read.takes]


ONE_KNOB_AT_A_TIME = [
    isolated("dark.wav", "tone", 0.0),
    isolated("rest.wav", "tone", 0.25),
    isolated("rest.wav", "gain", 0.75),
    isolated("hot.wav", "gain", 1.0),
]


@pytest.mark.parametrize("value", [ONE_KNOB_AT_A_TIME, {"entries": ONE_KNOB_AT_A_TIME, "device": "tiny"}])
def test_isolated_default_is_where_knobs_share_a_file(tmp_path: Path, value: Any):
    read = manifest(tmp_path, value)
    assert read.knobs.defaults == {"tone": 0.25, "gain": 0.75}
    assert found(read) == [
        ("dark.wav", {"tone": 0.0, "gain": 0.75}),
        ("rest.wav", {"tone": 0.25, "gain": 0.75}),  # once, though listed twice
        ("hot.wav", {"tone": 0.25, "gain": 1.0}),
    ]


def test_isolated_takes_rest_in_the_middle_when_no_file_tells(tmp_path: Path):
    entries = [isolated("dark.wav", "tone", 0.0), isolated("hot.wav", "gain", 1.0)]
    assert found(manifest(tmp_path, entries)) == [
        ("dark.wav", {"tone": 0.0, "gain": 0.5}),
        ("hot.wav", {"tone": 0.5, "gain": 1.0}),
    ]


@pytest.mark.parametrize("default", [0.1, None])
def test_stated_default_wins_over_the_resting_take(tmp_path: Path, default: float | None):
    gain = {"name": "gain", "min": 0, "max": 2} | ({} if default is None else {"default": default})
    read = manifest(tmp_path, {"knobs": [gain, "tone"], "entries": ONE_KNOB_AT_A_TIME})
    assert read.knobs.defaults == {"gain": 0.75 if default is None else default, "tone": 0.25}


def test_joint_takes_are_completed_with_defaults(tmp_path: Path):
    knobs = ["tone", KNOB, {"name": "mid", "min": -12, "max": 12}]
    entries = [
        entry("a/dry.wav", "a/1.wav", {"gain": 10, "tone": 1}),
        entry("a/dry.wav", "../2.wav", {"mid": -12}),
        entry("a/dry.wav", "a/3.wav", {}),
    ]
    top = {"device": "Plexi", "license": "cc-by-4.0", "sample_rate": 44100, "note": "loud", "description": "old"}
    read = manifest(tmp_path, {"knobs": knobs, "entries": entries, **top})
    assert [list(take.setting.items()) for take in read.takes] == [
        [("tone", 1), ("gain", 10), ("mid", 0)],
        [("tone", 0.5), ("gain", 5), ("mid", -12)],
        [("tone", 0.5), ("gain", 5), ("mid", 0)],
    ]
    assert {take.dry for take in read.takes} == {tmp_path / "a" / "dry.wav"}
    assert read.takes[1].wet == tmp_path / ".." / "2.wav"
    assert (read.device, read.license, read.sample_rate) == ("Plexi", "cc-by-4.0", 44100)


def test_knobs_are_derived_from_entries_when_not_listed(tmp_path: Path):
    read = manifest(tmp_path, [entry("d.wav", "1.wav", {"gain": 1}), entry("d.wav", "2.wav", {"tone": 0, "gain": 0})])
    assert [(*knob.scale[:3], knob.default) for knob in read.knobs.knobs] == [
        ("gain", 0, 1, 0.5),
        ("tone", 0, 1, 0.5),
    ]


def test_joint_knobs_rest_where_most_takes_have_them(tmp_path: Path):
    levels = ((0.1, 0.7), (0.5, 0.7), (0.9, 0.7), (0.5, 0.2), (0.3, 1))
    entries = [entry("d.wav", f"{n}.wav", {"gain": g, "level": v}) for n, (g, v) in enumerate(levels)]
    assert manifest(tmp_path, entries).knobs.defaults == {"gain": 0.5, "level": 0.7}


def test_amp_without_knobs_has_one_setting(tmp_path: Path):
    assert found(manifest(tmp_path, [entry("d.wav", "1.wav", {})])) == [("1.wav", {})]


def without(document: dict, key: str) -> dict:
    return {name: value for name, value in document.items() if name != key}


def instead(level: str) -> str:
    return json.dumps({"entries": [TAKE]}).replace("0.5", level)


FAULTS: dict[str, tuple[Any, list[str]]] = {
    "not JSON": ("gain: 5", ["not valid JSON", "line 1"]),
    "cut off": (json.dumps([TAKE])[:-5], ["not valid JSON"]),
    "nothing": ("", ["not valid JSON"]),
    "NaN": (instead("NaN"), ["NaN"]),
    "Infinity": (instead("Infinity"), ["Infinity"]),
    "-Infinity": (instead("-Infinity"), ["-Infinity"]),
    "overflow": (instead("1e999"), ["not valid JSON: a number is too large"]),
    "long number": (instead("1" + "0" * 400), ["not valid JSON: a number has 401 digits"]),
    "longer number": (instead("1" + "0" * 5000), ["not valid JSON: a number has 5,001 digits"]),
    "key twice at the top": ('{"entries": [], "entries": []}', ["appears twice", "'entries'"]),
    "key twice in an entry": (json.dumps([TAKE]).replace('"gain"', '"gain": 1, "gain"'), ["appears twice", "'gain'"]),
    "deep lists": ("[" * 100_000 + "]" * 100_000, ["nested too deeply"]),
    "deep objects": ('{"entries":' * 100_000 + "1" + "}" * 100_000, ["nested too deeply"]),
    "no entries": ({"device": "Plexi"}, ["'entries' is missing"]),
    "no takes": ({"entries": []}, ["lists no takes"]),
    "empty list": ([], ["lists no takes"]),
    "a number": (3, ["3"]),
    "null": (None, ["null"]),
    "entries an object": ({"entries": {"0": TAKE}}, ["'entries'", "dry.wav"]),
    "entry a number": ([TAKE, 7], ["'entries.1' is 7"]),
    "unknown key at the top": ({"entries": [TAKE], "color": 1}, ["unknown key 'color'"]),
    "unknown key in an entry": ([TAKE, {**TAKE, "color": 1}], ["entry 2", "unknown key 'color'"]),
    "both forms in an entry": ([{**TAKE, **ISOLATED}], ["entry 1", "unknown key 'knobs'"]),
    "no input_file": ([without(TAKE, "input_file")], ["entry 1", "'input_file' is missing"]),
    "no output_file": ([TAKE, without(TAKE, "output_file")], ["entry 2", "'output_file' is missing"]),
    "no knobs": ([without(TAKE, "knobs")], ["entry 1", "'knobs' is missing"]),
    "no knob_level": ([without(ISOLATED, "knob_level")], ["entry 1", "'knob_level' is missing"]),
    "no knob_type": ([without(ISOLATED, "knob_type")], ["entry 1", "'knob_type' is missing"]),
    "level a word": ([entry("d.wav", "w.wav", {"gain": "loud"})], ["entry 1", "'gain'", "'loud'"]),
    "level null": ([{**ISOLATED, "knob_level": None}], ["entry 1", "'knob_level' is null"]),
    "knobs a list": ([{**TAKE, "knobs": [0.5]}], ["entry 1", "'knobs' is [0.5]"]),
    "file a number": ([{**TAKE, "output_file": 5}], ["entry 1", "'output_file' is 5"]),
    "level too high": ([TAKE, entry("d.wav", "w.wav", {"gain": 1.5})], ["entry 2 (w.wav)", "'gain'", "1.5", "0 to 1"]),
    "level too low": ([{**ISOLATED, "knob_level": -0.1}], ["entry 1 (wet.wav)", "'gain'", "-0.1", "0 to 1"]),
    "level off the faceplate": (
        {"knobs": [KNOB], "entries": [entry("d.wav", "w.wav", {"gain": 10.5})]},
        ["entry 1 (w.wav)", "'gain'", "10.5", "0 to 10"],
    ),
    "knob not listed": ({"knobs": ["tone"], "entries": [TAKE]}, ["entry 1 (wet.wav)", "'gain'"]),
    "isolated knob not listed": ({"knobs": ["tone"], "entries": [ISOLATED]}, ["entry 1 (wet.wav)", "'gain'"]),
    "knob listed twice": ({"knobs": ["gain", "gain"], "entries": [TAKE]}, ["share a name", "gain"]),
    "knob name with a space": (
        [TAKE, entry("d.wav", "w.wav", {"Gain Knob": 0.5})],
        ["entry 2 (w.wav)", "'Gain Knob' cannot be the name of a knob"],
    ),
    "true for a knob": ([entry("d.wav", "w.wav", {"gain": True})], ["entry 1 (w.wav)", "'gain' is 'true'"]),
    "position with an umlaut": (
        [entry("d.wav", f"{word}.wav", {"mode": word}) for word in ("bright", "d\u00fcster")],
        ["entry 2 (d\u00fcster.wav)", "'mode' is 'd\u00fcster'"],
    ),
    "twenty words": (
        [entry("d.wav", f"{n}.wav", {"mode": f"m{n}"}) for n in range(20)],
        ["'mode' has 20 different words, at most 16"],
    ),
    "most takes off the faceplate": (
        {"knobs": [KNOB], "entries": [entry("d.wav", f"{n}.wav", {"gain": 11}) for n in range(2)]},
        ["entry 1 (0.wav)", "'gain' is 11", "0 to 10"],
    ),
    "resting level off the faceplate": (
        [isolated("rest.wav", "gain", 3), isolated("rest.wav", "tone", 0.5)],
        ["entry 1 (rest.wav)", "'gain' is 3", "0 to 1"],
    ),
    "rate too low": ({"sample_rate": 7999, "entries": [TAKE]}, ["'sample_rate' is 7999", "8000"]),
    "rate a word": ({"sample_rate": "fast", "entries": [TAKE]}, ["'sample_rate' is 'fast'"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_one_sentence_naming_file_key_and_value(tmp_path: Path, fault: str):
    value, words = FAULTS[fault]
    with pytest.raises(UserError) as caught:
        manifest(tmp_path, value)
    message = caught.value.message
    assert str(tmp_path / "amp.json") in message and all(word in message for word in words), message
    assert "\n" not in message and caught.value.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"min": "low"}, ["knobs.0.min", "'low'"]),
        ({"curve": "log"}, ["unknown key", "curve"]),
        ({"min": 20}, ["min 20"]),
        ({"default": 11}, ["has default 11"]),
    ],
)
def test_fault_in_a_listed_knob_names_its_key(tmp_path: Path, change: dict, words: list[str]):
    with pytest.raises(UserError) as caught:
        manifest(tmp_path, {"knobs": [{**KNOB, **change}], "entries": [TAKE]})
    assert all(word in caught.value.message for word in words), caught.value.message


def test_all_wrong_entries_are_told_at_once(tmp_path: Path):
    takes = [entry("d.wav", f"{n}.wav", {"gain": 11 + n}) for n in range(7)]
    with pytest.raises(UserError) as caught:
        manifest(tmp_path, {"knobs": [KNOB], "entries": takes})
    message = caught.value.message
    assert all(f"entry {n + 1} ({n}.wav): knob 'gain' is {11 + n}" in message for n in range(5)), message
    assert message.endswith("; and 2 more")
    assert message.count(str(tmp_path)) == 1
    with pytest.raises(UserError, match=r"entry 1.*; entry 2") as caught:
        manifest(tmp_path, [{**TAKE, "knbos": {}}, {**TAKE, "input_file": 3}, TAKE])


def test_huge_whole_number_as_a_range_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError):
        manifest(tmp_path, {"knobs": [{"name": "gain", "max": 10**400}], "entries": [TAKE]})


@pytest.mark.parametrize("field", ["input_file", "output_file"])
def test_file_name_that_is_not_text_is_a_user_error(tmp_path: Path, field: str):
    with pytest.raises(UserError) as caught:
        manifest(tmp_path, [{**TAKE, field: "\ud800.wav"}])
    caught.value.message.encode()


def test_file_that_cannot_be_read_is_a_user_error(tmp_path: Path):
    (tmp_path / "latin.json").write_bytes(b'{"device": "caf\xe9"}')
    for name, words in (("none.json", "does not exist"), ("", "is a folder"), ("latin.json", "is not UTF-8")):
        with pytest.raises(UserError, match=words) as caught:
            read_manifest(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", ["amp.json/more.json", "a" * 300 + ".json"])
def test_path_that_cannot_exist_is_a_user_error(tmp_path: Path, name: str):
    manifest(tmp_path, [TAKE])
    with pytest.raises(UserError):
        read_manifest(tmp_path / name)


LEVELS = st.floats(0, 1) | st.integers(-1, 2) | JSON
NAMES = st.sampled_from(["gain", "tone", "mid"]) | st.text(max_size=5)
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"input_file": st.just("d.wav"), "output_file": st.sampled_from(["1.wav", "2.wav"])},
        optional={
            "knobs": st.dictionaries(NAMES, LEVELS, max_size=3) | JSON,
            "knob_type": NAMES,
            "knob_level": LEVELS,
            "color": JSON,
        },
    ),
    JSON,
)
NEARLY = st.fixed_dictionaries(
    {"entries": st.lists(ENTRIES, max_size=4) | JSON},
    optional={
        "knobs": JSON
        | st.lists(
            NAMES | st.fixed_dictionaries({"name": NAMES}, optional={"min": LEVELS, "max": LEVELS, "default": LEVELS})
        ),
        "sample_rate": JSON,
        "device": JSON,
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


def reads_or_refuses(folder: Path, content: bytes) -> None:
    path = folder / "any.json"
    path.write_bytes(content)
    try:
        read = read_manifest(path)
    except UserError as problem:
        assert "any.json" in problem.message
        return
    assert read.takes
    for take in read.takes:
        assert list(take.setting) == list(read.knobs.names)
        assert all(-1 <= level <= 1 for level in read.knobs.encode(take.setting))


@given(value=JSON | NEARLY | st.lists(ENTRIES, max_size=4))
@examples(400)
def test_any_json_is_a_manifest_or_a_user_error(folder: Path, value: Any):
    reads_or_refuses(folder, json.dumps(value).encode())


@given(
    content=st.binary(max_size=40)
    | st.text(alphabet='[]{}":,0123456789.eE+-truefalsn \\u', max_size=30).map(str.encode)
)
@examples(200)
def test_any_bytes_are_a_manifest_or_a_user_error(folder: Path, content: bytes):
    reads_or_refuses(folder, content)


@pytest.mark.parametrize(
    ("values", "positions"),
    [((1, 1, 2), ("1", "2")), ((1.0, 1.0, 2.0), ("1.0", "2.0")), ((True, True, False), ("off", "on"))],
)
def test_number_or_truth_is_a_position_as_written(tmp_path: Path, values: tuple, positions: tuple):
    entries = [entry("d.wav", f"{n}.wav", {"mode": value}) for n, value in enumerate(values)]
    read = manifest(tmp_path, {"knobs": [{"name": "mode", "positions": positions}], "entries": entries})
    first, last = (positions[1], positions[0]) if values[0] is True else positions
    assert [setting["mode"] for _, setting in found(read)] == [first, first, last]
    assert read.knobs.defaults == {"mode": first}  # where most takes have it


def test_truths_alone_make_a_switch_and_quoted_numbers_a_knob(tmp_path: Path):
    entries = [entry("d.wav", f"{n}.wav", {"bright": n == 0, "gain": f"0.{n}"}) for n in range(2)]
    read = manifest(tmp_path, entries)
    assert [knob.scale for knob in read.knobs.knobs] == [("bright", "on", "off"), ("gain", 0, 1, "linear")]
    assert found(read)[1][1] == {"bright": "off", "gain": 0.1}


@pytest.mark.parametrize("form", ["joint", "isolated", "multi_knob", "parametric"])
def test_backslashes_of_another_system_lead_to_the_file(tmp_path: Path, form: str):
    (tmp_path / "takes").mkdir()
    for name in ("takes/g0.wav", "di.wav"):
        (tmp_path / name).touch()
    pair = {"x_path": "di.wav", "y_path": r"takes\g0.wav"}
    files = {"input_file": "di.wav", "output_file": r"takes\g0.wav"}
    forms: dict[str, Any] = {
        "joint": [{**files, "knobs": {"gain": 0}}],
        "isolated": [{**files, "knob_type": "gain", "knob_level": 0}],
        "multi_knob": {"type": "multi_knob", "train": [{**pair, "knob_settings": {"gain": 0}}]},
        "parametric": {"type": "parametric", "train": [{**pair, "params": {"gain": 0}}]},
    }
    assert manifest(tmp_path, forms[form]).takes[0].wet == tmp_path / "takes" / "g0.wav"
    (tmp_path / r"takes\g0.wav").touch()  # legal here, so it is meant
    assert manifest(tmp_path, forms[form]).takes[0].wet == tmp_path / r"takes\g0.wav"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_mark_and_line_ends_of_another_system_do_not_matter(tmp_path: Path, encoding: str):
    path = tmp_path / "amp.json"
    path.write_bytes(("\r\n" + json.dumps([TAKE], indent=1).replace("\n", "\r\n") + "\r\n\r\n").encode(encoding))
    assert found(read_manifest(path)) == [("wet.wav", {"gain": 0.5})]
