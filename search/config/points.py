"""Points that come from a file: whether each stands for a model, before anything is made of it."""

from functools import cache
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from models.core.schema import short_repr
from search.config.shapes import SHAPES
from search.config.space import BODY, FREE, KNOB_AXES, Point, Space

MAX_AXIS_VALUE, MAX_AXIS_WORD = 1e9, 200  # of a point: no axis has more


def check_values(point: Point) -> None:
    """Raise `ValueError` for a value that no axis has: neither a word, nor true or false, nor a number from 0 on."""
    for axis, value in point.items():
        number = isinstance(value, int | float) and 0 <= value <= MAX_AXIS_VALUE
        if not (value is None or number or (isinstance(value, str) and len(value) <= MAX_AXIS_WORD)):
            raise ValueError(f"{axis} is {short_repr(value)}, neither a word nor a number from 0 to {MAX_AXIS_VALUE:g}")


def check_model_point(space: Space, point: Point) -> None:
    """Raise `ValueError` where a point stands for no model; its choices need not be those of the space."""
    check_values(point)
    for axis, choice in _axis_choices().items():
        if axis in point:
            try:
                choice.validate_python(point[axis], strict=True)
            except ValidationError:
                raise ValueError(f"{axis} is {short_repr(point[axis])}") from None
    if (shape := point.get("shape")) not in (FREE, *SHAPES):
        raise ValueError(f"shape is {short_repr(shape)}; known are {FREE}, {', '.join(SHAPES)}")
    if shape == FREE and (family := point.get("dilations")) not in space.families:
        raise ValueError(f"dilations is {short_repr(family)}; known are {', '.join(space.families)}")
    try:
        space.model(point)
    except KeyError as problem:
        raise ValueError(f"it states no {problem.args[0]}") from None
    except ValidationError as problem:
        raise ValueError(problem.errors()[0]["msg"].removeprefix("Value error, ")) from None


@cache
def _axis_choices() -> dict[str, TypeAdapter[Any]]:
    """Return what a value of each axis must be, in any space."""
    hints = get_type_hints(Space, include_extras=True)
    return {axis: TypeAdapter(get_args(get_args(hints[axis])[0])[0]) for axis in (*BODY, *KNOB_AXES)}
