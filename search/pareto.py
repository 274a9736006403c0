"""Which points nothing else beats on every count (all counts minimised)."""

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Indexes of the non-dominated points, by first count; of equal points the first is kept."""
    kept: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (*points[i], i)):
        if not any(all(a <= b for a, b in zip(points[other], points[index], strict=True)) for other in kept):
            kept.append(index)
    return kept
