"""Many small nets of one shape, each layer one kernel, forwards and backwards: what `models/batched.py` computes, for a GPU.

Every item brings its own folded weights (models/fold.py), so that the kernels (models/fused_kernels.py) know neither knobs nor members. Time
runs on one line for all rows: the input has samples 0 to T, and what a layer gives is right from where its history is complete.

Shapes: M items of all nets, T samples in, S samples out, N folded weights of one net, P parts of time.
"""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from torch.nn import functional as F

from models.engines.gpu import triton_kernels as kernels
from models.network.folding import Folding

INPUTS = 16  # of a matrix, multiplied at once

TILE = 2048  # numbers of a tile: rows times samples

PROGRAMS = 1024  # that keep a GPU busy: a gradient's sums over time are shared out among so many


class _Matrix(NamedTuple):
    """Where a matrix begins among the weights, and what its inputs are."""

    place: int
    outs: int
    channels: int
    taps: int = 1
    dilation: int = 1
    audio: bool = False
    constant: bool = True

    @property
    def sizes(self) -> dict[str, int]:
        """As the kernels are told them."""
        inputs = self.channels * self.taps + self.audio + self.constant
        return {"O": self.outs, "I": inputs, "C": self.channels, "TAPS": self.taps}


class _Layer(NamedTuple):
    """Where on the time line a layer's input and output are right, its convolution, and what else the kernels are told of it."""

    begin: int
    end: int
    conv: _Matrix
    told: dict[str, Any]


