"""Lowering: from a WaveNet to the `PlayerProgram` that plays it.

Shapes: C channels, I and O inputs and outputs of a convolution, P its taps, E features, R coefficients.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.engines import activation_codes
from models.engines.activation_codes import ACTIVATION_CODES, GATING_CODES
from models.engines.cpu_stream.program import (
    ACTIVATE,
    BUFFER,
    CONVOLVE,
    MODULATE,
    NET,
    NONE,
    OPERATION,
    PlayerProgram,
    film_height,
    tile_heights,
    tile_samples,
)
from models.network.architecture import Slot
from models.network.numpy_wavenet import (
    NumpyConv,
    NumpyEncoder,
    NumpyLayer,
    NumpyNonlinear,
    NumpyWaveNet,
    as_numpy,
)

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

PLAYER_BLOCK = 256  # samples that a program plays at once; longer blocks are cut

SLACK = 128  # samples that a buffer takes, at least, before its history is moved to the front

LATENCY = 4  # rows of a tile that take as long as fewer: a CPU computes about as many sums at the same time


@dataclass(frozen=True)
class _Target:
    """The processor that a program is for, and the block it plays at once."""

    width: int
    registers: int
    block: int


def lower(
    net: "WaveNet | NumpyWaveNet", *, width: int = 0, registers: int = 0, block: int = PLAYER_BLOCK
) -> PlayerProgram:
    """Return the program of a float32 net that the compiled engines support (`WaveNetConfig.compiles`).

    Args:
        net: its weights are copied.
        width: float32 numbers in a vector of the processor; 4, 8 or 16; 0 stands for this machine's.
        registers: vector registers of the processor, 16 or 32; 0 stands for this machine's.
        block: samples played at once; a multiple of `width`.
    """
    if not (width and registers):
        from models.engines import simd  # loads numba

        width, registers = width or simd.WIDTH, registers or simd.REGISTERS
    assert width in (4, 8, 16) and registers in (16, 32) and block > 0 and block % width == 0, (width, registers, block)
    with np.errstate(over="ignore", invalid="ignore"):  # weights beyond all numbers are told by what they play
        return _Lowering(as_numpy(net), _Target(width, registers, block)).program


class _Lowering:
    """Collects weights, coefficients, buffers and operations in the order in which they are run."""

    def __init__(self, net: NumpyWaveNet, target: _Target) -> None:
        self._target = target
        self._film_height = film_height(target.registers)
        self._weights: list[np.ndarray] = []
        self._weight_count = 0
        self._constants: list[np.ndarray] = []  # of coefficients, each (R)
        self._slopes: list[np.ndarray] = []  # of coefficients, each (R, E)
        self._buffers: list[dict[str, int]] = []
        self._operations: list[dict[str, int]] = []
        self._features = net.encoder.features if net.encoder else net.knobs
        self._condition = self._add_buffer(1 + self._features)
        self._input = self._add_buffer(1 + net.knobs) if net.encoder else self._condition
        self._level_rows = self._add_buffer(below=self._input)
        self._feature_rows = self._add_buffer(below=self._condition)
        self._z, self._y, self._mixed = (self._add_buffer() for _ in range(3))
        self._levels_per_sample = net.config.inject.input
        if net.encoder:
            self._lower_encoder(net.encoder, net.knobs)
        self._encoder_operations = len(self._operations)
        output = self._lower_arrays(net)
        self.program = self._finish(net, output)

    def _lower_encoder(self, encoder: NumpyEncoder, knobs: int) -> None:
        """Compute the rows of features from those of knobs: the formula of `Warp`, then that of `Encoder`."""
        source = self._level_rows
        for number, (conv, activation) in enumerate(encoder.layers):
            target = self._feature_rows if number == len(encoder.layers) - 1 else (self._z, self._y)[number % 2]
            self._conv(conv, source, target)
            if activation is not None:
                slopes = self._add_weights(np.full(len(conv.weight), activation.negative_slope, np.float32))
                code = ACTIVATION_CODES[activation.type]
                self._activate(target, target, len(conv.weight), code, slopes=slopes)
            source = target
        if encoder.warp is not None:
            slope_steps_KJ, knots_J = encoder.warp.slope_steps_KJ, encoder.warp.knots_J
            repeat = np.repeat(np.eye(knobs, dtype=np.float32), len(knots_J), 0)
            self._convolve(repeat[..., None], -np.tile(knots_J, knobs), source, self._z)
            self._activate(self._z, self._z, len(repeat), activation_codes.RELU)
            source = self._y if encoder.dense else self._feature_rows
            curves = (
                slope_steps_KJ.repeat(knobs, 0).reshape(knobs, knobs, -1) * np.eye(knobs, dtype=np.float32)[..., None]
            )
            self._convolve(curves.reshape(knobs, -1, 1), -np.ones(knobs, np.float32), self._z, source)
        if encoder.dense is not None:
            self._convolve(encoder.dense.weight, encoder.dense.bias, source, self._feature_rows)
            self._activate(self._feature_rows, self._feature_rows, self._features, activation_codes.RELU)

    def _lower_arrays(self, net: NumpyWaveNet) -> int:
        """Lower all arrays; returns the buffer of the result."""
        arrays = list(net.arrays)
        heads = [self._add_buffer(array.head.weight.shape[1], array.head.weight.shape[2] - 1) for array in arrays]
        output, source, started = self._add_buffer(1), self._input, False
        for index, array in enumerate(arrays):
            plain = self._add_buffer()
            inputs = [self._add_buffer(len(array.rechannel.weight), layer.history) for layer in array.layers]
            modulated = next(iter(array.layers)).film("conv_pre") is not None
            residuals = [plain] * len(inputs) if modulated else inputs
            last = index == len(arrays) - 1
            targets = [*residuals[1:], NONE if last else plain]
            self._convolve(array.rechannel.weight, None, source, residuals[0])
            for layer, conv_input, residual, target in zip(array.layers, inputs, residuals, targets, strict=True):
                if modulated:
                    self._film(layer, "conv_pre", residual, conv_input)
                self._lower_layer(layer, conv_input, residual, target, heads[index], started)
                started = True
            weight, bias = array.head.weight, array.head.bias
            if last:
                weight, bias = weight * net.head_scale, None if bias is None else bias * net.head_scale
            self._convolve(weight, bias, heads[index], output if last else heads[index + 1])
            source = plain
        return output

    def _lower_layer(
        self, layer: NumpyLayer, conv_input: int, residual: int, target: int, head: int, started: bool
    ) -> None:
        """Lower one layer.

        It reads `conv_input`, adds to `head` (or begins it, where nothing has `started` it), and writes `residual` plus
        its own output into `target`, if there is one.
        """
        self._before_activation(layer, conv_input)
        width = len(layer.conv.weight) // (1 if layer.gate is None else 2)
        addend = head if started else NONE
        is_direct = layer.head1x1 is None and layer.film("activation_post") is None
        gate = layer.gate
        self._activate(
            self._z,
            self._z,
            width,
            ACTIVATION_CODES[layer.activation.config.type],
            slopes=self._add_weights(_slopes(layer.activation, width)),
            gating=GATING_CODES[layer.gating],
            gate=activation_codes.IDENTITY if gate is None else ACTIVATION_CODES[gate.config.type],
            gate_slopes=0 if gate is None else self._add_weights(_slopes(gate, width)),
            extra=head if is_direct else NONE,
            addend=addend if is_direct else NONE,
        )
        self._film(layer, "activation_post", self._z, self._z)
        if not is_direct:
            self._pointwise(layer, layer.head1x1, "head1x1_post", head, addend, width)
        if target != NONE:
            self._pointwise(layer, layer.layer1x1, "layer1x1_post", target, residual, width)

    def _before_activation(self, layer: NumpyLayer, conv_input: int) -> None:
        """Lower the convolution, the mixin and the modulations up to the activation; the result is in `z`."""
        weight, condition, rows = layer.mixin.weight[..., 0], self._condition, 1
        slopes = np.zeros((weight.shape[0], self._features), np.float32)
        if layer.film("input_mixin_pre"):
            self._levels_per_sample, condition, rows = True, self._mixed, weight.shape[1]
            self._film(layer, "input_mixin_pre", self._condition, condition, rows)
        elif weight.shape[1] > 1:
            slopes = weight[:, 1:]
        weight = weight[:, :rows]
        if not (layer.film("conv_post") or layer.film("input_mixin_post")):
            self._conv(layer.conv, conv_input, self._z, extra=condition, extra_weight=weight, slopes=slopes)
        else:
            self._conv(layer.conv, conv_input, self._z)
            self._film(layer, "conv_post", self._z, self._z)
            if layer.film("input_mixin_post"):
                self._convolve(weight[..., None], None, condition, self._y, slopes=slopes)
                self._film(layer, "input_mixin_post", self._y, self._z, addend=self._z)
            else:
                self._convolve(weight[..., None], None, condition, self._z, addend=self._z, slopes=slopes)
        self._film(layer, "activation_pre", self._z, self._z)

    def _pointwise(
        self, layer: NumpyLayer, conv: NumpyConv | None, slot: Slot, target: int, addend: int, width: int
    ) -> None:
        """Write `addend` plus a 1x1 (where there is one) of the activation, and its modulation, into `target`."""
        if conv is None:
            self._activate(self._z, self._z, width, activation_codes.IDENTITY, extra=target, addend=addend)
        elif layer.film(slot):
            self._conv(conv, self._z, self._y)
            self._film(layer, slot, self._y, target, addend=addend)
        else:
            self._conv(conv, self._z, target, addend=addend)

    def _film(
        self, layer: NumpyLayer, slot: Slot, source: int, target: int, rows: int | None = None, addend: int = NONE
    ) -> None:
        """Add a slot's modulation, if the layer has it; of its first `rows` channels, or of all."""
        film = layer.film(slot)
        if film is None:
            return
        channels = film.bias.shape[0] // (2 if film.shift else 1)
        shift, slopes = np.zeros(channels, np.float32), np.zeros((channels, self._features), np.float32)
        if film.shift:
            shift, slopes = film.bias[channels:], film.weight[channels:, :, 0]
        padding = -channels % self._film_height
        self._add_operation(
            MODULATE,
            source=source,
            target=target,
            addend=addend,
            rows=_round_up(rows or channels, self._film_height),
            scale=self._add_coefficients(film.bias[:channels], film.weight[:channels, :, 0], padding),
            shift=self._add_coefficients(shift, slopes, padding),
        )

    def _activate(self, source: int, target: int, rows: int, code: int, **fields: int) -> None:
        self._add_operation(ACTIVATE, source=source, target=target, rows=rows, activation=code, **fields)

    def _conv(self, conv: NumpyConv, source: int, target: int, **further: Any) -> None:
        self._convolve(conv.weight, conv.bias, source, target, conv.dilation, conv.groups, **further)

    def _convolve(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        source: int,
        target: int,
        dilation: int = 1,
        groups: int = 1,
        addend: int = NONE,
        extra: int = NONE,
        extra_weight: np.ndarray | None = None,
        slopes: np.ndarray | None = None,
    ) -> None:
        """Add a convolution `(O, I / groups, P)`, plus `extra_weight (O, rows)` times the rows of `extra`.

        `slopes (O, E)` times the features are added to the bias.
        """
        outputs, inputs, taps = weight.shape
        bias = np.zeros(outputs, np.float32) if bias is None else bias
        extra_weight = np.zeros((outputs, 0), np.float32) if extra_weight is None else extra_weight
        slopes = np.zeros((outputs, self._features), np.float32) if slopes is None else slopes
        height = choose_height(outputs, groups, self._target.registers)
        chunks = -(-outputs // height)
        numbers = np.concatenate([weight.transpose(0, 2, 1).reshape(outputs, -1), extra_weight], 1)  # (O, P * I + rows)
        padding = chunks * height - outputs
        packed = np.pad(numbers, ((0, padding), (0, 0))).reshape(chunks, height, -1).transpose(0, 2, 1)
        self._add_operation(
            CONVOLVE,
            source=source,
            target=target,
            addend=addend,
            rows=chunks * height,
            height=height,
            groups=groups,
            chunks=chunks // groups,
            rows_per_group=inputs,
            taps=taps,
            dilation=dilation,
            weights=self._add_weights(packed),
            bias=self._add_coefficients(bias, slopes, padding),
            follows_features=int(bool(slopes.any())),
            extra=extra,
            extra_rows=extra_weight.shape[1],
        )

    def _add_weights(self, numbers: np.ndarray) -> int:
        """Append fixed numbers; returns the index of the first."""
        self._weights.append(numbers.astype(np.float32).ravel())
        self._weight_count += numbers.size
        return self._weight_count - numbers.size

    def _add_coefficients(self, constant_R: np.ndarray, slopes_RE: np.ndarray, padding: int = 0) -> int:
        """Append R coefficients, and so many zeros; returns the index of the first."""
        index = sum(len(constant) for constant in self._constants)
        self._constants.append(np.pad(constant_R, (0, padding)))
        self._slopes.append(np.pad(slopes_RE, ((0, padding), (0, 0))))
        return index

    def _add_buffer(self, rows: int = 0, history: int = 0, below: int = NONE) -> int:
        """Add a buffer with as many rows as operations use; with `below`, the rows of another after its first."""
        self._buffers.append({"rows": rows, "history": history, "space": rows, "below": below})
        return len(self._buffers) - 1

    def _add_operation(self, kind: int, **fields: int) -> None:
        operation = {"addend": NONE, "extra": NONE, "kind": kind, **fields}
        self._operations.append(operation)
        for name in ("source", "target", "addend", "extra"):
            index, rows = operation[name], operation["rows"]
            while index != NONE:
                self._buffers[index]["space"] = max(self._buffers[index]["space"], rows)
                index, rows = self._buffers[index]["below"], rows + 1

    def _finish(self, net: NumpyWaveNet, output: int) -> PlayerProgram:
        """Lay out the arrays: coefficients after all other weights; in the state their values before the buffers."""
        constants_R, slopes_RE = np.concatenate(self._constants), np.concatenate(self._slopes)
        coefficients = _round_up(len(constants_R), self._target.width)
        padding = coefficients - len(constants_R)
        constants = self._add_weights(np.pad(constants_R, (0, padding)))
        self._add_weights(np.pad(slopes_RE, ((0, padding), (0, 0))).T)
        buffers, size = self._place_buffers(coefficients)
        numbers = {
            "knobs": net.knobs,
            "features": self._features,
            "block": self._target.block,
            "levels_per_sample": int(self._levels_per_sample),
            "encoder_operations": self._encoder_operations,
            "input": self._input,
            "condition": self._condition,
            "level_rows": self._level_rows,
            "feature_rows": self._feature_rows,
            "output": output,
            "coefficients": coefficients,
            "slopes": constants + coefficients,
            "values": 0,
        }
        return PlayerProgram(
            np.concatenate(self._weights),
            np.array([tuple(op.get(name, 0) for name in OPERATION.names or ()) for op in self._operations], OPERATION),
            np.array(buffers, BUFFER),
            np.array([tuple(numbers[name] for name in NET.names or ())], NET),
            size + tile_samples(self._target.width),
            self._target.width,
        )

    def _place_buffers(self, begin: int) -> tuple[list[tuple[int, ...]], int]:
        """Return the records of the buffers, laid out from `begin` on in the state, and where the last one ends."""
        width, tile = self._target.width, tile_samples(self._target.width)
        buffers, size = [], begin
        for buffer in self._buffers:
            history = _round_up(buffer["history"], width)
            room = history + (max(history, SLACK) if history else 0) + self._target.block + tile
            stride = _round_up(room, 2 * width) + width  # an odd number of vectors: rows do not share cache sets
            is_view = buffer["below"] != NONE
            base = buffers[buffer["below"]][0] + stride if is_view else size
            buffers.append((base, stride, history, buffer["rows"], history))
            size += 0 if is_view else stride * buffer["space"]
        return buffers, size


def choose_height(outputs: int, groups: int, registers: int) -> int:
    """Return the height of a convolution's tile that costs least; no tile spans two groups."""
    fitting = [rows for rows in tile_heights(registers) if groups == 1 or outputs // groups % rows == 0]
    chunks = {height: -(-outputs // height) for height in fitting}
    return min(fitting, key=lambda height: (chunks[height] * max(height, LATENCY), chunks[height] * height, -height))


def _slopes(nonlinear: NumpyNonlinear, channels: int) -> np.ndarray:
    """Return an activation's slope below zero for each channel."""
    if nonlinear.slopes is None:
        return np.full(channels, nonlinear.config.negative_slope, np.float32)
    return nonlinear.slopes


def _round_up(number: int, unit: int) -> int:
    """Return the next multiple of a unit."""
    return -(-number // unit) * unit
