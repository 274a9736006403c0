"""The parts of the search that decide, without an engine: space, bounds, front, rungs, proposer, ledger, conductor."""

import json
import math
import random
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.core.files import write_json
from models.core.schema import check_document, read_document
from models.formats.nam.writer import write_nam
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from search.config.shapes import FAMILIES, SHAPES, STOCK, dilations, named_points
from search.config.space import FREE, Space
from search.config.study import Final, SearchConfig
from search.optimizer.pareto import front, hypervolume, ranks, top
from search.optimizer.pruner import Plan, Rungs, calibrate, expected_gain, spearman
from search.optimizer.sampler import Proposer
from search.optimizer.surrogate import Weighed, features
from search.report.optuna_export import study_of
from search.study import ledger
from search.study.board import choose, read_study
from search.study.constraints import fault, sizes
from search.study.cost import TIERS, Costs
from search.study.files import COSTS
from search.study.ledger import append, curves, ledger_path, read_ledger, read_lines
from search.study.scheduler import Conductor
from search.study.warm_start import amp_of, locate, read_source, warmed
from tests.support.makers import KNOBS, di, examples, record
from tests.support.packages import evaluation, write_run

points = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)
few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)  # with ties
CONFIGS = Path(__file__).parents[2] / "configs" / "models"
WIDE = Space(
    arrays=(1, 2, 3),
    narrowing=(1, 2),
    depth=(2, 5),
    cycles={"mine": (1, 5, 25)},
    dilations=("pow2", "pow3", "a2", "mine"),
    channels=(2, 3, 8),
    kernel_size=(2, 3),
    bottleneck=("full", "half"),
    activation=("Tanh", "PReLU"),
    gating=("none", "gated", "blended"),
    head1x1=(None, 3),
    head_kernel=(1, 4),
    inject=("input", "mixin", "film", "input+mixin+conv_pre", "any"),
    film_shift=(True, False),
    film_arrays=("all", "first", "last"),
    encoder=(None, 3),
    warp=(None, 3),
    encoding=("levels", "type_level"),
    learning={"batch": (2, 4), "segment": (64, 128)},
)


def config_of(folder: Path = Path(), **changes: Any) -> SearchConfig:
    split = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
    document = {"name": "s", "datasets": [{"name": "a", "train": str(folder / "train.json"), **split}], **changes}
    return check_document(document, SearchConfig, "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("amp")
    record(where, "train", di())
    return where


@pytest.fixture(scope="module")
def amps(folder: Path) -> list[AmpData]:
    return [load_data(config_of(folder).datasets[0])]


def beats(a: tuple, b: tuple) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


@examples(80)
@given(points)
def test_front_is_what_nothing_beats(found: list[tuple[float, float]]):
    kept = front(found)
    for index, point in enumerate(found):
        beaten = any(beats(found[k], point) for k in kept)
        assert beaten != any(found[k] == point for k in kept)
        assert index not in kept or not beaten
    esrs = [found[k][0] for k in kept]
    assert esrs == sorted(esrs) and len(set(esrs)) == len(esrs)


@examples(80)
@given(few)
def test_ranks_count_the_fronts_before(found: list[tuple[int, int]]):
    levels = ranks(found)
    for point, level in zip(found, levels, strict=True):
        below = [other for other, rank in zip(found, levels, strict=True) if beats(other, point)]
        assert level == (max(levels[found.index(other)] for other in below) + 1 if below else 0)


@examples(80)
@given(few, st.integers(1, 20))
def test_the_top_is_taken_rank_by_rank(found: list[tuple[int, int]], count: int):
    kept, levels = top(found, count), ranks(found)
    assert len(kept) == min(count, len(found))
    for inside, outside in product(kept, set(range(len(found))) - kept):
        assert levels[inside] <= levels[outside]


@examples(80)
@given(points, st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)))
def test_hypervolume_grows_only_by_what_is_not_beaten(found: list[tuple[float, float]], new: tuple[float, float]):
    reference = (1e6 + 1, 1e6 + 1)
    before, after = hypervolume(found, reference), hypervolume([*found, new], reference)
    assert after >= before * (1 - 1e-12) and hypervolume([found[i] for i in front(found)], reference) == before
    if any(beats(point, new) for point in found):
        assert after == before


