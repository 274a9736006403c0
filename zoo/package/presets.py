"""zoo/package/presets.py."""

from typing import Annotated, Literal

from pydantic import Field

from models.core.schema import Frozen
from models.knobs.schema import Setting
from zoo.package.layout import SLUG


class Preset(Frozen):
    """A named setting, and the dry clip played at it, turned up by `gain_db` to be as loud as the other clips.

    One that was recorded and never trained on has a `dry` clip of its own, and as `target` what the amp itself made of it.
    """

    id: Annotated[str, Field(pattern=rf"^{SLUG}$")]
    knobs: Annotated[Setting, Field(max_length=32)]
    audio: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.flac$")]
    gain_db: Annotated[float, Field(ge=-120, le=120)] = 0.0
    dry: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.flac$")] | None = None
    target: Annotated[str, Field(pattern=rf"^audio/{SLUG}\.target\.flac$")] | None = None


class Presets(Frozen):
    """`presets.json`."""

    schema_version: Literal["1.0"] = "1.0"
    dry: Literal["audio/di.flac"] = "audio/di.flac"
    presets: Annotated[tuple[Preset, ...], Field(max_length=16)] = ()
