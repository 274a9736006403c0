"""A member of a stack is its own solo run, whatever the others are and however the step is replayed."""

import dataclasses
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.core.errors import DivergedError
from models.engines.gpu.cuda_graph import WARM_UP, GraphReplay, Work
from models.engines.select import device_for
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training import placement, windows
from models.training.config import Recipe
from models.training.fit import fit
from models.training.placement import SoloTrainer, best_size, group_by_shape, place_trainers, time_stacks
from models.training.stacked import StackedTrainers, StepTerms
from models.training.state import PATIENCE, TrainState
from models.training.trainer import Trainer
from tests.support.makers import FORMS, GRID, architecture, data_config, di, recipe, record

MEMBERS: tuple[dict[str, Any], ...] = (
    {"seed": 0, "learning_rate": 0.008, "pre_emphasis": 0.5, "ema": 0.9},
    {"seed": 1, "learning_rate": 0.004, "pre_emphasis": 0.9, "gradient_clip": 0.05, "warmup": 0},
    {"seed": 2, "learning_rate": 0.001, "pre_emphasis": 0.5, "schedule": "exponential", "final_rate": 0.1},
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AmpData:
    return load_data(data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5))))


def plans(data: AmpData, form: str = "mixin+film", gating: str = "none", **learning: Any) -> list[Recipe]:
    model = architecture(form, gating=gating)
    return [recipe(data.config, model, **{**member, **learning}) for member in MEMBERS]


def stacked(recipes: list[Recipe], data: AmpData, device: str = "cpu") -> StackedTrainers:
    return StackedTrainers([Trainer(plan, data) for plan in recipes], device)


def tensors(state: TrainState) -> list[torch.Tensor]:
    found = [state.vector_KP, state.mean_KP, state.step_K, state.failed_K, *state.optimizer.values()]
    return [tensor for tensor in found if tensor is not None]


on_each_device = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))],
)


def distance(found: Trainer, wanted: Trainer) -> float:
    """Between the parameters of two, relative."""
    assert (found.mean_P is None) == (wanted.mean_P is None)
    vectors = [(found.vector_P, wanted.vector_P), (found.mean_P, wanted.mean_P)]
    return max(((a - b).norm() / b.norm()).item() for a, b in vectors if a is not None and b is not None)


@pytest.mark.parametrize(
    ("form", "gating"),
    [("mixin+film", "none"), ("warp+encoder", "gated"), ("film activation_post", "blended"), ("input", "none")],
)
def test_member_is_its_solo_run(data: AmpData, form: str, gating: str):
    """In float32, and on another engine."""
    recipes = plans(data, form, gating, steps=100)
    stack, solos = stacked(recipes, data), [Trainer(plan, data) for plan in recipes]
    for steps in (1, 30, 80):
        found, wanted = stack.advance(steps), [solo.advance(steps) for solo in solos]
        assert found == pytest.approx(wanted, rel=1e-6)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert member.step == solo.step == 100 and distance(member, solo) <= 1e-6
        for name, value in solo.state.optimizer.items():
            assert (member.state.optimizer[name] - value).norm() <= 1e-3 * value.norm()
        assert [line["step"] for line in member.history] == [1, 31, 100]
        assert member.validate().mean == pytest.approx(solo.validate().mean, rel=1e-4)


@pytest.fixture
def doubled(data: AmpData) -> Iterator[AmpData]:
    """The recordings in float64, which is also the default type of what is made meanwhile."""
    signals = {id(piece.wet_T): piece.wet_T.double() for piece in data.train}
    train = tuple(dataclasses.replace(piece, wet_T=signals[id(piece.wet_T)]) for piece in data.train)
    torch.set_default_dtype(torch.float64)
    yield dataclasses.replace(data, dry_T=tuple(x_T.double() for x_T in data.dry_T), train=train)
    torch.set_default_dtype(torch.float32)


def begin_doubled(plan: Recipe, data: AmpData) -> Trainer:
    trainer = Trainer(plan, data)
    trainer.windows.levels_QE = [levels_E.double() for levels_E in trainer.windows.levels_QE]
    return trainer


@pytest.mark.parametrize("form", FORMS)
def test_member_is_its_solo_run_in_float64(doubled: AmpData, form: str):
    """So what float32 leaves between the two is rounding, and nothing else."""
    recipes = plans(doubled, form, segment=64)[:2]
    stack, solos = (
        StackedTrainers([begin_doubled(plan, doubled) for plan in recipes]),
        [begin_doubled(plan, doubled) for plan in recipes],
    )
    assert stack.advance(24) == pytest.approx([solo.advance(24) for solo in solos], rel=1e-12)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert member.vector_P.dtype == torch.float64 and distance(member, solo) <= 1e-12


