"""Sets of knob settings to record: grids in Gray code, corners, Latin hypercubes between them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, product
from math import ceil, log2

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import qmc

from models.core.errors import UserError
from models.knobs.geometry import (
    candidate_settings,
    end_values,
    is_corner,
    nearest_distances,
    select_farthest,
    setting_key,
    to_points,
    to_settings,
    value_at,
)
from models.knobs.schema import Knobs, Setting, Switch, Value

CORNER_SHARE = 3  # at most one take in so many is a corner

DRAWS, LARGE = 64, 200  # Latin hypercubes to choose from; of more points than so many, fewer are drawn


def gray_code(axes: Sequence[Sequence[Value]]) -> Iterator[tuple[Value, ...]]:
    """Yield all combinations, each different from the one before in one value.

    It is the reflected Gray code in mixed radix (Knuth 7.2.1.1).
    """
    if not axes:
        yield ()
        return
    *slower, fastest = axes
    for number, head in enumerate(gray_code(slower)):
        for value in fastest if number % 2 == 0 else reversed(fastest):
            yield *head, value


def corner_settings(knobs: Knobs) -> list[Setting]:
    """Return settings with every knob at an end: all of them up to three knobs, a fraction of them for more.

    The fraction is the saturated two-level design of strength 2, at both ends of the gain: any two of its columns have
    all four pairs of ends equally often (Box and Hunter, "The 2^(k-p) fractional factorial designs", Technometrics 3,
    1961). A switch takes as many columns as its positions need. Without a stated gain, the first knob takes its place.
    """
    if len(knobs.knobs) <= 3:
        return list(to_settings(knobs, gray_code([end_values(knob) for knob in knobs.knobs])))
    gain = next((k for k in knobs.knobs if not isinstance(k, Switch) and k.gain), knobs.knobs[0])
    others = [knob for knob in knobs.knobs if knob is not gain]
    columns = [ceil(log2(len(end_values(knob)))) for knob in others]
    factors = ceil(log2(sum(columns) + 1))
    words = sorted((w for size in range(1, factors + 1) for w in combinations(range(factors), size)), key=len)
    found = []
    for run, at_gain in product(product((0, 1), repeat=factors), end_values(gain)):
        bits = iter(sum(run[factor] for factor in word) % 2 for word in words)
        setting: Setting = {gain.name: at_gain}
        for knob, count in zip(others, columns, strict=True):
            index = sum(next(bits) << bit for bit in range(count))
            setting[knob.name] = end_values(knob)[index % len(end_values(knob))]
        found.append({name: setting[name] for name in knobs.names})
    return distinct(found)


def fill_space(knobs: Knobs, count: int, seed: int) -> list[Setting]:
    """Return `count` settings: the default, corners, and the others spread between them.

    At most one in `CORNER_SHARE` is a corner, as long as there are other settings. Of more corners, those farthest from
    each other are taken. The others are the best-spaced of several Latin hypercubes. Where knobs have few values,
    points of a hypercube fall together; then the largest holes are filled. Raises `UserError` for more takes than
    settings.
    """
    corners, room = corner_settings(knobs), max(count // CORNER_SHARE - is_corner(knobs, knobs.defaults), 0)
    turning = [setting for setting in corners if is_corner(knobs, setting)]  # not those of switches alone
    if len(turning) > room:
        first = turning[-1:]  # every knob is at an end, the gain at its highest
        corners = [*first, *select_farthest(knobs, first, room - 1, turning)][:room]
    found = distinct([*corners, knobs.defaults])[:count]
    taken = {setting_key(setting) for setting in found}

    def inside(setting: Setting) -> bool:
        return setting_key(setting) not in taken and not is_corner(knobs, setting)

    found += sample_between(knobs, count - len(found), seed, inside, found)
    candidates = candidate_settings(knobs, seed)
    found += select_farthest(knobs, found, count - len(found), [s for s in candidates if not is_corner(knobs, s)])
    found += select_farthest(knobs, found, count - len(found), candidates)  # only corners are left
    if len(found) < count:
        raise UserError(f"the knobs have only {len(found)} settings, not {count}", "Ask for fewer.")
    return found


def sample_between(
    knobs: Knobs, count: int, seed: int, allowed: Callable[[Setting], bool], around: Sequence[Setting]
) -> list[Setting]:
    """Return at most `count` settings for which `allowed` is true, spread out between the settings `around`.

    Of several random Latin hypercubes it is the one with most allowed points, then with the largest of smallest
    distances (maximin: Johnson, Moore and Ylvisaker 1990; Morris and Mitchell 1995).
    """
    if count < 1:
        return []
    sampler, around_ND = qmc.LatinHypercube(len(knobs.knobs), rng=seed), to_points(knobs, around)
    best: tuple[int, float, list[Setting]] = (0, 0.0, [])
    for _ in range(max(DRAWS * LARGE // max(count, LARGE), 1)):
        rows = [[value_at(k, x) for k, x in zip(knobs.knobs, row, strict=True)] for row in sampler.random(count)]
        drawn = [setting for setting in distinct(to_settings(knobs, rows)) if allowed(setting)]
        if drawn:
            points_MD = to_points(knobs, drawn)
            spacing = min(pdist(points_MD).min(initial=np.inf), nearest_distances(around_ND, points_MD).min())
            best = max(best, (len(drawn), float(spacing), drawn), key=lambda found: found[:2])
    return best[2]


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """Return each setting once, in order of first appearance."""
    return list({setting_key(setting): setting for setting in settings}.values())
