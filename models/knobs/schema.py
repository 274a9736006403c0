"""The knob schema: the name, range or positions, and default of each knob, and how a setting becomes numbers.

A setting is one value per knob: a number on the faceplate, or the name of a switch position. The network takes it as K
columns: one level in [-1, 1] per knob, one column of 0 or 1 per position of a switch.
"""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from models.core.errors import UserError
from models.core.schema import Frozen, spelled

Value = float | str

Setting = dict[str, Value]

Encoding = Literal["levels", "type_level"]

MAX_FACEPLATE = 1e9

MAX_COLUMNS = 64

AUDIO_TAPER = (0.85 / 0.15) ** 2  # base of the exponential whose division at the middle of the turn is 15 %

Faceplate = Annotated[float, Field(ge=-MAX_FACEPLATE, le=MAX_FACEPLATE)]

MAX_KNOBS = 32

MAX_POSITIONS = 16

KNOB_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"

KNOB_WORDS = "up to 32 lower-case letters, digits, - and _, for example 'gain'"

POSITION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 _.+-]{0,31}$"

POSITION_WORDS = "up to 32 letters, digits, spaces and . + - _, for example 'bright'"

UNIT_PATTERN = r"^[A-Za-z%][A-Za-z0-9%/]{0,6}$"

UNIT_WORDS = "up to 7 letters, digits, % and /, for example 'dB'"

KnobName = Annotated[str, spelled(KNOB_PATTERN, KNOB_WORDS)]

Position = Annotated[str, spelled(POSITION_PATTERN, POSITION_WORDS)]

Unit = Annotated[str, spelled(UNIT_PATTERN, UNIT_WORDS)]


def _as_written(value: Any) -> float | str:
    """Check a value as a document states it; it stays what it is until a knob or a switch reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and abs(value) < math.inf:  # a bool is an int
        return value
    raise ValueError("it must be a number, or the name of a position")


Written = Annotated[float | str, PlainValidator(_as_written, json_schema_input_type=float | str)]

WrittenSetting = dict[str, Written]  # as a person writes it: "7" and 7, true for on; `Knobs.complete` reads it

BOOL_POSITIONS = {True: ("true", "on", "yes"), False: ("false", "off", "no")}


def _is_bool(value: Any) -> bool:
    """Return whether a value is true or false, also one of numpy's, which is not imported for that."""
    return type(value).__name__ in ("bool", "bool_")


