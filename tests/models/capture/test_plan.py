"""Plans list or count the settings of their design, and hold back settings that are never trained on."""

import json
import math
from collections import Counter
from itertools import combinations, pairwise, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.capture.designs import corner_settings, gray_code
from models.capture.ordering import count_moves, order_settings
from models.capture.plan import (
    ALL_DESIGNS,
    LISTED,
    CapturePlan,
    Design,
    compare_designs,
    make_plan,
    plan_without_filters,
    propose_settings,
    read_knobs,
    recommend,
    state_filters,
)
from models.core.errors import UserError
from models.knobs.geometry import (
    all_values,
    end_values,
    is_corner,
    largest_grid_hole,
    largest_hole,
    lowest_value,
    nearest_distances,
    pairs_never_together,
    setting_key,
    snap,
    spaced_values,
    step_count,
    to_points,
    to_settings,
)
from models.knobs.schema import Knob, Knobs, Setting, Switch
from tests.support.makers import JSON, examples


def knobs(*described: dict[str, Any]) -> Knobs:
    return Knobs.model_validate({"knobs": [{"name": f"k{n}", **knob} for n, knob in enumerate(described)]})


PLAIN = {"min": 0, "max": 10, "default": 5}
STEPPED = {"min": 0, "max": 10, "default": 5, "step": 2.5}
NEVER_ZERO = {"min": 0, "max": 10, "default": 5, "step": 1, "avoid_zero": True}
SWITCH = {"positions": ["clean", "crunch", "lead"]}
TWO, THREE = knobs(PLAIN, PLAIN), knobs(PLAIN, PLAIN, PLAIN)
MIXED = knobs(STEPPED, NEVER_ZERO, SWITCH)


def turns(settings: list[Setting], schema: Knobs) -> np.ndarray:
    return to_points(schema, settings)


def settings(plan: CapturePlan) -> list[Setting]:
    assert plan.train is not None
    assert plan.held is not None
    return plan.train


def test_isolated_moves_one_knob_through_its_range():
    plan = make_plan(MIXED, "isolated", held=2)
    moved = [[name for name in MIXED.names if s[name] != MIXED.defaults[name]] for s in settings(plan)]
    assert Counter(map(len, moved)) == {0: 1, 1: 11}  # 4 + 5 + 2
    by_knob = {name: {s[name] for s in settings(plan)} for name in MIXED.names}
    assert by_knob == {"k0": {0, 2.5, 5, 7.5, 10}, "k1": {1, 3, 5, 6, 8, 10}, "k2": {"clean", "crunch", "lead"}}
    assert plan.never_together == [("k0", "k1"), ("k0", "k2"), ("k1", "k2")]


@pytest.mark.parametrize("positions", [2, 3, 4, 5])
def test_hybrid_is_every_combination_of_chosen_positions(positions: int):
    plan = make_plan(MIXED, "hybrid", positions=positions, held=0)
    axes = [{s[name] for s in settings(plan)} for name in MIXED.names]
    assert [len(axis) for axis in axes] == [positions, positions, 3]
    assert {setting_key(s) for s in settings(plan)} == set(product(*axes))
    assert plan.count == positions**2 * 3
    assert plan.never_together == []


def test_combinatorial_is_every_value_that_can_be_set():
    plan = make_plan(MIXED, "combinatorial", held=0)
    everything = set(product((0, 2.5, 5, 7.5, 10), range(1, 11), ("clean", "crunch", "lead")))
    assert {setting_key(s) for s in settings(plan)} == everything
    assert plan.count == len(everything) == 150


