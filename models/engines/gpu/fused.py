"""Many small nets of one shape with one Triton kernel per layer and direction: what `gpu.batched` computes, on a GPU.

Every item has its own folded weights (`network.folding`), so the kernels need no knobs and no index of the net. All
rows have the same time axis: the input has samples 0 to T, and a row is valid from the first sample with a complete
history.

Shapes: M items of all nets, T samples in, S samples out, N folded weights of one net, P parts of time.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from torch.nn import functional as F

from models.engines.base import gradient_reach
from models.engines.gpu import triton_kernels as kernels
from models.engines.gpu.triton_kernels import LayerShape, MatrixShape
from models.network.folding import Folding

INPUTS = 16  # inputs of a matrix that are multiplied at once

TILE_NUMBERS = 2048  # numbers of a tile: rows times samples

PROGRAMS = 1024  # programs that keep a GPU busy: the sums of a gradient over time are split into as many


class _Matrix(NamedTuple):
    """A matrix of the folded weights: where it begins, the dilation of its taps, and its sizes."""

    offset: int
    dilation: int
    shape: MatrixShape


class _FusedLayer(NamedTuple):
    """A layer: where its input and output are valid, its convolution, and further arguments of the kernels."""

    begin: int
    end: int
    conv: _Matrix
    shape: LayerShape
    arguments: dict[str, float]  # offsets of its other weights, and constant slopes


class Fused:
    """Plays the stock nets of one folding, as `Batched` does; float32."""

    def __init__(self, folding: Folding, truncates: bool = False) -> None:
        self.truncates = truncates
        config, self._offsets = folding.stock, folding.offsets
        self.arrays, t = config.arrays, 0
        self.layers, self.rechannels, self.heads = [], [], []
        self.begins = [0]  # where each array's input is valid, then where the output is
        for a, array in enumerate(config.arrays):
            before = config.arrays[a - 1].channels if a else 1
            self.rechannels.append(self._matrix("rechannel", a, -1, array.channels, before, constant=a == 0))
            self.layers.append([])
            for index in range(array.depth):
                self.layers[a].append(self._layer(a, index, t))
                t = self.layers[a][-1].end
            taps = array.head_kernel_size
            self.heads.append(self._matrix("head", a, -1, config.head_outputs(a), array.head_width, taps))
            t += taps - 1
            self.begins.append(t)
        widest = max(max(array.channels, array.width, array.head_width) for array in config.arrays)
        self.tile_samples = TILE_NUMBERS // _padded(widest)
        self.gradient_samples = max(self.tile_samples // 4, 16)  # of a tile in the kernels that sum over time

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        """Return the outputs `(M, S)` before the head scale, differentiable with respect to the weights."""
        return _FusedFunction.apply(weights_MN, x_MT, self)

    def _matrix(
        self,
        kind: str,
        a: int,
        layer: int,
        outs: int,
        channels: int,
        taps: int = 1,
        dilation: int = 1,
        audio: bool = False,
        constant: bool = True,
    ) -> _Matrix:
        inputs = channels * taps + audio + constant
        shape = MatrixShape(outs, inputs, channels, taps, audio, _padded(outs), _padded(channels))
        return _Matrix(self._offsets[kind, a, layer], dilation, shape)

    def _layer(self, a: int, index: int, begin: int) -> _FusedLayer:
        array, offsets = self.arrays[a], self._offsets
        taps, dilation, activation = array.kernel_sizes[index], array.dilations[index], array.activations[index]
        gate = array.gates[index] or activation
        conv = self._matrix("conv", a, index, array.conv_channels(index), array.channels, taps, dilation, audio=True)
        shape = LayerShape(
            channels=array.channels,
            width=array.width,
            head=array.head_width,
            activation=activation.type,
            gate=gate.type,
            gating=array.gatings[index],
            has_slopes=("slopes", a, index) in offsets,
            has_layer1x1=array.layer1x1,
            has_head1x1=array.head1x1 is not None,
            has_residual=a + 1 < len(self.arrays) or index + 1 < array.depth,
            padded_channels=_padded(array.channels),
            padded_width=_padded(array.width),
            padded_head=_padded(array.head_width),
        )
        arguments = {name: offsets.get((name, a, index), 0) for name in ("slopes", "layer1x1", "head1x1")}
        arguments |= {"slope": activation.negative_slope, "gate_slope": gate.negative_slope}
        return _FusedLayer(begin, begin + (taps - 1) * dilation, conv, shape, arguments)


class Pass:
    """One batch on its way through the nets and back, with the signals kept in between."""

    def __init__(self, net: Fused, weights_MN: Tensor, x_MT: Tensor) -> None:
        self._net, self._weights_MN, self._x_MT = net, weights_MN.contiguous(), x_MT.contiguous()
        (self._items, self._size), self._length = weights_MN.shape, x_MT.shape[1]
        outputs = self._length - net.begins[-1]
        reach = gradient_reach(outputs) if net.truncates else self._length
        self._reached = max(self._length - reach, 0)  # nothing before has a gradient
        tiles = triton.cdiv(self._length - self._reached, net.gradient_samples)
        self._parts = min(tiles, triton.cdiv(PROGRAMS, self._items))
        sizes = {"N": self._size, "T": self._length}
        self._tiling = {**sizes, "SAMPLES": net.tile_samples}
        span = triton.cdiv(tiles, self._parts)
        self._gradient_tiling = {**sizes, "SAMPLES": net.gradient_samples, "span": span, "parts": self._parts}
        self._layer_signals: list[list[tuple[Tensor, Tensor]]] = []  # of each array's layers: the input, and `z`
        self._array_inputs: list[Tensor] = []
        self._head_inputs: list[Tensor] = []

    def forward(self) -> Tensor:
        """Compute the outputs `(M, S)`."""
        net, h, heads = self._net, self._x_MT, None
        for a, array in enumerate(net.arrays):
            self._array_inputs.append(h)
            h = self._affine(net.rechannels[a], h, net.begins[a])
            adds, self._layer_signals = heads is not None, [*self._layer_signals, []]
            heads = self._rows(array.head_width) if heads is None else heads
            for layer in net.layers[a]:
                z = self._rows(layer.conv.shape.outs)
                out = self._rows(array.channels) if layer.shape.has_residual else h
                kernels.layer[self._tiles(layer.end)](
                    self._weights_MN, h, self._x_MT, z, out, heads, begin=layer.end, head_begin=net.layers[a][-1].end,
                    dilation=layer.conv.dilation, conv=layer.conv.offset, CONV=layer.conv.shape, LAYER=layer.shape,
                    ADDS=adds, INPUTS=INPUTS, **layer.arguments, **self._tiling,
                )  # fmt: skip
                self._layer_signals[a].append((h, z))
                h, adds = out, True
            self._head_inputs.append(heads)
            heads = self._affine(net.heads[a], heads, net.begins[a + 1])
        assert heads is not None
        return heads[:, 0, net.begins[-1] :]

    def backward(self, dy_MS: Tensor) -> Tensor:
        """Compute the gradient of the weights `(M, N)`."""
        net, d, d_begin = self._net, None, 0
        gradients_MPN = self._weights_MN.new_zeros(self._items, self._parts, self._size)
        dy, dy_begin = F.pad(dy_MS, (net.begins[-1], 0)), net.begins[-1]
        for a in reversed(range(len(net.arrays))):
            array, end = net.arrays[a], max(net.layers[a][-1].end, self._reached)
            self._gradient(net.heads[a], dy, self._head_inputs[a], dy_begin, gradients_MPN)
            dy, dy_begin = self._transposed(net.heads[a], dy, self._rows(array.head_width), end, dy_begin), end
            for layer, (h, z) in zip(reversed(net.layers[a]), reversed(self._layer_signals[a]), strict=True):
                dz, adds = self._rows(layer.conv.shape.outs), d is not None
                layer_begin, layer_end = max(layer.begin, self._reached), max(layer.end, self._reached)
                d = self._rows(array.channels) if d is None else d
                kernels.layer_backward[(self._items, self._parts)](
                    self._weights_MN, z, d, dy, dz, gradients_MPN, begin=layer_end, d_begin=d_begin, head_begin=end,
                    LAYER=layer.shape, **layer.arguments, **self._gradient_tiling,
                )  # fmt: skip
                self._gradient(layer.conv, dz, h, layer_end, gradients_MPN)
                self._transposed(layer.conv, dz, d, layer_begin, layer_end, d_begin, adds)
                d_begin = layer_begin
            assert d is not None
            self._gradient(net.rechannels[a], d, self._array_inputs[a], d_begin, gradients_MPN)
            if a:
                d = self._transposed(net.rechannels[a], d, self._rows(net.arrays[a - 1].channels), d_begin, d_begin)
        return gradients_MPN.sum(1)

    def _rows(self, count: int) -> Tensor:
        return self._x_MT.new_empty(self._items, count, self._length)

    def _tiles(self, begin: int) -> tuple[int, int]:
        """Return the grid of items and tiles of time."""
        return self._items, triton.cdiv(self._length - begin, self._net.tile_samples)

    def _affine(self, matrix: _Matrix, h: Tensor, begin: int) -> Tensor:
        y = self._rows(matrix.shape.outs)
        kernels.affine[self._tiles(begin)](
            self._weights_MN, h, self._x_MT, y, begin=begin, dilation=matrix.dilation, matrix=matrix.offset,
            MATRIX=matrix.shape, INPUTS=INPUTS, **self._tiling,
        )  # fmt: skip
        return y

    def _gradient(self, matrix: _Matrix, dy: Tensor, h: Tensor, begin: int, gradients_MPN: Tensor) -> None:
        rows = min(matrix.shape.padded_outs, INPUTS)
        tiles = triton.cdiv(matrix.shape.outs, rows) * triton.cdiv(matrix.shape.inputs, INPUTS)
        kernels.gradient[(self._items, self._parts, tiles)](
            dy, h, self._x_MT, gradients_MPN, begin=begin, dilation=matrix.dilation, matrix=matrix.offset,
            MATRIX=matrix.shape, ROWS=rows, INPUTS=INPUTS, **self._gradient_tiling,
        )  # fmt: skip

    def _transposed(
        self, matrix: _Matrix, dy: Tensor, d: Tensor, begin: int, dy_begin: int, d_begin: int = 0, adds: bool = False
    ) -> Tensor:
        kernels.transposed[self._tiles(begin)](
            self._weights_MN, dy, d, begin=begin, dy_begin=dy_begin, d_begin=d_begin, dilation=matrix.dilation,
            matrix=matrix.offset, MATRIX=matrix.shape, ADDS=adds, INPUTS=INPUTS, **self._tiling,
        )  # fmt: skip
        return d


class _FusedFunction(torch.autograd.Function):
    """The nets as one differentiable function of their weights; the audio has no gradient."""

    @staticmethod
    def forward(ctx: Any, weights_MN: Tensor, x_MT: Tensor, net: Fused) -> Tensor:
        ctx.batch_pass = Pass(net, weights_MN, x_MT)
        return ctx.batch_pass.forward()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        return ctx.batch_pass.backward(*grad_outputs), None, None


def _padded(rows: int) -> int:
    """Return the rows of a tile: a power of two that a product of tiles may have."""
    return max(16, triton.next_power_of_2(rows))
