"""Names of published recipes: the stock shapes with FiLM and those of other projects, as in `configs/models`."""

from functools import cache

from models.network.architecture import WaveNetConfig
from search.config.shapes import named_points
from search.config.space import FREE, Point, Space

PEER = "peer-"

MAX_NAMED_KNOBS = 5  # the largest number of knobs with a recipe of its own


def recipe_of(space: Space, point: Point) -> str | None:
    """Return the recipe that a point's model is, such as `a1-nano-film` or `peer-a1-knob-bias`; None if it is none."""
    return None if point["shape"] == FREE else _named().get(space.model(point))


@cache
def _named() -> dict[WaveNetConfig, str]:
    space, found = Space(), dict[WaveNetConfig, str]()
    for knobs in range(1, MAX_NAMED_KNOBS + 1):
        for point in named_points(knobs):
            model = space.model({"encoding": "levels", **point})
            found.setdefault(model, _name(point, knobs))
    return found


def _name(point: Point, knobs: int) -> str:
    if point.get("encoding") == "type_level":
        return f"{PEER}type-level"
    if point["inject"] == "film":
        return f"{point['shape']}-film"
    if point["inject"] == "mixin":
        return f"{PEER}a1-knob-bias"
    return f"{PEER}a2-concat" + (f"-{knobs}-knobs" if point["shape"].startswith("a2-wide") else "")


def recipe_models(knobs: int) -> dict[str, WaveNetConfig]:
    """Return the named recipes for an amp of so many knobs, the cheapest first: name -> model."""
    space = Space()
    return {_name(point, knobs): space.model(point) for point in named_points(knobs)}
