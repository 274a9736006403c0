"""Points with two objectives, both minimized: Pareto front, ranks, selection, hypervolume."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import hypot

ObjectivePoint = Sequence[float]


def front(points: Sequence[ObjectivePoint]) -> list[int]:
    """Return the indexes of the non-dominated points, by first objective; of equal points the first."""
    found: list[int] = []
    lowest = float("inf")
    for index in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if points[index][1] < lowest:
            found.append(index)
            lowest = points[index][1]
    return found


def ranks(points: Sequence[ObjectivePoint]) -> list[int]:
    """Return the non-domination rank of every point: 0 for the front, 1 for the front without rank 0, and so on.

    Equal points share a rank. In two dimensions one sweep by the first objective finds them (patience sorting), in
    O(n log n).
    """
    found: dict[tuple[float, float], int] = {}
    lowest: list[float] = []  # of each rank, the second objective of its last point; it rises with the rank
    for x, y in sorted({(point[0], point[1]) for point in points}):
        rank = bisect_right(lowest, y)
        lowest[rank : rank + 1] = [y]
        found[x, y] = rank
    return [found[point[0], point[1]] for point in points]


def top(points: Sequence[ObjectivePoint], count: int) -> set[int]:
    """Return the indexes of the best `count` points: by rank, and in the last rank far from those already chosen.

    The spread in the last rank is the epsilon-net of multi-objective asynchronous halving (Schmucker et al. 2021, arXiv
    2106.12639), on objectives scaled to [0, 1]; it begins at the end with the lowest first objective.
    """
    found = ranks(points)
    order = sorted(range(len(points)), key=lambda i: (found[i], *points[i], i))
    if count >= len(order):
        return set(order)
    cut = found[order[count]]
    chosen = [index for index in order if found[index] < cut]
    left = [index for index in order if found[index] == cut]
    low, span = zip(*((min(v), (max(v) - min(v)) or 1.0) for v in zip(*points, strict=True)), strict=True)
    scaled = [tuple((v - a) / b for v, a, b in zip(point, low, span, strict=True)) for point in points]
    if not chosen:
        chosen.append(left.pop(0))
    distance = {i: min(_point_distance(scaled[i], scaled[j]) for j in chosen) for i in left}
    while len(chosen) < count:
        best = max(left, key=distance.__getitem__)
        left.remove(best)
        chosen.append(best)
        for index in left:
            distance[index] = min(distance[index], _point_distance(scaled[index], scaled[best]))
    return set(chosen)


def hypervolume(points: Sequence[ObjectivePoint], reference: ObjectivePoint) -> float:
    """Return the area between the front and a reference point; points beyond the reference add nothing."""
    inside = [point for point in points if point[0] < reference[0] and point[1] < reference[1]]
    front_points = [inside[index] for index in front(inside)]
    area, ceiling = 0.0, reference[1]
    for x, y in front_points:
        area += (reference[0] - x) * (ceiling - y)
        ceiling = y
    return area


def _point_distance(a: ObjectivePoint, b: ObjectivePoint) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def is_feasible(limits: Mapping[str, float]) -> bool:
    """Return whether no limit is broken (above 0)."""
    return all(value <= 0 for value in limits.values())
