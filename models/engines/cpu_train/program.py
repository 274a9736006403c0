"""The passes over one item, forward and backward through a folded WaveNet, as instructions of `cpu_train.kernels`.

All rows share one line of time: the input ends at `stop`, and a row is valid from where its history is complete. A
range begins at the multiple of `GRAIN` before that; what is computed too early is finite, and its gradient is zero.
Rows of gradients are never written past `stop`, so that the transpose of a convolution reads zeros there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.engines.activation_codes import ACTIVATION_CODES, GATING_CODES
from models.engines.base import GRAIN, gradient_reach
from models.engines.cpu_train.kernels import (
    ACTIVATION,
    ACTIVATION_GRADIENT,
    ADD,
    AFFINE,
    INSTRUCTION,
    PASS,
    TILE_ROWS,
    WEIGHT_GRADIENT,
)
from models.engines.simd import WIDTH
from models.network.activation import Activation
from models.network.architecture import LayerArray
from models.network.folding import Folding, needs_slopes

AllocateRows = Callable[[str, int], int]  # so many rows for a purpose; returns where they begin


class Affine(NamedTuple):
    """A matrix of the folded weights and its inputs in the tables; the fields are those of an instruction."""

    first: int
    count: int
    weight: int
    weight_step: int
    outs: int


class _ProgramLayer(NamedTuple):
    """One layer's place on the line of time and in the workspace."""

    array: LayerArray
    index: int
    begin: int  # where its input is valid
    end: int  # where its output is valid
    z: int  # rows before the activation
    a: int  # rows after it; the same rows where the derivative can be computed from the output
    conv: Affine
    residual: Affine | None
    head: Affine | None
    slopes: int  # index of its slopes among the weights, -1 for none


