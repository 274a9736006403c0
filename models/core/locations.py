"""Locations in config files: a path, or a URI such as `s3://BUCKET/PATH`."""

from pathlib import Path
from typing import Annotated, Any, TypeGuard

from pydantic import PlainValidator


def is_uri(location: object) -> TypeGuard[str]:
    """Return whether a location is a URI (`s3://`, `gs://`, `file://` ...)."""
    return isinstance(location, str) and "://" in location


def _parse(value: Any) -> Path | str:
    if not isinstance(value, str | Path):
        raise ValueError("name a file, or a URI such as s3://BUCKET/PATH")  # noqa: TRY004 (for pydantic)
    return value if is_uri(value) else Path(value)


Location = Annotated[Path | str, PlainValidator(_parse, json_schema_input_type=str)]
