"""models/core/locations.py."""

from pathlib import Path
from typing import Annotated, Any, TypeGuard

from pydantic import PlainValidator


def is_uri(place: object) -> TypeGuard[str]:
    """Whether a place is named by a URI (`s3://`, `gs://`, `file://` ...)."""
    return isinstance(place, str) and "://" in place


def _place(value: Any) -> Path | str:
    if not isinstance(value, str | Path):
        raise ValueError("name a file, or a URI such as s3://BUCKET/PATH")  # noqa: TRY004 (which pydantic tells of)
    return value if is_uri(value) else Path(value)


Location = Annotated[Path | str, PlainValidator(_place, json_schema_input_type=str)]
