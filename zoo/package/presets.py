"""`presets.json`: the settings of a package that have audio clips."""

from typing import Annotated, Literal

from pydantic import Field

from models.core.schema import Frozen, spelled
from models.knobs.schema import Setting
from zoo.package.layout import SLUG, SLUG_WORDS


class Preset(Frozen):
    """A named setting and its audio clip.

    `audio` is the model playing the dry clip at this setting, amplified by `gain_db` so that all clips are equally
    loud. A preset from a held take has its own `dry` clip, and as `target` the recording of the amp itself.
    """

    id: Annotated[str, spelled(rf"^{SLUG}$", SLUG_WORDS)]
    knobs: Annotated[Setting, Field(max_length=32)]
    audio: Annotated[str, spelled(rf"^audio/{SLUG}\.flac$", "a clip, for example 'audio/lead.flac'")]
    gain_db: Annotated[float, Field(ge=-120, le=120)] = 0.0
    dry: Annotated[str, spelled(rf"^audio/{SLUG}\.flac$", "a clip, for example 'audio/lead.flac'")] | None = None
    target: (
        Annotated[
            str,
            spelled(rf"^audio/{SLUG}\.target\.flac$", "a clip of the recording, for example 'audio/lead.target.flac'"),
        ]
        | None
    ) = None


class Presets(Frozen):
    """`presets.json`."""

    schema_version: Literal["1.0"] = "1.0"
    dry: Literal["audio/di.flac"] = "audio/di.flac"
    presets: Annotated[tuple[Preset, ...], Field(max_length=16)] = ()
