"""Named shapes: dilation families, the stock layer arrays of NAM's A1 and A2, and recipes of other projects."""

from collections.abc import Sequence
from typing import Any

from models.network.architecture import SLOTS, Film, LayerArray, WaveNetConfig

# Each family is one cycle, which is repeated.
FAMILIES: dict[str, tuple[int, ...]] = {
    "pow2": tuple(2**i for i in range(10)),
    "pow2x8": tuple(2**i for i in range(8)),
    "pow2x5": tuple(2**i for i in range(5)),
    "pow3": tuple(3**i for i in range(6)),
    "a2": (1, 3, 7, 17, 41, 101, 239),
}


_A1 = FAMILIES["pow2"]

_A1_HALVES = _A1[:7], _A1[7:] + _A1

_A2 = FAMILIES["a2"] * 2 + (1, 13) + FAMILIES["a2"]

_A2_KERNELS = (6,) * 14 + (15, 15) + (6,) * 7


def _a1(channels: int, dilations: tuple[Sequence[int], Sequence[int]]) -> tuple[LayerArray, ...]:
    widths = channels, channels // 2
    return tuple(LayerArray(channels=c, dilations=tuple(d)) for c, d in zip(widths, dilations, strict=True))


def _a2(channels: int) -> tuple[LayerArray, ...]:
    shape = {"kernel_size": _A2_KERNELS, "dilations": _A2, "activation": "LeakyReLU", "head_kernel_size": 16}
    return (LayerArray.model_validate({"channels": channels, **shape}),)


# As NeuralAmpModeler trains them; other projects widen A2 with the number of knobs.
SHAPES: dict[str, tuple[LayerArray, ...]] = {
    "a1-nano": _a1(4, _A1_HALVES),
    "a1-feather": _a1(8, _A1_HALVES),
    "a1-lite": _a1(12, _A1_HALVES),
    "a1-standard": _a1(16, (_A1, _A1)),
    "a2-lite": _a2(3),
    "a2-full": _a2(8),
    **{f"a2-wide-{channels}": _a2(channels) for channels in (10, 12, 14, 16)},
    "pow2x8-8": (LayerArray(channels=8, dilations=FAMILIES["pow2x8"]),),
}

STOCK = ("a1-nano", "a2-lite", "a1-feather", "a1-lite", "a2-full", "a1-standard")


def dilations(family: Sequence[int], depth: int) -> tuple[int, ...]:
    """Return the first `depth` dilations of a family, which is repeated."""
    return tuple(family[layer % len(family)] for layer in range(depth))


def spread_indices(length: int, count: int) -> list[int]:
    """Return `count` indices spread evenly over a list: both ends of it, or its middle where there is one alone."""
    if count < 2:
        return [length // 2][: min(length, count)]
    count = min(length, count)
    return [round(index * (length - 1) / (count - 1)) for index in range(count)]


def named_points(knobs: int) -> list[dict[str, Any]]:
    """Return the first points of every search, the cheapest first: stock shapes with FiLM, other projects' recipes.

    Other projects put `knobs` knobs into every mixin of A1 standard, into input and mixin of an A2 that grows by two
    channels per knob, or give a small stack the index and the position of the knob that was moved. The points state
    all axes of a model, so that it does not depend on the space.
    """
    wide = {1: "a2-full", 2: "a2-wide-10", 3: "a2-wide-12", 4: "a2-wide-14"}.get(knobs, "a2-wide-16")
    recipes = [
        *((shape, "film", "levels") for shape in STOCK),
        ("pow2x8-8", "mixin", "type_level"),
        ("a1-standard", "mixin", "levels"),
        ("a2-full", "input+mixin", "levels"),
        (wide, "input+mixin", "levels"),
    ]
    return [_point(*recipe) for recipe in dict.fromkeys(recipes)]


def _point(shape: str, inject: str, encoding: str) -> dict[str, Any]:
    film = {"film_shift": True} if inject == "film" else {}
    film |= {"film_arrays": "all"} if film and len(SHAPES[shape]) > 1 else {}
    return {"shape": shape, "inject": inject, **film, "encoder": None, "warp": None, "encoding": encoding}


def canonical(model: WaveNetConfig) -> WaveNetConfig:
    """Return the shortest of all configs that are the same network.

    A bottleneck as wide as the channels is left out, a layer with one tap has no dilation, FiLM in all arrays lists
    none.
    """
    slots: dict[tuple, set[int]] = {}
    for film in model.inject.film:
        places = range(len(model.arrays)) if film.arrays is None else film.arrays
        slots.setdefault((SLOTS.index(film.slot), film.shift, film.audio), set()).update(places)
    films = tuple(
        Film(slot=SLOTS[slot], shift=shift, audio=audio, arrays=_listed(places, len(model.arrays)))
        for (slot, shift, audio), places in sorted(slots.items())
    )
    inject = model.inject.model_copy(update={"film": films})
    return model.model_copy(update={"arrays": tuple(map(_plain, model.arrays)), "inject": inject})


def _listed(places: set[int], arrays: int) -> tuple[int, ...] | None:
    return None if len(places) == arrays else tuple(sorted(places))


def _plain(array: LayerArray) -> LayerArray:
    spread = tuple(1 if k == 1 else d for k, d in zip(array.kernel_sizes, array.dilations, strict=True))
    bottleneck = None if array.bottleneck == array.channels else array.bottleneck
    return array.model_copy(update={"dilations": spread, "bottleneck": bottleneck})
