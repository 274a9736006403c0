"""A search as a config file: axes and their choices, recipes, errors."""

from typing import Any

import pytest

from models.core.errors import UserError
from search.config.space import FREE, Space
from tests.support.searches import WIDE, config_of, sample


def test_no_axis_leaves_its_bounds_and_every_choice_is_drawn():
    drawn: dict[str, set[Any]] = {}
    for seed in range(250):
        point = sample(WIDE, seed)
        for axis, value in point.items():
            drawn.setdefault(axis, set()).add(value)
        assert WIDE.complete(point) == point and set(WIDE.distributions(point)) == set(point)
    for axis in Space.model_fields.keys() - {"shapes", "cycles", "learning", "learning_rate"}:
        assert drawn[axis] == set(getattr(WIDE, axis)), axis
    assert drawn["shape"] == {FREE, *WIDE.shapes}
    assert drawn["batch"] == {2, 4} and drawn["segment"] == {64, 128} and drawn["at_conv_post"] == {True, False}
    low, high = WIDE.learning_rate
    assert all(low <= rate <= high and rate == float(f"{rate:.1e}") for rate in drawn["learning_rate"])


def test_recipes_follow_the_point():
    config = config_of().model_copy(update={"space": WIDE})
    point = next(p for p in (sample(WIDE, seed) for seed in range(99)) if p["shape"] == FREE and p["arrays"] == 2)
    (recipe,) = config.recipes(point, steps=7, seed=5)
    assert (recipe.learning.steps, recipe.learning.seed) == (7, 5)
    assert (recipe.learning.batch, recipe.learning.learning_rate) == (point["batch"], point["learning_rate"])
    first, second = recipe.model.arrays
    assert first.depth == second.depth == point["depth"]
    assert second.channels == max(1, first.channels // point["narrowing"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"channels": []}, "channels"),
        ({"inject": ["nowhere"]}, "nowhere.*activation_pre"),
        ({"inject": ["mixin+head1x1_post"]}, 'head1x1_post, but.*"head1x1": '),
        ({"dilations": ["pow5"]}, "pow5.*pow3"),
        ({"shapes": ["a3"]}, "a3.*a2-full"),
        ({"learning": {"steps": [1]}}, "steps.*batch"),
        ({"learning": {"batch": [-1]}}, "batch"),
        ({"learning_rate": [0.1, 0.01]}, "lower end"),
        ({"width": 3}, "width"),
    ],
)
def test_a_bad_space_is_named(change: dict, word: str):
    with pytest.raises(UserError, match=f"(?s){word}"):
        config_of(space=change)


def test_a_bad_config_is_named():
    with pytest.raises(UserError, match="share a name"):
        config_of(datasets=[{"name": "a", "train": "t", "held": "h"}] * 2)
    with pytest.raises(UserError, match="lower end"):
        config_of(bounds={"parameters": [9, 1]})
    with pytest.raises(UserError, match="holds no point"):
        config_of(warm=[{"channels": 63}])


BAD_WARM = [{"learning_rate": "fast"}, {"learning_rate": None}, {"learning_rate": 7.0, "batch": 0}, {"depth": [3]}]


@pytest.mark.parametrize("point", [*BAD_WARM, {"channels": -1}, {"shape": "none"}, {"batch": "x" * 5000}])
def test_first_points_are_checked_when_read(point: dict[str, Any]):
    space = {"shapes": [], "learning": {"batch": [2, 4]}}
    assert config_of(space=space, warm=[{"batch": 4}]).warm
    with pytest.raises(UserError, match="warm|point|is "):
        config_of(space=space, warm=[point])
