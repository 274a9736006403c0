"""The frozen configs: which takes (data), which WaveNet (model), how it is trained (learning)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.files import Frozen, read_document
from models.knobs import Setting

Dilation = Annotated[int, Field(ge=1, le=1 << 14)]
MAX_RECEPTIVE_FIELD = 1 << 17


class DataConfig(Frozen):
    """D: the manifests of one amp and how they are split.

    Three kinds of (setting, audio) never mix. *Training* sees the train manifest. *Validation* chooses between models: settings
    taken out of the train manifest (a count, or the settings themselves), heard on audio taken from the end of its dry
    signal. *Held* is only ever reported: settings that appear nowhere in training or validation, on audio that neither
    hears; they come from the `held` manifest, or are taken out of the train manifest by `held_settings`.
    Paths are relative to the file that states them.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    train: Path
    held: Path | None = None
    held_settings: Annotated[int, Field(ge=1)] | tuple[Setting, ...] = ()
    held_seconds: Annotated[float, Field(ge=0)] = 0.0
    validation_settings: Annotated[int, Field(ge=0)] | tuple[Setting, ...] = 2
    validation_seconds: Annotated[float, Field(gt=0)] = 1.0
    align: bool = False

    @model_validator(mode="after")
    def _has_held(self) -> Self:
        if (self.held is None) == (not self.held_settings):
            raise ValueError("name either a 'held' manifest or 'held_settings' to take out of 'train'")
        if self.held is None and self.held_seconds == 0:
            raise ValueError("'held_settings' needs 'held_seconds' above 0: held audio must not be training audio")
        return self

    def relative_to(self, folder: Path) -> Self:
        """The same config with its paths resolved from `folder`."""
        held = None if self.held is None else (folder / self.held).resolve()
        return self.model_copy(update={"train": (folder / self.train).resolve(), "held": held})


class LayerArray(Frozen):
    """One stack of dilated layers, in NAM's words."""

    channels: Annotated[int, Field(ge=1, le=64)]
    kernel_size: Annotated[int, Field(ge=2, le=64)] = 3
    dilations: Annotated[tuple[Dilation, ...], Field(min_length=1, max_length=64)]
    activation: Literal["Tanh", "ReLU", "LeakyReLU", "SiLU"] = "Tanh"


class Injection(Frozen):
    """Where the knobs enter: every layer's input mixin, FiLM (scale and shift) before the activation, or both."""

    mixin: bool = False
    film: tuple[Literal["activation_pre"], ...] = ()

    @property
    def label(self) -> str:
        """`mixin`, `film` or `mixin+film`."""
        return "+".join(word for word, used in (("mixin", self.mixin), ("film", bool(self.film))) if used) or "none"


class WaveNetConfig(Frozen):
    """M: the knob-conditioned WaveNet. The head of each array is as wide as the next array; the last one is the output."""

    arrays: Annotated[tuple[LayerArray, ...], Field(min_length=1, max_length=4)]
    inject: Injection = Injection(mixin=True)
    head_kernel_size: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.receptive_field > MAX_RECEPTIVE_FIELD:
            raise ValueError(
                f"receptive field is {self.receptive_field:,} samples; at most {MAX_RECEPTIVE_FIELD:,} is allowed"
            )
        return self

    @property
    def receptive_field(self) -> int:
        """Samples of input that one output sample sees: 1 + sum of (kernel - 1) * dilation over all layers and the head."""
        return self.head_kernel_size + sum((a.kernel_size - 1) * sum(a.dilations) for a in self.arrays)

    def macs_per_sample(self, knobs: int) -> int:
        """Multiply-accumulates per output sample with still knobs: what the model costs to run.

        Per layer kernel * C * C (convolution) + C (input mixin) + C * C (1x1) and, for FiLM, C; plus rechannel and heads.
        Knob products are folded once per knob move and cost nothing per sample.
        """
        total, width = 0, 1
        heads = [array.channels for array in self.arrays[1:]] + [1]
        for index, (array, head) in enumerate(zip(self.arrays, heads, strict=True)):
            c = array.channels
            film = c if knobs and self.inject.film else 0
            total += width * c + len(array.dilations) * (array.kernel_size * c * c + c + c * c + film)
            total += c * head * (self.head_kernel_size if index == len(self.arrays) - 1 else 1)
            width = c
        return total


class LearningConfig(Frozen):
    """L: the optimisation. Adam with warm-up and cosine decay; the loss is the error-to-signal ratio of each window's take."""

    steps: Annotated[int, Field(ge=1)] = 2000
    batch: Annotated[int, Field(ge=1, le=1024)] = 8
    segment: Annotated[int, Field(ge=64, le=1 << 20)] = 2048
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.008
    final_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    warmup: Annotated[int, Field(ge=0)] = 50
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
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
