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
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Name of the amp: small letters, digits, `-` and `_`."
        ),
    ]
    train: Annotated[
        Place, Field(description="Manifest of the takes to train on: a path relative to this file, or a URI.")
    ]
    held: Annotated[
        Place | None, Field(description="Manifest of the held takes; use this or `held_settings`, not both.")
    ] = None
    held_settings: Annotated[
        Annotated[int, Field(ge=1)] | tuple[Setting, ...],
        Field(description="Settings to take out of `train` and hold: how many, or which."),
    ] = ()
    held_seconds: Annotated[
        float,
        Field(ge=0, description="Seconds at the end of a shared dry signal that are reserved for the held score."),
    ] = 0.0
    validation_settings: Annotated[
        Annotated[int, Field(ge=0)] | tuple[Setting, ...],
        Field(description="Settings of `train` used for validation: how many (0: the training settings), or which."),
    ] = 2
    validation_seconds: Annotated[
        float, Field(gt=0, description="Seconds of each dry signal, before the held part, that validation uses.")
    ] = 1.0
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
        """The same config with its paths resolved from `folder`; URIs stay as they are."""
        named = {"train": self.train, "held": self.held}
        whole = {key: (folder / place).resolve() for key, place in named.items() if isinstance(place, Path)}
        return self.model_copy(update=whole)


class LearningConfig(Frozen):
    """L: the optimization, by Adam with a linear warm-up and a learning-rate schedule.

    The loss is the error-to-signal ratio of each segment after `pre_emphasis`, plus `mrstft` times the multi-resolution
    spectral error. With `ema` above 0, the exponential moving average of the weights is what is scored and stored. All
    numbers are float32 on every device.
    """

    steps: Annotated[int, Field(ge=1, description="Number of optimizer steps.")] = 2000
    batch: Annotated[int, Field(ge=1, le=1024, description="Segments per step.")] = 8
    segment: Annotated[int, Field(ge=64, le=1 << 20, description="Samples of target audio per segment.")] = 2048
    learning_rate: Annotated[float, Field(gt=0, le=1, description="Peak learning rate of Adam.")] = 0.008
    final_rate: Annotated[float, Field(gt=0, le=1, description="Learning rate at the end, as a share of the peak.")] = (
        0.01
    )
    schedule: Annotated[
        Literal["cosine", "exponential", "constant"],
        Field(description="How the learning rate falls after the warm-up."),
    ] = "cosine"
    warmup: Annotated[
        int, Field(ge=0, description="Steps over which the learning rate rises linearly to its peak.")
    ] = 50
    gradient_clip: Annotated[
        float, Field(gt=0, description="Largest norm of the gradient; a larger one is scaled down.")
    ] = 1.0
    mrstft: Annotated[
        float, Field(ge=0, le=10, description="Weight of the multi-resolution spectral loss; 0 turns it off.")
    ] = 0.0
    pre_emphasis: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Coefficient of the first-order high-pass filter applied before the loss; 0 turns it off.",
        ),
    ] = 0.0
    ema: Annotated[
        float, Field(ge=0, lt=1, description="Decay of the moving average of the weights; 0 turns it off.")
    ] = 0.0
    report_every: Annotated[int, Field(ge=1, description="Steps between two validations, each with a checkpoint.")] = (
        250
    )
    seed: Annotated[int, Field(ge=0, lt=1 << 63, description="Seed of the initial weights and of the batches.")] = 0


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
