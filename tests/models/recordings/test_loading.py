"""Nothing judged was ever trained on: the split by setting and by audio, tried by putting garbage where it must not be heard."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
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
from models.audio.interpolation import HALF, read_between
from models.core.errors import UserError
from models.core.files import write_json
from models.engines.base import Loss
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece
from models.recordings.loading import load_data
from models.training.config import Recipe, read_recipe
from models.training.trainer import Trainer
from tests.support.makers import (
    GRID,
    KNOBS,
    RATE,
    amp,
    architecture,
    data_config,
    di,
    entry,
    esr,
    examples,
    read_wav,
    recipe,
    record,
    wavenet,
    write_manifest,
    write_wav,
)

CENTRE, EDGE = {"gain": 5, "tone": 0.5}, {"gain": 5, "tone": 1}
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
        return data_config(train, held_settings=(CENTRE,), validation_settings=(EDGE,))
    return data_config(train, validation_settings=0 if layout == "all settings validate" else 2)


def settings(pieces: Iterable[Piece]) -> set[tuple]:
    return {tuple(piece.setting[name] for name in KNOBS.names) for piece in pieces}


@dataclass
class Evidence:
    """All that training heard and became."""

    batches: list[list[bytes]]
    losses: list[float]
    weights: list[bytes]
    validation: Score


def train(plan: Recipe) -> Evidence:
    trainer, heard = Trainer(plan, load_data(plan.data)), []
    descend = trainer.solo.engine.accumulate_gradient

    def spy(vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        heard.append([x_BT.numpy().tobytes(), knobs_BK.numpy().tobytes()])
        return descend(vector_P, x_BT, knobs_BK, loss)

    trainer.solo.engine.accumulate_gradient = spy
    losses = [trainer.advance(5) for _ in range(3)]
    assert len(heard) == 15
    weights = [value.numpy().tobytes() for value in trainer.net.state_dict().values()]
    return Evidence(heard, losses, weights, trainer.validate())


def spoil(folder: Path, audio_from: dict[str, int], whole: set[tuple[float, ...]]) -> None:
    """Garbage in every take of `name.json` from a sample on, and in all wet audio of some settings."""
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
    hold = len(DI) - int(plan.data.held_seconds * RATE)
    own = layout == "manifest on its own audio"
    spoil(tmp_path, {"train": hold} | ({"held": 0 if own else hold} if plan.data.held else {}), held)
    assert train(plan) == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_judged_is_not_heard_in_training(tmp_path: Path, layout: str):
    """Also not the receptive field before it: training hears nothing that a judged sample depends on."""
    plan = recipe(build(tmp_path, layout))
    data = load_data(plan.data)
    judged = settings(data.held) | (settings(data.validation) - settings(data.train))
    before = train(plan)
    judge = len(DI) - int(plan.data.held_seconds * RATE) - int(plan.data.validation_seconds * RATE)
    context = judge - (plan.model.receptive_field - 1)
    own = layout == "manifest on its own audio"
    spoil(tmp_path, {"train": context} | ({"held": 0 if own else context} if plan.data.held else {}), judged)
    after = train(plan)
    assert (after.batches, after.losses, after.weights) == (before.batches, before.losses, before.weights)
    assert after.validation.mean != before.validation.mean


@pytest.mark.parametrize("judged", ["held", "validation"])
def test_judged_audio_does_not_reach_an_aligned_take_that_must_not_hear_it(tmp_path: Path, judged: str):
    """Neither by its delay nor through the samples that a sample between two is made of."""
    config = data_config(record(tmp_path, "train", DI), align=True, held_seconds=0.6)
    wet, start = tmp_path / "train_0.wav", len(DI) - int((0.6 if judged == "held" else 0.85) * RATE)
    x_T = np.concatenate([np.zeros(1, np.float32), read_wav(wet)[:-1]])  # the delay is no whole number
    write_wav(wet, x_T)
    before = load_data(config)
    assert before.lags[str(wet)].delay_samples % 1
    write_wav(wet, np.concatenate([x_T[:start], 5 * x_T[start - 100 : -100]]))
    after = load_data(config)
    groups = ("train", "validation") if judged == "held" else ("train",)
    pairs = [zip(getattr(before, group), getattr(after, group), strict=True) for group in groups]
    for piece, other in chain(*pairs):
        assert torch.equal(piece.wet_T[piece.start : piece.stop], other.wet_T[other.start : other.stop])


@pytest.mark.parametrize("start", [0, len(DI) // 4])
def test_garbage_where_training_listens_does_change_the_weights(tmp_path: Path, start: int):
    """The two tests above can fail."""
    plan = recipe(build(tmp_path, "carved"))
    before = train(plan)
    spoil(tmp_path, {"train": start}, set())
    after = train(plan)
    assert after.weights != before.weights and after.batches != before.batches and after.losses != before.losses


def check_split(data: AmpData, receptive_field: int, segment: int) -> None:
    """The promises of a split, whatever the config."""
    assert settings(data.held).isdisjoint(settings(data.train) | settings(data.validation))
    if data.config.validation_settings:
        assert settings(data.validation).isdisjoint(settings(data.train))
    judged = [(piece, piece.start - (receptive_field - 1)) for piece in data.validation + data.held + data.seen]
    for piece in data.train:
        usable = data.training_piece(piece, receptive_field, segment)
        assert 0 <= piece.start <= usable.start <= usable.stop - segment
        for other, context in judged:
            assert other.dry != piece.dry or usable.stop <= context
    heard = {"held": data.held + data.seen, "validation": data.validation}
    for first in heard["held"]:
        for second in heard["validation"]:
            assert first.dry != second.dry or second.stop <= first.start
    for piece in data.train + data.validation + data.held + data.seen:
        x_T, target_T = data.hear(piece, receptive_field)
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
def test_any_split_keeps_its_promises_or_is_refused(
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
def test_no_audio_is_wasted(tmp_path: Path, layout: str):
    """Training ends exactly where the context of the validation audio begins, validation exactly where held audio does."""
    data = load_data(build(tmp_path, layout))
    check_split(data, 20, 100)
    held_samples, validation_samples = (
        int(s * RATE) for s in (data.config.held_seconds, data.config.validation_seconds)
    )
    hold = len(DI) - held_samples
    assert {(piece.start, piece.stop) for piece in data.train} == {(0, hold - validation_samples)}
    assert {(piece.start, piece.stop) for piece in data.validation} == {(hold - validation_samples, hold)}
    held_span = (0, len(OTHER_DI)) if layout == "manifest on its own audio" else (hold, len(DI))
    assert {(piece.start, piece.stop) for piece in data.held + data.seen} == {held_span}
    for piece in data.train:
        usable = data.training_piece(piece, 20, 100)
        assert (usable.start, usable.stop) == (0, hold - validation_samples - 19)
    everything = settings(data.train) | settings(data.validation) | settings(data.held)
    assert everything >= {tuple(setting.values()) for setting in GRID}


def test_validation_turns_every_knob_where_takes_move_one_at_a_time(tmp_path: Path):
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
def test_settings_are_taken_out_by_count_without_losing_an_end_of_a_knob(takes: Path, held: int, validation: int):
    data = load_data(data_config(takes / "train.json", held_settings=held, validation_settings=validation))
    assert len(settings(data.held)) == held and len(settings(data.train)) == len(GRID) - held - validation
    levels_NK = torch.stack([piece.levels_K for piece in data.train])
    assert levels_NK.amin(0).tolist() == [-1, -1] and levels_NK.amax(0).tolist() == [1, 1]
    assert settings(data.train) >= {(0, 0), (0, 1), (10, 0), (10, 1)}
    if held + validation <= 6:  # there are enough settings that say nothing of the ends
        away = settings(data.held) | (settings(data.validation) - settings(data.train))
        assert all(0 < gain < 10 and 0 < tone < 1 for gain, tone in away)
    assert settings(data.held) == settings(load_data(data.config).held)  # the same every time


def test_settings_are_taken_out_by_name(takes: Path):
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
        ({"held_settings": (CENTRE,), "validation_settings": (CENTRE,)}, ["validation_settings", "gain=5 tone=0.5"]),
        ({"held_settings": 17}, ["held_settings", "17 settings", "only 16 "]),
        ({"validation_settings": 15}, ["validation_settings", "15 settings", "only 14 "]),
        ({"held_settings": GRID[:-1]}, ["validation_settings", "only 0 "]),
        ({"validation_settings": GRID[:-1], "held_settings": (GRID[-1],)}, ["leaves no take to train"]),
        ({"held_seconds": 1.49}, ["no sound"]),
        ({"validation_seconds": 1.4}, ["no sound", "to 0"]),
        ({"held_seconds": 0.01}, ["no sound", "11920 to 12000"]),
    ],
)
def test_split_that_cannot_be_made_is_refused(takes: Path, changes: dict, words: list[str]):
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
def test_config_that_would_leak_is_refused_before_any_file_is_read(changes: dict):
    with pytest.raises(ValidationError):
        data_config(Path("none.json"), **changes)


def write_recipe(folder: Path, **data: Any) -> Recipe:
    write_json(folder / "data.json", {"name": "tiny", "train": "../amp/train.json", **data})
    write_json(folder / "model.json", {"arrays": [{"channels": 2, "dilations": [1, 2]}]})
    write_json(folder / "learning.json", {"steps": 5})
    return read_recipe(folder / "data.json", folder / "model.json", folder / "learning.json")


def test_recipe_paths_start_at_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plan = write_recipe(Path("configs"), held="held.json")
    assert plan.data.train == tmp_path / "amp" / "train.json" and plan.data.held == tmp_path / "configs" / "held.json"
    with pytest.raises(UserError) as caught:
        write_recipe(tmp_path / "configs", held_settings=2)
    assert "data.json" in caught.value.message and "held_seconds" in caught.value.message


def test_held_manifest_with_other_knobs_is_refused(tmp_path: Path):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", OTHER_DI, BETWEEN)
    held.write_text(held.read_text().replace('"max": 10', '"max": 11'))
    with pytest.raises(UserError, match="held.json has knobs gain, tone with other names or ranges than .*train.json"):
        load_data(data_config(train, held=held, held_settings=()))


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
    train, held = record(tmp_path, "train", DI, [CENTRE]), record(tmp_path, "held", OTHER_DI, BETWEEN)
    if knobs == 0:
        train.write_text(json.dumps([entry("train_dry.wav", "train_0.wav", {})]))
    with pytest.raises(UserError, match="only 0 can leave training"):
        load_data(data_config(train, held=held, held_settings=()) if knobs else data_config(train, held_settings=1))


@pytest.mark.parametrize("validation", [0, 1])
def test_last_setting_cannot_be_held(takes: Path, validation: int):
    with pytest.raises(UserError):
        load_data(data_config(takes / "train.json", held_settings=GRID, validation_settings=validation))


def test_only_setting_trained_has_no_neighbour(tmp_path: Path):
    train, held = record(tmp_path, "train", DI, [CENTRE]), record(tmp_path, "held", OTHER_DI, BETWEEN)
    data = load_data(data_config(train, held=held, held_settings=(), validation_settings=0))
    assert [data.neighbour(piece) for piece in data.validation] == [None]


@pytest.mark.parametrize(("segment", "left"), [(11_000, 7981), (8000, 7981)])
def test_take_too_short_to_train_on_is_refused(takes: Path, segment: int, left: int):
    plan = recipe(data_config(takes / "train.json"), segment=segment)
    with pytest.raises(UserError) as caught:
        Trainer(plan, load_data(plan.data))
    assert all(word in caught.value.message for word in (str(segment), str(left), "gain=", "receptive field 20"))
    assert "shorter segment" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "content", "rate", "words"),
    [
        ("train_3.wav", amp(DI, 5, 0.5)[:200], RATE, "train_3.wav has -11800 samples against its dry train_dry.wav"),
        ("train_3.wav", 1e-6 * DI, RATE, "train_3.wav is silent"),
        ("train_3.wav", DI, 2 * RATE, "train_3.wav is at 16000 Hz but tiny is at 8000 Hz"),
        ("train_dry.wav", DI, 2 * RATE, "train_dry.wav is at 16000 Hz but tiny is at 8000 Hz"),
        ("train_dry.wav", DI[:0], RATE, "train_dry.wav is empty"),
        ("train_3.wav", np.full_like(DI, np.nan), RATE, "train_3.wav: sample 0 is not a finite number"),
    ],
)
def test_take_that_cannot_be_used_is_named(tmp_path: Path, file: str, content: np.ndarray, rate: int, words: str):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / file, content, rate)
    with pytest.raises(UserError, match=words):
        load_data(data_config(train))


@pytest.mark.parametrize("cut", [700, 0, -400])
@pytest.mark.parametrize("polarity", [1, -1])
def test_aligned_take_is_the_target_it_would_have_been_uncut(tmp_path: Path, cut: int, polarity: int):
    plain = load_data(data_config(record(tmp_path / "plain", "train", DI), align=True))
    train = record(tmp_path / "cut", "train", DI)
    wet = tmp_path / "cut" / "train_3.wav"
    late_T = np.concatenate([np.zeros(max(-cut, 0), np.float32), read_wav(wet)])
    write_wav(wet, polarity * late_T[max(cut, 0) :])
    mended = load_data(data_config(train, align=True))
    lag, plain_lag = mended.lags[str(wet)], plain.lags[str(tmp_path / "plain" / "train_3.wav")]
    assert lag.delay_samples == pytest.approx(plain_lag.delay_samples - cut, abs=0.01)
    assert lag.polarity == polarity * plain_lag.polarity
    for group in ("train", "validation", "held"):
        for piece, target in zip(getattr(mended, group), getattr(plain, group), strict=True):
            assert piece.setting == target.setting and piece.stop == target.stop
            spoken = slice(max(piece.start, target.start), piece.stop)
            assert esr(piece.wet_T[spoken], target.wet_T[spoken]) < 1e-3
            if piece.setting == GRID[3] and piece.start < 1000:
                assert cut <= piece.start <= max(cut, 0) + 2 * HALF  # what was never recorded is not trained on


def test_unaligned_take_is_left_as_it_is(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / "train_3.wav", -read_wav(tmp_path / "train_3.wav"))
    data = load_data(data_config(train))
    (piece,) = (piece for piece in data.train + data.validation + data.held if piece.setting == GRID[3])
    assert not data.lags
    assert torch.equal(piece.wet_T[:500], torch.from_numpy(-amp(DI, **GRID[3])[:500]))


@pytest.mark.parametrize("delay", [-700, 25, 3.5])
@pytest.mark.parametrize("rate", [None, 2 * RATE])
def test_stated_delay_is_taken_off_unless_delays_are_found(tmp_path: Path, delay: float, rate: int | None):
    plain = load_data(data_config(record(tmp_path / "plain", "train", DI), sample_rate=rate))
    train = record(tmp_path / "late", "train", DI)
    wet = tmp_path / "late" / "train_3.wav"
    write_wav(wet, read_between(read_wav(wet), -delay, 1.0, len(DI) + int(delay)).astype(np.float32))
    document = json.loads(train.read_text())
    document["entries"][3]["delay_samples"] = delay
    train.write_text(json.dumps(document))
    stated, found = (load_data(data_config(train, sample_rate=rate, align=align)) for align in (False, True))
    scale = (rate or RATE) / RATE
    assert {Path(name).name: (lag.delay_samples, lag.polarity) for name, lag in stated.lags.items()} == {
        "train_3.wav": (delay * scale, 1)
    }
    assert stated.describe()["causal_margin"] == 0 < found.describe()["causal_margin"]
    for group in ("train", "validation", "held"):
        for piece, target in zip(getattr(stated, group), getattr(plain, group), strict=True):
            spoken = slice(piece.start, piece.stop)
            assert piece.stop - piece.start > len(target.wet_T[target.start : target.stop]) - 1600
            # white noise reaches up to half the rate, where nothing can be read between samples
            assert esr(piece.wet_T[spoken], target.wet_T[spoken]) < (0.1 if delay % 1 else 1e-3)
    lag = found.lags[str(wet)].delay_samples
    assert lag == pytest.approx(delay * scale, abs=1.5) and lag != delay * scale


def test_cut_take_is_refused_until_it_is_aligned(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    write_wav(tmp_path / "train_3.wav", read_wav(tmp_path / "train_3.wav")[700:])
    with pytest.raises(UserError, match=r"train_3\.wav has -700 samples against its dry train_dry\.wav") as refusal:
        load_data(data_config(train))
    assert '"align": true' in refusal.value.hint
    load_data(data_config(train, align=True))


def test_context_is_what_was_played_before(takes: Path):
    """A net plays every piece as it plays the whole take, silence before the recording began."""
    data, net = load_data(data_config(takes / "train.json")), wavenet(architecture())
    context = net.receptive_field - 1
    for piece in (data.train[0], data.validation[0], data.held[0]):
        x_T, _ = data.hear(piece, net.receptive_field)
        whole_T = torch.cat([torch.zeros(context), torch.from_numpy(DI)])
        with torch.no_grad():
            part_T, all_T = (net(signal[None], piece.levels_K[None])[0] for signal in (x_T, whole_T))
        torch.testing.assert_close(part_T, all_T[piece.start : piece.stop], atol=1e-6, rtol=1e-5)


def test_split_is_described_as_plain_data(takes: Path):
    data = load_data(data_config(takes / "train.json", held=takes / "other.json", held_settings=(), align=True))
    plain = json.loads(json.dumps(data.describe(), allow_nan=False))
    assert len(plain["dry_sha256"]) == 2 and len(plain["lags"]) == len(GRID) + 3
    for group in ("train", "validation", "held", "seen"):
        pieces = getattr(data, group)
        assert [(p["start"], p["stop"], p["setting"]) for p in plain["pieces"][group]] == [
            (p.start, p.stop, p.setting) for p in pieces
        ]


def test_one_dry_signal_under_two_names_is_one(tmp_path: Path):
    record(tmp_path, "train", DI)
    write_wav(tmp_path / "copy.wav", DI)
    names = ("train_dry.wav", "copy.wav")
    entries = [entry(names[n % 2], f"train_{n}.wav", setting) for n, setting in enumerate(GRID)]
    data = load_data(data_config(write_manifest(tmp_path / "two.json", entries)))
    assert len(data.dry_T) == 1 and {piece.dry for piece in data.train + data.held} == {0}


def as_trainers_form(path: Path, held: Path | None = None) -> None:
    """A manifest rewritten as the parametric trainer has it, another one its validation."""
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


def test_validation_of_a_trainers_form_is_held_when_nothing_else_is_named(tmp_path: Path):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", OTHER_DI, BETWEEN)
    named = load_data(data_config(train, held=held, held_settings=(), held_seconds=0))
    as_trainers_form(train, held)
    listed = load_data(data_config(train, held_settings=(), held_seconds=0))
    for group in ("train", "validation", "held", "seen"):
        pairs = zip(getattr(named, group), getattr(listed, group), strict=True)
        assert all(a.setting == b.setting and torch.equal(a.wet_T, b.wet_T) for a, b in pairs)
    assert settings(listed.held) == {tuple(setting.values()) for setting in BETWEEN}
    taken = load_data(data_config(train, held_settings=(CENTRE,)))  # what the config names goes first
    assert settings(taken.held) == {tuple(CENTRE.values())}


def test_nothing_held_back_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="tiny: nothing is held back"):
        load_data(data_config(record(tmp_path, "train", DI), held_settings=()))


def test_takes_at_other_rates_are_resampled_when_asked(tmp_path: Path):
    """A tone that both rates can carry is the same tone, and dry and wet stay together."""

    def tone(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate).astype(np.float32)

    entries = []
    for number, rate in enumerate((RATE, 2 * RATE, 11025, RATE)):
        write_wav(tmp_path / f"dry{number}.wav", tone(rate), rate)
        write_wav(tmp_path / f"wet{number}.wav", (number + 1) * 0.2 * tone(rate), rate)
        entries.append(entry(f"dry{number}.wav", f"wet{number}.wav", {"gain": 10 * number / 3}))
    config = data_config(write_manifest(tmp_path / "amp.json", entries), held_settings=1, validation_settings=0)
    with pytest.raises(UserError, match="16000 Hz but tiny is at 8000 Hz") as caught:
        load_data(config)
    assert '"sample_rate": 8000' in caught.value.hint
    data = load_data(config.model_copy(update={"sample_rate": 12000}))
    assert data.rate_hz == 12000 and {len(x) for x in data.dry_T} == {24000}
    for piece in data.recorded:
        scale = 0.2 * (1 + float(piece.setting["gain"]) * 0.3)
        inner = slice(1200, -1200)
        assert esr(piece.wet_T[inner], scale * data.dry_T[piece.dry][inner]) < 1e-9
        assert esr(data.dry_T[piece.dry][inner], tone(12000)[inner]) < 1e-7


def test_named_channel_of_a_stereo_take_is_the_one_that_is_heard(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    plain = load_data(data_config(train))
    manifest = json.loads(train.read_text())
    for take in manifest["entries"]:
        wet_T = read_wav(tmp_path / take["output_file"])
        write_wav(tmp_path / take["output_file"], np.stack([0.1 * wet_T[::-1], wet_T], axis=1))
    with pytest.raises(UserError, match="train_0.wav has 2 channels"):
        load_data(data_config(train))
    train.write_text(json.dumps({**manifest, "channel": "right"}))
    for piece, other in zip(plain.recorded, load_data(data_config(train)).recorded, strict=True):
        assert torch.equal(piece.wet_T, other.wet_T)
