"""The space of a search: its axes, and the model that each point stands for."""

import math
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self, get_args

from pydantic import Field, model_validator

from models.core.schema import Frozen
from models.knobs.schema import Encoding
from models.network.activation import Activation
from models.network.architecture import SLOTS, Film, Injection, LayerArray, Slot, WaveNetConfig
from models.training.config import LearningConfig
from search.config.shapes import FAMILIES, SHAPES, STOCK, canonical, dilations

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = dict[str, Any]  # axis -> its value; only the axes that have a meaning at the point

Choice = Field(min_length=1)

WidthChoice = Annotated[int, Field(ge=1, le=64)]

Depth = Annotated[int, Field(ge=1, le=32)]

Place = Literal["all", "first", "last"]

FREE, ANY = "free", "any"

# "any" chooses each of these or not. FiLM after the layer's 1x1s is left out: one needs a head1x1, the other is not
# applied by any stock player.
ANYWHERE = ("input", "mixin", *(slot for slot in SLOTS if not slot.endswith("1x1_post")))

BODY = (
    "arrays",
    "narrowing",
    "depth",
    "dilations",
    "channels",
    "kernel_size",
    "bottleneck",
    "activation",
    "gating",
    "head1x1",
    "head_kernel",
)

FILM_AXES, FEATURE_AXES = ("film_shift", "film_arrays"), ("encoder", "warp")

KNOB_AXES = ("inject", *FILM_AXES, *FEATURE_AXES, "encoding")

OWN_FIELDS = {"steps", "report_every", "seed", "learning_rate"}


class Chooser(Protocol):
    """What chooses the values of a point: an Optuna trial, chance, or given values."""

    @property
    def params(self) -> dict[str, Any]:
        """The values chosen so far."""
        ...

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """Return one of the choices."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Return a number in a range."""
        ...