@pytest.mark.parametrize(
    ("step", "low", "high", "avoid"), list(product((1, 0.5, 3, 0.3, 0.7), (0, 1, -12), (10, 12, 11), (False, True)))
)
def test_step_count_is_the_number_of_values(step: float, low: float, high: float, avoid: bool):
    knob = Knob.model_validate({"name": "k", "min": low, "max": high, "step": step, "avoid_zero": avoid})
    brute = [low + n * step for n in range(10_000) if low + n * step <= high + 1e-9]
    brute = [v for v in brute if not avoid or v >= low + 0.1 * (high - low) - 1e-9]
    brute += [] if abs(brute[-1] - high) < 1e-6 else [high]
    assert all_values(knob) == pytest.approx(brute)
    assert step_count(knob) == len(brute)
    assert lowest_value(knob) == pytest.approx(brute[0])
    for wanted in np.linspace(low, high, 37):
        assert abs(float(snap(knob, wanted)) - wanted) == pytest.approx(min(abs(v - wanted) for v in brute))


def test_huge_plan_is_counted_but_not_listed():
    ten = knobs(*[NEVER_ZERO] * 5)
    plan = make_plan(ten, "combinatorial")
    assert (plan.count, plan.train, plan.moves) == (100_000, None, None)
    assert plan.never_together == []
    assert plan.seconds(180) == 100_000 * 195
    assert make_plan(knobs(*[PLAIN] * 32), "hybrid").count == 3**32
    fine = knobs(*[{"min": 0, "max": 1000, "step": 0.001}] * 8)
    assert make_plan(fine, "combinatorial").count == 1_000_001**8
    assert all(plan.count <= LISTED or plan.train is None for plan in compare_designs(fine))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_up_to_three_knobs_have_all_corners(number: int):
    schema = knobs(*[PLAIN] * (number - 1), NEVER_ZERO)
    found = {setting_key(s) for s in corner_settings(schema)}
    assert found == set(product(*[(0, 10)] * (number - 1), (1, 10)))
    count = max(2**number + 1, 10 * number) if number > 1 else 6
    assert found <= {setting_key(s) for s in settings(make_plan(schema, "space-filling", count=count))}


@pytest.mark.parametrize("number", range(4, 13))
def test_corners_of_many_knobs_have_all_ends_of_each_pair(number: int):
    schema = knobs(*[PLAIN] * (number - 1), {**PLAIN, "gain": True})
    found = corner_settings(schema)
    assert len(found) < 2**number
    assert len(found) == 2 * 2 ** math.ceil(math.log2(number))
    for a, b in combinations(schema.names, 2):
        counts = Counter((s[a], s[b]) for s in found)
        assert set(counts) == set(product((0, 10), repeat=2))
        assert len(set(counts.values())) == 1
    gain = schema.names[-1]
    others = {tuple(v for name, v in s.items() if name != gain) for s in found}
    assert len(others) == len(found) / 2  # each at both ends of the gain


def test_corners_have_each_position_at_both_ends_of_the_gain():
    schema = knobs(PLAIN, SWITCH, PLAIN, {"positions": list("abcde")}, {**PLAIN, "gain": True})
    found = corner_settings(schema)
    for switch in ("k1", "k3"):
        assert {(s[switch], s["k4"]) for s in found} == set(
            product(end_values(schema.find(switch) or SWITCHES), (0, 10))
        )


SWITCHES = Switch(name="none", positions=("a", "b"), default="a")


