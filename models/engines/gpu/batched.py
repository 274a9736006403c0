"""Many small nets of one shape, played as one by batched matrix products over shifted views; differentiable.

Every item has its own folded weights (`network.folding`), so nothing here depends on what a knob is, nor on which net
an item belongs to. Runs on any device.

Shapes: M items of all nets, T samples in, S samples out, N folded weights of one net, C channels, O outputs, I inputs,
J taps.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from models.engines.base import gradient_reach
from models.network.activation import Activation
from models.network.architecture import LayerArray
from models.network.folding import Folding
from models.network.nonlinear import FIXED_ACTIVATIONS
from models.network.wavenet import WaveNet

StackPlayer = Callable[[Tensor, Tensor], Tensor]  # from weights_MN and x_MT to outputs (M, S)

TOLERANCE = 1e-4  # relative error; float32 sums in another order differ by some 1e-6


def player_for(folding: Folding, device: torch.device, truncates: bool = False) -> StackPlayer:
    """Return what plays stacked nets on a device: `Fused` on a GPU, else `Batched`; `truncates`: see `gradient_reach`.

    `Fused` is compared with `Batched` on the device first; where it fails or differs, a `RuntimeWarning` says so and
    `Batched` is returned.
    """
    plain = Batched(folding, truncates)
    if device.type != "cuda":
        return plain
    try:
        from models.engines.gpu.fused import Fused

        fused = Fused(folding, truncates)
        _compare_players(fused, plain, folding, device)
    except Exception as problem:  # noqa: BLE001 (any error of a compiler or driver; it is shown as a warning)
        message = f"training by batched products, not by fused layers, so slower: {problem}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return plain
    return fused


def _compare_players(fused: StackPlayer, plain: StackPlayer, folding: Folding, device: torch.device) -> None:
    """Raise `ArithmeticError` unless both give the same outputs and gradients for two untrained nets."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = Folding(WaveNet(folding.config, folding.knobs))
        vector_P = torch.cat([parameter.detach().flatten() for parameter in fresh.parameters])
        weights_MN = fresh.fold(vector_P, torch.rand(2, folding.knobs)).to(device).requires_grad_()
        x_MT = torch.randn(2, folding.stock.receptive_field + 99).to(device)
        dy_MS = torch.randn(2, 100).to(device)
    outputs = fused(weights_MN, x_MT), plain(weights_MN, x_MT)
    gradients = [torch.autograd.grad(y_MS, weights_MN, dy_MS)[0] for y_MS in outputs]
    for found, reference in (outputs, gradients):
        distance = ((found - reference).norm() / reference.norm()).item()
        if not distance <= TOLERANCE:
            raise ArithmeticError(f"the fused layers are off by {distance:.1e} on this device")


class Batched:
    """Plays the stock nets of one folding: the reference of every other player of stacked nets."""

    def __init__(self, folding: Folding, truncates: bool = False) -> None:
        self.arrays, self._folding, self._truncates = folding.stock.arrays, folding, truncates

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        """Return the outputs `(M, S)` before the head scale."""
        matrices, x_M1T = self._folding.matrices(weights_MN), x_MT[:, None]
        outputs = x_MT.shape[1] - self._folding.stock.receptive_field + 1
        reach = gradient_reach(outputs) if self._truncates else None
        first = matrices["rechannel", 0, -1]
        h_MCT, head = torch.baddbmm(first[..., 1:], first[..., :1], x_M1T), None
        for a, array in enumerate(self.arrays):
            h_MCT = torch.bmm(matrices["rechannel", a, -1], h_MCT) if a else h_MCT
            for layer, dilation in enumerate(array.dilations):
                z_MOT = _Convolution.apply(matrices["conv", a, layer], h_MCT, x_M1T, dilation, reach)
                a_MCT = _activate_layer(array, layer, z_MOT, matrices.get(("slopes", a, layer)))
                to_head = _pointwise_map(matrices.get(("head1x1", a, layer)), a_MCT)
                head = to_head if head is None else head[..., -to_head.shape[2] :] + to_head
                if a + 1 < len(self.arrays) or layer + 1 < array.depth:
                    residual = _pointwise_map(matrices.get(("layer1x1", a, layer)), a_MCT)
                    h_MCT = h_MCT[..., -residual.shape[2] :] + residual
            head = _Convolution.apply(matrices["head", a, -1], head, None, 1, reach)
            h_MCT = h_MCT[..., -head.shape[2] :]
        assert head is not None
        return head[:, 0]


def _pointwise_map(matrix_MOI: Tensor | None, h_MCT: Tensor) -> Tensor:
    """Apply a 1x1 with its constant, if there is one."""
    return h_MCT if matrix_MOI is None else _Convolution.apply(matrix_MOI, h_MCT, None, 1, None)


