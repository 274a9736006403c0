"""JSON documents: read strictly, checked against a schema, with errors that name the file, the key and the value."""

import json
import re
import reprlib
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from models.core.document_kinds import DOCUMENT_KINDS, telling_key
from models.core.errors import Incompatible, SchemaError, UserError, WrongKind
from models.core.reading import decode_text, read_document_bytes
from models.core.userinfo import without_userinfo

MAX_JSON_BYTES = 16 << 20

MAX_INTEGER_DIGITS = 308  # of a whole number; a longer one is beyond double precision

MAX_SHOWN = 40  # characters of a value in a message

MAX_KEY = 120  # characters of a key and its place in a message

MAX_OTHERS = 5  # places of other problems that a message names

SHOWN_ITEMS = 8  # of a list or an object, at most

VERSION = re.compile(r"(?P<major>\d{1,9})(\.(?P<minor>\d{1,9}))?", re.ASCII)

UNION_TAGS = ("knob", "switch", "int", "float", "str", "bool", "none", "list", "dict", "tuple")  # no keys, in a place

KEY_WORD = re.compile(r"[a-z_][a-z0-9_]*")

BOOL_IS_NO_NUMBER = "bool_is_no_number"

OWN_TYPES = ("value_error", BOOL_IS_NO_NUMBER)  # pydantic's types of errors whose text is our own

_TYPES = {
    "it must be text": ("string_type", "string_unicode"),
    "it must be a whole number": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "it must be a number": ("float_type", "float_parsing"),
    "it must be a finite number": ("finite_number",),
    "it must be true or false": ("bool_type", "bool_parsing"),
    "it must be more than {gt}": ("greater_than",),
    "it must be at least {ge}": ("greater_than_equal",),
    "it must be less than {lt}": ("less_than",),
    "it must be at most {le}": ("less_than_equal",),
    "it must be a multiple of {multiple_of}": ("multiple_of",),
    "its length must be at least {min_length}": ("too_short", "string_too_short"),
    "its length must be at most {max_length}": ("too_long", "string_too_long"),
    "it must be a list": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "it must be an object, as {{...}}": ("dict_type", "model_type", "model_attributes_type", "mapping_type"),
    "it must be {expected}": ("literal_error", "enum"),
    "it must be null": ("none_required",),
    "it must be one of {expected_tags}": ("union_tag_invalid",),
}

TYPE_WORDS = {name: words for words, names in _TYPES.items() for name in names}  # pydantic's types in our words

PATTERN_WORDS: dict[str, str] = {}  # what `spelled` says of a pattern

JSON_WORDS = (  # how messages of Python's JSON reader begin, and what they mean
    ("Expecting value", "a value is missing or misspelled"),
    ("Expecting property name", "a key in double quotes is missing; a comma before } is one too many"),
    ("Illegal trailing comma", "there is a comma too many"),
    ("Expecting ',' delimiter", "a comma, or the end of a list or object, is missing"),
    ("Expecting ':' delimiter", "a colon is missing"),
    ("Extra data", "something follows the end of the document"),
    ("Unterminated string", "a text has no closing quote"),
    ("Invalid control character", "a line break or tab stands inside a text"),
    ("Invalid \\", "a backslash does not begin an escape; write two"),
)

Document = TypeVar("Document", bound="Frozen")


def _refuse_bools(node: Any, owner: type) -> Any:
    """Return pydantic's core schema of `owner` with numbers that are no bools; schemas within it have theirs already.

    Python counts true as equal to 1.
    """
    if isinstance(node, list | tuple):
        return type(node)(_refuse_bools(item, owner) for item in node)
    if not isinstance(node, dict) or (node.get("type") == "model" and node["cls"] is not owner):
        return node
    numbers = node.get("type") == "literal" and {type(item) for item in node["expected"]} & {int, float}
    if node.get("type") in ("int", "float") or numbers:
        return core_schema.no_info_before_validator_function(_no_bool, cast(CoreSchema, node))
    return {
        key: item if key in ("metadata", "serialization", "cls", "config") else _refuse_bools(item, owner)
        for key, item in node.items()
    }


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError(BOOL_IS_NO_NUMBER, "it must be a number, not true or false")
    return value