@on_each_device
@pytest.mark.parametrize("form", ["mixin+film", "warp+encoder"])
def test_member_does_not_depend_on_the_size_of_its_stack(data: AmpData, form: str, device: str):
    recipes = plans(data, form)
    many, alone = stacked(recipes, data, device), [stacked([plan], data, device) for plan in recipes]
    assert many.advance(30) == pytest.approx([loss for one in alone for loss in one.advance(30)], rel=1e-6)
    for member, one in zip(many.trainers, alone, strict=True):
        assert distance(member, one.trainers[0]) <= 1e-6


@pytest.mark.parametrize("optimizer", ["soap", "muon"])
def test_every_optimizer_moves_a_member_as_its_solo_run(doubled: AmpData, optimizer: str):
    """With silence and interaction of knobs in the loss, at settings that are each member's own."""
    recipes = [
        recipe(doubled.config, steps=24, segment=64, optimizer=optimizer, silence=9.0, interaction=0.3, seed=s)
        for s in (0, 9)
    ]
    trainers, solos = ([begin_doubled(plan, doubled) for plan in recipes] for _ in range(2))
    assert StackedTrainers(trainers).advance(24) == pytest.approx([one.advance(24) for one in solos], rel=1e-10)
    assert max(distance(one, other) for one, other in zip(trainers, solos, strict=True)) <= 1e-10


def test_spectral_weight_is_each_members_own(data: AmpData):
    """Over a few steps: the logarithm of small magnitudes enlarges rounding, in solo runs on two engines, too."""
    recipes = [recipe(data.config, steps=40, mrstft=weight, segment=2100) for weight in (0.0, 0.003, 0.1)]
    stack, solos = stacked(recipes, data), [Trainer(plan, data) for plan in recipes]
    assert stack.advance(10) == pytest.approx([solo.advance(10) for solo in solos], rel=1e-5)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert distance(member, solo) <= 1e-5
    assert distance(stack.trainers[1], solos[0]) > 1e-3


def test_every_member_has_recordings_of_its_own(data: AmpData, tmp_path: Path):
    other = load_data(data_config(record(tmp_path, "other", di(1.2, seed=5), GRID[:12] + GRID[-1:]), name="other"))
    same_dry = load_data(data_config(record(tmp_path / "same", "same", di(1.5), GRID[::-1]), name="same"))
    trainers = [[Trainer(recipe(own.config, seed=3), own) for own in (data, other, same_dry)] for _ in range(2)]
    stack, solos = StackedTrainers(trainers[0]), trainers[1]
    assert len({len(solo.windows.pieces) for solo in solos}) == 2 and stack.trainers[2].data is same_dry
    assert stack.advance(30) == pytest.approx([solo.advance(30) for solo in solos], rel=1e-5)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert distance(member, solo) <= 1e-5


@on_each_device
def test_host_windows_are_device_windows(data: AmpData, monkeypatch: pytest.MonkeyPatch, device: str):
    recipes = plans(data)
    device_side = stacked(recipes, data, device)
    monkeypatch.setattr(windows, "DEVICE_BYTES", 1000)
    host = stacked(recipes, data, device)
    assert type(device_side._source) is not type(host._source)
    for steps in (7, 80):
        assert host.advance(steps) == device_side.advance(steps)
        for stack in (host, device_side):
            stack.select(range(len(stack.trainers))[::-1][:2])


def test_diverged_member_stands_still_and_touches_no_other(data: AmpData):
    sound, broken = stacked(plans(data), data), [Trainer(plan, data) for plan in plans(data)]
    with torch.no_grad():
        broken[1].vector_P[0] = math.nan
    stack, before = StackedTrainers(broken), broken[1].vector_P.detach().clone()
    wanted, found = sound.advance(20), stack.advance(20)
    assert math.isnan(found[1]) and [found[0], found[2]] == [wanted[0], wanted[2]]
    for member in (0, 2):
        assert torch.equal(stack.trainers[member].vector_P, sound.trainers[member].vector_P)
    lost = stack.trainers[1]
    assert lost.diverged and lost.step == PATIENCE - 1 and not lost.history
    assert torch.equal(lost.vector_P.nan_to_num(7), before.nan_to_num(7))
    with pytest.raises(DivergedError, match=f"at step {PATIENCE - 1}"):
        lost.check()
    solo = Trainer(plans(data)[1], data)
    with torch.no_grad():
        solo.vector_P[0] = math.nan
    with pytest.raises(DivergedError):
        solo.advance(20)
    assert solo.step == lost.step


