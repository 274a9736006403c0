"""The compiled half of the engine: a small program over rows of samples, run block by block.

A model is lowered (models/lower.py) to a list of operations on buffers, of three kinds, that are compiled once for all shapes:

* `CONVOLVE`: a causal convolution of some rows, plus a product of those of `extra`, plus a bias; `onto` another buffer, if asked.
* `MODULATE`: each row times a scale plus a shift (FiLM); `onto` another buffer, if asked.
* `ACTIVATE`: the nonlinearity and its gate; what comes out is also written to `extra`, `onto` another buffer, if asked.

A bias, scale or shift is a *coefficient*: a constant plus a product with the knob features. Where knobs stand still its value is
reckoned once per block; where they move, sample by sample, in the very place where it is used.

`weights` (float32) holds what is fixed, `state` (float32) coefficients and buffers. A buffer is rows of `stride` samples; the present block
begins at `at`, its history lies before it. Rows are worked on in whole tiles: past the block's end stands what nobody reads.
Shapes: K knobs, E features that the layers see of them, T time.
"""

import numba
import numpy as np

from models.engines.activations import BLENDED, PLAIN, nonlinear
from models.engines.jit import FAST, compiled
from models.engines.simd import (
    REGISTERS,
    WIDTH,
    add_tiles,
    first,
    fma,
    fma_spread,
    fma_tiles,
    load,
    load_tile,
    splat,
    spread,
    spread_tile,
    store,
    store_tile,
)

CONVOLVE, MODULATE, ACTIVATE = range(3)

NONE = -1  # where an operation names no buffer


NARROW, WIDE = 2, 4  # vectors of time in a tile

TILE = WIDE * WIDTH  # samples, at most

FILM_HEIGHT = 4 if REGISTERS == 32 else 2  # rows in a tile of a modulation

HEIGHTS = tuple(rows for rows in (1, 2, 3, 4, 6, 8) if rows * NARROW + NARROW + 1 <= REGISTERS)  # rows in a tile


BUFFER = np.dtype([(name, np.int64) for name in ("base", "stride", "history", "rows", "at")])

OPERATION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "source", "target", "onto", "extra", "rows"),
            *("height", "groups", "chunks", "rows_per_group", "taps", "dilation", "weights", "bias"),  # convolve
            *("follows", "extra_rows"),
            *("scale", "shift"),  # modulate
            *("activation", "slopes", "gating", "gate", "gate_slopes"),  # activate
        )
    ]
)

NET = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("knobs", "features", "block", "fills", "opening"),
            *("fed", "heard", "levels", "seen", "output"),  # buffers
            *("constants", "coefficients", "values"),
        )
    ]
)


def _convolution(height: int, columns: int):
    """The convolution whose tiles have so many rows and columns of vectors."""
    step = columns * WIDTH

    @numba.njit(**FAST)
    def convolve(weights, state, op, source, target, onto, extra, seen, net, samples, features):
        from_, stride = source.base + source.at, source.stride
        to, to_stride = target.base + target.at, target.stride
        adds, over, over_stride = op.onto != NONE, onto.base + onto.at, onto.stride
        beside, beside_stride = extra.base + extra.at, extra.stride
        knobs, knobs_stride = seen.base, seen.stride
        groups, chunks, rows, taps, extra_rows = op.groups, op.chunks, op.rows_per_group, op.taps, op.extra_rows
        dilation, following, constants = op.dilation, features if op.follows else 0, net.constants
        for t in range(0, samples, step):
            w, bias, row = op.weights, op.bias, 0
            for group in range(groups):
                oldest = from_ + group * rows * stride + t - (taps - 1) * dilation
                for _ in range(chunks):
                    tile = spread_tile(state, net.values + bias, height, columns)
                    for feature in range(following):
                        slope = net.coefficients + feature * constants + bias
                        tile = fma_spread(tile, weights, slope, state, knobs + feature * knobs_stride + t)
                    for tap in range(taps):
                        x = oldest + tap * dilation
                        for _ in range(rows):
                            tile = fma_spread(tile, weights, w, state, x)
                            w += height
                            x += stride
                    x = beside + t
                    for _ in range(extra_rows):
                        tile = fma_spread(tile, weights, w, state, x)
                        w += height
                        x += beside_stride
                    if adds:
                        there = load_tile(state, over + row * over_stride + t, over_stride, height, columns)
                        tile = add_tiles(tile, there)
                    store_tile(state, to + row * to_stride + t, to_stride, tile)
                    bias += height
                    row += height

    return convolve