class Frozen(BaseModel):
    """A document or a part of one: immutable, without unknown keys, NaN or infinity; true is no number in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return pydantic's schema, with numbers that refuse true and false."""
        return _refuse_bools(handler(source), cls)


def spelled(pattern: str, words: str, **more: Any) -> Any:
    """Return the constraint of a text; `words` complete "it must be", as `small letters, for example 'gain'`.

    `more` goes to pydantic's `Field`.
    """
    PATTERN_WORDS[pattern] = words
    return Field(pattern=pattern, **more)


SHORT_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"

SHORT_NAME_WORDS = "up to 64 lower-case letters, digits, - and _, for example 'my-amp'"

SHA256_TEXT = spelled(r"^[0-9a-f]{64}$", "a SHA-256, 64 of the digits 0-9 and a-f")

COMMIT_TEXT = spelled(r"^[0-9a-f]{40}$", "a commit, 40 of the digits 0-9 and a-f")


def read_json(path: Path, *, follow: bool = True) -> Any:
    """Read a JSON file that may be malformed or hostile.

    Raises `NotFound` when it is missing, `UserError` when it is no regular file, a link where links are not to be
    followed, larger than `MAX_JSON_BYTES`, nested too deeply or not strict JSON (a key twice, NaN, infinity, a number
    beyond double precision).
    """
    return parse_json(read_document_bytes(path, MAX_JSON_BYTES, "JSON file", follow=follow), str(path))


def read_object(path: Path, *, follow: bool = True) -> dict[str, Any]:
    """Read a JSON file that holds an object, whatever its keys; raises as `read_json` does."""
    value = read_json(path, follow=follow)
    if not isinstance(value, dict):
        raise UserError(f"{path} holds {short_repr(value)}, not an object, as {{...}}", "Restore the file.")
    return value


def parse_json(data: bytes, where: str) -> Any:
    """Parse UTF-8 JSON; errors begin with `where`. Raises `UserError` when it is not strict JSON."""
    text = decode_text(data, where)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_int=_bounded_integer
        )
        _check_strict(value)
        return value
    except json.JSONDecodeError as problem:
        words = next((words for begin, words in JSON_WORDS if problem.msg.startswith(begin)), "it cannot be read")
        reason = f"{words} (line {problem.lineno}, column {problem.colno})"
    except RecursionError:
        reason = "it is nested too deeply"
    except _NotStrict as problem:
        reason = str(problem)
    raise UserError(f"{where} is not valid JSON: {reason}", "Correct the file at that place.")


