"""The data config: which manifests, and how takes are split and aligned."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.core.locations import Location, find_written
from models.core.schema import SHORT_NAME, SHORT_NAME_WORDS, Frozen, spelled
from models.knobs.schema import WrittenSetting

AMP_NAME = spelled(SHORT_NAME, SHORT_NAME_WORDS)


class DataConfig(Frozen):
    """D: the manifests of one amp, and how their takes are split.

    The split has three parts that share no pair of setting and audio. *Training* uses the train manifest. *Validation*
    compares models: settings taken out of the train manifest, on audio from the end of its dry signal. *Held* is scored
    once, at the end: settings that occur neither in training nor in validation, on audio that neither uses. Held takes
    come from the `held` manifest, from `held_settings`, or from what the train manifest lists as validation. Without
    `align`, a delay that the manifest states is removed. Paths are relative to the file that states them. A manifest
    may be named by a URI (`s3://`, `gs://`, `file://`).
    """

    name: Annotated[
        str,
        AMP_NAME,
        Field(description="Name of the amp: small letters, digits, `-` and `_`."),
    ]
    train: Annotated[
        Location, Field(description="Manifest of the takes to train on: a path relative to this file, or a URI.")
    ]
    held: Annotated[
        Location | None, Field(description="Manifest of the held takes; use this or `held_settings`, not both.")
    ] = None
    held_settings: Annotated[
        Annotated[int, Field(ge=1)] | tuple[WrittenSetting, ...],
        Field(description="Settings to take out of `train` and hold: how many, or which."),
    ] = ()
    held_seconds: Annotated[
        float,
        Field(ge=0, description="Seconds at the end of a shared dry signal that are reserved for the held score."),
    ] = 0.0
    validation_settings: Annotated[
        Annotated[int, Field(ge=0)] | tuple[WrittenSetting, ...],
        Field(description="Settings of `train` used for validation: how many (0: the training settings), or which."),
    ] = 2
    validation_seconds: Annotated[
        float, Field(gt=0, description="Seconds of each dry signal, before the held part, that validation uses.")
    ] = 1.0
    validation_composed: Annotated[
        int,
        Field(
            ge=0,
            le=64,
            description="Settings per validation take at which models are judged too: composed by turning knobs that "
            "only filter after the distortion, anywhere in their range. None where the takes show no such knob.",
        ),
    ] = 2
    align: Annotated[
        bool, Field(description="Estimate the delay and polarity of every take and correct them on loading.")
    ] = False
    sample_rate: Annotated[
        Annotated[int, Field(ge=8000, le=192000)] | None,
        Field(description="Resample all takes to this rate in Hz; null keeps their own."),
    ] = None

    @model_validator(mode="after")
    def _has_held(self) -> Self:
        if self.held is not None and self.held_settings:
            raise ValueError("name either a 'held' manifest or 'held_settings' to take out of 'train'")
        if self.held_settings and self.held_seconds == 0:
            raise ValueError("'held_settings' needs 'held_seconds' above 0: held audio must not be training audio")
        return self

    def relative_to(self, folder: Path) -> Self:
        """Return the config with its paths resolved from `folder`; URIs stay as they are."""
        named = {"train": self.train, "held": self.held}
        resolved = {
            key: find_written(folder, place).resolve() for key, place in named.items() if isinstance(place, Path)
        }
        return self.model_copy(update=resolved)