def _activate_layer(array: LayerArray, layer: int, z_MOT: Tensor, slopes_MO1: Tensor | None) -> Tensor:
    """Apply a layer's activation, and its gate if there is one."""
    activation, gate, width = array.activations[layer], array.gates[layer], array.width
    if gate is None:
        return _nonlinear(activation, z_MOT, slopes_MO1)
    p_MCT, q_MCT = z_MOT.chunk(2, 1)
    slopes, gate_slopes = (None, None) if slopes_MO1 is None else slopes_MO1.split(width, 1)
    g_MCT, f_MCT = _nonlinear(gate, q_MCT, gate_slopes), _nonlinear(activation, p_MCT, slopes)
    return f_MCT * g_MCT + (1 - g_MCT) * p_MCT if array.gatings[layer] == "blended" else f_MCT * g_MCT


def _nonlinear(activation: Activation, z_MCT: Tensor, slopes_MC1: Tensor | None) -> Tensor:
    if activation.type in FIXED_ACTIVATIONS:
        return FIXED_ACTIVATIONS[activation.type](z_MCT)
    if slopes_MC1 is None:
        return F.leaky_relu(z_MCT, activation.negative_slope)
    return torch.where(z_MCT > 0, z_MCT, slopes_MC1 * z_MCT)


class _Convolution(torch.autograd.Function):
    """A dilated convolution with a matrix per item: its taps, the audio's column if there is audio, the constant.

    Gradients of inputs and outputs reach `reach` samples before their end; None: all of them.

    One matrix product per tap on a shifted view. Backward there are two per tap; the one for the input is added in
    place, where autograd would allocate a buffer of zeros per tap.
    """

    @staticmethod
    def forward(
        ctx: Any, matrix_MOI: Tensor, h_MCT: Tensor, x_M1T: Tensor | None, dilation: int, reach: int | None
    ) -> Tensor:
        channels, beside = h_MCT.shape[1], 1 if x_M1T is None else 2
        taps = (matrix_MOI.shape[2] - beside) // channels
        kernel_MOCJ = matrix_MOI[..., :-beside].unflatten(2, (channels, taps))
        kernel_JMOC, shifts = kernel_MOCJ.permute(3, 0, 1, 2).contiguous(), range(0, taps * dilation, dilation)
        length = h_MCT.shape[2] - (taps - 1) * dilation
        if x_M1T is None:
            z_MOT = torch.baddbmm(matrix_MOI[..., -1:], kernel_JMOC[0], h_MCT[..., :length])
        else:
            x_M1T = x_M1T[..., -length:]
            z_MOT = torch.baddbmm(matrix_MOI[..., -1:], matrix_MOI[..., -2:-1], x_M1T)
            z_MOT.baddbmm_(kernel_JMOC[0], h_MCT[..., :length])
        for kernel_MOC, shift in zip(kernel_JMOC[1:], shifts[1:], strict=True):
            z_MOT.baddbmm_(kernel_MOC, h_MCT[..., shift : shift + length])
        ctx.save_for_backward(kernel_JMOC, h_MCT, x_M1T)
        ctx.shifts, ctx.reach = shifts, reach
        return z_MOT

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (dz_MOT,), (kernel_JMOC, h_MCT, x_M1T) = grad_outputs, ctx.saved_tensors
        length, before = h_MCT.shape[2], 0 if ctx.reach is None else max(h_MCT.shape[2] - ctx.reach, 0)
        dh_MCT, columns = torch.zeros_like(h_MCT), []
        dz_MOT = dz_MOT[..., max(dz_MOT.shape[2] - length + before, 0) :]
        for kernel_MOC, shift in zip(kernel_JMOC, ctx.shifts, strict=True):
            stop = length - ctx.shifts[-1] + shift
            view, reached = slice(stop - dz_MOT.shape[2], stop), slice(max(stop - dz_MOT.shape[2], before), stop)
            if reached.start < reached.stop:
                dh_MCT[..., reached].baddbmm_(kernel_MOC.transpose(1, 2), dz_MOT[..., reached.start - reached.stop :])
            columns.append(torch.bmm(dz_MOT, h_MCT[..., view].transpose(1, 2)))
        beside = [] if x_M1T is None else [torch.bmm(dz_MOT, x_M1T[..., -dz_MOT.shape[2] :].transpose(1, 2))]
        taps_MOI = torch.stack(columns, 3).flatten(2)
        return torch.cat([taps_MOI, *beside, dz_MOT.sum(2, keepdim=True)], 2), dh_MCT, None, None, None