def test_steps_that_are_not_finite_are_skipped_and_counted(data: AmpData):
    """Now and then: one of the takes is spoilt."""

    def spoilt(plan: Recipe) -> Trainer:
        trainer = Trainer(plan, data)
        piece = trainer.windows.pieces[4]
        trainer.windows.pieces[4] = dataclasses.replace(piece, wet_T=torch.full_like(piece.wet_T, math.inf))
        return trainer

    recipes = plans(data)
    stack, solo = StackedTrainers([Trainer(recipes[0], data), spoilt(recipes[1])]), spoilt(recipes[1])
    assert stack.advance(30)[1] == pytest.approx(solo.advance(30), rel=1e-5)
    member = stack.trainers[1]
    assert 0 < member.history[0]["skipped"] == solo.history[0]["skipped"] < 30
    assert distance(member, solo) <= 1e-5 and "skipped" not in stack.trainers[0].history[0]


def test_members_can_be_dropped_between_steps(data: AmpData):
    recipes = plans(data, steps=60)
    stack, solos = stacked(recipes, data), [Trainer(plan, data) for plan in recipes]
    stack.advance(30)
    dropped = stack.trainers[0]
    stack.select([2, 1])
    stack.advance(30)
    assert dropped.step == 30
    for member, solo in zip(stack.trainers, (solos[2], solos[1]), strict=True):
        solo.advance(60)
        assert member.step == 60 and distance(member, solo) <= 1e-5


def test_member_can_go_on_alone_or_in_another_stack(data: AmpData, tmp_path: Path):
    recipes = plans(data)
    whole = stacked(recipes, data)
    whole.advance(30)
    first = stacked(recipes, data)
    first.advance(11)
    for number, member in enumerate(first.trainers):
        member.save(tmp_path / str(number))
    again = [Trainer(plan, data) for plan in recipes]
    for number, trainer in enumerate(again):
        trainer.load(tmp_path / str(number))
    alone, together = again[0], StackedTrainers(again[1:])
    alone.advance(30)
    together.advance(30)
    for member, wanted in zip([alone, *together.trainers], whole.trainers, strict=True):
        assert member.step == 30 and distance(member, wanted) <= 1e-5


@pytest.mark.parametrize(
    ("seconds", "size"),
    [
        ({1: 1.0, 2: 1.0, 3: 1.0}, 1),
        ({1: 4.0, 2: 2.0, 3: 2.0}, 2),
        ({1: 3.0, 2: 2.0, 3: 1.0}, 3),
        ({1: 1.0, 2: 0.8}, 2),
        ({}, 1),
    ],
)
def test_stack_size_is_the_fastest_that_memory_holds(
    data: AmpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], size: int
):
    """Seconds of a step per model, by size; a size that is not listed does not fit. Each is measured once."""
    tried: list[int] = []

    def time_steps(stack: StackedTrainers, steps: int) -> float:
        members = len(stack.trainers)
        tried.append(members)
        if members not in seconds:
            raise torch.OutOfMemoryError
        return seconds[members] * members * steps

    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(StackedTrainers, "time_steps", time_steps)
    trainers = [Trainer(plan, data) for plan in plans(data)]
    cpu = torch.device("cpu")
    assert best_size(time_stacks(trainers, cpu)) == size
    assert set(tried) == set(seconds) | ({max(seconds, default=0) + 1} if len(seconds) < 3 else set())
    tried.clear()
    assert best_size(time_stacks(trainers, cpu)) == size
    assert not set(tried) & set(seconds)


def test_timing_a_stack_changes_no_trainer(data: AmpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path))
    trainers, other = [Trainer(plan, data) for plan in plans(data)], Trainer(recipe(data.config, batch=3), data)
    before = [trainer.vector_P.detach().clone() for trainer in trainers]
    assert set(time_stacks(trainers, torch.device("cpu"))) == {1, 2, 3}
    for trainer, vector_P in zip(trainers, before, strict=True):
        assert trainer.step == 0 and not trainer.history and torch.equal(trainer.vector_P, vector_P)
    assert group_by_shape([*trainers, other]) == [trainers, [other]]