@pytest.mark.parametrize("design", ALL_DESIGNS)
@pytest.mark.parametrize(
    "schema", [TWO, THREE, MIXED, knobs(*[PLAIN] * 3, SWITCH)], ids=["two", "three", "mixed", "four"]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_held_settings_are_neither_trained_on_nor_corners(schema: Knobs, design: Design, seed: int):
    plan = make_plan(schema, design, seed=seed, **({"positions": 4} if design == "hybrid" else {}))
    if plan.train is None or plan.held is None:
        return
    assert len(plan.held) == 6
    assert len({setting_key(s) for s in plan.held}) == 6
    assert {setting_key(s) for s in plan.held}.isdisjoint(setting_key(s) for s in plan.train)
    assert not any(is_corner(schema, s) for s in plan.held)
    assert len({setting_key(s) for s in plan.train}) == len(plan.train) == plan.count
    for setting in plan.train + plan.held:
        assert schema.complete(setting) == setting
        for knob in schema.knobs:
            assert isinstance(knob, Switch) or setting[knob.name] in (
                float(lowest_value(knob)),
                snap(knob, setting[knob.name]),
            )


def test_full_grid_holds_back_some_of_its_own_settings():
    plan = make_plan(MIXED, "combinatorial")
    assert (plan.count, len(plan.held or ())) == (144, 6)
    with pytest.raises(UserError, match="can be held back, not 100"):
        make_plan(MIXED, "combinatorial", held=100)


def test_space_filling_has_many_positions_and_no_silent_ones():
    schema = knobs(PLAIN, {**PLAIN, "taper": "log", "avoid_zero": True}, SWITCH)
    plan = make_plan(schema, "space-filling", count=40)
    assert plan.count == 40
    assert schema.defaults in settings(plan)
    assert len({s["k0"] for s in settings(plan)}) > 15  # of 21 that are dialed
    assert min(float(s["k1"]) for s in settings(plan)) == 1
    assert min(Counter(s["k2"] for s in settings(plan)).values()) >= 10
    with pytest.raises(UserError, match="only 150 settings, not 151"):
        make_plan(MIXED, "space-filling", count=151)
    assert make_plan(MIXED, "space-filling", count=144).count == 144


@pytest.mark.parametrize("count", [1, 2, 3, 9, 12, 20, 30, 60])
@pytest.mark.parametrize("others", [[SWITCH], [], [PLAIN, PLAIN]], ids=["switch", "four", "six"])
def test_at_most_a_third_of_the_takes_are_corners(count: int, others: list[dict[str, Any]]):
    schema = knobs(*[PLAIN] * 4, *others)
    found = settings(make_plan(schema, "space-filling", count=count))
    corners = [setting for setting in found if is_corner(schema, setting)]
    assert len(found) == count
    assert schema.defaults in found
    assert min(count // 3, 8) <= len(corners) <= count // 3
    for a, b in combinations(corners, 2):  # they are far from each other
        assert len(corners) > 4 or sum(a[name] != b[name] for name in schema.names) >= 2


def test_corners_fill_a_plan_that_has_nothing_else():
    two = {"min": 0, "max": 10, "step": 10, "default": 0}
    schema = knobs(two, two, SWITCH)
    assert make_plan(schema, "space-filling", count=12, held=0).count == 12
    shares = make_plan(knobs(STEPPED, STEPPED), "space-filling", count=9, held=0)
    assert sum(is_corner(knobs(STEPPED, STEPPED), s) for s in settings(shares)) == 3


@pytest.mark.parametrize("design", ["isolated", "hybrid", "space-filling"])
@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 10, 0.5), (1, 10, 0.5), (0, 12, 0.5), (0, 1, 0.05), (0, 100, 5), (-12, 12, 1), (7, 17, 0.5), (0, 3, 0.2)],
)
def test_takes_are_at_numbers_that_can_be_dialed(design: Design, low: float, high: float, step: float):
    schema = knobs(*[{"min": low, "max": high}] * 4)
    plan = make_plan(schema, design)
    inner = [s[name] for s in settings(plan) + (plan.held or []) for name in s if s[name] not in (low, high)]
    middle = (low + high) / 2  # the default stays where it is
    assert all(v == middle or (float(v) - low) / step == pytest.approx(round((float(v) - low) / step)) for v in inner)
    assert plan.knobs == schema  # no step is stated that nobody stated
    for new in propose_settings(schema, settings(plan), 5):
        shares = [(float(v) - low) / step for v in new.values() if v != high]
        assert shares == pytest.approx([round(share) for share in shares])


def test_stated_step_is_kept_and_given_step_is_for_the_others():
    schema = knobs({**PLAIN, "step": 2}, PLAIN)
    plan = make_plan(schema, "space-filling", count=20, step=0.25)
    assert [knob.step for knob in plan.knobs.knobs if isinstance(knob, Knob)] == [2, 0.25]
    assert {float(s["k0"]) % 2 for s in settings(plan)} <= {0, 1}  # 5 is the default, moved to 4 or 6
    quarters = {float(s["k1"]) % 0.5 for s in settings(plan)}
    assert quarters == {0, 0.25}
    for step in (11, 0, -1, math.nan):
        with pytest.raises(UserError, match="but knob 'k1' goes from 0 to 10"):
            make_plan(schema, "space-filling", step=step)