def test_hypervolume_of_a_staircase():
    assert hypervolume([(1, 3), (2, 2), (3, 1), (3, 3)], (4, 4)) == 6
    assert hypervolume([(4, 0), (5, 5)], (4, 4)) == 0


@examples(80)
@given(few, st.integers(2, 4))
def test_rungs_are_consistent(found: list[tuple[int, int]], reduction: int):
    rungs = Rungs(Plan((10,), reduction, {}))
    for number, point in enumerate(found):
        kept = rungs.survives(str(number), 10, [point])
        if kept:
            rivals = found[: number + 1]
            assert sum(beats(other, point) for other in rivals) < math.ceil(len(rivals) / reduction)
        assert rungs.survives(str(number), 11, [point]), "a rung is entered once"
    assert rungs.survives("early", 9, [(9, 9)]) and len(rungs.books[10]) == len(found)
    assert not rungs.survives("lost", 20, [(math.nan, 1.0)]) and not rungs.survives("lost", 20, [(1.0, math.inf)])


def test_a_trial_survives_if_any_amp_wants_it():
    rungs = Rungs(Plan((1,), 4.0, {}))
    for number in range(8):
        rungs.survives(str(number), 1, [(number / 10, 1.0), (1 - number / 10, 1.0)])
    assert rungs.survives("good at the second", 1, [(5.0, 1.0), (-1.0, 1.0)])
    assert not rungs.survives("good at neither", 1, [(5.0, 1.0), (5.0, 1.0)])


def test_the_cheap_end_survives_where_error_alone_would_cut_it():
    rungs = Rungs(Plan((1,), 3.0, {}))
    for number in range(12):
        rungs.survives(str(number), 1, [(-2.0 - number / 100, 4.0 + number / 100)])
    assert rungs.survives("small", 1, [(-0.5, 1.0)])


@examples(50)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=12))
def test_rank_correlation(values: list[int]):
    expected = 1.0 if len(set(values)) > 1 else 0.0
    assert spearman(values, [v * 3 + 1 for v in values]) == pytest.approx(expected)
    assert spearman(values, [-v for v in values]) == pytest.approx(-expected)


def test_calibration_waits_for_ranks_that_last():
    draw = random.Random(0)
    ends = [-0.1 * number for number in range(10)]
    curves = [{20: draw.random(), 40: end + draw.random() / 50, 80: end, 200: end} for end in ends]
    plan = calibrate(curves, 10)
    assert plan.rungs[0] == 40 and plan.reduction == 3.0 and set(plan.correlations) == {20, 40, 80}
    assert calibrate(curves, 60).rungs[0] == 80, "grace is kept"
    swapped = [{80: at, 200: end} for at, end in zip((0.0, -0.2, -0.1, -0.3), ends, strict=False)]
    assert calibrate(swapped, 60).correlations == {80: 0.8}
    assert calibrate(swapped, 60).rungs == (), "of four trials that may be chance"
    lucky = [{20: end, 40: -end, 80: end, 200: end} for end in ends]
    assert calibrate(lucky, 10).rungs[0] == 80, "a step whose order the next one undoes is not trusted"
    crossing = [{20: end, 40: end, 200: -end} for end in ends]
    assert calibrate(crossing, 10).rungs == (), "late bests are not cut"
    assert expected_gain(curves, 80) == 0 and expected_gain([], 80) == 0
    assert expected_gain([{10: 0.0, 20: -1.0}, {10: 0.0, 20: -2.0}, {20: -9.0}], 10) == 1.5


@examples(50)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(1, 32))
def test_dilation_families(family: str, depth: int):
    cycle = FAMILIES[family]
    found = dilations(cycle, depth)
    assert len(found) == depth and found[: len(cycle)] == cycle[:depth]
    assert all(found[i] == found[i - len(cycle)] for i in range(len(cycle), depth))


@pytest.mark.parametrize("name", [*STOCK, "a2-wide-10", "a2-wide-16"])
def test_named_shapes_are_those_of_the_presets(name: str):
    file = {"a2-wide-10": "peer-a2-concat-2-knobs", "a2-wide-16": "peer-a2-concat-5-knobs"}.get(name, name)
    assert read_document(CONFIGS / f"{file}.json", WaveNetConfig).arrays == SHAPES[name]


