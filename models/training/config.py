"""The recipe of a run: which takes (data), which WaveNet (model), how it is trained (learning)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.core.schema import Frozen, check_document, read_document, read_json
from models.network.architecture import WaveNetConfig
from models.recordings.config import DataConfig

ADAM_RATE = 0.008  # learning rate of Adam where none is stated

BEFORE_CHOICE = {  # what documents without these keys trained with
    "optimizer": "adam",
    "composed": 0.0,
    "silence": 0.0,
    "interaction": 0.0,
    "truncate": False,
}
BEFORE_JUDGED = {"validation_composed": 0}  # what datasets without this key were judged with
FORMER_DEFAULTS = {"batch": (8,), "segment": (2048, 512)}  # of keys that stored documents always state

WORK_BATCH, WORK_SEGMENT = 8, 2048  # segments that take the work of a step where no number is stated

CONTEXT_WORK = 0.3  # what a sample before a segment takes where it is only played, of one with a gradient


class LearningConfig(Frozen):
    """L: the optimization, with a linear warm-up and a learning-rate schedule.

    The loss is the error-to-signal ratio of each segment after `pre_emphasis`, plus `mrstft` times the multi-resolution
    spectral error. With `ema` above 0, the exponential moving average of the weights is what is scored and stored. All
    numbers are float32 on every device.
    """

    steps: Annotated[int, Field(ge=1, description="Number of optimizer steps.")] = 2000
    batch: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="Segments per step; 0: as many as take the work of 8 segments of 2,048 samples, by the "
            "receptive field of the model.",
        ),
    ] = 0
    segment: Annotated[
        int,
        Field(
            ge=64,
            le=1 << 20,
            description="Samples of target audio per segment; left out, 1,024, and 2,048 with `mrstft`.",
        ),
    ] = 1024
    truncate: Annotated[
        bool,
        Field(
            description="Whether the gradient stops at the first sample of a segment (truncated backpropagation "
            "through time): the receptive field before it is then only played, which leaves time for more segments."
        ),
    ] = True
    optimizer: Annotated[
        Literal["soap", "adam", "muon"],
        Field(description="Update rule: `soap` (Adam in the basis of Shampoo), `adam` or `muon`."),
    ] = "soap"
    learning_rate: Annotated[
        float, Field(gt=0, le=1, description="Peak learning rate; left out, 0.02 with `soap` and 0.008 with `adam`.")
    ] = 0.02
    composed: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of the segments that are composed: recorded takes through the filters of knobs that "
            "only filter after the distortion. Nothing is composed where the takes show no such knob.",
        ),
    ] = 0.5
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
    silence: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            description="Weight of the power that the model gives in silence, at random knob settings, relative to the "
            "power of the takes; 0 turns it off.",
        ),
    ] = 100.0
    interaction: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Weight of the interaction of knobs, in nepers squared: what two knobs do together to the "
            "level of a band beyond what each does alone, at random settings, where nothing is composed; 0: off.",
        ),
    ] = 0.1
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

    @model_validator(mode="before")
    @classmethod
    def _fill_unstated(cls, value: Any) -> Any:
        """Adam has a learning rate, and the spectral loss a segment, of its own where none is stated."""
        if not isinstance(value, dict):
            return value
        filled = {"learning_rate": ADAM_RATE} if value.get("optimizer") == "adam" else {}
        filled |= {"segment": WORK_SEGMENT} if value.get("mrstft") else {}
        return {**filled, **value}

    def segments_per_step(self, receptive_field: int) -> int:
        """Return `batch`, or where it is 0 how many segments take the work of 8 x 2,048, for a receptive field.

        A segment takes the work of its samples and of the receptive field before them, of which a sample takes
        `CONTEXT_WORK` where the gradient is truncated. More and shorter segments for the same work have the lower error
        (benchmarks/results/training.md, 2026-12-01).
        """
        work = WORK_BATCH * (WORK_SEGMENT + receptive_field)
        return self.batch or max(1, round(work / self._segment_work(receptive_field)))

    def step_work(self, receptive_field: int) -> float:
        """Return the work of a step: the samples of its segments, with what is played before them."""
        return self.segments_per_step(receptive_field) * self._segment_work(receptive_field)

    def _segment_work(self, receptive_field: int) -> float:
        return self.segment + (CONTEXT_WORK if self.truncate else 1.0) * receptive_field


class Recipe(Frozen):
    """Everything that defines a model and its training."""

    data: DataConfig
    model: WaveNetConfig
    learning: LearningConfig


def read_stored_recipe(path: Path) -> Recipe:
    """Read the recipe in a run folder; raises `UserError` for a damaged file."""
    return check_document(upgrade_stored(read_json(path, follow=False)), Recipe, str(path))


def upgrade_stored(document: Any) -> Any:
    """Return a stored recipe or study that states all that it was begun with, also what was no choice then."""
    if not isinstance(document, dict):
        return document
    upgraded = dict(document)
    for name, before in (("learning", BEFORE_CHOICE), ("data", BEFORE_JUDGED)):
        if isinstance(stored := document.get(name), dict):
            upgraded[name] = {**before, **stored}
    if isinstance(amps := document.get("datasets"), list):
        upgraded["datasets"] = [{**BEFORE_JUDGED, **amp} if isinstance(amp, dict) else amp for amp in amps]
    return upgraded


def as_begun(learning: LearningConfig, path: Path) -> LearningConfig:
    """Return a learning config for what began with the document at `path`.

    A run or study from before there was a choice, or from when another value was the default, continues as it began,
    where nothing else is stated now.
    """
    stored = read_json(path, follow=False)
    begun = stored.get("learning") if isinstance(stored, dict) else None
    if not isinstance(begun, dict):
        return learning
    before = _unstated(learning, BEFORE_CHOICE, begun)
    former = {name for name, values in FORMER_DEFAULTS.items() if begun.get(name) in values}
    before |= {name: begun[name] for name in former - learning.model_fields_set}
    rate = "optimizer" in before and "learning_rate" not in learning.model_fields_set
    return learning.model_copy(update={**before, **({"learning_rate": begun.get("learning_rate")} if rate else {})})


def data_as_begun(data: Sequence[DataConfig], path: Path) -> tuple[DataConfig, ...]:
    """Return the data configs for what began with the document at `path`, as `as_begun` does."""
    stored = read_json(path, follow=False)
    begun = stored.get("datasets", [stored.get("data")]) if isinstance(stored, dict) else []
    pairs = zip(data, begun if len(begun) == len(data) else [{}] * len(data), strict=True)
    return tuple(
        one.model_copy(update=_unstated(one, BEFORE_JUDGED, own)) if isinstance(own, dict) and own else one
        for one, own in pairs
    )


def _unstated(config: Frozen, before: dict[str, Any], begun: dict[str, Any]) -> dict[str, Any]:
    """Return those of the values from before that neither the config nor the stored document states otherwise."""
    return {name: value for name, value in before.items() if name not in begun and name not in config.model_fields_set}


def read_recipe(data: Path, model: Path, learning: Path) -> Recipe:
    """Read the three files of a training run; raises `UserError` that names the file and the key at fault."""
    return Recipe(
        data=read_document(data, DataConfig).relative_to(data.resolve().parent),
        model=read_document(model, WaveNetConfig),
        learning=read_document(learning, LearningConfig),
    )
