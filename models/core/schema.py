"""models/core/schema.py."""

import json
import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.core.errors import Incompatible, SchemaError, UserError

MAX_JSON_BYTES = 16 << 20

VERSION = re.compile(r"(?P<major>\d{1,9})(\.(?P<minor>\d{1,9}))?", re.ASCII)

UNION_TAGS = ("knob", "switch", "float", "str")  # which half of a union pydantic tried is no place in the file

Document = TypeVar("Document", bound="Frozen")


class Frozen(BaseModel):
    """A piece of configuration: immutable, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


def read_json(path: Path) -> Any:
    """Read JSON from a person or a peer.

    Raises `UserError` when the file is missing, too large or not JSON (duplicate keys, NaN and bombs included).
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path} is larger than {MAX_JSON_BYTES:,} bytes", "Is it really a JSON file?")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist", "Check the path; relative paths start at the current folder."
        ) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder, not a JSON file", "Name the JSON file inside it.") from None
    except OSError as problem:
        raise UserError(f"{path} cannot be read: {problem.strerror}", "Check the path.") from None
    return parse_json(data, str(path))


def parse_json(data: bytes, where: str) -> Any:
    """Parse JSON that `where` names in errors; raises `UserError` when it is not UTF-8 JSON."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair can name no file
        return value
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text", "Save it as UTF-8.") from None
    except (ValueError, RecursionError) as problem:
        reason = "it is nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise UserError(f"{where} is not valid JSON: {reason}", "Mend the file at that place.") from None


def read_document(path: Path, kind: type[Document]) -> Document:
    """Read `path` and check it against a schema; raises `UserError` naming the file, the key and the value."""
    return check_document(read_json(path), kind, str(path))


def check_document(value: Any, kind: type[Document], where: str) -> Document:
    """Check a parsed JSON value against a schema; `where` opens the error's sentence.

    A `"$schema"` at the top is for editors and says nothing of the value. A document of a newer minor version ("1.3" where "1.0" is
    known) may have keys we do not know, which are left out. Raises `SchemaError`; `Incompatible` for a newer major version
    ("2.0", "ampzoo.eval/2").
    """
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != "$schema"}
    value, newer = _of_known_version(value, kind, where)
    try:
        return kind.model_validate(value, extra="ignore" if newer else None)
    except ValidationError as problem:
        raise SchemaError(*_explain(problem, kind, where)) from None


def _of_known_version(value: Any, kind: type[BaseModel], where: str) -> tuple[Any, bool]:
    """The document, stated to be of the version we know, and whether it is of a newer minor one."""
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
            "Update it: pip install --upgrade ampzoo.",
        )
    newer = found["major"] == ours["major"] and int(found["minor"] or 0) > int(ours["minor"] or 0)
    return ({**value, key: known}, True) if newer else (value, False)


def _explain(problem: ValidationError, kind: type[BaseModel], where: str) -> tuple[str, str]:
    first = problem.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in UNION_TAGS) or "document"
    if first["type"] == "extra_forbidden":
        message = f"{where}: unknown key '{key}'"
    elif first["type"] == "missing":
        message = f"{where}: '{key}' is missing"
    else:
        said = first["msg"].removeprefix("Value error, ")
        own = first["type"] == "value_error" and isinstance(first["input"], dict)  # ours name the key that is wrong
        about = "" if own else f" is {_shown(first['input'])}"
        message = f"{where}: '{key}'{about}: {said}"
    part, above = _part(kind, first["loc"])
    known = ", ".join(field.alias or name for name, field in part.model_fields.items())
    return message, f"Known keys {f'in {above}' if above else 'at the top'}: {known}."


def _part(kind: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[type[BaseModel], str]:
    """The schema of the innermost part that holds a place, as far as it is known which, and the key of that part."""
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
    """The schemas inside an annotation: of `tuple[Knob | Switch, ...]` both."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _schemas(part)]


def _shown(value: Any) -> str:
    """A value in a few words, whatever its size."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"a {type(value).__name__} too long to show"


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f"a key appears twice: {next(key for key in keys if keys.count(key) > 1)!r}")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number JSON knows")


Unstated = Field(exclude_if=lambda value: value is None or value is False)  # not written where it is not there