def test_a_space_is_left_for_stock_recipes_alone(amps: list[AmpData], folder: Path, tmp_path: Path):
    space = {
        "shapes": ["a1-nano"],
        "inject": ["mixin"],
        "depth": [2, 3, 4],
        "channels": [2, 3, 4],
        "dilations": ["pow2"],
    }
    config = config_of(folder, space=space, trials=20)
    stock = [{"shape": "a1-feather", "inject": "input+mixin"}, {"shape": "a1-nano", "inject": "film"}]
    conductor = Conductor(config, tmp_path, amps, stock)
    points = []
    while task := conductor.propose():
        points.append(task.point)
        told = {"step": task.steps, "esr": 0.1 / len(points), "amps": {"a": 0.1 / len(points)}, "seconds": 1.0}
        conductor.report(task.trial, told)
        conductor.end(task.trial)
    assert [(point["shape"], point["inject"]) for point in points[:2]] == [
        ("a1-feather", "input+mixin"),
        ("a1-nano", "film"),
    ]
    assert len(points) > 8 and all(config.space.complete(point) for point in points[2:])
    study = study_of(config, read_lines(tmp_path))
    assert len(study.trials) == len(points)


def sample(space: Space, seed: int) -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return space.suggest(study.ask())


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


def test_every_point_that_may_be_trained_is_exported_live_and_baked(amps: list[AmpData], folder: Path, tmp_path: Path):
    config = config_of(folder).model_copy(update={"space": WIDE.model_copy(update={"shapes": ()})})
    exported = 0
    for seed in range(60):
        point = sample(config.space, seed)
        if fault(config, point, amps):
            continue
        model = config.space.model(point)
        columns = KNOBS.columns(model.inject.encoding)
        net = WaveNet(model, columns)
        described = make_config("tiny", 8000, KNOBS, model)
        write_nam(tmp_path / "live.nam", described, net)
        write_nam(tmp_path / "baked.nam", described, bake(net, described.encode(KNOBS.defaults)), KNOBS.defaults)
        assert sizes(model, amps).parameters == net.parameter_count
        exported += 1
    assert exported > 30


def test_recipes_follow_the_point():
    config = config_of().model_copy(update={"space": WIDE})
    point = next(p for p in (sample(WIDE, seed) for seed in range(99)) if p["shape"] == FREE and p["arrays"] == 2)
    (recipe,) = config.recipes(point, steps=7, seed=5)
    assert (recipe.learning.steps, recipe.learning.seed) == (7, 5)
    assert (recipe.learning.batch, recipe.learning.learning_rate) == (point["batch"], point["learning_rate"])
    first, second = recipe.model.arrays
    assert first.depth == second.depth == point["depth"]
    assert second.channels == max(1, first.channels // point["narrowing"])


BOUNDS = {
    "receptive field": ({"bounds": {"receptive_field": [1, 20]}}, {"depth": 10}),
    "parameters": ({"bounds": {"parameters": [1, 50]}}, {}),
    "costs": ({"bounds": {"cost": 1e-9}}, {}),
    "live in blended": ({"space": {"inject": ["layer1x1_post"]}}, {}),
    "fewer than one segment": ({"learning": {"segment": 9000}}, {}),
}


@pytest.mark.parametrize("word", BOUNDS)
def test_what_may_not_be_trained_is_known_before(word: str, folder: Path, amps: list[AmpData], tmp_path: Path):
    changes, point = BOUNDS[word]
    config = config_of(folder, **{"space": {"shapes": []}, **changes})
    complete = config.space.complete(point)
    assert complete and word in (fault(config, complete, amps) or "")
    if not point:
        shapeless = config.model_copy(update={"space": config.space.model_copy(update={"shapes": ()})})
        with pytest.raises(UserError, match=f"may be trained.*{word}"):
            Conductor(shapeless, tmp_path, amps).check()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"channels": []}, "channels"),
        ({"inject": ["nowhere"]}, "nowhere.*activation_pre"),
        ({"inject": ["mixin+head1x1_post"]}, 'head1x1_post, but.*"head1x1": '),
        ({"dilations": ["pow5"]}, "pow5.*pow3"),
        ({"shapes": ["a3"]}, "a3.*a2-full"),
        ({"learning": {"steps": [1]}}, "steps.*batch"),
        ({"learning": {"batch": [0]}}, "batch"),
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