class Fused:
    """Plays the stock nets of one folding, as `Batched` does; float32."""

    def __init__(self, folding: Folding) -> None:
        config, self._places = folding.stock, folding.places
        self.arrays, t = config.arrays, 0
        self.layers, self.rechannels, self.heads = [], [], []
        self.begins = [0]  # of each array's input, and of the output
        for a, array in enumerate(config.arrays):
            before = config.arrays[a - 1].channels if a else 1
            self.rechannels.append(_Matrix(self._places["rechannel", a, -1], array.channels, before, constant=a == 0))
            self.layers.append([])
            for index in range(array.depth):
                self.layers[a].append(self._layer(a, index, t))
                t = self.layers[a][-1].end
            taps = array.head_kernel_size
            self.heads.append(_Matrix(self._places["head", a, -1], config.head_outputs(a), array.head_width, taps))
            t += taps - 1
            self.begins.append(t)
        widest = max(max(array.channels, array.width, array.head_width) for array in config.arrays)
        self.samples = TILE // _padded(widest)  # of a tile
        self.summed = max(self.samples // 4, 16)  # of one that a gradient sums

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        """`(M, S)`, before the head scale."""
        return _Played.apply(weights_MN, x_MT, self)

    def _layer(self, a: int, index: int, begin: int) -> _Layer:
        array, places = self.arrays[a], self._places
        taps, dilation, activation = array.kernel_sizes[index], array.dilations[index], array.activations[index]
        gate = array.gates[index] or activation
        conv = _Matrix(places["conv", a, index], array.inner(index), array.channels, taps, dilation, audio=True)
        told = {
            "slopes": places.get(("slopes", a, index), 0),
            "one": places.get(("layer1x1", a, index), 0),
            "head1x1": places.get(("head1x1", a, index), 0),
            "slope": activation.negative_slope,
            "gate_slope": gate.negative_slope,
            "C": array.channels,
            "W": array.width,
            "H": array.head_width,
            "KIND": activation.type,
            "GATE": gate.type,
            "GATING": array.gatings[index],
            "SLOPES": ("slopes", a, index) in places,
            "ONE": array.layer1x1,
            "HEAD1X1": array.head1x1 is not None,
            "RESIDUAL": a + 1 < len(self.arrays) or index + 1 < array.depth,
            "CP": _padded(array.channels),
            "WP": _padded(array.width),
            "HP": _padded(array.head_width),
        }
        return _Layer(begin, begin + (taps - 1) * dilation, conv, told)


class _Pass:
    """One batch on its way through the nets and back, and what is remembered between."""

    def __init__(self, net: Fused, weights_MN: Tensor, x_MT: Tensor) -> None:
        self._net, self._weights_MN, self._x_MT = net, weights_MN.contiguous(), x_MT.contiguous()
        (self._items, self._size), self._length = weights_MN.shape, x_MT.shape[1]
        tiles = triton.cdiv(self._length, net.summed)
        self._parts = min(tiles, triton.cdiv(PROGRAMS, self._items))
        self._tiled = {"N": self._size, "T": self._length, "SAMPLES": net.samples}
        span = triton.cdiv(tiles, self._parts)
        self._summed = {**self._tiled, "SAMPLES": net.summed, "span": span, "parts": self._parts}
        # Of each layer its input, and what is before its activation; then what each array's rechannel and head hear.
        self._heard: list[list[tuple[Tensor, Tensor]]] = []
        self._entered: list[Tensor] = []
        self._heads: list[Tensor] = []

    def forwards(self) -> Tensor:
        """`(M, S)`."""
        net, h, heads = self._net, self._x_MT, None
        for a, array in enumerate(net.arrays):
            self._entered.append(h)
            h = self._affine(net.rechannels[a], h, net.begins[a])
            adds, self._heard = heads is not None, [*self._heard, []]
            heads = self._rows(array.head_width) if heads is None else heads
            for layer in net.layers[a]:
                z, out = self._rows(layer.conv.outs), self._rows(array.channels) if layer.told["RESIDUAL"] else h
                kernels.layer[self._tiles(layer.end)](
                    self._weights_MN, h, self._x_MT, z, out, heads, begin=layer.end, head_begin=net.layers[a][-1].end,
                    dilation=layer.conv.dilation, conv=layer.conv.place, TAPS=layer.conv.taps, ADDS=adds, INPUTS=INPUTS,
                    **layer.told, **self._tiled,
                )  # fmt: skip
                self._heard[a].append((h, z))
                h, adds = out, True
            self._heads.append(heads)
            heads = self._affine(net.heads[a], heads, net.begins[a + 1])
        assert heads is not None
        return heads[:, 0, net.begins[-1] :]

    def backwards(self, dy_MS: Tensor) -> Tensor:
        """The gradient of the weights `(M, N)`."""
        net, d, arrives = self._net, None, 0
        gradients_MPN = self._weights_MN.new_zeros(self._items, self._parts, self._size)
        dy, right = F.pad(dy_MS, (net.begins[-1], 0)), net.begins[-1]
        for a in reversed(range(len(net.arrays))):
            array, end = net.arrays[a], net.layers[a][-1].end
            self._gradient(net.heads[a], dy, self._heads[a], right, gradients_MPN)
            dy, right = self._transposed(net.heads[a], dy, self._rows(array.head_width), end, right), end
            for layer, (h, z) in zip(reversed(net.layers[a]), reversed(self._heard[a]), strict=True):
                dz, adds = self._rows(layer.conv.outs), d is not None
                d = self._rows(array.channels) if d is None else d
                kernels.derive[(self._items, self._parts)](
                    self._weights_MN, z, d, dy, dz, gradients_MPN, begin=layer.end, arrives=arrives, head_begin=end,
                    **layer.told, **self._summed,
                )  # fmt: skip
                self._gradient(layer.conv, dz, h, layer.end, gradients_MPN)
                self._transposed(layer.conv, dz, d, layer.begin, layer.end, arrives, adds)
                arrives = layer.begin
            assert d is not None
            self._gradient(net.rechannels[a], d, self._entered[a], arrives, gradients_MPN)
            if a:
                d = self._transposed(net.rechannels[a], d, self._rows(net.arrays[a - 1].channels), arrives, arrives)
        return gradients_MPN.sum(1)

    def _rows(self, count: int) -> Tensor:
        return self._x_MT.new_empty(self._items, count, self._length)

    def _tiles(self, begin: int) -> tuple[int, int]:
        return self._items, triton.cdiv(self._length - begin, self._net.samples)

    def _affine(self, matrix: _Matrix, h: Tensor, begin: int) -> Tensor:
        y = self._rows(matrix.outs)
        kernels.affine[self._tiles(begin)](
            self._weights_MN, h, self._x_MT, y, begin=begin, dilation=matrix.dilation, matrix=matrix.place,
            AUDIO=matrix.audio, OP=_padded(matrix.outs), INPUTS=INPUTS, **matrix.sizes, **self._tiled,
        )  # fmt: skip
        return y

    def _gradient(self, matrix: _Matrix, dy: Tensor, h: Tensor, begin: int, gradients_MPN: Tensor) -> None:
        sizes, rows = matrix.sizes, min(_padded(matrix.outs), INPUTS)
        tiles = triton.cdiv(matrix.outs, rows) * triton.cdiv(sizes["I"], INPUTS)
        kernels.gradient[(self._items, self._parts, tiles)](
            dy, h, self._x_MT, gradients_MPN, begin=begin, dilation=matrix.dilation, matrix=matrix.place,
            AUDIO=matrix.audio, ROWS=rows, INPUTS=INPUTS, **sizes, **self._summed,
        )  # fmt: skip

    def _transposed(
        self, matrix: _Matrix, dy: Tensor, d: Tensor, begin: int, right: int, arrives: int = 0, adds: bool = False
    ) -> Tensor:
        kernels.transposed[self._tiles(begin)](
            self._weights_MN, dy, d, begin=begin, right=right, arrives=arrives, dilation=matrix.dilation,
            matrix=matrix.place, ADDS=adds, CP=_padded(matrix.channels), INPUTS=INPUTS, **matrix.sizes, **self._tiled,
        )  # fmt: skip
        return d


class _Played(torch.autograd.Function):
    """The nets, as autograd sees them; the audio has no gradient."""

    @staticmethod
    def forward(ctx: Any, weights_MN: Tensor, x_MT: Tensor, net: Fused) -> Tensor:
        ctx.whole = _Pass(net, weights_MN, x_MT)
        return ctx.whole.forwards()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        return ctx.whole.backwards(*grad_outputs), None, None


def _padded(rows: int) -> int:
    """A tile's rows: a power of two that a product of tiles may have."""
    return max(16, triton.next_power_of_2(rows))
