"""The axes of a search: what may vary, under which names, and the recipe each point stands for."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import Field, model_validator

from models.architecture import MAX_RECEPTIVE_FIELD, Activation, Film, Injection, LayerArray, WaveNetConfig
from models.files import Frozen
from models.recipe import DataConfig, LearningConfig, Recipe

INJECTIONS = {
    "mixin": Injection(mixin=True),
    "film": Injection(film=(Film(slot="activation_pre"),)),
    "mixin+film": Injection(mixin=True, film=(Film(slot="activation_pre"),)),
}
CYCLES = {"pow2": (2, 10), "pow2x5": (2, 5), "pow3": (3, 6)}

Choice = Field(min_length=1)
Width = Annotated[int, Field(ge=1, le=64)]
Depth = Annotated[int, Field(ge=1, le=32)]


def dilations(family: str, depth: int) -> tuple[int, ...]:
    """`depth` dilations of a named family: powers of 2 or 3, begun again after a cycle of 10, 5 or 6 layers."""
    base, cycle = CYCLES[family]
    return tuple(base ** (layer % cycle) for layer in range(depth))


class Space(Frozen):
    """Each axis lists its choices; an axis with one choice is fixed. `learning_rate` is a range, searched on a log scale."""

    arrays: Annotated[tuple[Literal[1, 2], ...], Choice] = (1,)
    depth: Annotated[tuple[Depth, ...], Choice] = (6, 8, 10)
    dilations: Annotated[tuple[Literal["pow2", "pow2x5", "pow3"], ...], Choice] = ("pow2", "pow2x5", "pow3")
    channels: Annotated[tuple[Width, ...], Choice] = (4, 6, 8, 12)
    kernel_size: Annotated[tuple[Literal[2, 3, 4, 5, 6], ...], Choice] = (3,)
    activation: Annotated[tuple[Literal["Tanh", "ReLU", "LeakyReLU", "SiLU"], ...], Choice] = ("Tanh",)
    inject: Annotated[tuple[Literal["mixin", "film", "mixin+film"], ...], Choice] = ("mixin", "film", "mixin+film")
    learning_rate: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(le=1)]] = (0.003, 0.015)

    @model_validator(mode="after")
    def _legal(self) -> Self:
        if self.learning_rate[0] > self.learning_rate[1]:
            raise ValueError(f"learning_rate is {self.learning_rate}: the lower end comes first")
        for family in self.dilations:
            reach = 1 + max(self.arrays) * (max(self.kernel_size) - 1) * sum(dilations(family, max(self.depth)))
            if reach > MAX_RECEPTIVE_FIELD:
                raise ValueError(
                    f"dilations '{family}' at depth {max(self.depth)} reach {reach:,} samples; lower the depth"
                )
        return self

    def suggest(self, trial: optuna.Trial) -> None:
        """Have Optuna choose a point of the space."""
        for axis in Space.model_fields:
            if axis != "learning_rate":
                trial.suggest_categorical(axis, list(getattr(self, axis)))
        trial.suggest_float("learning_rate", *self.learning_rate, log=True)

    def model(self, point: dict[str, Any]) -> WaveNetConfig:
        """The WaveNet of a point."""
        array = LayerArray(
            channels=point["channels"],
            kernel_size=(point["kernel_size"],),
            dilations=dilations(point["dilations"], point["depth"]),
            activation=(Activation(type=point["activation"]),),
        )
        return WaveNetConfig(arrays=(array,) * point["arrays"], inject=INJECTIONS[point["inject"]])


class SearchConfig(Frozen):
    """One search: the amps, the space, the training of each trial, and how many trials.

    A trial is one architecture, trained on every dataset. Paths are relative to the file that states them.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    datasets: Annotated[tuple[DataConfig, ...], Field(min_length=1, max_length=64)]
    space: Space = Space()
    learning: LearningConfig = LearningConfig()
    trials: Annotated[int, Field(ge=1, le=100_000)] = 16
    concurrent: Annotated[int, Field(ge=1)] | None = None
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [data.name for data in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"two datasets share a name: {', '.join(names)}")
        return self

    def relative_to(self, folder: Path) -> Self:
        """The same search with its paths resolved from `folder`."""
        return self.model_copy(update={"datasets": tuple(data.relative_to(folder) for data in self.datasets)})

    def recipes(self, point: dict[str, Any]) -> list[Recipe]:
        """One recipe per dataset: the same architecture and learning on each."""
        learning = self.learning.model_copy(update={"learning_rate": point["learning_rate"]})
        model = self.space.model(point)
        return [Recipe(data=data, model=model, learning=learning) for data in self.datasets]
