"""The compiled half of the engine: a small program over rows of samples, run block by block.

A model is lowered (models/lower.py) to a list of operations on buffers, of three kinds, that are compiled once for all shapes:

* `CONVOLVE`: a causal convolution of some rows, plus a product of others, plus a bias; onto another buffer, if asked.
* `MODULATE`: each row times a scale plus a shift (FiLM); onto another buffer, if asked.
* `ACTIVATE`: the nonlinearity and its gate, and a sum of what comes out.

A bias, scale or shift is a *coefficient*: a constant plus a product with the knob features. Where knobs stand still its value is
reckoned once per block; where they move, sample by sample, in the very place where it is used.

`weights` (float32) holds what is fixed, `state` (float32) coefficients and buffers. A buffer is rows of `stride` samples; the present block
begins at `at`, its history lies before it. Rows are worked on in whole tiles: past the block's end stands what nobody reads.
Shapes: K knobs, E features that the layers see of them, T time.
"""

import numba
import numpy as np

from models import simd
from models.cache import FAST, compiled
from models.simd import (
    REGISTERS,
    WIDTH,
    absolute,
    add_tiles,
    fma,
    fma_spread,
    load,
    load_tile,
    maximum,
    minimum,
    splat,
    spread,
    spread_tile,
    store,
    store_tile,
    where_negative,
)

CONVOLVE, MODULATE, ACTIVATE = range(3)
IDENTITY, TANH, RELU, SLOPED, SILU, HARDTANH, SOFTSIGN, SIGMOID = range(8)
PLAIN, GATED, BLENDED = range(3)
NONE = -1  # where an operation names no buffer

COLUMNS = 2  # vectors of time in a tile
TILE = COLUMNS * WIDTH  # samples
HEIGHTS = tuple(rows for rows in (1, 2, 3, 4, 6, 8) if rows * COLUMNS + COLUMNS + 1 <= REGISTERS)  # rows in a tile

BUFFER = np.dtype([(name, np.int64) for name in ("base", "stride", "history", "rows", "at")])
OPERATION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "source", "target", "onto", "rows"),  # rows: of the target, those that are needed
            *("height", "groups", "chunks", "rows_per_group", "taps", "dilation", "weights", "bias"),  # convolve
            *("follows", "extra", "extra_rows"),
            *("scale", "shift"),  # modulate
            *("activation", "slopes", "gating", "gate", "gate_slopes", "sum", "sum_onto"),  # activate
        )
    ]
)
NET = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("knobs", "features", "block", "fed", "heard", "output", "fills"),
            *("encoder", "constants", "coefficients", "values"),
        )
    ]
)


@numba.njit(**FAST)
def _tanh(x):
    """A quotient of odd and even polynomials, right to a few units in the last place (Eigen's `generic_fast_tanh_float`)."""
    x = maximum(splat(-7.90531110763549805), minimum(splat(7.90531110763549805), x))
    y = x * x
    top = fma(y, splat(-2.76076847742355e-16), splat(2.00018790482477e-13))
    top = fma(y, top, splat(-8.60467152213735e-11))
    top = fma(y, top, splat(5.12229709037114e-08))
    top = fma(y, top, splat(1.48572235717979e-05))
    top = fma(y, top, splat(6.37261928875436e-04))
    top = fma(y, top, splat(4.89352455891786e-03))
    bottom = fma(y, splat(1.19825839466702e-06), splat(1.18534705686654e-04))
    bottom = fma(y, bottom, splat(2.26843463243900e-03))
    bottom = fma(y, bottom, splat(4.89352518554385e-03))
    return x * top / bottom


@numba.njit(**FAST)
def _sigmoid(x):
    return fma(_tanh(x * 0.5), splat(0.5), splat(0.5))


@numba.njit(**FAST)
def _nonlinear(kind, x, slope):
    """One of the activations; `slope` is where `SLOPED` goes below zero."""
    if kind == TANH:
        return _tanh(x)
    if kind == RELU:
        return maximum(splat(0.0), x)
    if kind == SLOPED:
        return where_negative(x, x * slope, x)
    if kind == SILU:
        return x * _sigmoid(x)
    if kind == HARDTANH:
        return maximum(splat(-1.0), minimum(splat(1.0), x))
    if kind == SOFTSIGN:
        return x / (1.0 + absolute(x))
    if kind == SIGMOID:
        return _sigmoid(x)
    return x


@numba.njit(**FAST)
def _present(buffers, index):
    """Where the first row of the present block begins."""
    return buffers[index].base + buffers[index].at