def test_proposed_settings_have_few_corners():
    four = knobs(*[PLAIN] * 4)
    new = propose_settings(four, settings(make_plan(four, "space-filling", count=21)), 9)
    assert sum(is_corner(four, s) for s in new) <= 3  # seven of 21 are corners, ten of 30 may be
    assert sum(is_corner(four, s) for s in propose_settings(four, [four.defaults], 8)) == 3


def test_audio_taper_is_spaced_over_its_turn():
    """Not over its division, of which half is in the last fifth of the turn."""
    log = knobs({**PLAIN, "taper": "log"}).knobs[0]
    assert spaced_values(log, 5) == spaced_values(knobs(PLAIN).knobs[0], 5) == [0, 2.5, 5, 7.5, 10]


def test_default_between_steps_moves_to_the_nearest_step():
    odd = knobs({"min": 1, "max": 10, "step": 1}, {**NEVER_ZERO, "default": 0})
    assert odd.defaults == {"k0": 5.5, "k1": 0}
    plan = make_plan(odd, "isolated")
    assert plan.knobs.defaults == {"k0": 6, "k1": 1}
    assert plan.knobs.defaults in settings(plan)


def test_recommended_design_depends_on_the_knobs():
    assert recommend(compare_designs(knobs(STEPPED)))[0].design == "combinatorial"
    assert recommend(compare_designs(knobs(PLAIN)))[0].design == "isolated"
    plan, why = recommend(compare_designs(THREE))
    assert plan.design == "space-filling"
    assert "30 takes, not 1,331" in why


@pytest.mark.parametrize("change", [{"count": 0}, {"positions": 1}])
def test_option_out_of_range_is_refused(change: dict[str, int]):
    with pytest.raises(UserError) as caught:
        make_plan(TWO, "hybrid", **change)
    assert caught.value.hint
    with pytest.raises(UserError, match="no knob"):
        make_plan(Knobs(knobs=()), "hybrid")


@pytest.mark.parametrize(
    ("design", "wish", "others"),
    [
        ("combinatorial", "count", "space-filling"),
        ("space-filling", "positions", "isolated and hybrid"),
        ("hybrid", "count", "space-filling"),
    ],
)
def test_option_of_another_design_is_refused(design: Design, wish: str, others: str):
    with pytest.raises(UserError, match=f"a {design} session has no {wish}") as caught:
        make_plan(TWO, design, **{wish: 8})
    assert others in (caught.value.hint or "")


# Coverage


def test_largest_hole_agrees_with_a_fine_scan():
    for schema, plan in ((TWO, make_plan(TWO, "space-filling")), (TWO, make_plan(TWO, "isolated"))):
        scan_MD = np.array(list(product(np.linspace(0, 1, 101), repeat=2)))
        assert plan.hole_turns == pytest.approx(
            nearest_distances(turns(settings(plan), schema), scan_MD).max(), abs=0.01
        )


@pytest.mark.parametrize("schema", [TWO, THREE, MIXED], ids=["two", "three", "mixed"])
def test_closed_form_of_a_grid_hole_agrees_with_the_search(schema: Knobs):
    axes = [spaced_values(knob, 3) for knob in schema.knobs]
    listed = make_plan(schema, "hybrid", held=0)
    assert largest_grid_hole(schema, axes) == pytest.approx(
        listed.hole_turns, abs=0.08
    )  # the search uses values that can be set
    assert largest_grid_hole(THREE, [spaced_values(knob, 3) for knob in THREE.knobs]) == pytest.approx(math.sqrt(3) / 4)
    assert largest_grid_hole(knobs(PLAIN), [[4]]) == pytest.approx(0.6)