class Space(Frozen):
    """The axes of a search. Each axis lists its choices; an axis with one choice is fixed.

    `inject` names places where knobs enter, joined by `+`: `input`, `mixin`, `film` (FiLM before the activation), and
    NAM's other FiLM slots. The slot `head1x1_post` needs a `head1x1`.
    """

    shapes: Annotated[
        tuple[str, ...],
        Field(
            description="Stock layer stacks to try besides the free ones; `[]` leaves out stock and other projects' "
            "recipes."
        ),
    ] = STOCK
    arrays: Annotated[tuple[Literal[1, 2, 3], ...], Choice, Field(description="Number of layer arrays.")] = (1,)
    narrowing: Annotated[
        tuple[Literal[1, 2], ...],
        Choice,
        Field(description="Factor by which the channels shrink from one array to the next."),
    ] = (1,)
    depth: Annotated[tuple[Depth, ...], Choice, Field(description="Layers per array.")] = (6, 8, 10)
    cycles: Annotated[
        dict[str, Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 14)], ...], Choice]],
        Field(description="Dilation families of your own: name to the dilations of one cycle."),
    ] = Field(default_factory=dict)
    dilations: Annotated[tuple[str, ...], Choice, Field(description="Dilation families, by name.")] = (
        "pow2",
        "pow2x5",
        "pow3",
    )
    channels: Annotated[tuple[WidthChoice, ...], Choice, Field(description="Channels of the first array.")] = (
        4,
        6,
        8,
        12,
    )
    kernel_size: Annotated[
        tuple[Annotated[int, Field(ge=1, le=16)], ...], Choice, Field(description="Taps of the convolutions.")
    ] = (3,)
    bottleneck: Annotated[
        tuple[Literal["full", "half"], ...],
        Choice,
        Field(description="Channels after the activation: all (`full`) or half of them."),
    ] = ("full",)
    activation: Annotated[
        tuple[Literal["Tanh", "ReLU", "LeakyReLU", "PReLU", "SiLU", "Hardtanh", "Softsign"], ...],
        Choice,
        Field(description="Nonlinearity."),
    ] = ("Tanh",)
    gating: Annotated[
        tuple[Literal["none", "gated", "blended"], ...], Choice, Field(description="How the activation is gated.")
    ] = ("none",)
    head1x1: Annotated[
        tuple[WidthChoice | None, ...],
        Choice,
        Field(description="Channels of a 1x1 convolution before the head; null for none."),
    ] = (None,)
    head_kernel: Annotated[
        tuple[Annotated[int, Field(ge=1, le=64)], ...], Choice, Field(description="Taps of the head convolution.")
    ] = (1,)
    inject: Annotated[
        tuple[str, ...],
        Choice,
        Field(description="Where the knobs enter: names joined by `+`, or `any` to vary every place by itself."),
    ] = ("mixin", "film", "mixin+film")
    film_shift: Annotated[tuple[bool, ...], Choice, Field(description="Whether FiLM adds an offset.")] = (True,)
    film_arrays: Annotated[
        tuple[Place, ...], Choice, Field(description="Which arrays have FiLM, where there are several.")
    ] = ("all",)
    encoder: Annotated[
        tuple[WidthChoice | None, ...], Choice, Field(description="Learned knob features; null for none.")
    ] = (None,)
    warp: Annotated[
        tuple[Annotated[int, Field(ge=2, le=16)] | None, ...],
        Choice,
        Field(description="Knots of the learned curve per knob; null for none."),
    ] = (None,)
    encoding: Annotated[tuple[Encoding, ...], Choice, Field(description="Numbers that a setting becomes.")] = (
        "levels",
    )
    learning_rate: Annotated[
        tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(le=1)]],
        Field(
            description="Range of the learning rate, searched on a log scale; left out, 0.003 to 0.015 where "
            "`learning` states `adam`."
        ),
    ] = (0.01, 0.03)
    learning: Annotated[
        dict[str, Annotated[tuple[Any, ...], Choice]],
        Field(description='Choices for other keys of L, such as `{"batch": [4, 8]}`.'),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _legal(self) -> Self:
        if self.learning_rate[0] > self.learning_rate[1]:
            raise ValueError(f"learning_rate is {self.learning_rate}: the lower end comes first")
        for axis, known in (("shapes", SHAPES), ("dilations", self.families)):
            for name in getattr(self, axis):
                if name not in known:
                    raise ValueError(f"{axis} names '{name}'; known are {', '.join(known)}")
        for inject in self.inject:
            if inject != ANY:
                injection(inject.split("+"))
            if "head1x1_post" in split_places(inject) and not any(self.head1x1):
                raise ValueError(
                    'inject names head1x1_post, but no layer has a head1x1; state its width, such as "head1x1": [8]'
                )
        for key, choices in self.learning.items():
            if key in OWN_FIELDS or key not in LearningConfig.model_fields:
                legal = ", ".join(name for name in LearningConfig.model_fields if name not in OWN_FIELDS)
                raise ValueError(f"learning varies '{key}'; it may vary {legal}")
            for choice in choices:
                LearningConfig.model_validate({key: choice})
        return self

    @property
    def families(self) -> dict[str, tuple[int, ...]]:
        """All dilation families: the built-in ones and those of `cycles`."""
        return {**FAMILIES, **self.cycles}

    def suggest(self, trial: Chooser) -> Point:
        """Return a point: a value for every axis that has a meaning there, as `trial` chooses."""

        def pick(axis: str) -> Any:
            return trial.suggest_categorical(axis, list(getattr(self, axis)))

        shape = trial.suggest_categorical("shape", [FREE, *self.shapes])
        for axis in BODY if shape == FREE else ():
            if (axis != "narrowing" or trial.params["arrays"] > 1) and (axis != "head1x1" or any(self.head1x1)):
                pick(axis)
        places = split_places(pick("inject"))
        if places == [ANY]:
            places = [place for place in ANYWHERE if trial.suggest_categorical(f"at_{place}", [False, True])]
        arrays = trial.params.get("arrays", len(SHAPES.get(shape, ())))
        if films(places):
            pick("film_shift")
            if arrays > 1:
                pick("film_arrays")
        for axis in FEATURE_AXES if set(places) - {"input"} else ():
            pick(axis)
        pick("encoding")
        for key, choices in self.learning.items():
            trial.suggest_categorical(key, list(choices))
        trial.suggest_float("learning_rate", *self.learning_rate, log=True)
        return {**trial.params, "learning_rate": self.rounded(trial.params["learning_rate"])}

    def draw(self, random: Random, near: Point | None = None) -> Point:
        """Return a random point; with `near`, two axes in three keep that point's value."""
        return self.suggest(_RandomChooser(random, near or {}))

    def vary_learning(self, random: Random, point: Point) -> Point:
        """Return the point with its learning axes drawn again."""
        drawn = self.draw(random)
        return {**point, **{key: drawn[key] for key in (*self.learning, "learning_rate")}}

    def rounded(self, rate: float) -> float:
        """Return a learning rate rounded to two digits, inside the range: smaller differences do not matter."""
        low, high = self.learning_rate
        return min(max(float(f"{rate:.1e}"), low), high)

    def complete(self, point: Point) -> Point | None:
        """Return a point with missing axes at their first choice, the learning rate in the middle of its range.

        None where the space does not hold the point.
        """
        low, high = self.learning_rate
        wanted = {"shape": FREE, "learning_rate": math.sqrt(low * high), **point}
        trial = _FixedChooser(wanted)
        try:
            found = self.suggest(trial)
        except ValueError:
            return None
        return found if wanted.keys() <= found.keys() else None

    def holding(self, points: Sequence[Point]) -> Self:
        """Return the space widened by the named shapes and by the choices of the knob axes that the points have."""
        wider = {"shapes": (*self.shapes, *(point["shape"] for point in points if point["shape"] != FREE))}
        for axis in KNOB_AXES:
            wider[axis] = (*getattr(self, axis), *(point[axis] for point in points if axis in point))
        return self.model_copy(update={axis: tuple(dict.fromkeys(choices)) for axis, choices in wider.items()})

    def distributions(self, point: Point) -> "dict[str, BaseDistribution]":
        """Return Optuna's distribution for every axis of a point."""
        trial = _FixedChooser(point)
        self.suggest(trial)
        return trial.distributions

    def model(self, point: Point) -> WaveNetConfig:
        """Return the model of a point in canonical form, so that equal networks are equal models.

        Raises `ValueError` where the point stands for no model.
        """
        shape = point["shape"]
        arrays = self._body(point) if shape == FREE else SHAPES[shape]
        places = split_places(point["inject"])
        if places == [ANY]:
            places = [place for place in ANYWHERE if point[f"at_{place}"]]
        here = {"all": None, "first": (0,), "last": (len(arrays) - 1,)}[point.get("film_arrays", "all")]
        inject = injection(
            places,
            shift=point.get("film_shift", True),
            arrays=here,
            encoder=point.get("encoder"),
            warp=point.get("warp"),
            encoding=point["encoding"],
        )
        return canonical(WaveNetConfig(arrays=arrays, inject=inject))

    def label(self, point: Point) -> str:
        """Return the layers of a point in a few words: `a2-full`, or `2x8 pow2 k3, 6 channels`."""
        if point["shape"] != FREE:
            return point["shape"]
        more = [point["activation"]] if len(self.activation) > 1 else []
        more += [] if point["gating"] == "none" else [point["gating"]]
        stack = f"{point['arrays']}x{point['depth']} {point['dilations']} k{point['kernel_size']}"
        return ", ".join([stack, f"{point['channels']} channels", *more])

    def _body(self, point: Point) -> tuple[LayerArray, ...]:
        def array(number: int) -> LayerArray:
            channels = max(1, point["channels"] // point.get("narrowing", 1) ** number)
            return LayerArray(
                channels=channels,
                bottleneck=max(1, channels // 2) if point["bottleneck"] == "half" else None,
                kernel_size=(point["kernel_size"],),
                dilations=dilations(self.families[point["dilations"]], point["depth"]),
                activation=(Activation(type=point["activation"]),),
                gating=point["gating"],
                head1x1=point.get("head1x1"),
                head_kernel_size=point["head_kernel"],
            )

        return tuple(map(array, range(point["arrays"])))


def split_places(inject: str) -> list[str]:
    """Return the places of an `inject` choice: `mixin+film` -> `["mixin", "activation_pre"]`."""
    return ["activation_pre" if word == "film" else word for word in inject.split("+")]


def films(places: list[str]) -> list[Slot]:
    """Return the FiLM slots among places, in NAM's order."""
    return [slot for slot in SLOTS if slot in places]


def injection(
    places: list[str], *, shift: bool = True, arrays: tuple[int, ...] | None = None, **rest: Any
) -> Injection:
    """Return the injection at places; raises `ValueError` for a place that does not exist."""
    places = split_places("+".join(places)) if places else []
    known = ("input", "mixin", "film", *get_args(Slot))
    for place in places:
        if place not in known:
            raise ValueError(f"knobs cannot enter at '{place}'; known are {', '.join(known)}, and '{ANY}'")
    film = tuple(Film(slot=slot, shift=shift, arrays=arrays) for slot in films(places))
    return Injection(input="input" in places, mixin="mixin" in places, film=film, **rest)


class _RandomChooser:
    """Chooses at random, or the value of the point `near`."""

    def __init__(self, random: Random, near: Point) -> None:
        self.random, self.near = random, near
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        keep = name in self.near and self.near[name] in choices and self.random.random() < 2 / 3
        self.params[name] = self.near[name] if keep else self.random.choice(choices)
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        assert log
        middle = math.log(self.near[name]) if name in self.near else self.random.uniform(math.log(low), math.log(high))
        value = math.exp(self.random.gauss(middle, 0.2) if name in self.near else middle)
        self.params[name] = min(max(value, low), high)
        return self.params[name]


class _FixedChooser:
    """Chooses given values, or the first choice; raises `ValueError` for a value that is no choice."""

    def __init__(self, wanted: Point) -> None:
        self.wanted = wanted
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        value = self.wanted.get(name, choices[0])
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise ValueError(f"{name} is {value!r}, which is none of {choices}")
        from optuna.distributions import CategoricalDistribution

        self.distributions[name] = CategoricalDistribution(choices)
        self.params[name] = value
        return value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        from optuna.distributions import FloatDistribution

        self.distributions[name] = FloatDistribution(low, high, log=log)
        self.params[name] = min(max(self.wanted[name], low), high)
        return self.params[name]