def _convolution(height: int):
    """The convolution whose tiles are `height` rows high."""

    @numba.njit(**FAST)
    def convolve(weights, state, op, buffers, net, samples, features):
        source, source_stride = _present(buffers, op.source), buffers[op.source].stride
        target, target_stride = _present(buffers, op.target), buffers[op.target].stride
        extra, extra_stride = _present(buffers, op.extra), buffers[op.extra].stride
        knobs, knobs_stride = _present(buffers, net.heard) + buffers[net.heard].stride, buffers[net.heard].stride
        adds = op.onto != NONE
        onto, onto_stride = (_present(buffers, op.onto), buffers[op.onto].stride) if adds else (target, target_stride)
        groups, chunks, rows, taps, extra_rows = op.groups, op.chunks, op.rows_per_group, op.taps, op.extra_rows
        dilation, following, constants = op.dilation, features if op.follows else 0, net.constants
        for t in range(0, samples, TILE):
            w, bias, row = op.weights, op.bias, 0
            for group in range(groups):
                first = source + group * rows * source_stride + t - (taps - 1) * dilation
                for _ in range(chunks):
                    tile = spread_tile(state, net.values + bias, height, COLUMNS)
                    for feature in range(following):
                        slope = net.coefficients + feature * constants + bias
                        tile = fma_spread(tile, weights, slope, state, knobs + feature * knobs_stride + t)
                    for tap in range(taps):
                        x = first + tap * dilation
                        for _ in range(rows):
                            tile = fma_spread(tile, weights, w, state, x)
                            w += height
                            x += source_stride
                    x = extra + t
                    for _ in range(extra_rows):
                        tile = fma_spread(tile, weights, w, state, x)
                        w += height
                        x += extra_stride
                    if adds:
                        there = load_tile(state, onto + row * onto_stride + t, onto_stride, height, COLUMNS)
                        tile = add_tiles(tile, there)
                    store_tile(state, target + row * target_stride + t, target_stride, tile)
                    bias += height
                    row += height

    return convolve


_CONVOLUTIONS = {height: _convolution(height) for height in (1, 2, 3, 4, 6, 8)}
_convolve_1, _convolve_2, _convolve_3 = (_CONVOLUTIONS[height] for height in (1, 2, 3))
_convolve_4, _convolve_6, _convolve_8 = (_CONVOLUTIONS[height] for height in (4, 6, 8))


@numba.njit(**FAST)
def _convolve(weights, state, op, buffers, net, samples, features):
    if op.height == 8:
        _convolve_8(weights, state, op, buffers, net, samples, features)
    elif op.height == 6:
        _convolve_6(weights, state, op, buffers, net, samples, features)
    elif op.height == 4:
        _convolve_4(weights, state, op, buffers, net, samples, features)
    elif op.height == 3:
        _convolve_3(weights, state, op, buffers, net, samples, features)
    elif op.height == 2:
        _convolve_2(weights, state, op, buffers, net, samples, features)
    else:
        _convolve_1(weights, state, op, buffers, net, samples, features)


@numba.njit(**FAST)
def _coefficient(weights, state, net, index, knobs, knobs_stride, features):
    """One coefficient over one vector of time, as the knobs stand in each sample."""
    value = spread(state, net.values + index)
    for feature in range(features):
        slope = spread(weights, net.coefficients + feature * net.constants + index)
        value = fma(slope, load(state, knobs + feature * knobs_stride), value)
    return value


@numba.njit(**FAST)
def _modulate(weights, state, op, buffers, net, samples, features):
    source, source_stride = _present(buffers, op.source), buffers[op.source].stride
    target, target_stride = _present(buffers, op.target), buffers[op.target].stride
    knobs, knobs_stride = _present(buffers, net.heard) + buffers[net.heard].stride, buffers[net.heard].stride
    adds = op.onto != NONE
    onto, onto_stride = (_present(buffers, op.onto), buffers[op.onto].stride) if adds else (target, target_stride)
    for row in range(op.rows):
        for t in range(0, samples, WIDTH):
            scale = _coefficient(weights, state, net, op.scale + row, knobs + t, knobs_stride, features)
            shift = _coefficient(weights, state, net, op.shift + row, knobs + t, knobs_stride, features)
            z = fma(scale, load(state, source + row * source_stride + t), shift)
            if adds:
                z += load(state, onto + row * onto_stride + t)
            store(state, target + row * target_stride + t, z)


