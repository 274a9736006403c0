"""The knob schema: what each knob is called, how far it turns, where it rests.

Shapes: K knobs. A setting is one value per knob in faceplate numbers; the network sees levels in [-1, 1].
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from models.errors import UserError
from models.files import Frozen

Setting = dict[str, float]
MAX_FACEPLATE = 1e9
MAX_GRID = 1000
Faceplate = Annotated[float, Field(ge=-MAX_FACEPLATE, le=MAX_FACEPLATE)]
KnobName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Knob(Frozen):
    """A continuous knob in the numbers on its faceplate; without a stated default it rests in the middle."""

    name: KnobName
    min: Faceplate = 0.0
    max: Faceplate = 1.0
    default: Faceplate

    @model_validator(mode="before")
    @classmethod
    def _middle_is_default(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("default") is None:
            low, high = value.get("min", 0.0), value.get("max", 1.0)
            if (
                isinstance(low, int | float)
                and isinstance(high, int | float)
                and max(abs(low), abs(high)) <= MAX_FACEPLATE
            ):
                return {**value, "default": (low + high) / 2}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min < self.max:
            raise ValueError(f"knob '{self.name}' has min {self.min:g}, which must be below max {self.max:g}")
        if not self.min <= self.default <= self.max:
            raise ValueError(f"knob '{self.name}' rests at {self.default:g}, outside {self.min:g} to {self.max:g}")
        return self

    def encode(self, value: float) -> float:
        """Faceplate number -> level in [-1, 1], so that 0 is the middle of the turn."""
        return 2 * (value - self.min) / (self.max - self.min) - 1


class Knobs(Frozen):
    """All knobs of an amp, in the order in which the network takes them."""

    knobs: tuple[Knob, ...] = Field(max_length=32)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two knobs share a name: {', '.join(self.names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The K knob names."""
        return tuple(knob.name for knob in self.knobs)

    @property
    def defaults(self) -> Setting:
        """The setting with every knob at rest."""
        return {knob.name: knob.default for knob in self.knobs}

    def complete(self, setting: Mapping[str, float], where: str = "setting") -> Setting:
        """Fill the knobs a setting leaves out with their defaults.

        Raises `UserError` for an unknown knob or a value outside the knob's range; `where` opens the sentence.
        """
        for name in setting:
            if name not in self.names:
                near = get_close_matches(name, self.names, 1)
                guess = f" Did you mean '{near[0]}'?" if near else ""
                raise UserError(
                    f"{where}: no knob is called '{name}'", f"The knobs are: {', '.join(self.names)}.{guess}"
                )
        for knob in self.knobs:
            value = setting.get(knob.name, knob.default)
            if not knob.min <= value <= knob.max:
                raise UserError(
                    f"{where}: knob '{knob.name}' is {value:.12g}, outside its range {knob.min:g} to {knob.max:g}",
                    f"Choose a value from {knob.min:g} to {knob.max:g}.",
                )
        return {**self.defaults, **{name: float(value) for name, value in setting.items()}}

    def encode(self, setting: Mapping[str, float], where: str = "setting") -> list[float]:
        """Setting -> K levels in [-1, 1]; raises as `complete` does."""
        full = self.complete(setting, where)
        return [knob.encode(full[knob.name]) for knob in self.knobs]


def format_setting(setting: Mapping[str, float]) -> str:
    """`gain=7 tone=3`, for tables and messages."""
    return " ".join(f"{name}={value:g}" for name, value in setting.items())


def parse_setting(pairs: Iterable[str]) -> Setting:
    """`["gain=7", "tone=3"]` -> setting; raises `UserError` for what is not `name=number`."""
    setting: Setting = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not name or value - value != 0:
            raise UserError(f"'{pair}' does not set a knob", "Write name=number, for example gain=7.")
        if name in setting:
            raise UserError(f"knob '{name}' is set twice", "Set each knob once.")
        setting[name] = value
    return setting


def parse_grid(axes: Iterable[str]) -> list[Setting]:
    """`["gain=2,5,8", "tone=3"]` -> every combination; raises `UserError` for what is not `name=number,number,...`."""
    settings: list[Setting] = [{}]
    for axis in axes:
        name, _, values = axis.partition("=")
        choices = [parse_setting([f"{name}={value}"]) for value in values.split(",")]
        if name in settings[0]:
            raise UserError(f"knob '{name}' has two lists", "Give each knob one list of values.")
        settings = [{**setting, **choice} for setting in settings for choice in choices]
        if len(settings) > MAX_GRID:
            raise UserError(
                f"the grid has {len(settings):,} settings, at most {MAX_GRID:,} are written", "Use fewer values."
            )
    return settings
