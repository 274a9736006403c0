"""Composed windows sound as the device does, and use nothing that is evaluated."""

import numpy as np
import pytest
import torch

from models.network.architecture import Injection
from models.recordings.dataset import AmpData
from models.training.composing import Composer
from models.training.config import LearningConfig, Recipe
from models.training.windows import DeviceWindows, WindowSampler
from tests.support.makers import architecture
from tests.support.pedal import KNOBS, RATE, pedal, recordings


def composer(data: AmpData, seed: int = 0) -> tuple[Composer, WindowSampler, Recipe]:
    """A composer of three of four windows, and the sampler that has it."""
    model = architecture().model_copy(update={"inject": Injection(mixin=True)})
    recipe = Recipe(
        data=data.config, model=model, learning=LearningConfig(segment=512, batch=16, composed=0.75, seed=seed)
    )
    sampler = WindowSampler(recipe, data)
    return sampler.composer, sampler, recipe


def test_composed_windows_sound_as_the_device_does():
    data = recordings()
    made, sampler, _ = composer(data)
    assert {base.knobs for base in made.bases} == {(0, 1)}
    _, target_BS, levels_BE, weight_B = sampler.batch(3)
    windows = made.draw(3)
    assert 4 < len(windows) < 16
    for place, window in windows.items():
        drive, tone, level = ((levels_BE[place] + 1) / 2).tolist()
        wet_T = pedal(data.dry_T[0].double().numpy(), {"drive": drive, "tone": tone, "level": level})
        true_S = wet_T[window.start : window.start + 512]
        assert ((target_BS[place].numpy() - true_S) ** 2).sum() / (true_S**2).sum() < 2e-3
        assert weight_B[place].item() == pytest.approx(1 / np.mean(wet_T**2), rel=0.1)


def test_windows_depend_on_seed_and_step_alone():
    made, sampler, _ = composer(recordings())
    again, _, _ = composer(recordings())
    assert {place: window.filters for place, window in made.draw(7).items()} == {
        place: window.filters for place, window in again.draw(7).items()
    }
    recorded = [place for place in range(16) if place not in made.draw(7)]
    plain, without, _ = composer(recordings())
    assert torch.equal(sampler.batch(7)[1][recorded], without.batch(7)[1][recorded])
    assert plain.draw(7).keys() == made.draw(7).keys()


def test_a_device_composes_what_a_run_composes():
    data = recordings()
    _, sampler, _ = composer(data)
    source = DeviceWindows([sampler, sampler], torch.device("cpu"), 4)
    source.draw(5, 3)
    for number in range(3):
        found = source.windows(torch.tensor([number]))
        for part, wanted in zip(found, sampler.batch(5 + number), strict=True):
            assert torch.allclose(part[0], wanted, rtol=1e-4, atol=1e-5)
            assert torch.equal(part[0], part[1])


def test_nothing_is_composed_from_what_is_evaluated():
    """Audio from the context of evaluated audio on changes no filter and no window."""
    data = recordings()
    half = RATE // 2
    cut = AmpData(data.config, KNOBS, RATE, "", "", dry_T=data.dry_T, train=tuple(p.cut(0, half) for p in data.train))
    made, sampler, recipe = composer(cut)
    before = sampler.batch(1)
    first = half - recipe.model.receptive_field + 1
    for piece in cut.train:
        piece.wet_T[first:] = torch.randn(len(piece.wet_T) - first)
    spoiled = AmpData(data.config, KNOBS, RATE, "", "", dry_T=data.dry_T, train=cut.train)
    after = composer(spoiled)[1].batch(1)
    assert made.bases
    assert all(torch.equal(one, other) for one, other in zip(before[:3], after[:3], strict=True))


def test_the_encoding_of_one_moved_knob_composes_nothing():
    data = recordings()
    model = architecture().model_copy(update={"inject": Injection(mixin=True, encoding="type_level")})
    recipe = Recipe(data=data.config, model=model, learning=LearningConfig(segment=512, composed=0.75))
    assert not Composer(recipe, data, data.train).bases