def proposer(queue: tuple[dict, ...] = (), space: Space = WIDE) -> Proposer:
    config = config_of().model_copy(update={"space": space})

    def weighed(point: dict) -> Weighed:
        macs = space.model(point).macs_per_sample(2)
        return features(point, macs=macs), math.log10(macs)

    return Proposer(space, 7, lambda point: None, config.identity, weighed, queue, fronts=("one", "other"))


def test_no_recipe_is_proposed_twice_and_the_queue_comes_first():
    space = Space(
        shapes=("a1-nano",),
        depth=(2,),
        channels=(2, 3),
        dilations=("pow2",),
        inject=("mixin", "film"),
        learning_rate=(0.01, 0.01),
    )
    first = space.complete({"channels": 3})
    assert first
    found = proposer((first, first), space)
    seen = []
    while (point := found.ask()) is not None:
        seen.append(json.dumps(point))
        found.begin(config_of().model_copy(update={"space": space}).identity(point), point)
    assert seen[0] == json.dumps(first) and len(seen) == len(set(seen)) == 6, "one shape or two widths, two injections"
    assert found.refused["it was trained already"] > 1


def test_the_proposer_is_what_it_was_told():
    one, two = proposer(), proposer()
    heard: list[tuple] = []
    draw = random.Random(1)
    identity = config_of().model_copy(update={"space": WIDE}).identity
    for number in range(40):
        point = one.ask()
        assert point
        name = identity(point)
        one.begin(name, point)
        heard.append(("begin", name, point))
        if number > 2:
            other = list(one.points)[number - 3]
            first = (math.nan if number % 10 == 0 else draw.random(), draw.random())
            values = {} if number % 9 == 0 else {"one": first, "other": (draw.random(), first[1])}
            limits = {front: {"runaway": draw.uniform(-1, 1)} for front in ("one", "other")}
            one.end(other, values, limits)
            heard.append(("end", other, values, limits))
    for what, *told in heard:
        two.begin(*told) if what == "begin" else two.end(*told)
    assert one.ask() == two.ask()
    for name, study in two.studies.items():
        states = [trial.state.name for trial in study.optuna.trials]
        assert states.count("RUNNING") == 3 and "FAIL" in states, (
            "trials without a result are failures, not for ever running"
        )
        for _, trial, values, limits in (told for told in heard if told[0] == "end"):
            known = study.optuna.trials[study.numbers[trial]]
            assert not known.values or (tuple(known.values), known.constraints) == (values[name], limits[name])


def test_the_ledger_knows_the_last_word_of_each_trial_and_survives_a_cut(tmp_path: Path):
    append(tmp_path, {"trial": "a", "state": "start", "cost": 3})
    append(tmp_path, {"trial": "b", "state": "start"})
    append(tmp_path, {"trial": "b", "state": "report", "step": 5, "esr": 0.5})
    append(tmp_path, {"trial": "a", "state": "failed", "reason": "why"})
    append(tmp_path, {"trial": "b", "state": "finished"})
    append(tmp_path, {"trial": "c", "state": "start"})
    whole = ledger_path(tmp_path).read_bytes()
    with ledger_path(tmp_path).open("a") as file:
        file.write(json.dumps({"trial": "c", "state": "finished"})[:-5])
    ended = read_ledger(tmp_path)
    assert [line["trial"] for line in ended] == ["a", "b"]
    assert ended[0] == {"trial": "a", "state": "failed", "cost": 3, "reason": "why"} and ended[1]["esr"] == 0.5
    append(tmp_path, {"trial": "d", "state": "start"})
    assert ledger_path(tmp_path).read_bytes().startswith(whole)
    assert [line["trial"] for line in read_lines(tmp_path)][-2:] == ["c", "d"]
    assert read_ledger(tmp_path / "nowhere") == []


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    append(tmp_path, {"trial": "a", "state": "start"})
    before = ledger_path(tmp_path).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(tmp_path, {"trial": "a", "state": "finished"})
    assert ledger_path(tmp_path).read_bytes() == before