def test_missing_switch_position_is_a_hole_of_one_turn():
    found = largest_hole(knobs(SWITCH), [{"k0": "clean"}, {"k0": "lead"}])
    assert found.setting == {"k0": "crunch"}
    assert found.turns == pytest.approx(1)


def test_pairs_never_moved_together():
    rest = THREE.defaults
    assert len(pairs_never_together(THREE, [rest, {**rest, "k0": 0}])) == 3
    assert pairs_never_together(THREE, [{**rest, "k0": 0, "k2": 1}]) == [("k0", "k1"), ("k1", "k2")]
    assert pairs_never_together(THREE, [{"k0": 0, "k1": 0, "k2": 1}]) == []


# What to record next


@pytest.mark.parametrize("lost", [(2.5, 7.5), (7.5, 2.5), (10, 10), (0, 5)])
def test_next_setting_fills_the_hole(lost: tuple[float, float]):
    grid = list(to_settings(TWO, product((0, 2.5, 5, 7.5, 10), repeat=2)))
    left = [s for s in grid if setting_key(s) != lost]
    [new] = propose_settings(TWO, left, 1)
    assert all(abs(float(new[name]) - value) <= 0.6 for name, value in zip(TWO.names, lost, strict=True))
    assert largest_hole(TWO, [*left, new]).turns < largest_hole(TWO, left).turns


def test_next_settings_are_new_and_shrink_the_hole():
    existing = settings(make_plan(THREE, "isolated"))
    holes = [
        largest_hole(THREE, [*existing, *(propose_settings(THREE, existing, n) if n else [])]).turns for n in (0, 8, 40)
    ]
    assert holes[0] > 1.2 * holes[1] > 1.2 * holes[2]
    new = propose_settings(THREE, existing, 40)
    assert len({setting_key(s) for s in (*existing, *new)}) == len(existing) + 40
    small = knobs(STEPPED, SWITCH)
    rest = [s for s in settings(make_plan(small, "combinatorial", held=0)) if s["k1"] == "lead"]
    taken: list[Setting] = [{"k0": 5, "k1": "clean"}]
    found = propose_settings(small, rest, 9, taken)
    assert len({setting_key(s) for s in found}) == 9
    assert taken[0] not in found
    with pytest.raises(UserError, match="only 9 settings are left"):
        propose_settings(small, rest, 10, taken)


# Order


@pytest.mark.parametrize("seed", range(5))
def test_order_is_nearly_the_shortest(seed: int):
    rng = np.random.default_rng(seed)
    some: list[Setting] = [dict(zip(THREE.names, map(float, rng.choice((0, 5, 10), 3)), strict=True)) for _ in range(7)]
    found = order_settings(THREE, some)
    assert Counter(map(setting_key, found)) == Counter(map(setting_key, some))
    assert count_moves(found) <= min(count_moves(path) for path in permutations(some)) + 2


def test_order_of_a_grid_turns_one_knob_per_take():
    axes = [spaced_values(knob, 3) for knob in THREE.knobs]
    grid = list(to_settings(THREE, gray_code(axes)))
    assert [sum(a[n] != b[n] for n in a) for a, b in pairwise(grid)] == [1] * 26
    assert order_settings(THREE, grid) == grid
    shuffled = [grid[i] for i in np.random.default_rng(0).permutation(27)]
    assert count_moves(order_settings(THREE, shuffled)) <= 30 < count_moves(shuffled)
    assert order_settings(THREE, shuffled)[0] == THREE.defaults


# Parsing