class TrainingProgram:
    """The passes over one item of `samples` input samples; without `trains` the forward ones alone, in less memory.

    With `truncates` the backward ones begin where `gradient_reach` says.

    `forward` and `backward` are records of `PASS`, `instructions` of `INSTRUCTION`. The workspace has `size` numbers,
    rows of `stride`. The audio is written to `[audio, audio + samples)`, the `outputs` (samples - R + 1) samples of
    output are read from `output`, and their gradient is written to `output_gradient`. The row `ones` holds ones.
    """

    def __init__(self, folding: Folding, samples: int, trains: bool, truncates: bool = False) -> None:
        self._folding, self._trains = folding, trains
        config = folding.stock
        self.stop = _round_down(samples + GRAIN - 1) + GRAIN
        self._begin = self.stop - samples
        reach = max(0, *(before for array in config.arrays for before in _histories(array))) if trains else 0
        self.stride = (self.stop + reach) // 32 * 32 + 48  # an odd number of vectors: rows do not share cache sets
        self.size, self._instructions, self._offsets, self._terms = 0, [], [], []
        self._passes, self._pass_begin = [], 0
        self.lanes = 0
        self._zero, self._audio, self.ones, self._y = (self._rows(1) for _ in range(4))
        self.audio = self._audio + self._begin
        self.outputs = samples - config.receptive_field + 1
        self.output = self._y + self.stop - self.outputs
        self._reached = self.stop - gradient_reach(self.outputs) if truncates else 0  # nothing before has a gradient
        self._layers: list[list[_ProgramLayer]] = []
        self._heads: list[tuple[int, Affine]] = []  # per array: where its input is valid, the head
        self._rechannels: list[Affine] = []
        self._build_forward()
        self.forward = self._take_passes()
        self.output_gradient = 0
        if trains:
            self._build_backward()
        self.backward = self._take_passes()
        self.instructions = np.array(self._instructions, INSTRUCTION)
        self.offsets, self.terms = np.array(self._offsets, np.int64), np.array(self._terms, np.int64)

    def _rows(self, count: int) -> int:
        """Allocate rows of the workspace; returns where they begin."""
        base = self.size
        self.size += count * self.stride
        return base

    def _affine(self, kind: str, array: int, layer: int, inputs: list[int], outs: int, one: bool = True) -> Affine:
        """Return a matrix whose inputs are the rows at these offsets, and the constant 1 if `one`."""
        rows = [(offset, term) for term, offset in enumerate([*inputs, self.ones] if one else inputs)]
        weight = self._folding.offsets[kind, array, layer]
        return Affine(self._add_inputs(rows), len(rows), weight, len(rows), outs)

    def _transposed(self, affine: Affine, rows: int, inputs: int, taps: int = 1, dilation: int = 1) -> Affine:
        """Return the transpose: from the gradient of the outputs, at `rows`, to that of the first `inputs` channels."""
        table = [
            (rows + out * self.stride + (taps - 1 - tap) * dilation, out * affine.weight_step + tap)
            for out in range(affine.outs)
            for tap in range(taps)
        ]
        return Affine(self._add_inputs(table), len(table), affine.weight, taps, inputs)

    def _add_inputs(self, rows: list[tuple[int, int]]) -> int:
        """Append inputs, pairs of offset and term, to the tables; returns the index of the first."""
        first = len(self._offsets)
        padded = rows + [(self._zero, 0)] * (-len(rows) % TILE_ROWS)
        self._offsets += [offset for offset, _ in padded]
        self._terms += [term for _, term in padded]
        return first

    def _conv_inputs(self, x: int, channels: int, taps: int, dilation: int) -> list[int]:
        """Return the offsets of every channel at every tap."""
        return [x + c * self.stride - (taps - 1 - k) * dilation for c in range(channels) for k in range(taps)]

    def _emit(self, kind: int, start: int, **fields: float) -> None:
        defaults = {"activated": -1, "slopes": -1, "base_step": self.stride, "kind": kind, "start": _round_down(start)}
        values = {name: 0 for name in INSTRUCTION.names or ()} | defaults | fields
        if values["base"] == self._zero:
            values["base_step"] = 0
        self._instructions.append(tuple(values.values()))

    def _linear(self, start: int, affine: Affine, out: int, base: int) -> None:
        self._emit(AFFINE, start, **affine._asdict(), out=out, base=base)

    def _clear(self, start: int, rows: int, count: int) -> None:
        self._linear(start, Affine(0, 0, 0, 0, count), rows, self._zero)

    def _gradient(self, start: int, affine: Affine, rows: int, lanes: int) -> int:
        """Emit the gradient of a matrix, from that of its outputs at `rows`; returns where its lanes end."""
        self._emit(WEIGHT_GRADIENT, start, **affine._asdict(), base=rows, lanes=lanes)
        end = lanes + (affine.count + -affine.count % TILE_ROWS) * affine.outs * WIDTH
        self.lanes = max(self.lanes, end)
        return end

    def _close_pass(self, start: int, is_backward: bool = False, lanes: int = 0) -> None:
        """Make a pass of all that was emitted since the last one."""
        self._passes.append((self._pass_begin, len(self._instructions), _round_down(start), is_backward, lanes))
        self._pass_begin = len(self._instructions)

    def _take_passes(self) -> np.ndarray:
        passes, self._passes = np.array(self._passes, PASS), []
        return passes

    def _build_forward(self) -> None:
        arrays, t = self._folding.stock.arrays, self._begin
        inputs, heads = [self._audio], self._rows(arrays[0].head_width)
        addend = self._zero  # nothing has been added to the input of the first head yet
        for a, array in enumerate(arrays):
            rechannel = self._affine("rechannel", a, -1, inputs, array.channels, one=a == 0)
            self._rechannels.append(rechannel)
            end = t + sum(_histories(array)[:-1])
            x = self._build_layers(a, rechannel, t, heads, addend, end)
            taps, outs = array.head_kernel_size, self._folding.stock.head_outputs(a)
            head = self._affine("head", a, -1, self._conv_inputs(heads, array.head_width, taps, 1), outs)
            self._heads.append((end, head))
            t = end + taps - 1
            heads = addend = self._y if a == len(arrays) - 1 else self._rows(outs)
            self._linear(t, head, heads, self._zero)
            self._close_pass(t)
            inputs = [x + c * self.stride for c in range(array.channels)]

    def _build_layers(self, a: int, rechannel: Affine, t: int, heads: int, addend: int, end: int) -> int:
        """Emit an array's rechannel and layers, valid from t on, one pass each; returns the rows of its residual.

        The layers write their part of the head's input into `heads`, from `end` on; the first adds it to `addend`.
        """
        array, layers = self._folding.stock.arrays[a], []
        allocate = self._row_allocator(array)
        x = allocate("x", array.channels)
        self._linear(t, rechannel, x, self._zero)
        self._close_pass(t)
        for index in range(array.depth):
            last = a == len(self._folding.stock.arrays) - 1 and index == array.depth - 1
            layer = self._layer(a, index, t, x, allocate, last)
            layers.append(layer)
            self._linear(layer.end, layer.conv, layer.z, self._zero)
            self._emit(ACTIVATION, layer.end, **self._activation_fields(layer), out=layer.a)
            if layer.head:
                self._linear(end, layer.head, heads, addend)
            else:
                self._emit(ADD, end, outs=array.width, base=addend, value=layer.a, out=heads)
            addend, t, before = heads, layer.end, x
            if not last:
                x = allocate("x", array.channels)
                if layer.residual:
                    self._linear(t, layer.residual, x, before)
                else:
                    self._emit(ADD, t, outs=array.channels, base=before, value=layer.a, out=x)
            self._close_pass(t)
        self._layers.append(layers)
        return x

    def _row_allocator(self, array: LayerArray) -> AllocateRows:
        """Return an allocator: new rows for each layer, or the same ones in turn where no backward pass needs them."""
        names = {"x": array.channels, "other": array.channels, "z": _max_conv_channels(array), "a": array.width}
        rows = {name: self._rows(count) for name, count in names.items() if name == "a" or not self._trains}

        def allocate(name: str, count: int) -> int:
            if self._trains and name != "a":
                return self._rows(count)
            if name == "x":
                rows["x"], rows["other"] = rows["other"], rows["x"]
            return rows[name]

        return allocate

    def _layer(self, a: int, index: int, begin: int, x: int, allocate: AllocateRows, last: bool) -> _ProgramLayer:
        """Allocate the rows and look up the matrices of a layer whose input, at rows x, is valid from `begin` on."""
        array = self._folding.stock.arrays[a]
        kernel, dilation = array.kernel_sizes[index], array.dilations[index]
        z = allocate("z", array.conv_channels(index))
        activation = array.activations[index]
        in_place = array.gates[index] is None and activation.type != "SiLU" and not needs_slopes(activation)
        a_rows = z if in_place else allocate("a", array.width)
        taps = [*self._conv_inputs(x, array.channels, kernel, dilation), self._audio]
        after = [a_rows + c * self.stride for c in range(array.width)]
        return _ProgramLayer(
            array=array,
            index=index,
            begin=begin,
            end=begin + (kernel - 1) * dilation,
            z=z,
            a=a_rows,
            conv=self._affine("conv", a, index, taps, array.conv_channels(index)),
            residual=self._affine("layer1x1", a, index, after, array.channels) if array.layer1x1 and not last else None,
            head=self._affine("head1x1", a, index, after, array.head1x1) if array.head1x1 else None,
            slopes=self._folding.offsets.get(("slopes", a, index), -1),
        )

    def _activation_fields(self, layer: _ProgramLayer) -> dict[str, float]:
        """Return the fields of an instruction that describe a layer's activation."""
        array = layer.array
        activation, slope = _code_and_slope(array.activations[layer.index])
        gate, gate_slope = _code_and_slope(array.gates[layer.index] or array.activations[layer.index])
        return {
            "activation": activation,
            "slope": slope,
            "gate": gate,
            "gate_slope": gate_slope,
            "gating": GATING_CODES[array.gatings[layer.index]],
            "weight": layer.slopes,
            "outs": array.width,
            "value": layer.z,
        }

    def _build_backward(self) -> None:
        arrays, last = self._folding.stock.arrays, len(self._folding.stock.arrays) - 1
        d_head, d_after = self._rows(1), 0  # gradients of the array's head, and of the next array's input
        self.output_gradient = d_head + self.output - self._y
        for a in range(last, -1, -1):
            array = arrays[a]
            start = max(self._layers[a][0].begin, self._reached)
            d, dz = self._rows(array.channels), self._rows(_max_conv_channels(array))
            da, slopes = self._rows(array.width), self._rows(_max_conv_channels(array))
            end, head = self._heads[a]
            d_heads = self._rows(array.head_width)
            self._clear(start, dz, _max_conv_channels(array))
            if a == last:
                self._clear(start, d, array.channels)
            else:
                back = self._transposed(self._rechannels[a + 1], d_after, array.channels)
                self._linear(start, back, d, self._zero)
            back = self._transposed(head, d_head, array.head_width, array.head_kernel_size)
            self._linear(max(end, self._reached), back, d_heads, self._zero)
            lanes = self._gradient(max(end + array.head_kernel_size - 1, self._reached), head, d_head, 0)
            self._close_pass(start, is_backward=True, lanes=lanes)
            for layer in reversed(self._layers[a]):
                is_last = a == last and layer.index == array.depth - 1
                self._layer_backward(layer, None if is_last else d, d, d_heads, da, dz, slopes)
            lanes = self._gradient(start, self._rechannels[a], d, 0)
            self._close_pass(start, is_backward=True, lanes=lanes)
            d_after, d_head = d, d_heads

    def _layer_backward(
        self, layer: _ProgramLayer, arriving: int | None, d: int, d_heads: int, da: int, dz: int, slopes: int
    ) -> None:
        """Emit a layer's backward pass, to the gradient of its input at `d`.

        It begins from the gradients of its part of the head's input, at `d_heads`, and of its residual, at `arriving`
        (None where nothing takes the residual). `da`, `dz` and `slopes` are rows to work in.
        """
        array, t, base, lanes = layer.array, max(layer.end, self._reached), d_heads, 0
        if layer.head:
            self._linear(t, self._transposed(layer.head, d_heads, array.width), da, self._zero)
            base = da
        if arriving is not None and layer.residual:
            self._linear(t, self._transposed(layer.residual, arriving, array.width), da, base)
            base = da
        elif arriving is not None:
            self._emit(ADD, t, outs=array.width, base=base, value=arriving, out=da)
            base = da
        activated, slopes = -1 if layer.a == layer.z else layer.a, -1 if layer.slopes < 0 else slopes
        fields = self._activation_fields(layer)
        self._emit(ACTIVATION_GRADIENT, t, **fields, base=base, out=dz, activated=activated, slopes=slopes)
        lanes = self._gradient(t, layer.conv, dz, lanes)
        if layer.slopes >= 0:
            ones = Affine(self._add_inputs([(self.ones, 0)]), 1, layer.slopes, 1, array.conv_channels(layer.index))
            lanes = self._gradient(t, ones, slopes, lanes)
        if arriving is not None and layer.residual:
            lanes = self._gradient(t, layer.residual, arriving, lanes)
        if layer.head:
            lanes = self._gradient(t, layer.head, d_heads, lanes)
        kernel, dilation = array.kernel_sizes[layer.index], array.dilations[layer.index]
        begin = max(layer.begin, self._reached)
        self._linear(begin, self._transposed(layer.conv, dz, array.channels, kernel, dilation), d, d)
        self._close_pass(begin, is_backward=True, lanes=lanes)


def _histories(array: LayerArray) -> list[int]:
    """Return the samples of history of each layer, then those of the head."""
    layers = [(k - 1) * d for k, d in zip(array.kernel_sizes, array.dilations, strict=True)]
    return [*layers, array.head_kernel_size - 1]


def _max_conv_channels(array: LayerArray) -> int:
    """Return the largest number of channels before an activation."""
    return max(map(array.conv_channels, range(array.depth)))


def _code_and_slope(activation: Activation) -> tuple[int, float]:
    """Return an activation's code, and its slope below zero if it is a constant one."""
    is_leaky = activation.type == "LeakyReLU"
    return ACTIVATION_CODES[activation.type], activation.negative_slope if is_leaky else 0.0


def _round_down(t: int) -> int:
    """Return the multiple of `GRAIN` at or before t."""
    return t // GRAIN * GRAIN
