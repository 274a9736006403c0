"""Files of people and other systems are read whatever was added to them; what would never end is refused."""

import os
import unicodedata
from pathlib import Path
from typing import Literal, get_args

import pytest
from pydantic_core import core_schema

from models.core.errors import UserError
from models.core.locations import find_written
from models.core.reading import decode_text
from models.core.schema import OWN_TYPES, Frozen, check_document, explain_type, parse_json, read_json
from models.core.user_folders import expand_home, user_folder
from models.recordings.config import DataConfig

LIBRARY_WORDS = ("Input should", "should be", "should have", "should match", "sys.set", "validator", "pydantic")


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_device_or_pipe_is_refused_at_once(tmp_path: Path, kind: str):
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "pipe.json"
        os.mkfifo(path)
    with pytest.raises(UserError, match="is a device or a pipe, not a JSON file"):
        read_json(path)


def test_name_with_a_nul_is_told():
    with pytest.raises(UserError, match="cannot be the name of a file"):
        read_json(Path("a\0.json"))


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-8"])
def test_text_is_decoded_whatever_mark_it_begins_with(mark: str):
    assert decode_text("käse\r\n".encode(mark), "f") == "käse\r\n"
    assert parse_json('{"a": "ö"}\r\n\r\n'.encode(mark), "f") == {"a": "ö"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "a value is missing or misspelled (line 1, column 1)"),
        (b"{", "a key in double quotes is missing"),
        (b"[1 2]", "a comma, or the end of a list or object, is missing (line 1, column 4)"),
        (b'{"a" 1}', "a colon is missing"),
        (b'["a', "a text has no closing quote"),
        (b'["a\nb"]', "a line break or tab stands inside a text"),
        (rb'["C:\takes\x"]', "a backslash does not begin an escape; write two (line 1, column 11)"),
        (b"[1] 2", "something follows the end of the document"),
        (b"[1e400]", "a number is too large"),
        (b"[-1e400]", "a number is too large"),
        (b"1" * 5000, "a number has 5,000 digits"),
        (b"1" * 309, "a number has 309 digits"),
        (rb'["\ud800"]', r"\ud800 is half a character, without the other half"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"[NaN]", "NaN is not a number in JSON"),
    ],
)
def test_json_that_is_none_is_told_in_our_words(text: bytes, reason: str):
    with pytest.raises(UserError) as caught:
        parse_json(text, "f.json")
    assert caught.value.message.startswith(f"f.json is not valid JSON: {reason}")


def test_no_type_of_error_is_told_in_a_librarys_words():
    """For whatever pydantic may find wrong, `explain_type` has words of its own."""
    facts = dict.fromkeys(
        ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "expected", "expected_tags", "pattern"), 7
    )
    for name in set(get_args(core_schema.ErrorType)) - set(OWN_TYPES):
        said = explain_type({"type": name, "loc": (), "msg": "Input should be a pydantic", "input": 1, "ctx": facts})
        assert said.startswith(("it ", "its ")) and not any(word in said for word in LIBRARY_WORDS), (name, said)


class Numbers(Frozen):
    number: float = 0.0
    count: int = 0
    either: int | tuple[float, ...] = 0
    named: dict[str, float | str] | None = None
    flag: bool = False


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"number": True}, "'number' is true: it must be a number, not true or false"),
        ({"count": False}, "'count' is false: it must be a number, not true or false"),
        ({"either": True}, "'either' is true: it must be a number, not true or false or a list"),
        ({"either": [1, True]}, "'either.1' is true: it must be a number, not true or false"),
        ({"either": "x"}, "'either' is 'x': it must be a whole number or a list"),
        ({"named": {"a": True}}, "'named.a' is true: it must be a number, not true or false or text"),
        ({"flag": "perhaps"}, "'flag' is 'perhaps': it must be true or false"),
        ({"count": 1.5}, "'count' is 1.5: it must be a whole number"),
        ({"number": None}, "'number' is null: it must be a number"),
        ({"number": [[1, 2]] * 99}, "'number' is [[1, 2], [1, 2], [1, 2], [1, 2], [1, ...: it must be a number"),
        ([], "'document' is []: it must be an object, as {...}"),
    ],
)
def test_value_of_another_type_is_told_in_our_words(value: object, message: str):
    with pytest.raises(UserError) as caught:
        check_document(value, Numbers, "f.json")
    assert caught.value.message == f"f.json: {message}"


def test_numbers_in_quotes_are_numbers():
    assert check_document({"number": "0.5", "count": "3"}, Numbers, "f") == Numbers(number=0.5, count=3)


def test_home_is_expanded_where_no_shell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AMPZOO_TEST", "~/cache")
    usual = (("LOCALAPPDATA", "a"), "b", ("XDG_TEST", ".cache"))
    assert user_folder("AMPZOO_TEST", *usual) == tmp_path / "cache"
    monkeypatch.delenv("AMPZOO_TEST")
    monkeypatch.setenv("XDG_TEST", "~/xdg")
    monkeypatch.setattr("sys.platform", "linux")
    assert user_folder("AMPZOO_TEST", *usual) == tmp_path / "xdg" / "ampzoo"
    assert expand_home("~no-such-user-here/x") == Path("~no-such-user-here/x")
    assert expand_home("a~b") == Path("a~b")


def test_written_place_is_the_file_that_is_there(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.wav").touch()
    assert find_written(tmp_path, r"a\b.wav") == tmp_path / "a" / "b.wav"
    for name in (r"a\c.wav", "a\\" + "b" * 300):
        assert find_written(tmp_path, name) == tmp_path / name  # an error names it as it was written


FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")


@pytest.mark.parametrize("there", FORMS)
def test_an_accent_may_be_written_as_macos_does(tmp_path: Path, there: str):
    """In archives of macOS an accent is a character of its own; keyboards write the letter with it."""
    composed, apart = (unicodedata.normalize(form, "caf\u00e9/t\u00f6n.wav") for form in FORMS)
    name, other = (composed, apart) if there == "NFC" else (apart, composed)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    assert find_written(tmp_path, other).samefile(tmp_path / name)
    assert find_written(tmp_path, other.replace("/", "\\")).samefile(tmp_path / name)
    assert find_written(tmp_path, f"{other}x") == tmp_path / f"{other}x"


def test_home_is_expanded_in_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    data = check_document({"name": "a", "train": "~/train.json", "held": r"takes\held.json"}, DataConfig, "d.json")
    (tmp_path / "here" / "takes").mkdir(parents=True)
    (tmp_path / "here" / "takes" / "held.json").touch()
    found = data.relative_to(tmp_path / "here")
    assert (found.train, found.held) == (tmp_path / "train.json", tmp_path / "here" / "takes" / "held.json")
    with pytest.raises(UserError, match="'train' is .*: no name of a file may hold a NUL character"):
        check_document({"name": "a", "train": "\0"}, DataConfig, "d.json")