def _check_strict(value: Any) -> None:
    """Raise `_NotStrict` for half a surrogate pair, which no file name may have, and for 1e400, which is infinite."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as problem:
        half = ord(problem.object[problem.start])
        raise _NotStrict(f"\\u{half:04x} is half a character, without the other half") from None
    except ValueError:
        raise _NotStrict("a number is too large") from None


def read_document(path: Path, kind: type[Document], *, follow: bool = True) -> Document:
    """Read a JSON file and check it against a schema; raises as `read_json` and `check_document` do."""
    return check_document(read_json(path, follow=follow), kind, str(path))


def check_document(value: Any, kind: type[Document], where: str) -> Document:
    """Check a parsed JSON value against a schema; errors begin with `where`.

    A `"$schema"` at the top is for editors and is ignored. A document of a newer minor version ("1.3" where "1.0" is
    known) may have unknown keys, which are left out. Raises `SchemaError`, or `Incompatible` for a newer major version
    ("2.0", "ampzoo.eval/2"), or `WrongKind` for a document whose keys tell that it is another one.
    """
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != "$schema"}
    value, newer = _with_known_version(value, kind, where)
    try:
        return kind.model_validate(value, extra="ignore" if newer else None)
    except ValidationError as problem:
        _check_kind(value, kind, where)
        raise SchemaError(*_explain(problem, value, kind, where)) from None


def _check_kind(value: Any, kind: type[BaseModel], where: str) -> None:
    """Raise `WrongKind` for a document that lacks the key which tells its own kind, and has that of another."""
    wanted, found = telling_key(kind.model_fields), telling_key(value) if isinstance(value, dict) else ""
    if wanted and found and wanted != found:
        here, there = DOCUMENT_KINDS[wanted], DOCUMENT_KINDS[found]
        raise WrongKind(f"{where} is {there}, not {here}", f"Name {here} here.", found)


def _with_known_version(value: Any, kind: type[BaseModel], where: str) -> tuple[Any, bool]:
    """Return the document with the known version in place of its own, and whether its own is a newer minor one."""
    field = kind.model_fields.get("schema_version") or kind.model_fields.get("schema_name")
    if field is None or not isinstance(value, dict):
        return value, False
    key, known = field.alias or "schema_version", str(field.default)
    stated, family = value.get(key), known.rpartition("/")[0]
    found = VERSION.fullmatch(stated.removeprefix(f"{family}/")) if isinstance(stated, str) else None
    ours = VERSION.fullmatch(known.removeprefix(f"{family}/"))
    if not found or not ours:
        return value, False
    if int(found["major"]) > int(ours["major"]):
        raise Incompatible(
            f"{where}: '{key}' is '{stated}', newer than this zoo knows ({known})",
            "Update it: pip install -U ampzoo.",
        )
    newer = found["major"] == ours["major"] and int(found["minor"] or 0) > int(ours["minor"] or 0)
    return ({**value, key: known}, True) if newer else (value, False)


def _also_wrong(places: Sequence[tuple], told: tuple) -> str:
    """Return `; also wrong: 'a', 'b.c'`: the places of other problems, none inside another; empty without any."""
    found = [told]
    for place in places:
        if not any(place[: len(other)] == other or other[: len(place)] == place for other in found):
            found.append(place)
    names = [f"'{'.'.join(map(str, place))[:MAX_SHOWN]}'" for place in found[1:]]
    more = f" and {len(names) - MAX_OTHERS} more" if len(names) > MAX_OTHERS else ""
    return f"; also wrong: {', '.join(names[:MAX_OTHERS])}{more}" if names else ""


def _explain(problem: ValidationError, value: Any, kind: type[BaseModel], where: str) -> tuple[str, str]:
    """Return the message and the hint for the first problem that pydantic found; the places of others are named.

    Each type of a union has a problem of its own; the one at the innermost place is told.
    """
    faults = [(_keys_of(error, value), error) for error in problem.errors(include_url=False)]
    begin = faults[0][0]
    keys = max((keys for keys, _ in faults if keys[: len(begin)] == begin), key=len)
    here = [error for at, error in faults if at == keys]
    here = [error for error in here if error["input"] is here[0]["input"]]  # not what a validator made of it
    first, key = here[0], _shorten_key(".".join(map(str, keys))) or "document"
    if first["type"] == "extra_forbidden":
        message = f"{where}: unknown key '{key}'"
    elif first["type"] == "missing":
        message = f"{where}: '{key}' is missing"
    else:
        reason = " or ".join(dict.fromkeys(map(explain_type, here))).replace(" or it must be ", " or ")
        own = first["type"] == "value_error" and isinstance(first["input"], dict)  # our own messages name the value
        shown = "" if own else f" is {short_repr(first['input'])}"
        message = f"{where}: {reason}" if own and not keys else f"{where}: '{key}'{shown}: {reason}"
    message += _also_wrong([at for at, _ in faults], keys)
    return message, _hint(first, keys, kind, where)


def _hint(error: ErrorDetails, keys: tuple[int | str, ...], kind: type[BaseModel], where: str) -> str:
    """Return what helps with an error: the known keys beside a wrong one, or what the value at fault means."""
    part, above = _innermost_schema(kind, keys, error["loc"])
    fields = {field.alias or name: field for name, field in part.model_fields.items()}
    if error["type"] in ("extra_forbidden", "missing"):
        near = get_close_matches(str(error["loc"][-1]), fields, 1) if error["type"] == "extra_forbidden" else []
        meant = f"Did you mean '{near[0]}'? " if near else ""
        place = f"in {'.'.join(map(str, above))}" if above else "at the top"
        return f"{meant}Known keys {place}: {', '.join(fields)}."
    name = next((key for key in keys[len(above) :] if key in fields), None)
    described = fields[name].description if isinstance(name, str) else None
    if described and error["type"] != "value_error":  # our own messages say what is legal
        return f"{name}: {described.replace('`', '')}"
    return f"Correct '{_shorten_key('.'.join(map(str, keys)))}' in {where}." if keys else f"Correct {where}."


def _shorten_key(key: str) -> str:
    return key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 3]}..."


def explain_type(error: ErrorDetails) -> str:
    """Return what pydantic's error means, in our words: `it must be a number`."""
    facts = error.get("ctx", {})
    if error["type"] in OWN_TYPES:
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        return f"it must be {PATTERN_WORDS.get(facts['pattern'], 'written with other characters')}"
    plain = {name: f"{fact:.12g}" if isinstance(fact, int | float) else fact for name, fact in facts.items()}
    return TYPE_WORDS.get(error["type"], "it has another form than expected here").format(**plain)


