"""A search as data: the amps, the space and its bounds, the training of a trial, pruning, limits, finals."""

import json
import math
import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from models.core.errors import UserError, WrongKind, shell_words
from models.core.schema import SHORT_NAME, SHORT_NAME_WORDS, Frozen, read_document, short_repr, spelled
from models.network.architecture import MAX_RECEPTIVE_FIELD, WaveNetConfig
from models.recordings.config import DataConfig
from models.training.config import LearningConfig, Recipe
from search.config.points import check_model_point, check_values
from search.config.space import Point, Space

ADAM_RATES = (0.003, 0.015)  # range of Adam's learning rates where none is stated

LONGER = 2  # steps of a final, as a multiple of the steps of a trial, where they are not stated

ALL = "all"  # the name of the front of all amps

MAX_TRIALS = 100_000

MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0}  # unit of a time -> minutes

SHARING = 4  # most trials that share a GPU where its share is not stated; they only take turns on it

ADOPTED = {  # key that tells a kind of document -> how a search gets what such a document holds
    "entries": "State it as 'train' of one of the 'datasets' in the config of a search.",
    "train": "Copy what it holds into 'datasets' of the config of a search.",
}

Range = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Bounds(Frozen):
    """What an architecture must satisfy before it is trained; both ends of a range are allowed."""

    receptive_field: Annotated[
        Range,
        Field(
            description="Lowest and highest receptive field, in samples. A lowest of 1 follows the takes: it is as "
            "long as their response, but for 3 % of its energy."
        ),
    ] = (
        1,
        MAX_RECEPTIVE_FIELD,
    )
    parameters: Annotated[Range, Field(description="Lowest and highest number of trained parameters.")] = (1, 1 << 24)
    cost: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Field(description="Highest cost: seconds of one core per second of audio, on the study's machine."),
    ] = None
    export: Annotated[
        tuple[Literal["live", "bake"], ...],
        Field(description="Forms in which every model must be exportable to a `.nam` file."),
    ] = ("live", "bake")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("receptive_field", "parameters"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is {[low, high]}: the lower end comes first")
        return self


class Limits(Frozen):
    """What a trained model must satisfy on every amp; otherwise it is infeasible.

    With one front per amp, a model is infeasible on the front of the amp where it breaks a limit.
    """

    worst_esr: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Field(description="Highest ESR allowed at any validation setting; null for no limit."),
    ] = None
    knob_move_dbfs: Annotated[
        float | None,
        Field(description="Highest level, in dBFS, that a 50 ms turn of any knob may add; null for no limit."),
    ] = None
    runaway: Annotated[
        bool,
        Field(description="Whether a model is infeasible when a corner of the knobs is far louder than any recording."),
    ] = True


class Pruning(Frozen):
    """Early stopping of trials at rungs.

    The first `calibrate` trials train to the end. They decide where the first rung is and how much is stopped there.
    Stock shapes and other projects' recipes always train to the end.
    """

    calibrate: Annotated[
        int,
        Field(
            ge=3,
            description="Trials trained to the end before anything is pruned, besides stock and other projects' "
            "recipes.",
        ),
    ] = 8
    grace: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(description="Steps before which no trial is stopped; null means a twentieth of `learning.steps`."),
    ] = None
    control: Annotated[
        Annotated[int, Field(ge=2)] | None,
        Field(description="One in this many later trials trains to the end regardless; null for none."),
    ] = 10


class Final(Frozen):
    """Final trainings: at most `top` models of the fronts are trained again, longer, with several seeds.

    They are chosen in this order: the best model of each front, the best of each smaller tier, then the others by
    error. The best model of each front is always trained again, even if `top` is smaller.
    """

    steps: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(description="Steps of each final training, more than `learning.steps`; null means twice as many."),
    ] = None
    seeds: Annotated[int, Field(ge=1, le=64, description="Seeds per model.")] = 3
    top: Annotated[int, Field(ge=1, le=64, description="Models of the fronts that are trained again, at most.")] = 3