_convolve_1, _convolve_2, _convolve_3, _convolve_4 = (_convolution(height, NARROW) for height in (1, 2, 3, 4))

_convolve_6, _convolve_8 = (_convolution(height, NARROW) for height in (6, 8))

_convolve_1_wide, _convolve_2_wide, _convolve_3_wide, _convolve_4_wide = (
    _convolution(height, WIDE) for height in (1, 2, 3, 4)
)


@numba.njit(**FAST)
def _modulate(weights, state, op, source, target, onto, seen, net, samples, features):
    from_, stride = source.base + source.at, source.stride
    to, to_stride = target.base + target.at, target.stride
    adds, over, over_stride = op.onto != NONE, onto.base + onto.at, onto.stride
    knobs, knobs_stride = seen.base, seen.stride
    for row in range(0, op.rows, FILM_HEIGHT):
        for t in range(0, samples, NARROW * WIDTH):
            scale = spread_tile(state, net.values + op.scale + row, FILM_HEIGHT, NARROW)
            shift = spread_tile(state, net.values + op.shift + row, FILM_HEIGHT, NARROW)
            for feature in range(features):
                slopes, level = net.coefficients + feature * net.constants + row, knobs + feature * knobs_stride + t
                scale = fma_spread(scale, weights, slopes + op.scale, state, level)
                shift = fma_spread(shift, weights, slopes + op.shift, state, level)
            heard = load_tile(state, from_ + row * stride + t, stride, FILM_HEIGHT, NARROW)
            tile = fma_tiles(scale, heard, shift)
            if adds:
                there = load_tile(state, over + row * over_stride + t, over_stride, FILM_HEIGHT, NARROW)
                tile = add_tiles(tile, there)
            store_tile(state, to + row * to_stride + t, to_stride, tile)


@numba.njit(**FAST)
def _activate(weights, state, op, source, target, total, onto, samples):
    from_, stride = source.base + source.at, source.stride
    to, to_stride = target.base + target.at, target.stride
    sums, sum_to, sum_stride = op.extra != NONE, total.base + total.at, total.stride
    adds, over, over_stride = op.onto != NONE, onto.base + onto.at, onto.stride
    rows, activation, gating, gate = op.rows, op.activation, op.gating, op.gate
    for row in range(rows):
        slope, gate_slope = spread(weights, op.slopes + row), spread(weights, op.gate_slopes + row)
        for t in range(0, samples, WIDTH):
            z = load(state, from_ + row * stride + t)
            a = nonlinear(activation, z, slope)
            if gating != PLAIN:
                by = nonlinear(gate, load(state, from_ + (rows + row) * stride + t), gate_slope)
                a = fma(by, a - z, z) if gating == BLENDED else by * a
            store(state, to + row * to_stride + t, a)
            if sums:
                if adds:
                    a += load(state, over + row * over_stride + t)
                store(state, sum_to + row * sum_stride + t, a)


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
def _copy(source, begin, target, to, samples):
    """Copy so many samples and no more: a caller's array ends where its block ends."""
    whole = samples // WIDTH * WIDTH
    for t in range(0, whole, WIDTH):
        store(target, to + t, load(source, begin + t))
    for t in range(whole, samples):
        target[to + t] = source[begin + t]


