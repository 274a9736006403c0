"""Training never uses validation or held audio, nor their settings; tested by replacing them with noise."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from models.artifacts.evaluation import Score
from models.core.errors import UserError
from models.engines.base import Loss
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece
from models.recordings.loading import load_data
from models.training.config import Recipe
from models.training.trainer import Trainer
from tests.support.makers import (
    GRID,
    KNOBS,
    RATE,
    data_config,
    di,
    entry,
    examples,
    read_wav,
    recipe,
    record,
    write_wav,
)

CENTER, EDGE = {"gain": 5, "tone": 0.5}, {"gain": 5, "tone": 1}
BETWEEN = ({"gain": 3.5, "tone": 0.25}, {"gain": 6.5, "tone": 0.65})
DI, OTHER_DI = di(1.5), di(0.8, seed=1)
LAYOUTS = ("carved", "named", "manifest on the same audio", "manifest on its own audio", "all settings validate")


def build(folder: Path, layout: str) -> DataConfig:
    train = record(folder, "train", DI)
    if layout == "manifest on its own audio":
        held = record(folder, "held", OTHER_DI, [*BETWEEN, GRID[0]])
        return data_config(train, held=held, held_settings=(), held_seconds=0)
    if layout == "manifest on the same audio":
        held = record(folder, "held", DI, [*BETWEEN, GRID[0]])
        return data_config(train, held=held, held_settings=(), validation_settings=2)
    if layout == "named":
        return data_config(train, held_settings=(CENTER,), validation_settings=(EDGE,))
    return data_config(train, validation_settings=0 if layout == "all settings validate" else 2)


def settings(pieces: Iterable[Piece]) -> set[tuple]:
    return {tuple(piece.setting[name] for name in KNOBS.names) for piece in pieces}


@dataclass
class Evidence:
    """The batches that training used, and its results."""

    batches: list[list[bytes]]
    losses: list[float]
    weights: list[bytes]
    validation: Score


def train(plan: Recipe) -> Evidence:
    trainer, used = Trainer(plan, load_data(plan.data)), []
    descend = trainer.solo.engine.accumulate_gradient

    def spy(vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        used.append([x_BT.numpy().tobytes(), knobs_BK.numpy().tobytes()])
        return descend(vector_P, x_BT, knobs_BK, loss)

    trainer.solo.engine.accumulate_gradient = spy
    losses = [trainer.advance(5) for _ in range(3)]
    assert len(used) == 15
    weights = [value.numpy().tobytes() for value in trainer.net.state_dict().values()]
    return Evidence(used, losses, weights, trainer.validate())


def spoil(folder: Path, audio_from: dict[str, int], whole: set[tuple[float, ...]]) -> None:
    """Write noise into every take of `name.json` from a sample on, and into all wet audio of the settings `whole`."""
    for name, start in audio_from.items():
        for take in json.loads((folder / f"{name}.json").read_text())["entries"]:
            setting = tuple({**KNOBS.defaults, **take["knobs"]}.values())
            for file, begin in (
                (take["input_file"], start),
                (take["output_file"], 0 if setting in whole else start),
            ):
                x_T = read_wav(folder / file)
                noise_T = np.random.default_rng(9).uniform(-0.9, 0.9, len(x_T)).astype(np.float32)
                write_wav(folder / file, np.concatenate([x_T[:begin], noise_T[begin:]]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_held_takes_influence_neither_training_nor_validation(tmp_path: Path, layout: str):
    plan = recipe(build(tmp_path, layout))
    held = settings(load_data(plan.data).held)
    before = train(plan)
    held_start = len(DI) - int(plan.data.held_seconds * RATE)
    own = layout == "manifest on its own audio"
    spoil(tmp_path, {"train": held_start} | ({"held": 0 if own else held_start} if plan.data.held else {}), held)
    assert train(plan) == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_audio_does_not_influence_training(tmp_path: Path, layout: str):
    """Nor does the receptive field before it, on which its first samples depend."""
    plan = recipe(build(tmp_path, layout))
    data = load_data(plan.data)
    evaluated = settings(data.held) | (settings(data.validation) - settings(data.train))
    before = train(plan)
    evaluation_start = len(DI) - int(plan.data.held_seconds * RATE) - int(plan.data.validation_seconds * RATE)
    context = evaluation_start - (plan.model.receptive_field - 1)
    own = layout == "manifest on its own audio"
    spoil(tmp_path, {"train": context} | ({"held": 0 if own else context} if plan.data.held else {}), evaluated)
    after = train(plan)
    assert (after.batches, after.losses, after.weights) == (before.batches, before.losses, before.weights)
    assert after.validation.mean != before.validation.mean


@pytest.mark.parametrize("start", [0, len(DI) // 4])
def test_noise_in_training_audio_changes_the_weights(tmp_path: Path, start: int):
    """So the two tests above can fail."""
    plan = recipe(build(tmp_path, "carved"))
    before = train(plan)
    spoil(tmp_path, {"train": start}, set())
    after = train(plan)
    assert after.weights != before.weights and after.batches != before.batches and after.losses != before.losses


def check_split(data: AmpData, receptive_field: int, segment: int) -> None:
    """Assert what every split guarantees, whatever the config."""
    assert settings(data.held).isdisjoint(settings(data.train) | settings(data.validation))
    if data.config.validation_settings:
        assert settings(data.validation).isdisjoint(settings(data.train))
    evaluated = [(piece, piece.start - (receptive_field - 1)) for piece in data.validation + data.held + data.seen]
    for piece in data.train:
        usable = data.training_piece(piece, receptive_field, segment)
        assert 0 <= piece.start <= usable.start <= usable.stop - segment
        for other, context in evaluated:
            assert other.dry != piece.dry or usable.stop <= context
    used = {"held": data.held + data.seen, "validation": data.validation}
    for first in used["held"]:
        for second in used["validation"]:
            assert first.dry != second.dry or second.stop <= first.start
    for piece in data.train + data.validation + data.held + data.seen:
        x_T, target_T = data.with_context(piece, receptive_field)
        assert len(x_T) == len(target_T) + receptive_field - 1 and len(target_T) == piece.stop - piece.start
        assert piece.levels_K.tolist() == pytest.approx(KNOBS.encode(piece.setting))


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes")
    record(folder, "train", DI)
    record(folder, "same", DI, [*BETWEEN, GRID[0]])
    record(folder, "other", OTHER_DI, [*BETWEEN, GRID[0]])
    return folder


@given(
    held=st.sampled_from([None, "same", "other"]),
    held_settings=st.integers(1, 6) | st.lists(st.sampled_from(GRID), min_size=1, max_size=3, unique_by=str).map(tuple),
    held_seconds=st.sampled_from([0, 0.04, 0.3, 1.2]),
    validation_settings=st.integers(0, 6) | st.lists(st.sampled_from(GRID), max_size=3, unique_by=str).map(tuple),
    validation_seconds=st.sampled_from([0.01, 0.04, 0.2, 1.2]),
    receptive_field=st.sampled_from([1, 20, 900, 4000]),
    segment=st.sampled_from([64, 1000]),
)
@examples(60)
def test_any_split_is_correct_or_refused(
    takes: Path, held: str | None, held_settings: Any, receptive_field: int, segment: int, **rest: Any
):
    source = {"held": takes / f"{held}.json", "held_settings": ()} if held else {"held_settings": held_settings}
    try:
        config = data_config(takes / "train.json", **source, **rest)
    except ValidationError as problem:
        assert "held audio must not be training audio" in str(problem)
        return
    try:
        check_split(load_data(config), receptive_field, segment)
    except UserError as problem:
        assert problem.hint


@pytest.mark.parametrize("layout", LAYOUTS)
def test_split_uses_all_audio(tmp_path: Path, layout: str):
    """Training ends where the context of the validation audio begins, validation where held audio begins."""
    data = load_data(build(tmp_path, layout))
    check_split(data, 20, 100)
    held_samples, validation_samples = (
        int(s * RATE) for s in (data.config.held_seconds, data.config.validation_seconds)
    )
    held_start = len(DI) - held_samples
    assert {(piece.start, piece.stop) for piece in data.train} == {(0, held_start - validation_samples)}
    assert {(piece.start, piece.stop) for piece in data.validation} == {(held_start - validation_samples, held_start)}
    held_span = (0, len(OTHER_DI)) if layout == "manifest on its own audio" else (held_start, len(DI))
    assert {(piece.start, piece.stop) for piece in data.held + data.seen} == {held_span}
    for piece in data.train:
        usable = data.training_piece(piece, 20, 100)
        assert (usable.start, usable.stop) == (0, held_start - validation_samples - 19)
    everything = settings(data.train) | settings(data.validation) | settings(data.held)
    assert everything >= {tuple(setting.values()) for setting in GRID}


def test_validation_settings_cover_all_knobs(tmp_path: Path):
    settings_ = [
        {},
        *({name: at} for name, ats in (("gain", (0, 2, 4, 6, 8, 10)), ("tone", (0, 0.4, 1))) for at in ats),
    ]
    train, held = record(tmp_path, "train", DI, settings_), record(tmp_path, "held", OTHER_DI, BETWEEN)
    data = load_data(data_config(train, held=held, held_settings=(), held_seconds=0, validation_settings=2))
    assert (
        len({setting[0] != 5 for setting in settings(data.validation)}) == 2
    )  # the gain in one, the tone in the other


@pytest.mark.parametrize(("held", "validation"), [(1, 1), (2, 2), (3, 0), (6, 0), (2, 14), (16, 0)])
def test_settings_removed_by_count_leave_all_knob_ends(takes: Path, held: int, validation: int):
    data = load_data(data_config(takes / "train.json", held_settings=held, validation_settings=validation))
    assert len(settings(data.held)) == held and len(settings(data.train)) == len(GRID) - held - validation
    levels_NK = torch.stack([piece.levels_K for piece in data.train])
    assert levels_NK.amin(0).tolist() == [-1, -1] and levels_NK.amax(0).tolist() == [1, 1]
    assert settings(data.train) >= {(0, 0), (0, 1), (10, 0), (10, 1)}
    if held + validation <= 6:  # there are enough settings away from the ends
        away = settings(data.held) | (settings(data.validation) - settings(data.train))
        assert all(0 < gain < 10 and 0 < tone < 1 for gain, tone in away)
    assert settings(data.held) == settings(load_data(data.config).held)  # the same every time


def test_settings_are_removed_by_name(takes: Path):
    config = data_config(
        takes / "train.json", held_settings=({"tone": 1}, {"gain": 10, "tone": 0}), validation_settings=({},)
    )
    data = load_data(config)
    assert settings(data.held) == {(5, 1), (10, 0)} and settings(data.validation) == {(5, 0.5)}
    assert len(settings(data.train)) == len(GRID) - 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held_settings": ({"gain": 4},)}, ["held_settings", "gain=4 tone=0.5", "is not a setting"]),
        ({"held_settings": ({"gian": 4},)}, ["held_settings", "'gian'"]),
        ({"held_settings": ({"gain": 11},)}, ["held_settings", "'gain'", "11", "0 to 10"]),
        ({"validation_settings": ({"gain": 4},)}, ["validation_settings", "gain=4 tone=0.5"]),
        ({"held_settings": (CENTER,), "validation_settings": (CENTER,)}, ["validation_settings", "gain=5 tone=0.5"]),
        ({"held_settings": 17}, ["held_settings", "17 settings", "only 16 "]),
        ({"validation_settings": 15}, ["validation_settings", "15 settings", "only 14 "]),
        ({"held_settings": GRID[:-1]}, ["validation_settings", "only 0 "]),
        ({"validation_settings": GRID[:-1], "held_settings": (GRID[-1],)}, ["leaves no take to train"]),
        ({"held_seconds": 1.49}, ["no sound"]),
        ({"validation_seconds": 1.4}, ["no sound", "to 0"]),
        ({"held_seconds": 0.01}, ["no sound", "11920 to 12000"]),
    ],
)
def test_impossible_split_is_refused(takes: Path, changes: dict, words: list[str]):
    with pytest.raises(UserError) as caught:
        load_data(data_config(takes / "train.json", **changes))
    assert all(word in caught.value.message for word in words) and caught.value.hint, caught.value.message


def test_held_takes_on_training_audio_need_held_seconds(takes: Path):
    config = data_config(takes / "train.json", held=takes / "same.json", held_settings=(), held_seconds=0)
    with pytest.raises(UserError, match="held takes use the dry signal that training uses") as caught:
        load_data(config)  # though the file has another name
    assert "held_seconds" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"held_seconds": 0},
        {"held": Path("held.json")},
        {"validation_seconds": 0},
        {"name": "My Amp"},
    ],
)
def test_config_that_would_leak_is_refused(changes: dict):
    with pytest.raises(ValidationError):
        data_config(Path("none.json"), **changes)


@pytest.mark.parametrize("dry", [DI, OTHER_DI], ids=["same audio", "other audio"])
def test_held_manifest_may_list_its_knobs_in_any_order(tmp_path: Path, dry: np.ndarray):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", dry, [*BETWEEN, GRID[1]])
    document = json.loads(held.read_text())
    held.write_text(json.dumps({**document, "knobs": document["knobs"][::-1]}))
    data = load_data(data_config(train, held=held, held_settings=(), validation_settings=0))
    assert settings(data.held) == {tuple(setting.values()) for setting in BETWEEN}
    check_split(data, 20, 100)


@pytest.mark.parametrize("knobs", [2, 0])
def test_only_setting_cannot_leave_training(tmp_path: Path, knobs: int):
    train, held = record(tmp_path, "train", DI, [CENTER]), record(tmp_path, "held", OTHER_DI, BETWEEN)
    if knobs == 0:
        train.write_text(json.dumps([entry("train_dry.wav", "train_0.wav", {})]))
    with pytest.raises(UserError, match="only 0 can leave training"):
        load_data(data_config(train, held=held, held_settings=()) if knobs else data_config(train, held_settings=1))


@pytest.mark.parametrize("validation", [0, 1])
def test_last_setting_cannot_be_held(takes: Path, validation: int):
    with pytest.raises(UserError):
        load_data(data_config(takes / "train.json", held_settings=GRID, validation_settings=validation))


def test_only_setting_trained_has_no_neighbor(tmp_path: Path):
    train, held = record(tmp_path, "train", DI, [CENTER]), record(tmp_path, "held", OTHER_DI, BETWEEN)
    data = load_data(data_config(train, held=held, held_settings=(), validation_settings=0))
    assert [data.neighbor(piece) for piece in data.validation] == [None]


@pytest.mark.parametrize(("segment", "left"), [(11_000, 7981), (8000, 7981)])
def test_take_too_short_to_train_on_is_refused(takes: Path, segment: int, left: int):
    plan = recipe(data_config(takes / "train.json"), segment=segment)
    with pytest.raises(UserError) as caught:
        Trainer(plan, load_data(plan.data))
    assert all(word in caught.value.message for word in (str(segment), str(left), "gain=", "receptive field 20"))
    assert "shorter segment" in caught.value.hint


def test_split_is_described_as_plain_data(takes: Path):
    data = load_data(data_config(takes / "train.json", held=takes / "other.json", held_settings=(), align=True))
    plain = json.loads(json.dumps(data.describe(), allow_nan=False))
    assert len(plain["dry_sha256"]) == 2 and len(plain["lags"]) == len(GRID) + 3
    for group in ("train", "validation", "held", "seen"):
        pieces = getattr(data, group)
        assert [(p["start"], p["stop"], p["setting"]) for p in plain["pieces"][group]] == [
            (p.start, p.stop, p.setting) for p in pieces
        ]


def write_as_trainers_format(path: Path, held: Path | None = None) -> None:
    """Rewrite a manifest in the parametric trainer's format, with `held` as its validation."""
    parts = {"train": path, **({"validation": held} if held else {})}
    lists = {
        part: [
            {"x_path": e["input_file"], "y_path": e["output_file"], "params": e["knobs"]}
            for e in json.loads(file.read_text())["entries"]
        ]
        for part, file in parts.items()
    }
    knobs = json.loads(path.read_text())["knobs"]
    path.write_text(json.dumps({"type": "parametric", "knobs": knobs, "common": {"sample_rate": RATE}, **lists}))


def test_validation_of_a_trainers_format_becomes_held(tmp_path: Path):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", OTHER_DI, BETWEEN)
    named = load_data(data_config(train, held=held, held_settings=(), held_seconds=0))
    write_as_trainers_format(train, held)
    listed = load_data(data_config(train, held_settings=(), held_seconds=0))
    for group in ("train", "validation", "held", "seen"):
        pairs = zip(getattr(named, group), getattr(listed, group), strict=True)
        assert all(a.setting == b.setting and torch.equal(a.wet_T, b.wet_T) for a, b in pairs)
    assert settings(listed.held) == {tuple(setting.values()) for setting in BETWEEN}
    taken = load_data(data_config(train, held_settings=(CENTER,)))  # what the config names goes first
    assert settings(taken.held) == {tuple(CENTER.values())}
