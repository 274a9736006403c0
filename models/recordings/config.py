"""The data config: which manifests, and how takes are split and aligned."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.core.locations import Place
from models.core.schema import Frozen
from models.knobs.schema import Setting


class DataConfig(Frozen):
    """D: the manifests of one amp and how their takes are split.

    Three kinds of (setting, audio) never mix. *Training* uses the train manifest. *Validation* chooses between models:
    settings taken out of the train manifest (a count, or the settings themselves), on audio taken from the end of its
    dry signal. *Held* takes are only reported: settings absent from training and validation, on audio used by neither.
    They come from the `held` manifest, or from the train manifest by `held_settings`, or are what the train manifest
    itself lists as validation. `sample_rate` (Hz) resamples takes that are at another rate. With `align`, the delay and
    polarity of every take are estimated and corrected; without it, the delay that its manifest states is removed, if
    there is one. Paths are relative to the file that states them. A manifest may also be named by a URI.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    train: Place
    held: Place | None = None
    held_settings: Annotated[int, Field(ge=1)] | tuple[Setting, ...] = ()
    held_seconds: Annotated[float, Field(ge=0)] = 0.0
    validation_settings: Annotated[int, Field(ge=0)] | tuple[Setting, ...] = 2
    validation_seconds: Annotated[float, Field(gt=0)] = 1.0
    align: bool = False
    sample_rate: Annotated[int, Field(ge=8000, le=192000)] | None = None

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
        resolved = {key: (folder / place).resolve() for key, place in named.items() if isinstance(place, Path)}
        return self.model_copy(update=resolved)
