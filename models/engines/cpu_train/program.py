"""What a stock WaveNet does to an item, forwards and backwards, as instructions of `models/tape_kernels.py`.

Time runs on one line for all rows: the input ends at `stop`, and what a layer gives is right from where its history is complete
(a range begins at the multiple of `GRAIN` before: what is computed too early is finite, and its gradient is zero).
The rows of gradients are never written past `stop`, so that a convolution's transpose reads zeros there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.engines.activations import GATINGS, KINDS
from models.engines.cpu_train.kernels import (
    ACTIVATE,
    ADD,
    DERIVE,
    GRADIENT,
    GRAIN,
    INSTRUCTION,
    LINEAR,
    PASS,
    TILE_ROWS,
)
from models.engines.simd import WIDTH
from models.network.architecture import Activation, LayerArray
from models.network.folding import Folding, is_sloped

Rows = Callable[[str, int], int]  # so many rows for a purpose: where they begin


class Affine(NamedTuple):
    """A matrix of the folded weights and the rows it is applied to."""

    first: int
    count: int
    weight: int
    column: int
    outs: int


class _Layer(NamedTuple):
    """One layer's place on the time line and in the workspace."""

    array: LayerArray
    index: int
    begin: int  # where its input is right
    end: int  # where its output is
    kept: int  # rows before the activation, or after it where that tells the derivative
    a: int
    conv: Affine
    residual: Affine | None
    head: Affine | None
    slopes: int


def _function(activation: Activation) -> tuple[int, float]:
    """Code and slope."""
    return KINDS[activation.type], activation.negative_slope if activation.type == "LeakyReLU" else 0.0


def _floor(t: int) -> int:
    return t // GRAIN * GRAIN