STEPS = 100
SMALL: dict[str, Any] = {
    "space": {"shapes": [], "depth": [2, 3, 4], "channels": [2, 3, 4, 5], "dilations": ["pow2"]},
    "learning": {"steps": STEPS, "report_every": 10, "segment": 64},
    "pruning": {"calibrate": 4, "grace": 20, "control": 5},
    "trials": 30,
}


def play(conductor: Conductor, workers: int = 3, most: int = 10**6) -> None:
    """A simulated engine: several trials at once, errors that fall at speeds of their own; stops dead after `most` reports."""
    running: list[tuple[Any, int]] = []
    while most:
        while len(running) < workers and (task := conductor.propose()):
            running.append((task, conductor.trials[task.trial].get("step", 0)))
        if not running:
            return
        task, step = running.pop(0)
        step, most = step + 10, most - 1
        luck = random.Random(task.trial).random()
        error = 0.1 * luck + 1 / (5 + step * task.point["channels"] * (1 + luck))
        goes_on = conductor.report(
            task.trial, {"step": step, "esr": error, "amps": {"a": error}, "worst": {"a": error}}
        )
        if goes_on and step < task.steps:
            running.append((task, step))
        else:
            conductor.end(task.trial)


@pytest.fixture
def small(folder: Path) -> SearchConfig:
    return config_of(folder, **SMALL)


