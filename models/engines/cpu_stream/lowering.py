"""A WaveNet lowered to the operations that models/kernels.py runs.

Shapes: C channels, I and O inputs and outputs of a convolution, P taps, E features that the layers see of the knobs, R rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.engines import activations
from models.engines.activations import GATINGS, KINDS
from models.engines.cpu_stream import kernels
from models.engines.cpu_stream.kernels import BUFFER, NARROW, NET, NONE, OPERATION, WIDE
from models.engines.simd import REGISTERS, WIDTH
from models.network.architecture import Activation, Slot
from models.network.knob_encoder import Encoder
from models.network.wavenet import Layer, WaveNet

BLOCK = 256  # samples that the program works on at once; longer blocks are cut

SLACK = 128  # samples that a buffer takes, at least, before its history moves to the front

LATENCY = 4  # tile rows that take as long as fewer do: a CPU has so many sums under way


@dataclass(frozen=True)
class PlayerProgram:
    """What `kernels.play` runs: fixed numbers, operations, buffers as they are at the start, and how large the state is."""

    weights: np.ndarray
    operations: np.ndarray
    buffers: np.ndarray
    net: np.ndarray
    state_size: int


@dataclass(frozen=True)
class _Target:
    """The processor that a program is for, and the block it plays at once."""

    width: int
    registers: int
    block: int


def lower(net: WaveNet, *, width: int = WIDTH, registers: int = REGISTERS, block: int = BLOCK) -> PlayerProgram:
    """Return the program of a float32 net that the compiled engines support (`WaveNetConfig.compiles`).

    Args:
        net: its weights are copied.
        width: float32 numbers in a vector of the processor; 4, 8 or 16. The defaults are this machine's.
        registers: vector registers of the processor, 16 or 32.
        block: samples played at once; a multiple of `width`.
    """
    assert width in (4, 8, 16) and registers in (16, 32) and block > 0 and block % width == 0, (width, registers, block)
    return _Lowering(net, _Target(width, registers, block)).program


class _Lowering:
    """Collects weights, coefficients, buffers and operations, in the order in which a block runs through them."""

    @torch.no_grad()
    def __init__(self, net: WaveNet, target: _Target) -> None:
        self._target = target
        self._film_height = 4 if target.registers == 32 else 2
        self._weights: list[np.ndarray] = []
        self._size = 0
        self._constants: list[Tensor] = []  # each (R)
        self._slopes: list[Tensor] = []  # each (R, E)
        self._buffers: list[dict[str, int]] = []
        self._operations: list[dict[str, int]] = []
        self._features = net.encoder.features if net.encoder else net.knobs
        self._heard = self._buffer(1 + self._features)  # the audio, then the features
        self._fed = self._buffer(1 + net.knobs) if net.encoder else self._heard  # the audio, then the knobs
        self._knobs, self._seen = self._buffer(below=self._fed), self._buffer(below=self._heard)
        self._z, self._y, self._mixed = (self._buffer() for _ in range(3))
        self._fills = net.config.inject.input
        if net.encoder:
            self._encoder(net.encoder, net.knobs)
        self._opening = len(self._operations)
        output = self._net(net)
        self.program = self._finish(net, output)

    def _encoder(self, encoder: Encoder, knobs: int) -> None:
        """What turns the rows of knobs into those of features: the formula of `Warp`, then of `Encoder`."""
        source = self._knobs
        if encoder.warp is not None:
            bends_KJ, knots_J = encoder.warp.bends_KJ, encoder.warp.knots_J
            spread = torch.eye(knobs).repeat_interleave(len(knots_J), 0)
            self._convolve(spread[..., None], -knots_J.repeat(knobs), source, self._z)
            self._activate(self._z, self._z, len(spread), activations.RELU)
            source = self._y if encoder.dense else self._seen
            self._convolve(torch.block_diag(*bends_KJ)[..., None], -torch.ones(knobs), self._z, source)
        if encoder.dense is not None:
            self._convolve(encoder.dense.weight, encoder.dense.bias, source, self._seen)
            self._activate(self._seen, self._seen, self._features, activations.RELU)

    def _net(self, net: WaveNet) -> int:
        """All arrays; returns the buffer of the result."""
        arrays = list(net.arrays)
        heads = [self._buffer(array.head.in_channels, array.head.kernel_size[0] - 1) for array in arrays]
        output, source, started = self._buffer(1), self._fed, False
        for index, array in enumerate(arrays):
            plain = self._buffer()
            taps = [self._buffer(array.rechannel.out_channels, layer.history) for layer in array.layers]
            modulated = next(iter(array.layers)).film("conv_pre") is not None
            residuals = [plain] * len(taps) if modulated else taps
            last = index == len(arrays) - 1
            targets = [*residuals[1:], NONE if last else plain]
            self._convolve(array.rechannel.weight, None, source, residuals[0])
            for layer, heard, residual, target in zip(array.layers, taps, residuals, targets, strict=True):
                if modulated:
                    self._film(layer, "conv_pre", residual, heard)
                self._layer(layer, heard, residual, target, heads[index], started)
                started = True
            weight, bias = array.head.weight, array.head.bias
            if last:
                weight, bias = weight * net.head_scale, None if bias is None else bias * net.head_scale
            self._convolve(weight, bias, heads[index], output if last else heads[index + 1])
            source = plain
        return output

    def _layer(self, layer: Layer, taps: int, residual: int, target: int, head: int, started: bool) -> None:
        """One layer: reads `taps`, adds to `head` (or starts it), writes `residual` and what it adds to it into `target`."""
        self._before_activation(layer, taps)
        width = layer.conv.out_channels // (1 if layer.gate is None else 2)
        after, onto = layer.film("activation_post"), head if started else NONE
        straight = layer.head1x1 is None and after is None
        gate = layer.gate
        self._activate(
            self._z,
            self._z,
            width,
            KINDS[layer.activation.config.type],
            slopes=self._weight(_slopes(layer.activation.config, layer.activation.slopes, width)),
            gating=GATINGS[layer.gating],
            gate=activations.IDENTITY if gate is None else KINDS[gate.config.type],
            gate_slopes=0 if gate is None else self._weight(_slopes(gate.config, gate.slopes, width)),
            extra=head if straight else NONE,
            onto=onto if straight else NONE,
        )
        if after is not None:
            self._film(layer, "activation_post", self._z, self._z)
        if not straight:
            self._way(layer, layer.head1x1, "head1x1_post", head, onto, width)
        if target != NONE:
            self._way(layer, layer.layer1x1, "layer1x1_post", target, residual, width)

    def _before_activation(self, layer: Layer, taps: int) -> None:
        """The convolution, the mixin and the modulations up to the activation, into `z`."""
        weight, mixing, rows = layer.mixin.weight[..., 0], self._heard, 1
        slopes = torch.zeros(weight.shape[0], self._features)
        if layer.film("input_mixin_pre"):
            self._fills, mixing, rows = True, self._mixed, weight.shape[1]
            self._film(layer, "input_mixin_pre", self._heard, mixing, rows)
        elif weight.shape[1] > 1:
            slopes = weight[:, 1:]
        weight = weight[:, :rows]
        if not (layer.film("conv_post") or layer.film("input_mixin_post")):
            self._conv(layer.conv, taps, self._z, extra=mixing, beside=weight, slopes=slopes)
        else:
            self._conv(layer.conv, taps, self._z)
            self._film(layer, "conv_post", self._z, self._z)
            if layer.film("input_mixin_post"):
                self._convolve(weight[..., None], None, mixing, self._y, slopes=slopes)
                self._film(layer, "input_mixin_post", self._y, self._z, onto=self._z)
            else:
                self._convolve(weight[..., None], None, mixing, self._z, onto=self._z, slopes=slopes)
        self._film(layer, "activation_pre", self._z, self._z)

    def _way(self, layer: Layer, conv: nn.Conv1d | None, slot: Slot, target: int, onto: int, width: int) -> None:
        """From the activation through a 1x1, if there is one, and its modulation onto another buffer."""
        if conv is None:
            self._activate(self._z, self._z, width, activations.IDENTITY, extra=target, onto=onto)
        elif layer.film(slot):
            self._conv(conv, self._z, self._y)
            self._film(layer, slot, self._y, target, onto=onto)
        else:
            self._conv(conv, self._z, target, onto=onto)

    def _film(
        self, layer: Layer, slot: Slot, source: int, target: int, rows: int | None = None, onto: int = NONE
    ) -> None:
        """A slot's modulation, if the layer has it; `rows` if not all of its channels are wanted."""
        film = layer.film(slot)
        if film is None:
            return
        channels = film.bias.shape[0] // (2 if film.shift else 1)
        shift, slopes = torch.zeros(channels), torch.zeros(channels, self._features)
        if film.shift:
            shift, slopes = film.bias[channels:], film.weight[channels:, :, 0]
        missing = -channels % self._film_height
        self._add(
            kernels.MODULATE,
            source=source,
            target=target,
            onto=onto,
            rows=_whole(rows or channels, self._film_height),
            scale=self._coefficient(film.bias[:channels], film.weight[:channels, :, 0], missing),
            shift=self._coefficient(shift, slopes, missing),
        )

    def _activate(self, source: int, target: int, rows: int, kind: int, **fields: int) -> None:
        self._add(kernels.ACTIVATE, source=source, target=target, rows=rows, activation=kind, **fields)

    def _conv(self, conv: nn.Conv1d, source: int, target: int, **further: Any) -> None:
        self._convolve(conv.weight, conv.bias, source, target, conv.dilation[0], conv.groups, **further)

    def _convolve(
        self,
        weight: Tensor,
        bias: Tensor | None,
        source: int,
        target: int,
        dilation: int = 1,
        groups: int = 1,
        onto: int = NONE,
        extra: int = NONE,
        beside: Tensor | None = None,
        slopes: Tensor | None = None,
    ) -> None:
        """A convolution `(O, I / groups, P)`, plus `beside (O, rows)` times the rows of `extra`; features add `slopes (O, E)` to the bias."""
        outputs, inputs, taps = weight.shape
        bias = torch.zeros(outputs) if bias is None else bias
        beside = torch.zeros(outputs, 0) if beside is None else beside
        slopes = torch.zeros(outputs, self._features) if slopes is None else slopes
        height = _height(outputs, groups, self._target.registers)
        chunks = -(-outputs // height)
        numbers = torch.cat([weight.permute(0, 2, 1).reshape(outputs, -1), beside], dim=1)  # (O, P * I + rows)
        missing = chunks * height - outputs
        packed = nn.functional.pad(numbers, (0, 0, 0, missing)).reshape(chunks, height, -1).transpose(1, 2)
        self._add(
            kernels.CONVOLVE,
            source=source,
            target=target,
            onto=onto,
            rows=chunks * height,
            height=height,
            groups=groups,
            chunks=chunks // groups,
            rows_per_group=inputs,
            taps=taps,
            dilation=dilation,
            weights=self._weight(packed),
            bias=self._coefficient(bias, slopes, missing),
            follows=int(bool(slopes.any())),
            extra=extra,
            extra_rows=beside.shape[1],
        )

    def _weight(self, tensor: Tensor) -> int:
        """Keep fixed numbers; returns where they are."""
        self._weights.append(tensor.detach().numpy().astype(np.float32).ravel())
        self._size += tensor.numel()
        return self._size - tensor.numel()

    def _coefficient(self, constant_R: Tensor, slopes_RE: Tensor, missing: int = 0) -> int:
        """Keep R coefficients (and `missing` zeros after them); returns the index of the first."""
        index = sum(len(constant) for constant in self._constants)
        self._constants.append(nn.functional.pad(constant_R, (0, missing)))
        self._slopes.append(nn.functional.pad(slopes_RE, (0, 0, 0, missing)))
        return index

    def _buffer(self, rows: int = 0, history: int = 0, below: int = NONE) -> int:
        """A buffer, which grows by the rows that operations work on; or all rows `below` the first of another."""
        self._buffers.append({"rows": rows, "history": history, "space": rows, "below": below})
        return len(self._buffers) - 1

    def _add(self, kind: int, **fields: int) -> None:
        operation = {"onto": NONE, "extra": NONE, "kind": kind, **fields}
        self._operations.append(operation)
        for name in ("source", "target", "onto", "extra"):
            index, rows = operation[name], operation["rows"]
            while index != NONE:
                self._buffers[index]["space"] = max(self._buffers[index]["space"], rows)
                index, rows = self._buffers[index]["below"], rows + 1

    def _finish(self, net: WaveNet, output: int) -> PlayerProgram:
        """Lay everything out: in the weights the coefficients after the rest, in the state their values before the buffers."""
        constants_R, slopes_RE = torch.cat(self._constants), torch.cat(self._slopes)
        width, block, tile = self._target.width, self._target.block, WIDE * self._target.width
        room = _whole(len(constants_R), width)
        missing = room - len(constants_R)
        constants = self._weight(nn.functional.pad(constants_R, (0, missing)))
        self._weight(nn.functional.pad(slopes_RE, (0, 0, 0, missing)).T.contiguous())
        buffers, size = [], room
        for buffer in self._buffers:
            history = _whole(buffer["history"], width)
            stride = _whole(history + (max(history, SLACK) if history else 0) + block + tile, 2 * width) + width
            inside = buffer["below"] != NONE
            base = buffers[buffer["below"]][0] + stride if inside else size
            buffers.append((base, stride, history, buffer["rows"], history))
            size += 0 if inside else stride * buffer["space"]
        numbers = {
            "knobs": net.knobs,
            "features": self._features,
            "block": block,
            "fed": self._fed,
            "heard": self._heard,
            "levels": self._knobs,
            "seen": self._seen,
            "opening": self._opening,
            "output": output,
            "fills": int(self._fills),
            "constants": room,
            "coefficients": constants + room,
            "values": 0,
        }
        return PlayerProgram(
            np.concatenate(self._weights),
            np.array([tuple(op.get(name, 0) for name in OPERATION.names or ()) for op in self._operations], OPERATION),
            np.array(buffers, BUFFER),
            np.array([tuple(numbers[name] for name in NET.names or ())], NET),
            size + tile,
        )


def _heights(registers: int) -> tuple[int, ...]:
    """Return the heights of a convolution's tile: its sums, a row of input and a weight must fit the registers."""
    return tuple(rows for rows in (1, 2, 3, 4, 6, 8) if rows * NARROW + NARROW + 1 <= registers)


def _height(outputs: int, groups: int, registers: int = REGISTERS) -> int:
    """The tile height that costs least; with groups, one that no two groups share."""
    fitting = [height for height in _heights(registers) if groups == 1 or outputs // groups % height == 0]
    chunks = {height: -(-outputs // height) for height in fitting}
    return min(fitting, key=lambda height: (chunks[height] * max(height, LATENCY), chunks[height] * height, -height))


def _slopes(config: Activation, trained_C: Tensor | None, channels: int) -> Tensor:
    """Where an activation goes below zero, for each channel."""
    return torch.full((channels,), config.negative_slope) if trained_C is None else trained_C


def _whole(number: int, unit: int) -> int:
    """The next multiple of a unit."""
    return -(-number // unit) * unit
