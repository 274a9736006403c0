"""What was found before, as the first points of a new search: the front of another study, or a model that was packaged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.architecture import WaveNetConfig
from models.dataset import load_data
from models.documents import CONFIG, RECIPE, ModelConfig
from models.errors import NotFound, UserError
from models.files import read_document, read_json
from search.board import STUDY, read_study, summarise
from search.config import SearchConfig
from search.ledger import ledger_path, read_lines
from search.shapes import SHAPES, dilations
from search.space import ANY, FREE, Space

MOST = 8  # points: more brought nothing in a simulation, and each costs a trial


def warmed(config: SearchConfig, sources: Sequence[Path]) -> SearchConfig:
    """The same search beginning with the best points of other studies, packages and run folders, those of amps with as many knobs first.

    Raises `NotFound` for a source that is none of these, `UserError` where the space holds none of their points.
    """
    if not sources:
        return config
    knobs = max(len(load_data(data).knobs.knobs) for data in config.datasets)
    found = sorted((_read(config.space, source) for source in sources), key=lambda one: abs(one[0] - knobs))
    points = {config.identity(point): point for _, points in found for point in points}
    if not points:
        raise UserError(
            f"the space holds no point of {', '.join(map(str, sources))}",
            "Widen the axes of the space, or leave out --from.",
        )
    return config.model_copy(update={"warm": tuple(points.values())[:MOST]})


def _read(space: Space, source: Path) -> tuple[int, list[dict[str, Any]]]:
    """`(knobs, points)` of a source, the points spread over its front."""
    if (source / STUDY).exists() and ledger_path(source).exists():
        return _from_study(space, source)
    if (source / CONFIG).exists():
        config = read_document(source / CONFIG, ModelConfig)
        rate = read_json(source / RECIPE)["learning"]["learning_rate"] if (source / RECIPE).exists() else None
        point = locate(space, config.architecture, rate)
        return len(config.knobs.knobs), [point] if point else []
    raise NotFound(
        f"{source} is no study, package or run folder", "Name the folder that zoo search or zoo package wrote."
    )


def _from_study(space: Space, source: Path) -> tuple[int, list[dict[str, Any]]]:
    other = read_study(source)
    board = summarise(other, read_lines(source))
    ahead = sorted((trial for trial in board["trials"] if trial["front"]), key=lambda trial: trial["cost"])
    step = max(1.0, (len(ahead) - 1) / (MOST - 1))
    spread = [ahead[round(place * step)] for place in range(min(MOST, len(ahead)))]
    points = [_translated(space, other.space, trial["point"]) for trial in spread]
    return (ahead[0]["columns"] if ahead else 0), [point for point in points if point]


def _translated(space: Space, other: Space, point: dict[str, Any]) -> dict[str, Any] | None:
    """A point of another space in this one."""
    learning = {key: point[key] for key in ("learning_rate", *space.learning) if key in point}
    same = space.complete({key: value for key, value in point.items() if key not in other.learning or key in learning})
    if same and space.model(same) == other.model(point):
        return same
    return locate(space, other.model(point), point["learning_rate"])


def locate(space: Space, model: WaveNetConfig, rate: float | None = None) -> dict[str, Any] | None:
    """The point of a space that stands for a model, or None."""
    first, inject = model.arrays[0], model.inject
    stacks: list[dict[str, Any]] = [{"shape": name} for name in space.shapes if SHAPES[name] == model.arrays]
    for family, cycle in space.families.items():
        if dilations(cycle, first.depth) == first.dilations:
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
                "head_kernel": first.head_kernel_size,
            }
            stacks += [{**body, "narrowing": n} for n in (1, 2)] if len(model.arrays) > 1 else [body]
    knobs: dict[str, Any] = {"encoding": inject.encoding}
    if inject.mixin or inject.film:
        knobs |= {"encoder": inject.encoder, "warp": inject.warp}
    if inject.film:
        knobs["film_shift"] = inject.film[0].shift
    learning = {} if rate is None else {"learning_rate": rate}
    for stack in stacks:
        for choice in space.inject:
            for place in ("all", "first", "last") if inject.film and len(model.arrays) > 1 else (None,):
                where = _places(model) if choice == ANY else {}
                films = {"film_arrays": place} if place else {}
                point = space.complete({**stack, "inject": choice, **where, **knobs, **films, **learning})
                if point and space.model(point) == model:
                    return point
    return None


def _places(model: WaveNetConfig) -> dict[str, Any]:
    """Which of the places that `any` chooses from are taken."""
    slots = {film.slot for film in model.inject.film}
    return {"at_input": model.inject.input, "at_mixin": model.inject.mixin} | {f"at_{slot}": True for slot in slots}
