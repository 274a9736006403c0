"""The recipe of a run: which takes (data), which WaveNet (model), how it is trained (learning)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.core.schema import Frozen, read_document
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig


class LearningConfig(Frozen):
    """L: the optimization. Adam with warm-up, then a `schedule` down to `final_rate` of the learning rate.

    The loss is the error-to-signal ratio of each window's take, after `pre_emphasis`, plus `mrstft` times the
    multi-resolution STFT distance (`models.evaluation.distances`). With `ema` above 0, the model that is scored and
    saved has the exponential moving average of the weights, `ema` its decay per step. All numbers are float32 on every
    device: no key trades them for bfloat16 or tf32, as no such training has been shown to end at the same error.
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
    """Read the three files of a training run; raises `UserError` that names the file and the key at fault."""
    return Recipe(
        data=read_document(data, DataConfig).relative_to(data.resolve().parent),
        model=read_document(model, WaveNetConfig),
        learning=read_document(learning, LearningConfig),
    )