def _keys_of(error: ErrorDetails, value: Any) -> tuple[int | str, ...]:
    """Return the keys of the document in the place of pydantic's error, which also names the types in a union."""
    keys: list[int | str] = []
    for key in error["loc"]:
        listed = isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
        if listed or (isinstance(value, dict) and key in value):
            value = value[key]
            keys.append(key)
        elif isinstance(value, dict) and KEY_WORD.fullmatch(str(key)) and key not in UNION_TAGS:
            value = None  # a key that a validator names, such as one of an object further in
            keys.append(key)
    missing = error["type"] == "missing" and keys[-1:] != [error["loc"][-1]]
    return (*keys, error["loc"][-1]) if missing else tuple(keys)


def _innermost_schema(
    kind: type[BaseModel], keys: tuple[int | str, ...], loc: tuple[int | str, ...]
) -> tuple[type[BaseModel], tuple[int | str, ...]]:
    """Return the schema of the innermost object that holds `keys`, as far as it is known, and the keys to that object.

    `loc` is pydantic's name of the place, which says the type in a union.
    """
    above: tuple[int | str, ...] = ()
    for place, key in enumerate(keys[:-1]):
        if isinstance(key, str):
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            parts = _schemas(fields[key].annotation) if key in fields else []
            tried = [part for part in parts if part.__name__.lower() in loc]  # pydantic's tag of a union
            if len(parts := tried or parts) != 1:
                break
            (kind,), above = parts, keys[: place + 1]
    return kind, above


def _schemas(annotation: Any) -> list[type[BaseModel]]:
    """Return the schemas inside an annotation: both of `tuple[Knob | Switch, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _schemas(part)]


def short_repr(value: Any) -> str:
    """Return a value as JSON writes it, shortened and without passwords in URIs; text in single quotes."""
    if isinstance(value, str):
        return reprlib.repr(without_userinfo(value))
    try:
        text = json.dumps(_beginning(value), ensure_ascii=False, default=str)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__} too long to show"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _beginning(value: Any, depth: int = 4) -> Any:
    """Return the first items of nested lists and objects: more than a message shows of them, whatever their size."""
    if isinstance(value, list | tuple | dict) and not depth:
        return "..."
    if isinstance(value, dict):
        return {str(key): _beginning(item, depth - 1) for key, item in islice(value.items(), SHOWN_ITEMS)}
    if isinstance(value, list | tuple):
        return [_beginning(item, depth - 1) for item in value[:SHOWN_ITEMS]]
    return without_userinfo(value)[: 2 * MAX_SHOWN] if isinstance(value, str) else value


class _NotStrict(Exception):
    """JSON that Python's reader takes, but not we; the text says why."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise _NotStrict(f"a key appears twice: {short_repr(next(key for key in keys if keys.count(key) > 1))}")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise _NotStrict(f"{name} is not a number in JSON")


def _bounded_integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise _NotStrict(f"a number has {len(digits):,} digits")
    return int(digits)


Unstated = Field(exclude_if=lambda value: value is None or value is False)  # a field left out of the file when unset
