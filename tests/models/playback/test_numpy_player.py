"""The numpy net has the torch module's weights, and plays as it does."""

import platform
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.core.float_mode import LAYOUTS, numbers_near_zero_as_zero
from models.network.architecture import WaveNetConfig
from models.network.numpy_wavenet import NumpyWaveNet, as_numpy, parameter_shapes
from models.network.wavenet import WaveNet
from models.playback.numpy_player import NumpyPlayer
from tests.support.makers import di, esr, examples, strange_nets, wavenet, wavenets

X_T = di(0.05).astype(np.float64)


def truth(net: WaveNet, x_T: np.ndarray, levels_KT: np.ndarray) -> np.ndarray:
    """What the module plays after silence with the first levels."""
    before = net.receptive_field - 1
    x_BT = torch.from_numpy(np.concatenate([np.zeros(before), x_T]))[None]
    levels = np.concatenate([np.repeat(levels_KT[:, :1], before, 1), levels_KT], 1)
    with torch.no_grad():
        return net(x_BT, torch.from_numpy(levels)[None])[0].numpy()


def check(net: WaveNet, levels_KT: np.ndarray, cut: int) -> None:
    player = NumpyPlayer(as_numpy(net))
    parts = [player.play(X_T[:cut], levels_KT[:, :cut]), player.play(X_T[cut:], levels_KT[:, cut:])]
    assert esr(np.concatenate(parts), truth(net, X_T, levels_KT)) < 1e-24


@given(case=wavenets(), cut=st.integers(1, len(X_T) - 1), data=st.data())
@examples(60)
def test_any_net_plays_as_the_torch_module(case: tuple[WaveNet, list[float]], cut: int, data: st.DataObject):
    net, levels_K = case
    still_KT = np.repeat(np.array(levels_K).reshape(-1, 1), len(X_T), 1)
    moving_KT = still_KT * np.linspace(1, -1, len(X_T))
    check(net, data.draw(st.sampled_from([still_KT, moving_KT])), cut)


@given(config=strange_nets(), knobs=st.integers(0, 2), cut=st.integers(1, len(X_T) - 1))
@examples(60)
def test_nets_of_foreign_files_play_as_the_torch_module(config: WaveNetConfig, knobs: int, cut: int):
    check(wavenet(config, knobs).double(), np.linspace(-1, 1, knobs * len(X_T)).reshape(knobs, len(X_T)), cut)


def test_still_knobs_are_one_column_and_turn_between_blocks():
    net = wavenet(WaveNetConfig.model_validate({"arrays": [{"channels": 2, "dilations": [1, 4]}]})).double()
    player = NumpyPlayer(as_numpy(net))
    parts = [player.play(X_T[:100], [0.3, -0.2]), player.play(X_T[100:], [-0.9, 0.4])]
    levels_KT = np.repeat([[0.3], [-0.2]], len(X_T), 1)
    levels_KT[:, 100:] = [[-0.9], [0.4]]
    assert esr(np.concatenate(parts), truth(net, X_T, levels_KT)) < 1e-24


@given(config=strange_nets() | wavenets().map(lambda case: case[0].config), knobs=st.integers(0, 3))
@examples(60)
def test_parameter_shapes_are_those_of_the_torch_module(config: WaveNetConfig, knobs: int):
    module = WaveNet(config, knobs)
    assert parameter_shapes(config, knobs) == {name: tuple(w.shape) for name, w in module.state_dict().items()}
    again = as_numpy(module)
    assert isinstance(again, NumpyWaveNet)
    assert again.features == module.features
    assert again.receptive_field == module.receptive_field


def test_numbers_near_zero_are_zero_and_the_mode_of_the_thread_stays():
    net = wavenet(WaveNetConfig.model_validate({"arrays": [{"channels": 4, "dilations": [1, 2]}]}), 0)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
    quiet = NumpyPlayer(as_numpy(net))
    for level in (1e-40, 1e-37, 1e-20, 1e-16):
        assert not quiet.play(np.full(64, level, np.float32), []).any()
    assert NumpyPlayer(as_numpy(net)).play(np.full(64, 1e-12, np.float32), []).any()
    assert (np.full(4, 1e-40, np.float32) * np.float32(1)).any()


@pytest.mark.skipif((sys.platform, platform.machine()) not in LAYOUTS, reason="the processor's mode cannot be set here")
def test_states_near_zero_are_zero():
    """Of a fading note: products that would be denormal, in the thread that plays."""
    small, half = np.full(16, 2e-38, np.float32), np.float32(0.25)
    with numbers_near_zero_as_zero():
        assert not (small * half).any() and not (np.full(16, 1e-40, np.float32) * np.float32(1)).any()
        with pytest.raises(KeyError), numbers_near_zero_as_zero():
            raise KeyError
        assert not (small * half).any()
    assert (small * half).all()