@pytest.mark.parametrize(("stacked_s", "alone_s"), [(1.0, 2.0), (2.0, 1.0)])
def test_run_trains_where_its_steps_are_faster(
    data: AmpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacked_s: float, alone_s: float
):
    """Where there is a GPU; the stack is made on the CPU here."""
    made: list[StackedTrainers] = []

    def stack(trainers: list[Trainer], device: torch.device) -> StackedTrainers:
        made.append(StackedTrainers(trainers, "cpu"))
        return made[-1]

    monkeypatch.setattr(placement, "StackedTrainers", stack)
    monkeypatch.setattr(placement, "_time_stack", lambda trainers, device: stacked_s)
    monkeypatch.setattr(placement, "_time_solo", lambda trainer: alone_s)
    plan, steps = plans(data)[0], list[int]()
    wanted = fit(plan, tmp_path / "alone")
    assert not made
    monkeypatch.setattr("models.training.fit.device_for", lambda gpus: torch.device("cuda"))
    found = fit(plan, tmp_path / "run", on_step=steps.append)
    assert len(made) == (stacked_s < alone_s) and steps[-1] == 30
    assert found.held.mean == pytest.approx(wanted.held.mean, rel=1e-4)
    with torch.no_grad():
        (trainer := Trainer(plan, data)).vector_P[0] = math.nan
    (part,) = place_trainers([trainer], torch.device("cuda"))
    with pytest.raises(DivergedError):
        part.advance(20)
        trainer.check()


def test_failing_gpu_warns_and_is_not_used(data: AmpData, monkeypatch: pytest.MonkeyPatch):
    def fail(trainers: list[Trainer], device: torch.device) -> float:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(placement, "_time_stack", fail)
    with pytest.warns(RuntimeWarning, match="on the CPU.*no kernel image"):
        parts = place_trainers([Trainer(plan, data) for plan in plans(data)], torch.device("cuda"))
    assert [type(part) for part in parts] == [SoloTrainer] * 3


def test_timing_a_solo_run_changes_nothing_and_is_done_once(
    data: AmpData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path))
    trainer = Trainer(plans(data)[0], data)
    state, before = torch.get_rng_state(), trainer.vector_P.detach().clone()
    seconds = placement._time_solo(trainer)
    assert seconds > 0 and torch.equal(torch.get_rng_state(), state)
    assert trainer.step == 0 and torch.equal(trainer.vector_P, before)
    monkeypatch.setattr(placement, "Trainer", None)
    assert placement._time_solo(trainer) == seconds


def test_only_one_shape_can_be_stacked(data: AmpData):
    with pytest.raises(AssertionError, match="one shape"):
        StackedTrainers([Trainer(recipe(data.config, batch=batch), data) for batch in (2, 3)])


@pytest.mark.parametrize("fails", [False, True])
def test_step_is_captured_once_after_the_warm_up(fails: bool):
    """Or called as it is for good, with one warning."""
    calls, captures = [], []

    def capture(work: Work) -> Work:
        captures.append(len(calls))
        if fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        return lambda: calls.append("replayed")

    step = GraphReplay(lambda: calls.append("called"), capture)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            step.renew()
            for _ in range(WARM_UP + 2):
                step()
    once = ["called"] * WARM_UP + ["called" if fails else "replayed"] * 2
    assert calls == once * 2 and captures == ([WARM_UP] if fails else [WARM_UP, 2 * WARM_UP + 2])
    assert [str(one.message).startswith("training without a CUDA graph") for one in caught] == [True] * fails


@pytest.mark.parametrize("form", ["warp+encoder", "film activation_post"])
def test_step_never_leaves_its_device(data: AmpData, form: str):
    """On the meta device, where reading a number back or mixing devices is an error; no tensor is replaced."""
    stack = StackedTrainers(
        [
            Trainer(plan, data)
            for plan in plans(data, form, "gated", mrstft=0.01, segment=2100, silence=1.0, interaction=1.0)
        ],
        "meta",
    )
    stack.draw(0, 2)
    before = tensors(stack.state)
    for terms in (StepTerms(), StepTerms(silence=0.3), StepTerms(0.3, turns=True), StepTerms(interaction=True)):
        stack.step(terms)
    assert {tensor.device.type for tensor in before} == {"meta"}
    assert all(one is other for one, other in zip(tensors(stack.state), before, strict=True))


def test_gpu_is_used_only_if_asked_for(monkeypatch: pytest.MonkeyPatch):
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    for available, gpus, wanted in ((False, 0.5, "cpu"), (True, 0, "cpu"), (True, 1, "cuda"), (True, 0.25, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert device_for(gpus).type == wanted
    assert shares == [0.25], "those that share a GPU share its memory"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("captured", [True, False])
def test_members_on_a_gpu_are_solo_runs(data: AmpData, captured: bool):
    recipes = plans(data, "warp+encoder", "gated", steps=100, silence=1.0, interaction=0.1)
    trainers, solos = ([Trainer(plan, data) for plan in recipes] for _ in range(2))
    stack = StackedTrainers(trainers, "cuda") if captured else StackedTrainers(trainers, "cuda", capture=None)
    assert stack.advance(100) == pytest.approx([solo.advance(100) for solo in solos], rel=1e-4)
    assert np.mean([distance(a, b) for a, b in zip(trainers, solos, strict=True)]) <= 1e-4
