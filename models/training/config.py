"""The frozen configs: which takes (data), which WaveNet (architecture), how it is trained (learning)."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import Field, PlainValidator, model_validator

from models.architecture import WaveNetConfig
from models.files import Frozen, read_document
from models.knobs import Setting


def is_uri(place: object) -> TypeGuard[str]:
    """Whether a place is named by a URI (`s3://`, `gs://`, `file://` ...)."""
    return isinstance(place, str) and "://" in place


def _place(value: Any) -> Path | str:
    if not isinstance(value, str | Path):
        raise ValueError("name a file, or a URI such as s3://BUCKET/PATH")  # noqa: TRY004 (which pydantic tells of)
    return value if is_uri(value) else Path(value)


Place = Annotated[Path | str, PlainValidator(_place, json_schema_input_type=str)]


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
        """The same config with its paths resolved from `folder`; URIs stay as they are."""
        named = {"train": self.train, "held": self.held}
        whole = {key: (folder / place).resolve() for key, place in named.items() if isinstance(place, Path)}
        return self.model_copy(update=whole)


class LearningConfig(Frozen):
    """L: the optimisation. Adam with warm-up, then a `schedule` down to `final_rate` of the learning rate.

    The loss is the error-to-signal ratio of each window's take, after `pre_emphasis`, plus `mrstft` times the multi-resolution
    spectral error (models/loss.py). With `ema` above 0, what is judged and kept is the exponential moving average of the weights, `ema`
    its decay per step. All numbers are float32 on every device: no key trades them for bfloat16 or tf32, as no such training has been shown to
    end at the same error.
    """

    steps: Annotated[int, Field(ge=1)] = 2000
    batch: Annotated[int, Field(ge=1, le=1024)] = 8
    segment: Annotated[int, Field(ge=64, le=1 << 20)] = 2048
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.008
    final_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    schedule: Literal["cosine", "exponential", "constant"] = "cosine"
    warmup: Annotated[int, Field(ge=0)] = 50
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    mrstft: Annotated[float, Field(ge=0, le=10)] = 0.0
    pre_emphasis: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    report_every: Annotated[int, Field(ge=1)] = 250
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0


class Recipe(Frozen):
    """Everything that defines a model and its training."""

    data: DataConfig
    model: WaveNetConfig
    learning: LearningConfig


def read_recipe(data: Path, model: Path, learning: Path) -> Recipe:
    """Read the three files of a training run; raises `UserError` naming the file and the key at fault."""
    return Recipe(
        data=read_document(data, DataConfig).relative_to(data.resolve().parent),
        model=read_document(model, WaveNetConfig),
        learning=read_document(learning, LearningConfig),
    )
