"""Plays a net with numpy alone: where no compiler is installed, and for nets that the compiled engines do not support.

The formulas are those of `network.wavenet`, the names of which are followed here. Convolutions are not padded: a result
is shorter than its input by its history, and signals of different length are aligned at their ends.

Shapes: T time, K knob columns, E features, C channels, R receptive field, O outputs.
"""

import numpy as np

from models.core.float_mode import numbers_near_zero_as_zero
from models.network.architecture import Slot
from models.network.numpy_activations import activate_array
from models.network.numpy_wavenet import NumpyConv, NumpyFilm, NumpyLayer, NumpyNonlinear, NumpyWaveNet

QUIETEST_INPUT = 1e-15  # -300 dBFS: input below it is taken as zero


class NumpyPlayer:
    """One stream. A block costs as much as so many samples and a receptive field, so long blocks are cheaper."""

    def __init__(self, net: NumpyWaveNet) -> None:
        self._net = net
        self._x_T = np.zeros(net.receptive_field - 1, net.dtype)
        self._levels_KT: np.ndarray | None = None

    def play(self, x_T: np.ndarray, levels: list[float] | np.ndarray, out_T: np.ndarray | None = None) -> np.ndarray:
        """Play the next block and return it, in `out_T` if one is given.

        `levels` are K numbers in [-1, 1], or an array `(K, T)` for knobs that move.
        """
        before, levels_KT = self._net.receptive_field - 1, np.asarray(levels, self._net.dtype)
        levels_KT = levels_KT[:, None] if levels_KT.ndim == 1 else levels_KT
        moving_KT = np.broadcast_to(levels_KT, (len(levels_KT), len(x_T)))
        past_KT = self._levels_KT
        if past_KT is None:
            past_KT = np.repeat(levels_KT[:, :1], before, 1)
        is_still = levels_KT.shape[1] == 1 and bool((past_KT == levels_KT).all())
        new_T = np.asarray(x_T, self._net.dtype)
        new_T = np.where(np.abs(new_T) < QUIETEST_INPUT, 0, new_T)  # also where the processor's mode cannot be set
        whole_T = np.concatenate([self._x_T, new_T])
        joined_KT = np.concatenate([past_KT, moving_KT], 1)
        with numbers_near_zero_as_zero():
            y_T = all_outputs(self._net, whole_T[None], levels_KT if is_still else joined_KT)[0]
        self._x_T, self._levels_KT = whole_T[len(whole_T) - before :], joined_KT[:, joined_KT.shape[1] - before :]
        if out_T is None:
            return y_T
        out_T[:] = y_T
        return out_T


def all_outputs(net: NumpyWaveNet, x_1T: np.ndarray, knobs_KT: np.ndarray) -> np.ndarray:
    """Return every output channel, `(O, T - R + 1)`; still knobs are one column, `(K, 1)`."""
    if net.condition is None:
        audio, e = x_1T, knobs_KT if net.encoder is None else net.encoder.encode(knobs_KT)
    else:
        condition = all_outputs(net.condition, x_1T, knobs_KT)
        audio, e = condition[:1], condition[1:]
    length = audio.shape[1]
    weight = net.arrays[0].rechannel.weight[..., 0]
    h = weight[:, :1] @ x_1T[:, -length:] + weight[:, 1:] @ knobs_KT[: weight.shape[1] - 1, -length:]
    head: np.ndarray | None = None
    for index, array in enumerate(net.arrays):
        h = _apply_conv(array.rechannel, h) if index else h
        for layer in array.layers:
            to_head, to_residual = _play_layer(layer, h, audio, e)
            head = to_head if head is None else _last(head, to_head.shape[1]) + to_head
            h = _last(h, to_residual.shape[1]) + to_residual
        assert head is not None
        head = _apply_conv(array.head, head)
        h = _last(h, head.shape[1])
    assert head is not None
    head = net.head_scale * head
    for activation, conv in net.head.steps if net.head is not None else ():
        head = _apply_conv(conv, _apply_nonlinear(activation, head))
    return head


def _play_layer(layer: NumpyLayer, h: np.ndarray, x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `(to the head, to the residual)` of one layer."""

    def modulate(slot: Slot, z: np.ndarray) -> np.ndarray:
        film = layer.film(slot)
        if film is None:
            return z
        scale, shift = _coefficients(film, _last(x, z.shape[1]), _last(e, z.shape[1]))
        return scale * z + shift

    z = modulate("conv_post", _apply_conv(layer.conv, modulate("conv_pre", h)))
    z = z + modulate("input_mixin_post", _mix(layer, _last(x, z.shape[1]), _last(e, z.shape[1])))
    z = modulate("activation_pre", z)
    if layer.gate is None:
        a = _apply_nonlinear(layer.activation, z)
    else:
        plain, by = np.split(z, 2)
        weight = _apply_nonlinear(layer.gate, by)
        a = _apply_nonlinear(layer.activation, plain) * weight
        if layer.gating == "blended":
            a = a + (1 - weight) * plain
    a = modulate("activation_post", a)
    to_head = a if layer.head1x1 is None else modulate("head1x1_post", _apply_conv(layer.head1x1, a))
    residual = a if layer.layer1x1 is None else modulate("layer1x1_post", _apply_conv(layer.layer1x1, a))
    return to_head, residual


def _mix(layer: NumpyLayer, x: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Return the input mixin's part of the activation's input."""
    weight, film = layer.mixin.weight[..., 0], layer.film("input_mixin_pre")
    features = e[: weight.shape[1] - 1]
    if film is not None:
        scale, shift = _coefficients(film, x, e)
        x, features = scale[:1] * x, scale[1:] * features
        if isinstance(shift, np.ndarray):
            x, features = x + shift[:1], features + shift[1:]
    return weight[:, :1] @ x + weight[:, 1:] @ features


def _coefficients(film: NumpyFilm, x: np.ndarray, e: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
    """Return scale and shift of a FiLM; one column where neither audio nor knobs move them."""
    if film.audio:
        e = np.concatenate([x, np.broadcast_to(e, (len(e), x.shape[1]))])
    rows = film.weight[..., 0] @ e + film.bias[:, None]
    if not film.shift:
        return rows, 0.0
    scale, shift = np.split(rows, 2)
    return scale, shift


def _apply_conv(conv: NumpyConv, x_CT: np.ndarray) -> np.ndarray:
    """Return the convolution of a signal, shorter by its history."""
    outs, inputs, taps = conv.weight.shape
    length, groups = x_CT.shape[1] - (taps - 1) * conv.dilation, conv.groups
    weight = conv.weight.reshape(groups, outs // groups, inputs, taps)
    x = x_CT.reshape(groups, inputs, -1)
    y = weight[..., 0] @ x[..., :length]
    for tap in range(1, taps):
        y += weight[..., tap] @ x[..., tap * conv.dilation : tap * conv.dilation + length]
    y = y.reshape(outs, length)
    return y if conv.bias is None else y + conv.bias[:, None]


def _last(z: np.ndarray, samples: int) -> np.ndarray:
    """Return the last samples of a signal; one column stays as it is."""
    return z[:, -samples:]


def _apply_nonlinear(nonlinear: NumpyNonlinear, z_CT: np.ndarray) -> np.ndarray:
    return activate_array(nonlinear.config, nonlinear.slopes, z_CT)