class SearchConfig(Frozen):
    """One search: the amps, the space, the training of each trial, the number of trials.

    A trial is an architecture with learning settings, trained on every dataset. Without `final`, the search's own
    trials are the result. Paths are relative to the file that states them. Trials trained together on a GPU
    (`stacked_trials`) count one by one.
    """

    name: Annotated[
        str,
        spelled(
            SHORT_NAME,
            SHORT_NAME_WORDS,
            description="Name of the study: small letters, digits, `-` and `_`.",
        ),
    ]
    datasets: Annotated[
        tuple[DataConfig, ...], Field(min_length=1, max_length=64, description="The amps: one D each, given in place.")
    ]
    mode: Annotated[
        Literal["universal", "per_amp"],
        Field(description="One front over all amps (`universal`), or one per amp (`per_amp`)."),
    ] = "universal"
    space: Annotated[Space, Field(description="What may vary, and the choices.")] = Space()
    bounds: Annotated[Bounds, Field(description="What an architecture must satisfy before it is trained.")] = Bounds()
    limits: Annotated[Limits, Field(description="What a trained model must satisfy to be feasible.")] = Limits()
    learning: Annotated[
        LearningConfig, Field(description="L of every trial; its learning rate comes from the space.")
    ] = LearningConfig()
    trials: Annotated[
        int, Field(ge=1, le=MAX_TRIALS, description="Number of trials of the search, finals not counted.")
    ] = 16
    minutes: Annotated[
        Annotated[float, Field(gt=0, le=525_600)] | None,
        Field(description="Time of the whole search, its final included; `trials` are the most. Null for no limit."),
    ] = None
    pruning: Annotated[
        Pruning | None, Field(description="How trials are stopped early; null trains all to the end.")
    ] = Pruning()
    final: Annotated[
        Final | None, Field(description="How the best are trained again at the end; null leaves that out.")
    ] = Final()
    warm: Annotated[tuple[dict[str, Any], ...], Field(description="First points; written by `--from`.")] = ()
    concurrent: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(description="Trials at once; null means as many as the machine or cluster can feed."),
    ] = None
    cpus_per_trial: Annotated[float, Field(gt=0, description="CPU cores per trial; a fraction is allowed.")] = 1
    gpus_per_trial: Annotated[
        Annotated[float, Field(ge=0)] | None,
        Field(description="GPUs per trial, a fraction is allowed; null shares all GPUs that are there."),
    ] = None
    stacked_trials: Annotated[
        int, Field(ge=1, le=64, description="Trials of one architecture trained together on a GPU, at most.")
    ] = 4
    seed: Annotated[int, Field(ge=0, lt=1 << 32, description="Seed of the search's own choices.")] = 0

    @model_validator(mode="before")
    @classmethod
    def _rates_of_adam(cls, value: Any) -> Any:
        """Adam has a range of learning rates of its own where none is stated."""
        learning, space = (value.get(key, {}) if isinstance(value, dict) else None for key in ("learning", "space"))
        if isinstance(learning, dict) and learning.get("optimizer") == "adam" and isinstance(space, dict):
            return {**value, "space": {"learning_rate": ADAM_RATES, **space}}
        return value

    @field_validator("learning", mode="before")
    @classmethod
    def _no_choices(cls, value: Any) -> Any:
        for key, choices in value.items() if isinstance(value, dict) else ():
            if isinstance(choices, list) and key in LearningConfig.model_fields:
                wanted = json.dumps({"space": {"learning": {key: choices}}})
                raise ValueError(f"{key} is {choices}, a list of choices; it belongs into the space: {wanted}")
        return value

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [data.name for data in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"two datasets share a name: {', '.join(names)}")
        if ALL in names:
            raise ValueError(f"no dataset may be named '{ALL}': so is the front of all amps")
        return self

    @model_validator(mode="after")
    def _held_points(self) -> Self:
        for point in self.warm:
            check_values(point)
            rate = point.get("learning_rate", self.space.learning_rate[0])
            if isinstance(rate, bool) or not isinstance(rate, int | float):
                raise ValueError(f"a warm point has the learning_rate {short_repr(rate)}")  # noqa: TRY004 (for pydantic)
            whole = self.space.complete(point)
            if whole is None:
                raise ValueError(f"the space holds no point {short_repr(point)}")
            self.check_point(whole)
        return self

    @property
    def known_trials(self) -> int | None:
        """The number of trials where it is known beforehand; None where time limits it."""
        return None if self.minutes else self.trials

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

    def with_budget(self, budget: str | float) -> Self:
        """Return the search with a number of trials (`24`) or the time of the whole search (`90s`, `30m`, `2h`).

        With a time, `trials` are as many as fit, or at most those that the config states. Raises `UserError` for any
        other budget.
        """
        text = "" if isinstance(budget, bool) else str(budget)
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|h)?", text)
        number, unit = float(match[1]) if match else 0.0, match[2] if match else None
        changed: dict[str, Any] = {"trials": number, "minutes": None}
        if unit:
            trials = self.trials if "trials" in self.model_fields_set else MAX_TRIALS
            changed = {"trials": trials, "minutes": number * MINUTES[unit]}
        try:
            checked = type(self).model_validate(self.model_dump(exclude_unset=True) | changed)
        except ValidationError:
            raise UserError(
                f"budget is {short_repr(budget)}, neither a number of trials nor a time",
                "Write a whole number from 1, as in 24, or a time, as in 90s, 30m or 2h.",
            ) from None
        return self.model_copy(update={name: getattr(checked, name) for name in changed})

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

    def check_point(self, point: Point) -> None:
        """Raise `ValueError` where a point stands for no model and training of this search."""
        check_model_point(self.space, point)
        if "learning_rate" not in point:
            raise ValueError("it states no learning_rate")
        if missing := [key for key in self.space.learning if key not in point]:
            raise ValueError(f"it states no {missing[0]}")
        try:
            self.learning_of(point)
        except ValidationError as problem:
            key = ".".join(map(str, problem.errors()[0]["loc"]))
            raise ValueError(f"{key} is {short_repr(point.get(key))}") from None

    def identity(self, point: Point) -> str:
        """Return the name of what a point trains (see `identity_of`)."""
        return identity_of(self.space.model(point), self.learning_of(point))


def read_search(path: Path) -> SearchConfig:
    """Read a search config.

    Raises `UserError` naming the file and the key that is wrong, or what the file is instead.
    """
    if (path / "study.json").is_file():
        raise UserError(
            f"{path} is the folder of a study, not the config of a search",
            f"Go on with: {shell_words('zoo', 'search', 'CONFIG', '--out', path, '--resume')}, CONFIG being the file "
            f"that it was begun with. Its trials: {shell_words('zoo', 'board', path)}",
        )
    try:
        return read_document(path, SearchConfig).relative_to(path.resolve().parent)
    except WrongKind as problem:
        hint = ADOPTED.get(problem.key, "The config of a search has 'name' and 'datasets'.")
        hint += " configs/quickstart/search.json is an example."
        if problem.key in ADOPTED:
            hint += f" One model, without a search: {shell_words('zoo', 'train', path)}"
        raise WrongKind(problem.message, hint, problem.key) from None


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