class Program:
    """The passes over one item of `samples` input samples; without `trains` only forwards, in less memory.

    The audio goes to `[audio, audio + samples)` of the workspace, `samples - R + 1` samples of output come to
    `output`, their gradient goes to `output_gradient`.
    """

    def __init__(self, folding: Folding, samples: int, trains: bool) -> None:
        self._folding, self._trains = folding, trains
        config = folding.stock
        self.stop = _floor(samples + GRAIN - 1) + GRAIN
        self._begin = self.stop - samples
        reach = max(0, *(before for array in config.arrays for before in _histories(array))) if trains else 0
        self.stride = (self.stop + reach) // 32 * 32 + 48  # an odd number of vectors: rows do not share cache sets
        self.size, self._instructions, self._places, self._terms = 0, [], [], []
        self._passes, self._opened = [], 0
        self.lanes = 0
        self._zero, self._audio, self.ones, self._y = (self._rows(1) for _ in range(4))
        self.audio = self._audio + self._begin
        self.outputs = samples - config.receptive_field + 1
        self.output = self._y + self.stop - self.outputs
        self._layers: list[list[_Layer]] = []
        self._heads: list[tuple[int, Affine]] = []  # per array: where what it hears begins, the head
        self._rechannels: list[Affine] = []
        self._forwards()
        self.forwards = self._taken()
        self.output_gradient = 0
        if trains:
            self._backwards()
        self.backwards = self._taken()
        self.instructions = np.array(self._instructions, INSTRUCTION)
        self.places, self.terms = np.array(self._places, np.int64), np.array(self._terms, np.int64)

    def _rows(self, count: int) -> int:
        base = self.size
        self.size += count * self.stride
        return base

    def _affine(self, kind: str, array: int, layer: int, inputs: list[int], outs: int, one: bool = True) -> Affine:
        """A matrix whose inputs are the rows at these places, and the constant 1 if `one`."""
        rows = [(place, term) for term, place in enumerate([*inputs, self.ones] if one else inputs)]
        weight = self._folding.places[kind, array, layer]
        return Affine(self._listed(rows), len(rows), weight, len(rows), outs)

    def _transposed(self, affine: Affine, rows: int, inputs: int, taps: int = 1, dilation: int = 1) -> Affine:
        """From the gradient of its outputs, at `rows`, to that of its first inputs."""
        listed = [
            (rows + out * self.stride + (taps - 1 - tap) * dilation, out * affine.column + tap)
            for out in range(affine.outs)
            for tap in range(taps)
        ]
        return Affine(self._listed(listed), len(listed), affine.weight, taps, inputs)

    def _listed(self, rows: list[tuple[int, int]]) -> int:
        first = len(self._places)
        filled = rows + [(self._zero, 0)] * (-len(rows) % TILE_ROWS)
        self._places += [place for place, _ in filled]
        self._terms += [term for _, term in filled]
        return first

    def _convolved(self, x: int, channels: int, taps: int, dilation: int) -> list[int]:
        """Places of every channel at every tap."""
        return [x + c * self.stride - (taps - 1 - k) * dilation for c in range(channels) for k in range(taps)]

    def _emit(self, kind: int, start: int, **fields: float) -> None:
        plain = {"again": -1, "slopes": -1, "base_step": self.stride, "kind": kind, "start": _floor(start)}
        values = {name: 0 for name in INSTRUCTION.names or ()} | plain | fields
        if values["base"] == self._zero:
            values["base_step"] = 0
        self._instructions.append(tuple(values.values()))

    def _linear(self, start: int, affine: Affine, out: int, base: int) -> None:
        self._emit(LINEAR, start, **affine._asdict(), out=out, base=base)

    def _clear(self, start: int, rows: int, count: int) -> None:
        self._linear(start, Affine(0, 0, 0, 0, count), rows, self._zero)

    def _gradient(self, start: int, affine: Affine, rows: int, lanes: int) -> int:
        """Returns where the lanes end."""
        self._emit(GRADIENT, start, **affine._asdict(), base=rows, lanes=lanes)
        end = lanes + (affine.count + -affine.count % TILE_ROWS) * affine.outs * WIDTH
        self.lanes = max(self.lanes, end)
        return end

    def _pass(self, start: int, backwards: bool = False, lanes: int = 0) -> None:
        """Close a pass: what was emitted since the last one."""
        self._passes.append((self._opened, len(self._instructions), _floor(start), backwards, lanes))
        self._opened = len(self._instructions)

    def _taken(self) -> np.ndarray:
        passes, self._passes = np.array(self._passes, PASS), []
        return passes

    def _forwards(self) -> None:
        config, t = self._folding.stock, self._begin
        inputs = [self._audio]
        heads = self._rows(config.arrays[0].head_width)
        added = self._zero  # what the head's sum is before the first layer
        for a, array in enumerate(config.arrays):
            fresh = self._fresh_rows(array)
            x = fresh("x", array.channels)
            rechannel = self._affine("rechannel", a, -1, inputs, array.channels, one=a == 0)
            self._linear(t, rechannel, x, self._zero)
            self._pass(t)
            self._rechannels.append(rechannel)
            end, layers = t + sum(_histories(array)[:-1]), []
            for index in range(array.depth):
                last = a == len(config.arrays) - 1 and index == array.depth - 1
                layer = self._layer(a, index, t, x, fresh, last)
                layers.append(layer)
                self._linear(layer.end, layer.conv, layer.kept, self._zero)
                self._emit(ACTIVATE, layer.end, **self._functions(layer), out=layer.a)
                if layer.head:
                    self._linear(end, layer.head, heads, added)
                else:
                    self._emit(ADD, end, outs=array.width, base=added, value=layer.a, out=heads)
                added, t, before = heads, layer.end, x
                if not last:
                    x = fresh("x", array.channels)
                    if layer.residual:
                        self._linear(t, layer.residual, x, before)
                    else:
                        self._emit(ADD, t, outs=array.channels, base=before, value=layer.a, out=x)
                self._pass(t)
            self._layers.append(layers)
            taps, outs = array.head_kernel_size, config.head_outputs(a)
            head = self._affine("head", a, -1, self._convolved(heads, array.head_width, taps, 1), outs)
            self._heads.append((end, head))
            t = end + taps - 1
            heads = self._y if a == len(config.arrays) - 1 else self._rows(outs)
            added = heads
            self._linear(t, head, heads, self._zero)
            self._pass(t)
            inputs = [x + c * self.stride for c in range(array.channels)]

    def _fresh_rows(self, array: LayerArray) -> Rows:
        """Rows for each layer, or the same ones in turn where nothing is remembered."""
        names = {"x": array.channels, "other": array.channels, "kept": _inner(array), "a": array.width}
        rows = {name: self._rows(count) for name, count in names.items() if name == "a" or not self._trains}

        def fresh(name: str, count: int) -> int:
            if self._trains and name != "a":
                return self._rows(count)
            if name == "x":
                rows["x"], rows["other"] = rows["other"], rows["x"]
            return rows[name]

        return fresh

    def _layer(self, a: int, index: int, begin: int, x: int, fresh: Rows, last: bool) -> _Layer:
        array = self._folding.stock.arrays[a]
        kernel, dilation = array.kernel_sizes[index], array.dilations[index]
        kept = fresh("kept", array.inner(index))
        activation = array.activations[index]
        tells = array.gates[index] is None and activation.type != "SiLU" and not is_sloped(activation)
        a_rows = kept if tells else fresh("a", array.width)
        taps = [*self._convolved(x, array.channels, kernel, dilation), self._audio]
        after = [a_rows + c * self.stride for c in range(array.width)]
        return _Layer(
            array=array,
            index=index,
            begin=begin,
            end=begin + (kernel - 1) * dilation,
            kept=kept,
            a=a_rows,
            conv=self._affine("conv", a, index, taps, array.inner(index)),
            residual=self._affine("layer1x1", a, index, after, array.channels) if array.layer1x1 and not last else None,
            head=self._affine("head1x1", a, index, after, array.head1x1) if array.head1x1 else None,
            slopes=self._folding.places.get(("slopes", a, index), -1),
        )

    def _functions(self, layer: _Layer) -> dict[str, float]:
        array = layer.array
        function, slope = _function(array.activations[layer.index])
        gate, gate_slope = _function(array.gates[layer.index] or array.activations[layer.index])
        return {
            "function": function,
            "slope": slope,
            "gate": gate,
            "gate_slope": gate_slope,
            "gating": GATINGS[array.gatings[layer.index]],
            "weight": layer.slopes,
            "outs": array.width,
            "value": layer.kept,
        }

    def _backwards(self) -> None:
        arrays, last = self._folding.stock.arrays, len(self._folding.stock.arrays) - 1
        d_head, d_after = self._rows(1), 0  # gradients of the array's head, and of the next array's input
        self.output_gradient = d_head + self.output - self._y
        for a in range(last, -1, -1):
            array = arrays[a]
            start = self._layers[a][0].begin
            d, dz = self._rows(array.channels), self._rows(_inner(array))
            da, slopes = self._rows(array.width), self._rows(_inner(array))
            end, head = self._heads[a]
            d_heads = self._rows(array.head_width)
            self._clear(start, dz, _inner(array))
            if a == last:
                self._clear(start, d, array.channels)
            else:
                back = self._transposed(self._rechannels[a + 1], d_after, array.channels)
                self._linear(start, back, d, self._zero)
            back = self._transposed(head, d_head, array.head_width, array.head_kernel_size)
            self._linear(end, back, d_heads, self._zero)
            lanes = self._gradient(end + array.head_kernel_size - 1, head, d_head, 0)
            self._pass(start, backwards=True, lanes=lanes)
            for layer in reversed(self._layers[a]):
                is_last = a == last and layer.index == array.depth - 1
                self._layer_backwards(layer, None if is_last else d, d, d_heads, da, dz, slopes)
            lanes = self._gradient(start, self._rechannels[a], d, 0)
            self._pass(start, backwards=True, lanes=lanes)
            d_after, d_head = d, d_heads

    def _layer_backwards(
        self, layer: _Layer, arriving: int | None, d: int, d_heads: int, da: int, dz: int, slopes: int
    ) -> None:
        """From the gradients at `d_heads` and of its residual, `arriving` (none where nothing hears it), to that of its input, at `d`."""
        array, t, base, lanes = layer.array, layer.end, d_heads, 0
        if layer.head:
            self._linear(t, self._transposed(layer.head, d_heads, array.width), da, self._zero)
            base = da
        if arriving is not None and layer.residual:
            self._linear(t, self._transposed(layer.residual, arriving, array.width), da, base)
            base = da
        elif arriving is not None:
            self._emit(ADD, t, outs=array.width, base=base, value=arriving, out=da)
            base = da
        again, slopes = -1 if layer.a == layer.kept else layer.a, -1 if layer.slopes < 0 else slopes
        self._emit(DERIVE, t, **self._functions(layer), base=base, out=dz, again=again, slopes=slopes)
        lanes = self._gradient(t, layer.conv, dz, lanes)
        if layer.slopes >= 0:
            ones = Affine(self._listed([(self.ones, 0)]), 1, layer.slopes, 1, array.inner(layer.index))
            lanes = self._gradient(t, ones, slopes, lanes)
        if arriving is not None and layer.residual:
            lanes = self._gradient(t, layer.residual, arriving, lanes)
        if layer.head:
            lanes = self._gradient(t, layer.head, d_heads, lanes)
        kernel, dilation = array.kernel_sizes[layer.index], array.dilations[layer.index]
        self._linear(layer.begin, self._transposed(layer.conv, dz, array.channels, kernel, dilation), d, d)
        self._pass(layer.begin, backwards=True, lanes=lanes)


def _histories(array: LayerArray) -> list[int]:
    """Samples of history that each layer needs, then those of the head."""
    layers = [(k - 1) * d for k, d in zip(array.kernel_sizes, array.dilations, strict=True)]
    return [*layers, array.head_kernel_size - 1]


def _inner(array: LayerArray) -> int:
    """Channels before the activation, at most."""
    return max(map(array.inner, range(array.depth)))