def test_the_best_is_trained_again_unless_it_is_left_out(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    assert small.final and small.trainings == [(30, STEPS), (9, 2 * STEPS)]
    conductor = Conductor(small, tmp_path, amps)
    play(conductor)
    conductor.begin_finals(choose(small, tmp_path, small.finals))
    again = [line for line in conductor.trials.values() if "of" in line]
    assert len(again) == 3 * len({line["of"] for line in again})
    assert {line["steps"] for line in again} == {2 * STEPS} and {line["seed"] for line in again} == {0, 1, 2}
    names = [{**small.datasets[0].model_dump(), "name": name} for name in "abcde"]
    for mode, finals in (("universal", 3), ("per_amp", 5)):
        several = check_document({"name": "s", "datasets": names, "mode": mode}, SearchConfig, "test")
        assert several.finals == finals, "the best of every front is among them"
    assert config_of(final=None).trainings == [(16, config_of().learning.steps)]


def test_finals_that_began_stay_chosen_whatever_the_tiers_are_later(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    final = Final(steps=2 * STEPS, seeds=2, top=2)
    config = small.model_copy(update={"final": final})
    conductor = Conductor(config, tmp_path, amps)
    play(conductor)
    chosen = choose(config, tmp_path, final.top)
    conductor.begin_finals(chosen)
    cheapest = min(line["cost"] for line in read_ledger(tmp_path) if line["state"] == "finished")
    small_tiers = Costs(cpus=("another",), reference_s=1.0, tiers=dict.fromkeys(TIERS, cheapest))
    write_json(tmp_path / COSTS, small_tiers.model_dump(mode="json"))
    assert choose(config, tmp_path, final.top) == chosen
    monkeypatch.setattr(
        "search.study.board.read_lines", lambda _: [line for line in read_lines(tmp_path) if "of" not in line]
    )
    assert choose(config, tmp_path, final.top) != chosen, "tiers this small choose others"


def test_rungs_are_placed_by_the_first_trials_and_stop_others(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    conductor = Conductor(small, tmp_path, amps)
    play(conductor)
    ended = read_ledger(tmp_path)
    states = [line["state"] for line in ended]
    assert len(ended) == 30 and not conductor.open and conductor.running == []
    assert states[:4] == ["finished"] * 4 and states.count("pruned") > 5
    assert conductor.plan and conductor.plan.rungs[0] >= 20
    controls = [line for line in ended if line["control"]]
    assert len(controls) == 4 + 5 and all(line["state"] == "finished" for line in controls)
    assert len({json.dumps(line["point"]) for line in ended}) == 30


def test_what_is_always_tried_places_no_rungs(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """They are placed when as many others have trained to the end as calibrate them, by these, and stock is no control."""
    chance = random.Random(0)
    stock = [small.space.draw(chance) for _ in range(6)]
    placed: list[int] = []  # how many trials had ended when there were rungs
    conductor = Conductor(
        small, tmp_path, amps, stock, lambda _: placed.append(conductor.ended) if conductor.rungs else None
    )
    play(conductor, workers=1)
    assert placed[0] == 6 + 4
    finished = [line for line in read_ledger(tmp_path) if line["state"] == "finished"]
    reported = curves(read_lines(tmp_path))
    free = [{step: math.log10(esr) for step, esr in reported[line["trial"]].items()} for line in finished[6:10]]
    assert conductor.plan and conductor.plan == calibrate(free, 20) and conductor.plan.rungs
    controls = [line["number"] for line in read_ledger(tmp_path) if line["control"]]
    assert controls == [*range(6), *range(6, 10), 14, 19, 24, 29]


@pytest.mark.parametrize("most", [1, 17, 60, 120])
def test_a_search_goes_on_where_it_was_cut(small: SearchConfig, amps: list[AmpData], tmp_path: Path, most: int):
    play(Conductor(small, tmp_path, amps), most=most)
    before = ledger_path(tmp_path).read_bytes()
    known = {line["trial"]: line for line in read_ledger(tmp_path)}
    again = Conductor(small, tmp_path, amps)
    begun = again.running
    assert [task.trial for task in (again.propose() for _ in begun) if task] == begun, "what had begun comes first"
    play(Conductor(small, tmp_path, amps))
    assert ledger_path(tmp_path).read_bytes().startswith(before)
    ended = {line["trial"]: line for line in read_ledger(tmp_path)}
    assert len(ended) == 30 and known.items() <= ended.items()


def test_one_worker_cut_anywhere_finds_what_it_would_have_found(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for study in (whole, cut):
        study.mkdir()
    play(Conductor(small, whole, amps), workers=1)
    for most in (7, 41, 3, 80):
        play(Conductor(small, cut, amps), workers=1, most=most)
    play(Conductor(small, cut, amps), workers=1)
    assert read_lines(cut) == read_lines(whole)


def test_a_recorded_trace_gives_the_same_decisions(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    """Whoever trains: the same reports in the same order are judged the same."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    for study in (whole, again):
        study.mkdir()
    play(Conductor(small, whole, amps), workers=5)
    conductor = Conductor(small, again, amps)
    for line in read_lines(whole):
        if line["state"] == ledger.START:
            task = conductor.propose()
            assert task and task.trial == line["trial"] and task.point == line["point"]
        elif line["state"] == ledger.REPORT:
            conductor.report(line["trial"], {key: line[key] for key in ("step", "esr", "amps", "worst")})
        elif line["state"] == ledger.FINISHED:
            conductor.end(line["trial"])
    assert read_lines(again) == read_lines(whole)


def test_what_ends_badly_is_written_down_and_stops_nothing(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    heard: list[dict] = []
    conductor = Conductor(small, tmp_path, amps, listener=heard.append)
    wild, dead, cut = (conductor.propose() for _ in range(3))
    assert wild and dead and cut
    assert not conductor.report(wild.trial, {"step": 0, "esr": math.nan, "reason": "the loss is nan at step 3"})
    conductor.end(dead.trial, "out of memory")
    assert not conductor.end(cut.trial), "neither failed nor finished: interrupted"
    states = {line["trial"]: (line["state"], line.get("reason")) for line in read_ledger(tmp_path)}
    assert states == {wild.trial: ("diverged", "the loss is nan at step 3"), dead.trial: ("failed", "out of memory")}
    assert not conductor.report(dead.trial, {"step": 10, "esr": 0.1, "amps": {"a": 0.1}}), "the dead report nothing"
    assert [line["state"] for line in heard] == ["start"] * 3 + ["diverged", "failed"]
    assert conductor.running == [cut.trial]


def test_a_fault_of_the_machine_is_no_fault_of_a_trial(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    conductor = Conductor(small, tmp_path, amps)
    task = conductor.propose()
    assert task
    assert not conductor.report(task.trial, {"stopped": "train.json does not exist"})
    assert not conductor.end(task.trial, "gone") and conductor.propose() is None
    assert read_ledger(tmp_path) == [] and Conductor(small, tmp_path, amps).running == [task.trial]


def test_a_point_is_found_again_from_its_model():
    found = 0
    for seed in range(80):
        point = sample(WIDE, seed)
        try:
            model = WIDE.model(point)
        except ValueError:
            continue
        again = locate(WIDE, model, point)
        if again is not None:
            same = all(again[key] == point[key] for key in ("learning_rate", "batch", "segment"))
            assert WIDE.model(again) == model and same
            found += 1
    assert found > 60
    assert locate(Space(channels=(9,)), SPACE_8) is None


SPACE_8 = Space().model({**(Space().complete({"channels": 8}) or {})})


def test_a_search_begins_with_what_was_best_elsewhere(small: SearchConfig, amps: list[AmpData], tmp_path: Path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text(small.model_dump_json())
    conductor = Conductor(small, study, amps)
    play(conductor)
    new = small.model_copy(
        update={"space": Space(channels=(2, 3, 4, 5, 6), depth=(2, 3, 4), dilations=("pow2",)), "seed": 9}
    )
    warm = warmed(new, [read_source(new, study)])
    assert 1 <= len(warm.warm) <= 8 and warmed(new, []) is new
    ahead = Conductor(warm, tmp_path, amps, named_points(2))
    first = ahead.propose()
    assert first and first.point == warm.warm[0]
    best = min((line for line in read_ledger(study) if line["state"] == "finished"), key=lambda line: line["esr"])
    assert any(new.space.model(point) == small.space.model(best["point"]) for point in warm.warm)
    with pytest.raises(UserError, match="no study, package or run"):
        read_source(new, tmp_path / "nowhere")
    other = new.model_copy(update={"space": Space(channels=(31,))})
    alone = warmed(other, [read_source(other, study)])
    assert (alone.warm, alone.prior) == ((), warm.prior), "what the space does not hold is a prior all the same"


def test_the_trials_of_another_study_are_a_prior_that_the_study_keeps(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    other, whole, cut = tmp_path / "other", tmp_path / "whole", tmp_path / "cut"
    for study in (other, whole, cut):
        study.mkdir()
    write_json(other / "study.json", small.model_dump(mode="json"))
    play(Conductor(small, other, amps))
    begun = warmed(small.model_copy(update={"seed": 5, "trials": 24}), [read_source(small, other)])
    (heard,) = begun.prior
    ended = {json.dumps(line["point"]): line for line in read_ledger(other)}
    assert len(heard) == len(ended) == 30, "also those that were stopped early"
    for trial in heard:
        line = ended[json.dumps(trial.point)]
        same = trial.esr == pytest.approx(line["esr"], rel=1e-4)
        assert same if line["state"] == "finished" else trial.esr < line["esr"], "as where it would have come to"
    shutil.rmtree(other)
    for study in (whole, cut):
        write_json(study / "study.json", begun.model_dump(mode="json"))
    assert read_study(cut) == begun
    play(Conductor(begun, whole, amps), workers=1)
    for most in (7, 41, 10**6):
        play(Conductor(read_study(cut), cut, amps), workers=1, most=most)
    assert read_lines(cut) == read_lines(whole), "to go on needs no source"


def test_of_other_amps_the_one_whose_settings_lie_alike_comes_first(
    small: SearchConfig, amps: list[AmpData], tmp_path: Path
):
    signal, error = amps[0].baseline(amps[0].validation[0])
    runs = []
    for name, channels, times in (("unlike", 2, 50.0), ("unknown", 3, 0.0), ("alike", 4, 1.1)):
        point = small.space.complete({"channels": channels})
        assert point
        recipe = small.recipes(point)[0]
        net = WaveNet(recipe.model, 2)
        run = write_run(tmp_path / name, (make_config(name, 48_000, amps[0].knobs, recipe.model), net))
        write_json(run / "recipe.json", recipe.model_dump(mode="json"))
        settings = [{"setting": {}, "esr": 0.1, "baseline_esr": error / signal * times or None}] * 2
        validation = {"mean": 0.1, "median": 0.1, "worst": 0.1, "baseline_mean": None, "settings": settings}
        document = {**evaluation(net).model_dump(mode="json", by_alias=True), "validation": validation}
        write_json(run / "eval.json", document)
        runs.append(run)
    found = [read_source(small, run) for run in runs]
    near = warmed(small, found, amp_of(small)).warm
    assert [point["channels"] for point in near] == [4, 2, 3]
    assert [point["channels"] for point in warmed(small, found).warm] == [2, 3, 4], "as they came"
