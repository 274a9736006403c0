"""JSON documents: read strictly, checked against a schema, with errors that name the file, the key and the value."""

import json
import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.core.errors import Incompatible, NotFound, SchemaError, UserError

MAX_JSON_BYTES = 16 << 20

VERSION = re.compile(r"(?P<major>\d{1,9})(\.(?P<minor>\d{1,9}))?", re.ASCII)

UNION_TAGS = ("knob", "switch", "float", "str")  # pydantic's names of the types in a union, which are not keys

Document = TypeVar("Document", bound="Frozen")


class Frozen(BaseModel):
    """A document or a part of one: immutable, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


def read_json(path: Path) -> Any:
    """Read a JSON file that may be malformed or hostile.

    Raises `NotFound` when it is missing, `UserError` when it is larger than `MAX_JSON_BYTES`, nested too deeply or not
    strict JSON (a key twice, NaN, infinity).
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes", "Is it really a JSON file?")
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"{path} does not exist", "Check the path; relative paths start at the current folder."
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a JSON file", "Name the JSON file inside it.") from None
    except OSError as problem:
        raise UserError(f"{path} cannot be read: {problem.strerror}", "Check the path.") from None
    return parse_json(data, str(path))


def parse_json(data: bytes, where: str) -> Any:
    """Parse UTF-8 JSON; errors begin with `where`. Raises `UserError` when it is not strict JSON."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode(
            "utf-8"
        )  # fails for half a surrogate pair, which no file name may have
        return value
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text", "Save it as UTF-8.") from None
    except (ValueError, RecursionError) as problem:
        reason = "it is nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise UserError(f"{where} is not valid JSON: {reason}", "Correct the file at that place.") from None


def read_document(path: Path, kind: type[Document]) -> Document:
    """Read a JSON file and check it against a schema; raises as `read_json` and `check_document` do."""
    return check_document(read_json(path), kind, str(path))


def check_document(value: Any, kind: type[Document], where: str) -> Document:
    """Check a parsed JSON value against a schema; errors begin with `where`.

    A `"$schema"` at the top is for editors and is ignored. A document of a newer minor version ("1.3" where "1.0" is
    known) may have unknown keys, which are left out. Raises `SchemaError`, or `Incompatible` for a newer major version
    ("2.0", "ampzoo.eval/2").
    """
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != "$schema"}
    value, newer = _with_known_version(value, kind, where)
    try:
        return kind.model_validate(value, extra="ignore" if newer else None)
    except ValidationError as problem:
        raise SchemaError(*_explain(problem, kind, where)) from None


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


def _explain(problem: ValidationError, kind: type[BaseModel], where: str) -> tuple[str, str]:
    """Return the message and the hint for the first problem that pydantic found."""
    first = problem.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in UNION_TAGS) or "document"
    if first["type"] == "extra_forbidden":
        message = f"{where}: unknown key '{key}'"
    elif first["type"] == "missing":
        message = f"{where}: '{key}' is missing"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        own = first["type"] == "value_error" and isinstance(first["input"], dict)  # our own messages name the value
        value = "" if own else f" is {_short_repr(first['input'])}"
        message = f"{where}: '{key}'{value}: {reason}"
    part, above = _innermost_schema(kind, first["loc"])
    known = ", ".join(field.alias or name for name, field in part.model_fields.items())
    return message, f"Known keys {f'in {above}' if above else 'at the top'}: {known}."


def _innermost_schema(kind: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[type[BaseModel], str]:
    """Return the schema of the innermost object that holds `loc`, as far as it is known, and the key of that object."""
    above = ""
    for place, key in enumerate(loc[:-1]):
        if isinstance(key, str) and key not in UNION_TAGS:
            fields = {field.alias or name: field for name, field in kind.model_fields.items()}
            parts = _schemas(fields[key].annotation) if key in fields else []
            tried = [part for part in parts if part.__name__.lower() in loc]  # pydantic's tag of a union
            if len(parts := tried or parts) != 1:
                break
            (kind,), above = parts, ".".join(map(str, loc[: place + 1]))
    return kind, above


def _schemas(annotation: Any) -> list[type[BaseModel]]:
    """Return the schemas inside an annotation: both of `tuple[Knob | Switch, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _schemas(part)]


def _short_repr(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__} too long to show"


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key appears twice: {next(key for key in keys if keys.count(key) > 1)!r}")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


Unstated = Field(exclude_if=lambda value: value is None or value is False)  # a field left out of the file when unset