class Knob(Frozen):
    """A continuous knob, in the numbers on its faceplate."""

    name: Annotated[
        KnobName, Field(description="Name of the knob: a small letter, then small letters, digits, `-` and `_`.")
    ]
    min: Annotated[Faceplate, Field(description="Lowest number on the faceplate.")] = 0.0
    max: Annotated[Faceplate, Field(description="Highest number on the faceplate.")] = 1.0
    default: Annotated[Faceplate, Field(description="Where the knob rests; the middle of its range when left out.")]
    taper: Annotated[
        Literal["linear", "log"], Field(description="Taper of its potentiometer; `log` is an audio taper.")
    ] = "linear"
    step: Annotated[
        Annotated[float, Field(gt=0)] | None, Field(description="Smallest turn that a person can dial; null for none.")
    ] = None
    unit: Annotated[
        Unit | None, Field(description="Unit of its numbers, such as `dB`, `Hz` or `%`; null for none.")
    ] = None
    avoid_zero: Annotated[
        bool, Field(description="Whether the amp is mute at `min`, so that nothing can be recorded there.")
    ] = False
    gain: Annotated[
        bool, Field(description="Whether this knob sets how hard the amp is driven; at most one knob does.")
    ] = False
    after: Annotated[
        bool, Field(description="Whether this knob only filters after the distortion, as far as you know.")
    ] = False

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
            raise ValueError(f"knob '{self.name}' has default {self.default:g}, outside {self.min:g} to {self.max:g}")
        if self.step is not None and self.step > self.max - self.min:
            raise ValueError(f"knob '{self.name}' has step {self.step:g}, wider than its range")
        if self.after and self.gain:
            raise ValueError(f"knob '{self.name}' cannot drive the amp (gain) and filter after its distortion (after)")
        return self

    @model_serializer(mode="wrap")
    def _short(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what has its usual value."""
        plain = {"taper": "linear", "step": None, "unit": None, "avoid_zero": False, "gain": False, "after": False}
        return {key: value for key, value in dump(self).items() if key not in plain or value != plain[key]}

    @property
    def columns(self) -> int:
        """Number of columns in the network's input: one."""
        return 1

    @property
    def legal(self) -> str:
        """The legal range, as `0 to 10`, with the unit where there is one."""
        return f"{self.min:g} to {self.max:g}{f' {self.unit}' if self.unit else ''}"

    @property
    def scale(self) -> tuple:
        """Equal for two knobs of the same name, range and taper."""
        return self.name, self.min, self.max, self.taper

    def check(self, value: Value, where: str) -> float:
        """Return the value as a number; raises `UserError`, which begins with `where`, unless it is in range."""
        try:
            number = math.nan if _is_bool(value) or "_" in str(value) else float(value)
        except (ValueError, TypeError, OverflowError):
            number = math.nan
        if math.isnan(number):
            raise UserError(
                f"{where}: knob '{self.name}' is '{_shown(value)}', which is not a number from {self.legal}",
                f"Choose a number from {self.legal}.",
            )
        if not self.min <= number <= self.max:
            raise UserError(
                f"{where}: knob '{self.name}' is {number:.12g}, outside its range {self.legal}",
                f"Choose a value from {self.legal}.",
            )
        return number

    def level(self, value: Any) -> Any:
        """Return the level in [-1, 1] of a faceplate number, or of an array of them.

        -1 and 1 are the ends of the turn, 0 the middle of the pot's division.
        """
        turn = (value - self.min) / (self.max - self.min)
        return 2 * (turn if self.taper == "linear" else (AUDIO_TAPER**turn - 1) / (AUDIO_TAPER - 1)) - 1

    def encode(self, value: Value) -> list[float]:
        """Return the level, as a list of one."""
        return [self.level(value)]


class Switch(Frozen):
    """A knob with named positions and nothing between them."""

    name: Annotated[KnobName, Field(description="Name of the switch, as for a knob.")]
    positions: Annotated[
        tuple[Position, ...],
        Field(min_length=2, max_length=MAX_POSITIONS, description="Names of its positions."),
    ]
    default: Annotated[Position, Field(description="Position at which it rests; the first when left out.")]
    files: Annotated[
        bool,
        Field(
            description="Its positions are files of one take (`output_files`), such as two microphones: nothing to set."
        ),
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _first_is_default(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("default") is None:
            positions = value.get("positions")
            if isinstance(positions, list | tuple) and positions:
                return {**value, "default": positions[0]}
        return value

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.positions)) < len(self.positions):
            raise ValueError(f"switch '{self.name}' has two positions of one name: {self.legal}")
        if self.default not in self.positions:
            raise ValueError(f"switch '{self.name}' has default '{self.default}', which is none of {self.legal}")
        return self

    @property
    def columns(self) -> int:
        """Number of columns in the network's input: one per position."""
        return len(self.positions)

    @property
    def legal(self) -> str:
        """The legal positions, as `bright, dark`."""
        return ", ".join(self.positions)

    @property
    def scale(self) -> tuple:
        """Equal for two switches of the same name and positions."""
        return self.name, *self.positions

    def check(self, value: Value, where: str) -> str:
        """Return the name of a position; raises `UserError`, which begins with `where`.

        Text is the name letter for letter. A number is the position that is written so, else the one of that value;
        true and false are on and off.
        """
        if (found := self._find_position(value)) is None:
            name = _shown(value)
            near = get_close_matches(name, self.positions, 1)
            guess = f" Did you mean '{near[0]}'?" if near else ""
            raise UserError(f"{where}: switch '{self.name}' is '{name}'", f"Its positions are: {self.legal}.{guess}")
        return found

    def _find_position(self, value: Value) -> str | None:
        if isinstance(value, str):
            return next((name for name in (value, value.strip()) if name in self.positions), None)
        if _is_bool(value):
            words = BOOL_POSITIONS[bool(value)]
            return next((name for word in words for name in self.positions if name.lower() == word), None)
        if (number := _parse_number(value)) is None:
            return None
        written = (str(value), repr(number), f"{number:g}")
        equal = [name for name in self.positions if _parse_number(name) == number]
        return next((name for name in written if name in self.positions), equal[0] if len(equal) == 1 else None)

    def encode(self, value: Value) -> list[float]:
        """Return one number per position: 1 for this one, 0 for the others."""
        return [float(value == position) for position in self.positions]


def _shown(value: Any) -> str:
    """Return a value of a setting for a message, shortened."""
    if _is_bool(value):
        return str(bool(value)).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)[:40]


