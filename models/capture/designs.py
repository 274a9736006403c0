"""Sets of knob settings to record: combinations, corners, hypercubes between them."""

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
    nearest_distances,
    select_farthest,
    setting_key,
    to_points,
    to_settings,
    value_at,
)
from models.knobs.schema import Knobs, Setting, Switch, Value

DRAWS, MANY = 64, 200  # hypercubes, of which the best-spaced is taken; fewer of more points than so many


def gray_code(axes: Sequence[Sequence[Value]]) -> Iterator[tuple[Value, ...]]:
    """All combinations, each differing from the one before in one value: the reflected Gray code in mixed radix (Knuth 7.2.1.1)."""
    if not axes:
        yield ()
        return
    *slower, fastest = axes
    for number, head in enumerate(gray_code(slower)):
        for value in fastest if number % 2 == 0 else reversed(fastest):
            yield *head, value


def corner_settings(knobs: Knobs) -> list[Setting]:
    """The ends of the knobs together: all combinations up to three knobs, above that a fraction of them at both ends of the gain.

    The fraction is the saturated two-level one of strength 2: any two of its columns meet at all four pairs of ends equally often (Box and
    Hunter, "The 2^(k-p) fractional factorial designs", Technometrics 3, 1961). A switch takes as many columns as its positions need.
    Without a stated gain the first knob stands in for it.
    """
    if len(knobs.knobs) <= 3:
        return list(to_settings(knobs, gray_code([end_values(knob) for knob in knobs.knobs])))
    gain = next((k for k in knobs.knobs if not isinstance(k, Switch) and k.gain), knobs.knobs[0])
    others = [knob for knob in knobs.knobs if knob is not gain]
    needs = [ceil(log2(len(end_values(knob)))) for knob in others]
    factors = ceil(log2(sum(needs) + 1))
    words = sorted((w for size in range(1, factors + 1) for w in combinations(range(factors), size)), key=len)
    found = []
    for run, at_gain in product(product((0, 1), repeat=factors), end_values(gain)):
        bits = iter(sum(run[factor] for factor in word) % 2 for word in words)
        setting: Setting = {gain.name: at_gain}
        for knob, need in zip(others, needs, strict=True):
            index = sum(next(bits) << bit for bit in range(need))
            setting[knob.name] = end_values(knob)[index % len(end_values(knob))]
        found.append({name: setting[name] for name in knobs.names})
    return distinct(found)


def fill_space(knobs: Knobs, count: int, seed: int) -> list[Setting]:
    """`count` settings: the corners, everything at rest, and between them the best-spaced of some Latin hypercubes.

    Where few settings can be dialled, hypercubes that fall together are filled up from the largest holes. Raises `UserError` when there
    are not so many settings, or so few takes that the corners do not fit.
    """
    fixed = distinct([*corner_settings(knobs), knobs.defaults])
    if count < len(fixed):
        raise UserError(
            f"{count} takes are fewer than the {len(fixed)} of the corners and the default",
            f"Use --count {len(fixed)} or more.",
        )
    taken = {setting_key(setting) for setting in fixed}
    drawn = sample_between(knobs, count - len(fixed), seed, lambda setting: setting_key(setting) not in taken, fixed)
    found = [*fixed, *drawn]
    found += select_farthest(knobs, found, count - len(found), candidate_settings(knobs, seed))
    if len(found) < count:
        raise UserError(f"only {len(found)} settings can be dialled, not {count}", "Ask for fewer with --count.")
    return found


def sample_between(
    knobs: Knobs, count: int, seed: int, allowed: Callable[[Setting], bool], around: Sequence[Setting]
) -> list[Setting]:
    """At most `count` allowed settings: of some Latin hypercubes the one that is farthest from itself and from those around it.

    Maximin choice among random hypercubes: Johnson, Moore and Ylvisaker (1990), Morris and Mitchell (1995).
    """
    if count < 1:
        return []
    sampler, around_ND = qmc.LatinHypercube(len(knobs.knobs), rng=seed), to_points(knobs, around)
    best: tuple[int, float, list[Setting]] = (0, 0.0, [])
    for _ in range(max(DRAWS * MANY // max(count, MANY), 1)):
        rows = [[value_at(k, x) for k, x in zip(knobs.knobs, row, strict=True)] for row in sampler.random(count)]
        drawn = [setting for setting in distinct(to_settings(knobs, rows)) if allowed(setting)]
        if drawn:
            points_MD = to_points(knobs, drawn)
            spacing = min(pdist(points_MD).min(initial=np.inf), nearest_distances(around_ND, points_MD).min())
            best = max(best, (len(drawn), float(spacing), drawn), key=lambda found: found[:2])
    return best[2]


def distinct(settings: Iterable[Setting]) -> list[Setting]:
    """Each setting once, in the order in which they first come."""
    return list({setting_key(setting): setting for setting in settings}.values())
