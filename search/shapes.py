"""Shapes with a name: dilation families, the stock layer arrays of NAM's A1 and A2, and the peers' fixed recipes."""

from collections.abc import Sequence
from typing import Any

from models.architecture import LayerArray

# Each family is one cycle, begun again when it is through.
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


# As NeuralAmpModeler trains them; the peers widen A2 with the number of knobs.
SHAPES: dict[str, tuple[LayerArray, ...]] = {
    "a1-nano": _a1(4, _A1_HALVES),
    "a1-feather": _a1(8, _A1_HALVES),
    "a1-lite": _a1(12, _A1_HALVES),
    "a1-standard": _a1(16, (_A1, _A1)),
    "a2-lite": _a2(3),
    "a2-full": _a2(8),
    **{f"a2-wide-{channels}": _a2(channels) for channels in (10, 12, 14, 16)},
}
STOCK = ("a1-nano", "a2-lite", "a1-feather", "a1-lite", "a2-full", "a1-standard")


def dilations(family: Sequence[int], depth: int) -> tuple[int, ...]:
    """`depth` dilations of a family."""
    return tuple(family[layer % len(family)] for layer in range(depth))


def named_points(knobs: int) -> list[dict[str, Any]]:
    """Where every search begins, cheapest first: the stock shapes with FiLM, and the peers' recipes for that many knobs.

    The peers put knobs into every mixin of A1 standard, or into input and mixin of an A2 that grows by two channels per knob.
    """
    wide = {1: "a2-full", 2: "a2-wide-10", 3: "a2-wide-12", 4: "a2-wide-14"}.get(knobs, "a2-wide-16")
    peers = [("a1-standard", "mixin"), ("a2-full", "input+mixin"), (wide, "input+mixin")]
    pairs = [*((shape, "film") for shape in STOCK), *peers]
    return [{"shape": shape, "inject": inject} for shape, inject in dict.fromkeys(pairs)]