KNOBS = st.fixed_dictionaries(
    {"name": st.sampled_from(["gain", "tone", "mid"])},
    optional={
        "min": st.floats(-10, 10) | JSON,
        "max": st.floats(-10, 20) | JSON,
        "default": st.floats(-10, 20),
        "step": st.floats(0, 5) | JSON,
        "avoid_zero": st.booleans(),
        "taper": st.sampled_from(["linear", "log"]),
        "gain": st.booleans(),
        "positions": st.lists(st.sampled_from("abcd"), max_size=4),
    },
)
FILES = st.fixed_dictionaries(
    {"knobs": st.lists(KNOBS | st.sampled_from(["volume", "Volume"]), max_size=3) | JSON}, optional={"device": JSON}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("knobs")


@given(value=FILES | JSON)
@examples(100)
def test_any_json_of_knobs_gives_plans_or_a_user_error(folder: Path, value: Any):
    path = folder / "knobs.json"
    path.write_text(json.dumps(value))
    try:
        schema = read_knobs(path)[1]
    except UserError as problem:
        assert "knobs.json" in problem.message
        return
    for design in ALL_DESIGNS:
        try:
            plan = make_plan(schema, design, held=1)
        except UserError as problem:
            assert problem.hint
            continue
        assert plan.train is None or plan.count == len(plan.train)
        assert 0 <= plan.hole_turns <= math.sqrt(len(schema.names)) + 1e-9
        for setting in (plan.train or []) + (plan.held or []):
            assert plan.knobs.complete(setting) == setting


def filtering(*names: str) -> Knobs:
    """Four knobs from 0 to 10, the named ones stated to filter after the distortion."""
    described = [{"name": name, "max": 10, "after": name in names} for name in ("gain", "treble", "presence", "master")]
    return Knobs.model_validate({"knobs": described})


def test_knobs_that_filter_need_a_few_isolated_takes():
    knobs = filtering("treble", "presence")
    plan = make_plan(knobs, "space-filling")
    assert plan.train
    assert plan.held
    turned = [{name for name in ("treble", "presence") if setting[name] != 5} for setting in plan.train]
    assert max(map(len, turned)) == 1
    for name in ("treble", "presence"):
        takes = [setting for setting, moved in zip(plan.train, turned, strict=True) if moved == {name}]
        alone = [setting[name] for setting in takes if setting["gain"] == setting["master"] == 5]
        assert sorted(alone) == [0, 2.5, 7.5, 10]
        (joint,) = (setting for setting in takes if setting[name] not in alone or setting["gain"] != 5)
        assert {joint["gain"], joint["master"], joint[name]} <= {0, 10}
        assert {**joint, name: 5} in plan.train  # from which its filter is checked
    assert plan.count == 20 + 2 * 5
    assert make_plan(filtering(), "space-filling").count == 40
    assert plan.never_together == []
    assert plan.hole_turns < 0.5
    assert any(setting["treble"] != 5 and setting["presence"] != 5 for setting in plan.held)


@pytest.mark.parametrize("design", ["hybrid", "combinatorial", "space-filling"])
def test_a_plan_with_filters_is_shorter(design: Design):
    plan, plain = make_plan(filtering("treble", "master"), design), make_plan(filtering(), design)
    assert plan.count < plain.count
    assert plan_without_filters(filtering("treble", "master"), design) == plain
    assert plan_without_filters(filtering(), design) is None


def test_a_device_of_filters_alone_is_recorded_alone():
    plan = make_plan(filtering("gain", "treble", "presence", "master"), "space-filling", held=2)
    assert plan.train
    assert (plan.count, plan.hole_turns, plan.never_together) == (1 + 4 * 4, 0.0, [])


def test_proposed_settings_leave_filters_where_they_are():
    existing = make_plan(filtering("treble", "presence"), "space-filling").train
    assert existing
    new = propose_settings(filtering("treble", "presence"), existing, 4)
    assert len(new) == 4
    assert all(setting["treble"] == setting["presence"] == 5 for setting in new)


def test_what_cannot_filter_is_refused():
    switched = Knobs.model_validate(
        {"knobs": [{"name": "gain", "gain": True}, {"name": "mode", "positions": ["a", "b"]}]}
    )
    for name, what in (("gain", "the gain"), ("mode", "a switch"), ("tone", "no knob")):
        with pytest.raises(UserError, match=f"'{name}' cannot filter after the distortion: it is {what}"):
            state_filters(switched, [name])
    with pytest.raises(UserError, match="10 takes are too few: knobs that filter after the distortion take 10"):
        make_plan(filtering("treble", "master"), "space-filling", count=10)
