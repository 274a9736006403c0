"""From a model back to a point: the point of a space that stands for a model."""

from collections.abc import Mapping
from typing import Any

from models.network.architecture import WaveNetConfig
from search.config.shapes import SHAPES, canonical, dilations
from search.config.space import ANY, FREE, Point, Space


def locate(space: Space, model: WaveNetConfig, learning: Mapping[str, Any] = {}) -> Point | None:
    """Return the point of a space that stands for a model, or None where there is none.

    Of `learning` it takes what the space holds (see `held_learning`).
    """
    model, knobs, learnt = canonical(model), _knob_axes(model), held_learning(space, learning)
    for stack in _layer_axes(space, model):
        for choice in space.inject:
            for place in ("all", "first", "last") if model.inject.film and len(model.arrays) > 1 else (None,):
                where = _place_axes(model) if choice == ANY else {}
                films = {"film_arrays": place} if place else {}
                point = space.complete({**stack, "inject": choice, **where, **knobs, **films, **learnt})
                if point and _model(space, point) == model:
                    return point
    return None


def translate(space: Space, other: Space, point: Point) -> Point | None:
    """Return the point of `space` that stands for the same model as a point of another space, or None."""
    body = {key: value for key, value in point.items() if key not in (*other.learning, "learning_rate")}
    same = space.complete({**body, **held_learning(space, point)})
    if same and _model(space, same) == other.model(point):
        return same
    return locate(space, other.model(point), point)


def held_learning(space: Space, learning: Mapping[str, Any]) -> dict[str, Any]:
    """Return the subset of learning settings that lie inside the space, including the learning rate."""
    stated = [(key, choice) for key, choices in space.learning.items() for choice in choices if key in learning]
    held = {key: choice for key, choice in stated if choice == learning[key]}
    return held | ({"learning_rate": learning["learning_rate"]} if "learning_rate" in learning else {})


def _model(space: Space, point: Point) -> WaveNetConfig | None:
    """Return the model of a point; None where it stands for none."""
    try:
        return space.model(point)
    except ValueError:
        return None


def _layer_axes(space: Space, model: WaveNetConfig) -> list[Point]:
    """Return the layers of a model in each way that a point can state them: by shape or by dilation family."""
    first = model.arrays[0]
    stacks: list[Point] = [{"shape": name} for name, arrays in SHAPES.items() if arrays == model.arrays]
    for family, cycle in space.families.items():
        if set(first.kernel_sizes) == {1} or dilations(cycle, first.depth) == first.dilations:
            body = {
                "shape": FREE,
                "arrays": len(model.arrays),
                "depth": first.depth,
                "dilations": family,
                "channels": first.channels,
                "kernel_size": first.kernel_sizes[0],
                "bottleneck": "half" if first.width < first.channels else "full",
                "activation": first.activations[0].type,
                "gating": first.gating[0],
                **({"head1x1": first.head1x1} if any(space.head1x1) else {}),
                "head_kernel": first.head_kernel_size,
            }
            stacks += [{**body, "narrowing": n} for n in (1, 2)] if len(model.arrays) > 1 else [body]
    return stacks


def _knob_axes(model: WaveNetConfig) -> Point:
    """Return the axes of how a model takes its knobs, wherever they enter."""
    inject, knobs = model.inject, {"encoding": model.inject.encoding}
    if inject.mixin or inject.film:
        knobs |= {"encoder": inject.encoder, "warp": inject.warp}
    return knobs | ({"film_shift": inject.film[0].shift} if inject.film else {})


def _place_axes(model: WaveNetConfig) -> Point:
    """Return which of the places of `inject: any` a model uses."""
    slots = {film.slot for film in model.inject.film}
    return {"at_input": model.inject.input, "at_mixin": model.inject.mixin} | {f"at_{slot}": True for slot in slots}