def _parse_number(value: Any) -> float | None:
    """Return a number, or the one that a text states; None for anything else."""
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _kind(value: Any) -> str:
    """Return the tag of a knob in a document: a switch has positions."""
    return "switch" if isinstance(value, Switch) or (isinstance(value, dict) and "positions" in value) else "knob"


AnyKnob = Annotated[Annotated[Knob, Tag("knob")] | Annotated[Switch, Tag("switch")], Discriminator(_kind)]


class Knobs(Frozen):
    """All knobs of an amp, in the order of the network's input."""

    knobs: tuple[AnyKnob, ...] = Field(max_length=MAX_KNOBS)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two knobs share a name: {', '.join(self.names)}")
        if self.columns() > MAX_COLUMNS:
            raise ValueError(f"knobs and positions of switches together are {self.columns()}, at most {MAX_COLUMNS}")
        if len(gains := [knob.name for knob in self.knobs if isinstance(knob, Knob) and knob.gain]) > 1:
            raise ValueError(f"more than one knob is the gain: {', '.join(gains)}")
        if len(files := [knob.name for knob in self.knobs if isinstance(knob, Switch) and knob.files]) > 1:
            raise ValueError(f"the files of a take are positions of one switch, not of {' and '.join(files)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the knobs."""
        return tuple(knob.name for knob in self.knobs)

    @property
    def defaults(self) -> Setting:
        """The setting with every knob at its default."""
        return {knob.name: knob.default for knob in self.knobs}

    @property
    def outputs(self) -> Switch | None:
        """The switch whose positions are files of one take, or None."""
        return next((knob for knob in self.knobs if isinstance(knob, Switch) and knob.files), None)

    def without_outputs(self) -> "Knobs":
        """Return the knobs that are set for a take."""
        return Knobs(knobs=tuple(knob for knob in self.knobs if knob != self.outputs))

    def find(self, name: str) -> AnyKnob | None:
        """Return the knob of that name, or None."""
        return next((knob for knob in self.knobs if knob.name == name), None)

    def columns(self, encoding: Encoding = "levels") -> int:
        """Return K, how many numbers the network takes for a setting."""
        return len(self.knobs) + 1 if encoding == "type_level" else sum(knob.columns for knob in self.knobs)

    def complete(self, setting: Mapping[str, Value], where: str = "setting") -> Setting:
        """Return the setting with the knobs it leaves out at their defaults.

        Raises `UserError`, which begins with `where`, for an unknown knob or a value that the knob does not have.
        """
        self.require(setting, where)
        return {knob.name: knob.check(setting.get(knob.name, knob.default), where) for knob in self.knobs}

    def require(self, names: Iterable[str], where: str) -> None:
        """Raise `UserError`, which begins with `where`, for a name that no knob has."""
        for name in names:
            if name not in self.names:
                near = get_close_matches(name, self.names, 1)
                guess = f" Did you mean '{near[0]}'?" if near else ""
                known = f"The knobs are: {', '.join(self.names)}.{guess}" if self.names else "It has no knobs."
                raise UserError(f"{where}: no knob is called '{name}'", known)

    def encode(
        self, setting: Mapping[str, Value], encoding: Encoding = "levels", where: str = "setting"
    ) -> list[float]:
        """Return a setting as K numbers; raises as `complete` does.

        "levels": one level per knob, one-hot positions per switch. "type_level" is for recordings that turn one knob at
        a time: which knob is away from its default (one-hot), and its level. If several are, it is the knob that is
        farthest away; if none is, all numbers are 0. Raises `UserError` for "type_level" with a switch.
        """
        full = self.complete(setting, where)
        levels = [number for knob in self.knobs for number in knob.encode(full[knob.name])]
        if encoding == "levels":
            return levels
        if switch := next((knob for knob in self.knobs if isinstance(knob, Switch)), None):
            raise UserError(
                f"{where}: '{switch.name}' is a switch, which the encoding 'type_level' cannot express",
                'Use "encoding": "levels".',
            )
        moved = [abs(a - b) for a, b in zip(levels, self.encode(self.defaults), strict=True)]
        farthest = moved.index(max(moved)) if any(moved) else None
        return [*(float(i == farthest) for i in range(len(levels))), 0.0 if farthest is None else levels[farthest]]
