"""JSON is read as it was written, and an error names what is wrong and the keys that are legal there."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import Frozen, check_document, read_json
from models.knobs.schema import Knobs


def test_json_is_read_back_unless_it_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, value = tmp_path / "value.json", {"café": [1, 2.5, None, True, "é"]}
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_bytes().endswith(b"}\n")
    monkeypatch.setattr("models.core.schema.MAX_JSON_BYTES", path.stat().st_size - 1)
    with pytest.raises(UserError, match="value.json is larger than"):
        read_json(path)


class Knob(Frozen):
    level: int
    turn: Annotated[float, Field(le=10, description="How far a `knob` is turned.")] = 0
    steps: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(description="Positions of the knob.")] = ()


class Panel(Frozen):
    panel: tuple[Knob, ...] = ()
    mixed: Knobs | None = None
    other: dict[str, Knob] | None = None


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"anything": []}, "at the top: panel, mixed, other."),
        ({"panel": [{"level": 1}, {"gain": 1}]}, "in panel: level, turn, steps."),
        (
            {"mixed": {"knobs": [{"name": "mode", "positions": ["a", "b"], "min": 0}]}},
            "in mixed.knobs: name, positions, default, files.",
        ),
        ({"other": {"bass": {}}}, "in other: level, turn, steps."),
    ],
)
def test_hint_lists_the_keys_of_the_object_at_fault(value: dict, hint: str):
    with pytest.raises(UserError) as caught:
        check_document(value, Panel, "panel.json")
    assert caught.value.hint == f"Known keys {hint}"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"panel": 3}, "Correct 'panel' in panel.json."),
        ({"other": {"bass": {"level": "x"}}}, "Correct 'other.bass.level' in panel.json."),
        ({"other": {"bass": {"level": 1, "turn": 11}}}, "turn: How far a knob is turned."),
        ({"panel": [{"level": 1, "steps": [1, 0]}]}, "steps: Positions of the knob."),
        (3, "Correct panel.json."),
    ],
)
def test_hint_says_what_the_value_at_fault_means(value: object, hint: str):
    with pytest.raises(UserError) as caught:
        check_document(value, Panel, "panel.json")
    assert caught.value.hint == hint


def test_a_misspelled_key_is_named():
    with pytest.raises(UserError, match="unknown key 'pannel'") as caught:
        check_document({"pannel": []}, Panel, "panel.json")
    assert caught.value.hint == "Did you mean 'panel'? Known keys at the top: panel, mixed, other."


def test_the_places_of_other_problems_are_named():
    value = {"panel": [{"level": "x"}, {"level": 1}, {"gain": 1}], "pannel": 1}
    with pytest.raises(UserError) as caught:
        check_document(value, Panel, "panel.json")
    assert caught.value.message == (
        "panel.json: 'panel.0.level' is 'x': it must be a whole number; "
        "also wrong: 'panel.2.level', 'panel.2.gain', 'pannel'"
    )
    with pytest.raises(UserError, match=r"; also wrong: ('k\d+', ){4}'k\d+' and 4 more$"):
        check_document({f"k{number}": 1 for number in range(10)}, Panel, "panel.json")
