"""models/recordings/config.py."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.core.locations import Location
from models.core.schema import Frozen
from models.knobs.schema import Setting


class DataConfig(Frozen):
    """D: the manifests of one amp and how they are split.

    Three kinds of (setting, audio) never mix. *Training* sees the train manifest. *Validation* chooses between models: settings
    taken out of the train manifest (a count, or the settings themselves), heard on audio taken from the end of its dry
    signal. *Held* is only ever reported: settings that appear nowhere in training or validation, on audio that neither
    hears; they come from the `held` manifest, or are taken out of the train manifest by `held_settings`, or are what the
    train manifest itself lists as validation. `sample_rate` (Hz) resamples takes that are at another rate. With `align` every take is
    lined up by the delay and polarity that are found; without it by the delay that its manifest states, if any.
    Paths are relative to the file that states them. A manifest may also be named by a URI, which `search.recordings` reads.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    train: Location
    held: Location | None = None
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
        """The same config with its paths resolved from `folder`; URIs stay as they are."""
        named = {"train": self.train, "held": self.held}
        whole = {key: (folder / place).resolve() for key, place in named.items() if isinstance(place, Path)}
        return self.model_copy(update=whole)
