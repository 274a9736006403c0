"""`config.json`: architecture, knob schema and audio format of a model."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from models.audio.calibration import UNSTATED, AnalogLevels
from models.core.schema import SHORT_NAME, SHORT_NAME_WORDS, Frozen, spelled
from models.knobs.schema import Knob, Knobs, Switch, Value
from models.network.architecture import WaveNetConfig

_OF_TAKES = {Knob: "after", Switch: "files"}  # what a knob states about takes


class Audio(AnalogLevels):
    """The audio a model takes and gives: mono, at one rate, without latency; and the levels it was recorded at.

    `sample_rate` is in Hz, `receptive_field` in samples.
    """

    sample_rate: Annotated[int, Field(ge=8000, le=192000)]
    channels: Literal[1] = 1
    receptive_field: Annotated[int, Field(ge=1)]


class ModelConfig(Frozen):
    """`config.json`: what a model is."""

    schema_version: Literal["1.0"] = "1.0"
    library: Literal["ampzoo"] = "ampzoo"
    name: Annotated[str, spelled(SHORT_NAME, SHORT_NAME_WORDS)]
    audio: Audio
    knobs: Knobs
    architecture: WaveNetConfig

    @property
    def columns(self) -> int:
        """How many numbers the network takes beside the audio."""
        return self.knobs.columns(self.architecture.inject.encoding)

    def encode(self, setting: Mapping[str, Value]) -> list[float]:
        """Return a setting as the network takes it; raises `UserError` for a knob or value the model does not have."""
        return self.knobs.encode(setting, self.architecture.inject.encoding, self.name)


def make_config(
    name: str, sample_rate: int, knobs: Knobs, architecture: WaveNetConfig, levels: AnalogLevels = UNSTATED
) -> ModelConfig:
    """Return the `config.json` of a model; `sample_rate` is in Hz.

    That a knob filters after the distortion, or that a switch chooses a file, is of use to training alone and left out.
    """
    played = [knob.model_copy(update={_OF_TAKES[type(knob)]: False}) for knob in knobs.knobs]
    knobs = Knobs(knobs=tuple(played))
    audio = Audio(sample_rate=sample_rate, receptive_field=architecture.receptive_field, **levels.model_dump())
    return ModelConfig(name=name, audio=audio, knobs=knobs, architecture=architecture)
