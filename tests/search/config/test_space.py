"""The space: each axis changes what it says and nothing else; one network is one trial; all points can be baked."""

import dataclasses
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.core.schema import read_document
from models.network.architecture import SLOTS, WaveNetConfig
from models.network.baking import bake
from models.network.nonlinear import Nonlinear
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training.config import LearningConfig
from models.training.schedule import decay_at, rate_at
from search.config.shapes import STOCK, canonical, named_points
from search.config.space import ANYWHERE, FREE, OWN_FIELDS, Space
from search.config.study import SearchConfig
from search.optimizer.candidates import CandidatePool
from search.study.build import check_space
from search.study.constraints import Constraints
from search.study.cost import CountedCost
from search.study.ledger import read_lines
from search.study.lines import latest
from tests.support.makers import GRID, KNOBS, di, examples, record, wavenet
from tests.support.searches import config_of, scheduler_of

CONFIGS = Path(__file__).parents[3] / "configs" / "models"
# Fixed wherever a row does not say otherwise; two arrays and FiLM, so that every axis has a meaning.
BASE: dict[str, Any] = {
    "shapes": [],
    "arrays": [2],
    "depth": [3],
    "dilations": ["pow2"],
    "channels": [8],
    "inject": ["film"],
}
# A field of the space -> where it must show in a recipe, and there, choice by choice, what.
AXES: dict[str, tuple[str, dict[Any, Any]]] = {
    "shapes": ("model.arrays", {"a1-nano": (4, 2), "a2-lite": (3,)}),
    "arrays": ("model.arrays", {1: (8,), 3: (8, 8, 8)}),
    "narrowing": ("model.arrays.1.channels", {1: 8, 2: 4}),
    "depth": ("model.arrays", {2: (1, 2), 5: (1, 2, 4, 8, 16)}),
    "dilations": ("model.arrays", {"pow2": (1, 2, 4), "pow3": (1, 3, 9), "a2": (1, 3, 7)}),
    "cycles": ("model.arrays", {"mine": (5, 6, 5), "pow2": (1, 2, 4)}),
    "channels": ("model.arrays", {6: 6, 8: 8}),
    "kernel_size": ("model.arrays", {2: (2,), 5: (5,)}),
    "bottleneck": ("model.arrays", {"full": None, "half": 4}),
    "activation": ("model.arrays", {"Tanh": "Tanh", "PReLU": "PReLU"}),
    "gating": ("model.arrays", {"none": ("none",), "gated": ("gated",), "blended": ("blended",)}),
    "head1x1": ("model.arrays", {None: None, 5: 5}),
    "head_kernel": ("model.arrays", {1: 1, 4: 4}),
    "inject": (
        "model.inject",
        {
            "input": (True, False, ()),
            "mixin": (False, True, ()),
            "film": (False, False, ("activation_pre",)),
            "input+mixin+conv_pre+film": (True, True, ("conv_pre", "activation_pre")),
        },
    ),
    "film_shift": ("model.inject.film.0.shift", {True: True, False: False}),
    "film_arrays": ("model.inject.film.0.arrays", {"all": None, "first": (0,), "last": (1,)}),
    "encoder": ("model.inject.encoder", {None: None, 5: 5}),
    "warp": ("model.inject.warp", {None: None, 4: 4}),
    "encoding": ("model.inject.encoding", {"levels": "levels", "type_level": "type_level"}),
    "learning_rate": ("learning.learning_rate", {0.004: 0.004, 0.01: 0.01}),
}
# Where an axis shows in each array, or by more than one value.
SEEN: dict[str, Callable[[WaveNetConfig], Any]] = {
    "shapes": lambda model: tuple(array.channels for array in model.arrays),
    "arrays": lambda model: tuple(array.channels for array in model.arrays),
    "inject": lambda model: (model.inject.input, model.inject.mixin, tuple(film.slot for film in model.inject.film)),
    **dict.fromkeys(("depth", "dilations", "cycles"), lambda model: _same(array.dilations for array in model.arrays)),
    **{
        axis: lambda model, field=field: _same(getattr(array, field) for array in model.arrays)
        for axis, field in {
            **{name: name for name in ("channels", "kernel_size", "bottleneck", "gating", "head1x1")},
            "head_kernel": "head_kernel_size",
        }.items()
    },
    "activation": lambda model: _same(one.type for array in model.arrays for one in array.activation),
}
LEARNING: dict[str, tuple[Any, Any]] = {
    "batch": (4, 16),
    "segment": (128, 256),
    "truncate": (True, False),
    "final_rate": (0.01, 0.1),
    "optimizer": ("adam", "soap"),
    "composed": (0.0, 0.5),
    "silence": (0.0, 10.0),
    "interaction": (0.0, 0.5),
    "schedule": ("cosine", "exponential"),
    "warmup": (10, 90),
    "gradient_clip": (0.5, 2.0),
    "mrstft": (0.0, 0.5),
    "pre_emphasis": (0.0, 0.9),
    "ema": (0.0, 0.99),
}
# Few choices, many of which are the same network or the same learning.
ALIKE = Space.model_validate(
    {
        "shapes": ["pow2x8-8"],
        "arrays": [1, 2],
        "narrowing": [1, 2],
        "depth": [1, 2, 8],
        "cycles": {"mine": [1, 2]},
        "dilations": ["pow2", "pow2x8", "mine", "pow3"],
        "channels": [1, 8],
        "kernel_size": [1, 3],
        "bottleneck": ["full", "half"],
        "gating": ["none", "blended"],
        "head1x1": [None, 1],
        "inject": ["mixin", "film+mixin", "mixin+film", "any"],
        "film_shift": [True, False],
        "film_arrays": ["all", "first", "last"],
        "encoder": [None, 2],
        "encoding": ["levels", "type_level"],
        "learning_rate": [0.01, 0.01],
        "learning": {"schedule": ["cosine", "constant"], "final_rate": [0.1, 0.2, 1.0], "warmup": [0, 1, 2]},
    }
)
SUSPECT = ("dilations", "bottleneck", "final_rate", "warmup")
EVERY = Space.model_validate(
    {
        "shapes": list(STOCK[:2]),
        "arrays": [1, 2, 3],
        "narrowing": [1, 2],
        "depth": [1, 3],
        "dilations": ["pow2", "a2"],
        "channels": [2, 4],
        "kernel_size": [1, 2, 3],
        "bottleneck": ["full", "half"],
        "activation": ["Tanh", "PReLU", "LeakyReLU"],
        "gating": ["none", "gated", "blended"],
        "head1x1": [None, 3],
        "head_kernel": [1, 3],
        "inject": ["any", "input+conv_pre", "mixin+film", *SLOTS, "+".join(("input", "mixin", *SLOTS))],
        "film_shift": [True, False],
        "film_arrays": ["all", "first", "last"],
        "encoder": [None, 3],
        "warp": [None, 3],
        "encoding": ["levels", "type_level"],
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("amp")
    record(where, "train", di(2.0), GRID[:6])  # long enough for the widest view of the presets
    return where


@pytest.fixture(scope="module")
def amps(folder: Path) -> list[AmpData]:
    return [load_data(config_of(folder).datasets[0])]


def _same(values: Any) -> Any:
    """What all arrays have alike."""
    (value,) = set(values)
    return value


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """A document as path -> value."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {name: leaf for key, inner in pairs for name, leaf in flat(inner, f"{path}.{key}".strip(".")).items()}
    return {path: value}


def recipe_of(space: dict[str, Any], **asked: Any) -> tuple[WaveNetConfig, LearningConfig, dict[str, Any]]:
    """Model and learning of a point of a space, and both as path -> value."""
    config = config_of(space={**BASE, **space})
    point = config.space.complete(asked)
    assert point, (space, asked)
    (recipe,) = config.recipes(point)
    return recipe.model, recipe.learning, flat(recipe.model_dump(mode="json", include={"model", "learning"}))


def assert_shows(found: dict[Any, dict[str, Any]], where: str) -> None:
    """The recipes differ at a place, each from each, and nowhere else."""
    documents = list(found.values())
    for one, other in ((a, b) for a in documents for b in documents if a is not b):
        differ = {path for path in {*one, *other} if one.get(path, ...) != other.get(path, ...)}
        assert differ and all(path == where or path.startswith(f"{where}.") for path in differ), (where, differ)


@pytest.mark.parametrize("axis", sorted(Space.model_fields.keys() - {"learning"}))
def test_an_axis_shows_in_the_recipe_and_nowhere_else(axis: str):
    assert axis in AXES, f"say where the axis '{axis}' shows"
    where, wanted = AXES[axis]
    space: dict[str, Any] = {axis: list(wanted)}
    if axis == "cycles":
        space = {"cycles": {"mine": [5, 6]}, "dilations": list(wanted)}
    asked = {"shapes": "shape", "cycles": "dilations"}.get(axis, axis)
    found = {}
    for choice, shown in wanted.items():
        model, learning, found[choice] = recipe_of(space, **{asked: choice})
        see = SEEN.get(axis)
        value: Any = {"model": model, "learning": learning}
        for name in where.split(".") if see is None else ():
            value = value[int(name)] if name.isdigit() else value[name] if name in value else getattr(value, name)
        assert (see(model) if see else value) == shown
    assert_shows(found, where)
    first = next(iter(wanted))
    assert (
        axis == "learning_rate" or recipe_of(space, **({asked: first} if axis == "shapes" else {}))[2] == found[first]
    )


@pytest.mark.parametrize("key", sorted(LearningConfig.model_fields.keys() - OWN_FIELDS))
def test_a_learning_axis_shows_in_the_recipe_alone(key: str):
    assert key in LEARNING, f"say two choices of '{key}'"
    space, found = {"learning": {key: list(LEARNING[key])}}, {}
    for choice in LEARNING[key]:
        _, learning, found[choice] = recipe_of(space, **{key: choice})
        assert getattr(learning, key) == choice
    assert_shows(found, f"learning.{key}")


@pytest.mark.parametrize("place", ANYWHERE)
def test_of_any_place_the_one_that_is_chosen_is_taken(place: str):
    model, *_ = recipe_of({"inject": ["any"]}, **{f"at_{place}": True})
    inject = model.inject
    taken = [*(["input"] if inject.input else []), *(["mixin"] if inject.mixin else []), *(f.slot for f in inject.film)]
    assert taken == [place]


PRESETS = (*(f"{shape}-film" for shape in STOCK), "peer-type-level", "peer-a1-knob-bias", "peer-a2-concat")
NARROW: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "encoder first": {"encoder": [8, None]},
    "encoder alone": {"encoder": [8]},
    "type and level": {"encoding": ["type_level"]},
    "warp": {"warp": [4]},
    "scale first": {"film_shift": [False, True]},
    "scale alone": {"film_shift": [False], "film_arrays": ["last", "first"]},
    "one shape": {"shapes": ["a1-nano"], "inject": ["mixin"]},
    "any": {"inject": ["any"], "gating": ["gated"], "head1x1": [4], "learning": {"batch": [2, 4]}},
}


@pytest.mark.parametrize("name", NARROW)
def test_every_search_begins_with_the_recipes_of_the_presets(
    name: str, amps: list[AmpData], folder: Path, tmp_path: Path
):
    config = config_of(folder, space=NARROW[name], trials=11)
    check_space(config, amps, named_points(2), CountedCost())
    scheduler = scheduler_of(config, tmp_path, amps, named_points(2))
    tasks = [scheduler.suggest() for _ in range(11)]
    wanted = [read_document(CONFIGS / f"{p}.json", WaveNetConfig) for p in (*PRESETS, "peer-a2-concat-2-knobs")]
    models = [config.space.model(task.point) for task in tasks if task]
    assert models[:10] == wanted and models[10] not in wanted, "and then the space itself"
    assert config.space.complete(tasks[10].point if tasks[10] else {}) is not None
    assert scheduler.suggest() is None
    assert all(record.control for record in latest(read_lines(tmp_path))[:10])


@pytest.mark.parametrize("knobs", [1, 2, 3, 4, 5, 9])
def test_the_peers_widen_with_the_knobs(knobs: int):
    found = [Space().holding(named_points(knobs)).model(point) for point in named_points(knobs)]
    name = "peer-a2-concat" if knobs == 1 else f"peer-a2-concat-{min(knobs, 5)}-knobs"
    assert read_document(CONFIGS / f"{name}.json", WaveNetConfig) in found and len(found) == (9 if knobs == 1 else 10)


@pytest.mark.parametrize(
    ("trials", "wanted"),
    [
        (9, PRESETS[:9]),
        (6, PRESETS[:6]),
        (3, ["a1-nano-film", "a1-feather-film", "a1-standard-film"]),
        (1, ["a1-lite-film"]),
    ],
)
def test_recipes_that_do_not_fit_are_left_out(
    trials: int, wanted: list[str], amps: list[AmpData], folder: Path, tmp_path: Path
):
    """Of the stock shapes that fit, the cheapest and the dearest stay."""
    config = config_of(folder, trials=trials)
    check_space(config, amps, named_points(2), CountedCost())
    scheduler, models = scheduler_of(config, tmp_path, amps, named_points(2)), []
    while task := scheduler.suggest():
        models.append(config.space.holding([task.point]).model(task.point))
    assert models == [read_document(CONFIGS / f"{name}.json", WaveNetConfig) for name in wanted]


def test_a_switch_has_no_type_and_level(folder: Path):
    knobs = [{"name": "gain", "max": 10}, {"name": "mode", "positions": ["a", "b"]}]
    switched = type(KNOBS).model_validate({"knobs": knobs})
    data = dataclasses.replace(load_data(config_of(folder).datasets[0]), knobs=switched)
    config = config_of(folder, space={"shapes": [], "encoding": ["type_level", "levels"]})
    constraints = Constraints(config, [data], CountedCost())
    points = (config.space.complete({"encoding": encoding}) or {} for encoding in ("type_level", "levels"))
    reasons = [constraints.violation(constraints.to_candidate(point)) for point in points]
    assert "'mode' is a switch" in (reasons[0] or "") and reasons[1] is None


def structure(config: SearchConfig, point: dict[str, Any]) -> Any:
    """What is trained and how, from the net and the numbers that its training reads; None without a model."""
    try:
        model = config.space.model(point)
    except ValueError:
        return None
    with torch.device("meta"):
        net = WaveNet(model, KNOBS.columns(model.inject.encoding))
    layers = [(layer.history, layer.gating) for array in net.arrays for layer in array.layers]
    kinds = [(name, module.config.type) for name, module in net.named_modules() if isinstance(module, Nonlinear)]
    weights = [(name, tuple(weight.shape)) for name, weight in net.named_parameters()]
    learning = config.learning_of(point)
    steps = [(rate_at(step, learning), decay_at(step, learning)) for step in (0, 1, 2, 50, learning.steps)]
    return model.inject.encoding, layers, kinds, weights, steps


@examples(100)
@given(st.integers(0, 1 << 32))
def test_one_network_learnt_one_way_is_one_trial(seed: int):
    config = config_of().model_copy(update={"space": ALIKE})
    draw = random.Random(seed)
    one = ALIKE.draw(draw)
    axis, drawn = draw.choice(SUSPECT), ALIKE.draw(draw)
    other = ALIKE.complete({**one, axis: drawn[axis]}) if axis in one and axis in drawn else None
    other = other or ALIKE.draw(draw, one)
    nets = [structure(config, point) for point in (one, other)]
    if None not in nets:
        assert (nets[0] == nets[1]) == (config.identity(one) == config.identity(other)), (one, other)


def test_points_that_are_one_network_are_found_out():
    """Every way in which points of `ALIKE` were seen to be one."""
    config = config_of().model_copy(update={"space": ALIKE})
    pairs = [
        ({"channels": 1, "bottleneck": "full"}, {"channels": 1, "bottleneck": "half"}),
        ({"kernel_size": 1, "depth": 8}, {"kernel_size": 1, "depth": 8, "dilations": "pow3"}),
        ({"arrays": 2, "channels": 1, "narrowing": 1}, {"arrays": 2, "channels": 1, "narrowing": 2}),
        ({"shape": "pow2x8-8"}, {"depth": 8, "channels": 8, "kernel_size": 3}),
        ({"depth": 2, "kernel_size": 3, "dilations": "mine"}, {"depth": 2, "kernel_size": 3, "dilations": "pow2"}),
        ({"inject": "mixin+film"}, {"inject": "film+mixin"}),
        ({"inject": "mixin"}, {"inject": "any", "at_mixin": True}),
        ({"schedule": "constant", "final_rate": 0.1}, {"schedule": "constant", "final_rate": 0.2}),
        ({"schedule": "constant", "final_rate": 0.1}, {"schedule": "cosine", "final_rate": 1.0}),
        ({"warmup": 0}, {"warmup": 1}),
    ]
    for pair in pairs:
        one, other = (ALIKE.complete(half) for half in pair)
        assert one and other and one != other, pair
        assert structure(config, one) == structure(config, other), pair
        assert config.identity(one) == config.identity(other), pair


def test_a_canonical_model_is_one_however_it_was_written():
    model = ALIKE.model(ALIKE.complete({"arrays": 2, "inject": "mixin+film", "channels": 8, "kernel_size": 3}) or {})
    spelt = model.model_dump(mode="json")
    spelt["arrays"][0]["bottleneck"] = 8
    spelt["inject"]["film"] = [{"slot": "activation_pre", "arrays": [1]}, {"slot": "activation_pre", "arrays": [0]}]
    other = WaveNetConfig.model_validate(spelt)
    assert other != model and canonical(other) == model
    spelt["inject"]["film"][0]["shift"] = False
    assert canonical(WaveNetConfig.model_validate(spelt)) != model


def test_every_point_can_be_baked(amps: list[AmpData], folder: Path):
    """So `"export": ["bake"]` forbids nothing: a baked model sounds as the model with knobs, wherever they enter."""
    config = config_of(folder, bounds={"export": ["bake"]}).model_copy(update={"space": EVERY})
    constraints = Constraints(config, amps, CountedCost())
    pool = CandidatePool(EVERY, constraints.to_candidate, constraints.violation)
    draw, baked, seen = random.Random(4), 0, set()
    while baked < 40:
        candidates = pool.candidates([EVERY.draw(draw)])
        if not candidates or not pool.is_allowed(candidates[0]):
            continue
        model = candidates[0].model
        setting = {"gain": draw.uniform(0, 10), "tone": draw.random()}
        levels = KNOBS.encode(setting, model.inject.encoding)
        net = wavenet(model, len(levels), seed=baked).double()
        still = bake(net, levels)
        x_BT = torch.randn(1, model.receptive_field + 50, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(
                still(x_BT, torch.zeros(1, 0)), net(x_BT, torch.tensor([levels], dtype=torch.float64))
            )
        assert still.knobs == 0 and model.folds
        baked += 1
        seen |= {film.slot for film in model.inject.film}
        seen |= set(product(("input", "mixin"), [True])) & {
            ("input", model.inject.input),
            ("mixin", model.inject.mixin),
        }
    assert seen == {*SLOTS, ("input", True), ("mixin", True)}
    assert all(EVERY.complete({"shape": FREE, "inject": slot}) for slot in SLOTS)
