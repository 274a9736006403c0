"""Which trials are recipes that have a name: the stock shapes with FiLM and the peers' own, as `configs/models` names them."""

from functools import cache
from typing import Any

from models.network.architecture import WaveNetConfig
from search.config.shapes import named_points
from search.config.space import FREE, Space

PEER = "peer-"

MOST_KNOBS = 5  # for which a peer has a recipe of its own


def recipe_of(space: Space, point: dict[str, Any]) -> str | None:
    """`a1-nano-film`, `peer-a1-knob-bias` and so on; None for a point whose model is none of them."""
    return None if point["shape"] == FREE else _named().get(space.model(point))


@cache
def _named() -> dict[WaveNetConfig, str]:
    space, found = Space(), dict[WaveNetConfig, str]()
    for knobs in range(1, MOST_KNOBS + 1):
        for point in named_points(knobs):
            model = space.model({"encoding": "levels", **point})
            found.setdefault(model, _name(point, knobs))
    return found


def _name(point: dict[str, Any], knobs: int) -> str:
    if point.get("encoding") == "type_level":
        return f"{PEER}type-level"
    if point["inject"] == "film":
        return f"{point['shape']}-film"
    if point["inject"] == "mixin":
        return f"{PEER}a1-knob-bias"
    return f"{PEER}a2-concat" + (f"-{knobs}-knobs" if point["shape"].startswith("a2-wide") else "")
