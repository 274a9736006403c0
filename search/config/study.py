"""A search as data: the amps, the space and its bounds, the training of a trial, pruning, limits, finals."""

import json
import math
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.core.schema import Frozen
from models.network.architecture import MAX_RECEPTIVE_FIELD, WaveNetConfig
from models.recordings.config import DataConfig
from models.training.config import LearningConfig, Recipe
from search.config.space import Point, Space

LONGER = 2  # steps of a final, as a multiple of the steps of a trial, where they are not stated

ALL = "all"  # the name of the front of all amps

SHARING = 4  # most trials that share a GPU where its share is not stated; they only take turns on it

Range = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Bounds(Frozen):
    """What a point must keep to before it is trained; each end counts as inside.

    `receptive_field` in samples, `cost` in the unit of `search.cost`. `export` demands that every model can be exported so.
    """

    receptive_field: Range = (1, MAX_RECEPTIVE_FIELD)
    parameters: Range = (1, 1 << 24)
    cost: Annotated[float, Field(gt=0)] | None = None
    export: tuple[Literal["live", "bake"], ...] = ("live", "bake")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("receptive_field", "parameters"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is {[low, high]}: the lower end comes first")
        return self


class Limits(Frozen):
    """What a finished model must keep to on every amp, or it is infeasible; with a front for each amp, infeasible there where it does not:
    `worst_esr` at any validation setting, `knob_move_dbfs` that turning any knob from end to end in 50 ms may add, and `runaway`: no corner of
    the knobs is much louder than the loudest recording."""

    worst_esr: Annotated[float, Field(gt=0)] | None = None
    knob_move_dbfs: float | None = None
    runaway: bool = True


class Pruning(Frozen):
    """Trials that promise little are stopped at rungs. The first `calibrate` trials train to the end, beside the stock shapes and peers'
    recipes, which always do; they say where the first rung is (not before `grace` steps) and how much is cut. Of the later ones, every `control`-th trains to the end whatever the rungs say, so that what
    pruning costs is known."""

    calibrate: Annotated[int, Field(ge=3)] = 8
    grace: Annotated[int, Field(ge=1)] | None = None
    control: Annotated[int, Field(ge=2)] | None = 10


class Final(Frozen):
    """After the search: the best `top` of the front are trained again, for `steps` steps with each of `seeds` seeds; one of these wins.

    `steps` are more than the search's own, twice as many where they are left out: with three seeds of three models that is about what 16
    trials cost, and one seed that goes astray costs no model. Of `per_amp` fronts each has its best among the `top`, however many these are.
    """

    steps: Annotated[int, Field(ge=1)] | None = None
    seeds: Annotated[int, Field(ge=1, le=64)] = 3
    top: Annotated[int, Field(ge=1, le=64)] = 3


class PriorTrial(Frozen):
    """A trial of another search, or a packaged model: its point, what it weighs, the error it came to (its share of a baseline, where all in a
    prior tell that)."""

    point: dict[str, Any]
    macs: Annotated[int, Field(ge=1)]
    receptive_field: Annotated[int, Field(ge=1)]
    esr: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SearchConfig(Frozen):
    """One search: the amps, the space, the training of each trial, and how many trials.

    A trial is one architecture, trained on every dataset. `mode` says what a front is of: each amp for itself (`per_amp`), or one
    architecture for all (`universal`). Where `final` is null the search's own trials are the result. Paths are relative to the file that
    states them.

    `concurrent` trials run at once, each with `cpus_per_trial` and `gpus_per_trial`, which may be a fraction. Where the latter is not stated,
    all GPUs that are there when the search begins are used, each shared by as many trials as the CPUs can feed, four at most. With a GPU up
    to `stacked_trials` of one architecture are trained as one, in the place of one: the seeds of a final, or points with other learning
    rates or loss weights; each counts as one of `trials`. Four of them tell a good learning rate; more would crowd out architectures.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    datasets: Annotated[tuple[DataConfig, ...], Field(min_length=1, max_length=64)]
    mode: Literal["universal", "per_amp"] = "universal"
    space: Space = Space()
    bounds: Bounds = Bounds()
    limits: Limits = Limits()
    learning: LearningConfig = LearningConfig()
    trials: Annotated[int, Field(ge=1, le=100_000)] = 16
    pruning: Pruning | None = Pruning()
    final: Final | None = Final()
    warm: tuple[dict[str, Any], ...] = ()
    prior: tuple[Annotated[tuple[PriorTrial, ...], Field(min_length=1)], ...] = ()
    concurrent: Annotated[int, Field(ge=1)] | None = None
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = None
    stacked_trials: Annotated[int, Field(ge=1, le=64)] = 4
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [data.name for data in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"two datasets share a name: {', '.join(names)}")
        if ALL in names:
            raise ValueError(f"no dataset may be named '{ALL}': so is the front of all amps")
        for point in self.warm:
            if self.space.complete(point) is None:
                raise ValueError(f"the space holds no point {point}")
        return self

    @property
    def finals(self) -> int:
        """How many trials are trained again at most, each with several seeds; 0 without `final`."""
        fronts = len(self.datasets) if self.mode == "per_amp" else 1
        return max(self.final.top, fronts) if self.final else 0

    @property
    def final_steps(self) -> int:
        """The steps of a final; 0 without `final`."""
        return (self.final.steps or LONGER * self.learning.steps) if self.final else 0

    @property
    def trainings(self) -> list[tuple[int, int]]:
        """`(number, steps)` of the trainings on each amp, at most: the trials, then the finals, if any."""
        again = [(self.finals * self.final.seeds, self.final_steps)] if self.final else []
        return [(self.trials, self.learning.steps), *again]

    def relative_to(self, folder: Path) -> Self:
        """Return the search with its paths resolved from `folder`."""
        return self.model_copy(update={"datasets": tuple(data.relative_to(folder) for data in self.datasets)})

    def gpu_share(self, cpus: float, gpus: float) -> float:
        """Return each trial's share of a GPU, in Ray's steps of 1/10000: as stated, or such that all GPUs are used.

        Args:
            cpus: CPU cores that exist.
            gpus: GPUs that exist.
        """
        if self.gpus_per_trial is not None or not gpus:
            return self.gpus_per_trial or 0.0
        fed = cpus / self.cpus_per_trial
        sharing = min(SHARING, min(fed, self.concurrent or fed) // gpus)
        return math.floor(10_000 / max(1, sharing)) / 10_000

    def learning_of(self, point: Point, steps: int | None = None, seed: int | None = None) -> LearningConfig:
        """Return the learning settings (L) of a point, for `steps` steps and with `seed` where they are stated."""
        varied = {key: point[key] for key in (*self.space.learning, "learning_rate")}
        stated = self.learning.model_dump()
        return LearningConfig.model_validate(
            {
                **stated,
                **varied,
                "steps": steps or self.learning.steps,
                "seed": self.learning.seed if seed is None else seed,
            }
        )

    def recipes(self, point: Point, steps: int | None = None, seed: int | None = None) -> list[Recipe]:
        """Return one recipe per dataset: the same architecture and learning settings on each."""
        model, learning = self.space.model(point), self.learning_of(point, steps, seed)
        return [Recipe(data=data, model=model, learning=learning) for data in self.datasets]

    def identity(self, point: Point) -> str:
        """Return the name of what a point trains (see `identity_of`)."""
        return identity_of(self.space.model(point), self.learning_of(point))


def identity_of(model: WaveNetConfig, learning: LearningConfig) -> str:
    """Return eight letters, equal for two points that train the same model in the same way."""
    trained = model.model_dump(mode="json"), _canonical_learning(learning)
    return sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()[:8]


def _canonical_learning(learning: LearningConfig) -> dict[str, Any]:
    """Return one form for settings that train alike.

    Where a constant rate would end does not matter, and one step of warm-up is the same as none.
    """
    same: dict[str, Any] = {"warmup": max(1, learning.warmup)}
    if learning.schedule == "constant" or learning.final_rate == 1:
        same |= {"schedule": "constant", "final_rate": 1.0}
    return learning.model_dump(mode="json") | same