@numba.njit(**FAST)
def _activate(weights, state, op, buffers, samples):
    source, source_stride = _present(buffers, op.source), buffers[op.source].stride
    target, target_stride = _present(buffers, op.target), buffers[op.target].stride
    sums, adds = op.sum != NONE, op.sum_onto != NONE
    total, total_stride = (_present(buffers, op.sum), buffers[op.sum].stride) if sums else (target, target_stride)
    onto, onto_stride = (_present(buffers, op.sum_onto), buffers[op.sum_onto].stride) if adds else (total, total_stride)
    rows, activation, gating, gate = op.rows, op.activation, op.gating, op.gate
    for row in range(rows):
        slope, gate_slope = spread(weights, op.slopes + row), spread(weights, op.gate_slopes + row)
        for t in range(0, samples, WIDTH):
            z = load(state, source + row * source_stride + t)
            a = _nonlinear(activation, z, slope)
            if gating != PLAIN:
                by = _nonlinear(gate, load(state, source + (rows + row) * source_stride + t), gate_slope)
                a = fma(by, a - z, z) if gating == BLENDED else by * a
            store(state, target + row * target_stride + t, a)
            if sums:
                if adds:
                    a += load(state, onto + row * onto_stride + t)
                store(state, total + row * total_stride + t, a)


@numba.njit(**FAST)
def _rewind(state, buffers, samples):
    """Make room for a block: where a buffer ends, its history moves to the front."""
    for index in range(len(buffers)):
        history = buffers[index].history
        if buffers[index].at + samples + TILE > buffers[index].stride:
            for row in range(buffers[index].rows):
                front = buffers[index].base + row * buffers[index].stride
                last = front + buffers[index].at - history
                for t in range(0, history, WIDTH):
                    store(state, front + t, load(state, last + t))
            buffers[index].at = history


@numba.njit(**FAST)
def _encode(weights, state, net, buffers, levels_KT, begin, samples):
    """Write the rows of knobs, as they are and as the layers see them, from sample `begin` on (or the one that stands still)."""
    moves = levels_KT.shape[1] > 1
    fed, heard = buffers[net.fed], buffers[net.heard]
    for knob in range(net.knobs):
        row = fed.base + (1 + knob) * fed.stride
        for t in range(samples):
            state[row + t] = levels_KT[knob, begin + t if moves else 0]
    if net.encoder != NONE:
        for feature in range(net.features):
            row = heard.base + (1 + feature) * heard.stride
            line = net.encoder + feature * (1 + net.knobs)
            for t in range(samples):
                value = weights[line]
                for knob in range(net.knobs):
                    value += weights[line + 1 + knob] * state[fed.base + (1 + knob) * fed.stride + t]
                state[row + t] = value if value > 0 or value != value else np.float32(0)


@numba.njit(**FAST)
def _settle(weights, state, net, buffers, moves):
    """Reckon the coefficients: as the knobs stand, or what is constant in them where the knobs move."""
    constants = net.coefficients - net.constants  # they stand before what knobs add to them
    first = buffers[net.heard].base + buffers[net.heard].stride
    for t in range(0, net.constants, WIDTH):
        value = load(weights, constants + t)
        if not moves:
            for feature in range(net.features):
                level = spread(state, first + feature * buffers[net.heard].stride)
                value = fma(level, load(weights, net.coefficients + feature * net.constants + t), value)
        store(state, net.values + t, value)


def _play(weights, state, operations, buffers, nets, x_T, levels_KT, y_T):
    """Play a signal of any length; `levels_KT` has one column where knobs stand still, else one for each sample."""
    net, moves = nets[0], levels_KT.shape[1] > 1
    for begin in range(0, len(x_T), net.block):
        samples = min(net.block, len(x_T) - begin)
        if moves or net.fills or begin == 0:
            _encode(weights, state, net, buffers, levels_KT, begin, samples if moves or net.fills else 1)
        if begin == 0:
            _settle(weights, state, net, buffers, moves)
        for t in range(samples):
            state[buffers[net.fed].base + t] = x_T[begin + t]
            state[buffers[net.heard].base + t] = x_T[begin + t]
        _rewind(state, buffers, samples)
        features = net.features if moves else 0
        for index in range(len(operations)):
            op = operations[index]
            if op.kind == CONVOLVE:
                _convolve(weights, state, op, buffers, net, samples, features)
            elif op.kind == MODULATE:
                _modulate(weights, state, op, buffers, net, samples, features)
            else:
                _activate(weights, state, op, buffers, samples)
        for t in range(samples):
            y_T[begin + t] = state[buffers[net.output].base + t]
        for index in range(len(buffers)):
            if buffers[index].history:
                buffers[index].at += samples


play = compiled(_play, __file__, simd.__file__)
