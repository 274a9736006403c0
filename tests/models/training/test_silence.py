"""Silence in gives silence out, at every setting, whatever was recorded."""

import math
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from models.artifacts.folder import load_model
from models.engines.base import as_vector, named_parameters
from models.evaluation.robustness import scan_corners
from models.evaluation.scoring import score
from models.formats.nam.writer import to_nam
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.network.architecture import WaveNetConfig
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.playback.stream import Stream
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.training import silence
from models.training.config import LearningConfig
from models.training.objective import add_limited
from models.training.offset import Metric, early_removal
from models.training.silence import (
    SILENT_TURNS,
    TURN_EVERY,
    SilenceLoss,
    SilentNet,
    StackedSilence,
    draw_silent_levels,
    draw_turns,
    power_while_turning,
    silence_share,
    turning_levels,
    turns_count,
)
from models.training.trainer import Trainer
from tests.support.makers import FORMS, KNOBS, architecture, data_config, di, nam_twin, recipe, record, wavenet

QUIET_DBFS = -70.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AmpData:
    return load_data(data_config(record(tmp_path_factory.mktemp("takes"), "train", di(1.5))))


def silence_of(net: WaveNet, levels_BK: torch.Tensor) -> torch.Tensor:
    """What a net plays after its receptive field of silence, `(B,)`."""
    return net(levels_BK.new_zeros(len(levels_BK), net.receptive_field), levels_BK)[:, 0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("gating", ["none", "gated", "blended"])
def test_a_net_with_single_taps_is_the_net_in_silence(form: str, gating: str):
    torch.set_default_dtype(torch.float64)
    try:
        net = wavenet(architecture(form, gating=gating))
        silent = SilentNet(net)
    finally:
        torch.set_default_dtype(torch.float32)
    vector_P = torch.cat([p.detach().flatten() for p in named_parameters(net).values()])
    with torch.no_grad():
        silent.vector_S.zero_().index_add_(0, silent.place_P, vector_P)
        levels_BK = torch.tensor([[0.3, -1.0], [1.0, 0.9]], dtype=torch.float64)
        wanted, found = silence_of(net, levels_BK), silent.net(levels_BK.new_zeros(2, 1), levels_BK)[:, 0]
    assert wanted.abs().min() > 1e-3
    assert torch.allclose(found, wanted, rtol=1e-12)


def test_settings_depend_on_seed_and_step_alone_and_reach_the_corners():
    levels_NE = draw_silent_levels(KNOBS, "levels", 3, 16)
    assert torch.equal(levels_NE, draw_silent_levels(KNOBS, "levels", 3, 16))
    assert not torch.equal(levels_NE, draw_silent_levels(KNOBS, "levels", 3, 24))
    assert levels_NE.abs().amax() <= 1
    corners = (levels_NE.abs() == 1).all(1)
    assert corners.sum() == len(levels_NE) // 4


def test_silence_counts_from_half_of_the_steps_on_and_more_in_the_last_fifth():
    learning = LearningConfig(steps=100)
    assert [silence_share(step, learning) for step in (0, 49, 50, 79, 80, 99)] == [0, 0, 0.3, 0.3, 0.8, 0.8]
    assert silence_share(99, LearningConfig(steps=100, silence=0)) == 0


def test_silence_never_outweighs_the_takes():
    gradient_KP = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    found_KP = add_limited(gradient_KP, torch.tensor([[0.0, 100.0], [1.0, 0.0]]), 0.3)
    assert torch.allclose(found_KP, torch.tensor([[3.0, 5.5], [4.0, 4.0]]))


def silence_dbfs(net: WaveNet, data: AmpData) -> float:
    return scan_corners(net, data.knobs, data.dry_T[0], 1.0).silence_dbfs


@pytest.fixture(scope="module")
def finished(data: AmpData, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Run folders by the weight of silence."""
    layers = {"channels": 12, "dilations": [1, 3, 9, 27, 1, 3, 9, 27]}
    model = WaveNetConfig.model_validate({"arrays": [layers], "inject": {"film": ["activation_pre"]}})
    folders = {}
    for weight in (0.0, 100.0):
        trainer = Trainer(recipe(data.config, model, steps=300, optimizer="soap", silence=weight), data)
        trainer.advance(300)
        folders[weight] = tmp_path_factory.mktemp("run")
        trainer.finish(folders[weight])
    return folders


def test_silence_in_gives_silence_out_at_every_setting(data: AmpData, finished: dict[float, Path]):
    """The loudest of all corners and 1,000 random settings is below -70 dBFS; where silence does not count it is not.

    And the takes are learned as well.
    """
    nets = {weight: load_model(folder)[1] for weight, folder in finished.items()}
    found = {weight: silence_dbfs(net, data) for weight, net in nets.items()}
    errors = {weight: score(net, data, data.validation).mean for weight, net in nets.items()}
    assert found[100.0] < QUIET_DBFS < found[0.0] - 15, found
    assert errors[100.0] < 1.2 * errors[0.0], errors


def test_every_way_of_playing_is_silent(finished: dict[float, Path]):
    """Streamed, also after a turn of the knobs; baked; as a live .nam file; in the C player."""
    config, net = load_model(finished[100.0])
    silence_T, before, after = np.zeros(4 * net.receptive_field, np.float32), [0.7, -0.4], [-1.0, 1.0]
    stream = Stream(net, before)
    still_T, turning_T, turned_T = (stream.process(silence_T, levels) for levels in (before, after, after))
    twin = nam_twin(to_nam(config, net))
    with torch.no_grad():
        columns = torch.tensor(after)[None, :, None].expand(-1, -1, net.receptive_field)
        live = twin(torch.cat([columns.new_zeros(1, 1, net.receptive_field), columns], 1))
    native = NativePlayer(amp_bytes(config, net))
    native.reset(after)
    played = {
        "still": still_T,
        "turned": turned_T,
        "turning": turning_T[net.receptive_field :],
        "baked": silence_of(bake(net, before), torch.zeros(1, 0)).detach().numpy(),
        "live": live.numpy(),
        "native": native.process(silence_T, after),
    }
    loudest = {name: 20 * math.log10(np.abs(y_T).max() + 1e-12) for name, y_T in played.items()}
    assert max(loudest.values()) < QUIET_DBFS, loudest


def test_turns_go_from_one_setting_to_another():
    ends_M2E = draw_turns(KNOBS, "levels", 3, 16)
    assert ends_M2E.shape == (SILENT_TURNS, 2, 2) and len(ends_M2E.flatten(0, 1).unique(dim=0)) == 2 * SILENT_TURNS
    levels_MET = turning_levels(ends_M2E, 40)
    assert torch.equal(levels_MET[..., :40], ends_M2E[:, 0, :, None].expand(-1, -1, 40))
    assert torch.allclose(levels_MET[..., 59:], ends_M2E[:, 1, :, None])
    learning = LearningConfig(steps=100)
    assert [turns_count(step, learning) for step in (48, 52, 53, 56)] == [False, True, False, True]
    assert not turns_count(56, LearningConfig(steps=100, silence=0))


def test_silence_is_kept_while_knobs_turn(data: AmpData):
    """Turns that training did not draw are quieter than after a training in which they did not count."""
    layers = {"channels": 8, "dilations": [1, 3, 9, 27]}
    model = WaveNetConfig.model_validate({"arrays": [layers], "inject": {"film": ["activation_pre"]}})
    learning = {"steps": 300, "batch": 4, "segment": 512, "optimizer": "soap", "silence": 100.0, "seed": 1}
    powers, losses = {}, {}
    for every in (TURN_EVERY, 1 << 20):
        trainer = Trainer(recipe(data.config, model, **learning), data)
        with mock.patch.object(silence, "TURN_EVERY", every):
            losses[every] = trainer.advance(300)
        net, fresh = trainer.finished_model(), range(1000, 1040)
        with torch.no_grad():
            found = [power_while_turning(net, {}, draw_turns(KNOBS, "levels", 9, step)).item() for step in fresh]
        powers[every] = sum(found)
    assert powers[TURN_EVERY] < 0.6 * powers[1 << 20], powers
    assert losses[TURN_EVERY] < 1.1 * losses[1 << 20], losses


@pytest.mark.parametrize("form", FORMS)
def test_stacked_silence_is_that_of_the_solo_run(form: str):
    """Also while knobs turn, wherever they enter."""
    net, learning = wavenet(architecture(form, gating="gated")), LearningConfig(steps=10, silence=100.0)
    vector_P = as_vector(list(named_parameters(net).values()))
    solo, stack = SilenceLoss(net, KNOBS, learning), StackedSilence([(net, KNOBS, learning)], torch.device("cpu"), 10)
    stack.draw(0, 10)
    found = {}
    for step in (8, 9):
        found[step] = solo.gradient(vector_P, step)
        (stacked_P,) = stack.gradient(vector_P.data[None], torch.tensor([step]), turns_count(step, learning))
        assert torch.allclose(found[step], stacked_P, rtol=1e-4, atol=1e-5 * stacked_P.abs().max().item())
    assert turns_count(8, learning) and not turns_count(9, learning)


def test_offset_is_removed_once_before_the_last_steps(data: AmpData):
    learning = {"steps": 40, "optimizer": "soap", "silence": 100.0}
    trainer = Trainer(recipe(data.config, **learning), data)
    assert early_removal(trainer.recipe.learning) == 34
    assert early_removal(trainer.recipe.learning.model_copy(update={"silence": 0.0})) is None
    with mock.patch.object(Trainer, "remove_offset", autospec=True, side_effect=Trainer.remove_offset) as removal:
        trainer.advance(34)
        assert not removal.called
        before = silence_dbfs(trainer.net, data)
        trainer.advance(3)
        trainer.advance(3)
    assert removal.call_count == 1
    quiet = Trainer(recipe(data.config, **learning), data)
    quiet.advance(34)
    quiet.remove_offset()
    assert silence_dbfs(quiet.net, data) < before - 6
    quiet.vector_P.data[0] = math.nan
    quiet.remove_offset()
    assert quiet.vector_P.isnan().sum() == 1


def test_the_metric_of_the_removal_is_the_inverse_of_what_the_loss_feels():
    """The Fisher information of the windows, with its damped diagonal three times beside it."""
    torch.manual_seed(0)
    gradients_WP, rows_NP = torch.randn(4, 9), torch.randn(3, 9)
    fisher_PP = gradients_WP.mT @ gradients_WP / 4
    diagonal_P = fisher_PP.diagonal() + 0.01 * fisher_PP.diagonal().mean()
    wanted_NP = rows_NP @ torch.linalg.inv(fisher_PP + torch.diag(3 * diagonal_P))
    torch.testing.assert_close(Metric(gradients_WP).apply(rows_NP), wanted_NP, rtol=1e-4, atol=1e-5)


def test_gradients_that_are_not_finite_make_a_change_that_is_not():
    """It is undone, as the loss is not finite with it."""
    gradients_WP = torch.randn(4, 9)
    gradients_WP[1, 2] = math.nan
    assert not Metric(gradients_WP).apply(torch.ones(3, 9)).isfinite().any()