@numba.njit(**FAST)
def _fill(state, levels, levels_KT, begin, samples):
    """Write the rows of knobs from sample `begin` on."""
    for knob in range(levels_KT.shape[0]):
        row = levels.base + knob * levels.stride
        if levels_KT.shape[1] > 1:
            _copy(levels_KT[knob], begin, state, row, samples)
        else:
            for t in range(0, samples, WIDTH):
                store(state, row + t, splat(levels_KT[knob, 0]))


@numba.njit(**FAST)
def _settle(weights, state, net, seen, moves):
    """Reckon the coefficients: as the knobs stand, or what is constant in them where the knobs move."""
    count, slopes, values = net.constants, net.coefficients, net.values
    features = 0 if moves else net.features
    for t in range(0, count, WIDTH):
        value = load(weights, slopes - count + t)  # the constants stand before what knobs add to them
        for feature in range(features):
            level = spread(state, seen.base + feature * seen.stride)
            value = fma(level, load(weights, slopes + feature * count + t), value)
        store(state, values + t, value)


@numba.njit(**FAST)
def _run(w, s, operations, begin, end, buffers, net, samples, features):
    """Run some of the operations over a block."""
    seen, long = buffers[net.seen], samples > NARROW * WIDTH
    for index in range(begin, end):
        op = operations[index]
        kind, height = op.kind, op.height
        wide = long and height * WIDE + WIDE < REGISTERS  # low tiles: a CPU needs some eight sums under way to be busy
        source, target = buffers[op.source], buffers[op.target]
        onto, extra = buffers[max(op.onto, 0)], buffers[max(op.extra, 0)]
        if kind == ACTIVATE:
            _activate(w, s, op, source, target, extra, onto, samples)
        elif kind == MODULATE:
            _modulate(w, s, op, source, target, onto, seen, net, samples, features)
        elif height == 8:
            _convolve_8(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 6:
            _convolve_6(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 4 and wide:
            _convolve_4_wide(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 4:
            _convolve_4(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 3 and wide:
            _convolve_3_wide(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 3:
            _convolve_3(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 2 and wide:
            _convolve_2_wide(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif height == 2:
            _convolve_2(w, s, op, source, target, onto, extra, seen, net, samples, features)
        elif wide:
            _convolve_1_wide(w, s, op, source, target, onto, extra, seen, net, samples, features)
        else:
            _convolve_1(w, s, op, source, target, onto, extra, seen, net, samples, features)


def _play(weights, state, operations, buffers, nets, x_T, levels_KT, y_T):
    """Play a signal of any length; `levels_KT` has one column where knobs stand still, else one for each sample."""
    net, moves = nets[0], levels_KT.shape[1] > 1
    zero = np.int64(0)  # a plain 0 is a type of its own, for which all would be compiled once more
    w, s, features = first(weights), first(state), net.features if moves else 0
    opens = net.opening > 0
    if opens:
        _settle(w, s, net, buffers[net.seen], opens)  # what turns knobs into features has biases of its own
    for begin in range(0, len(x_T), net.block):
        samples = min(net.block, len(x_T) - begin)
        if moves or net.fills or begin == 0:  # else one sample tells all
            shown = samples if moves or net.fills else 1
            _fill(state, buffers[net.levels], levels_KT, begin, shown)
            _run(w, s, operations, zero, net.opening, buffers, net, shown, zero)
        if begin == 0:
            _settle(w, s, net, buffers[net.seen], moves)
        _copy(x_T, begin, state, buffers[net.fed].base, samples)
        _copy(x_T, begin, state, buffers[net.heard].base, samples)
        _rewind(s, buffers, samples)
        _run(w, s, operations, net.opening, len(operations), buffers, net, samples, features)
        _copy(state, buffers[net.output].base, y_T, begin, samples)
        for index in range(len(buffers)):
            if buffers[index].history:
                buffers[index].at += samples


play = compiled(_play)
