"""The few instructions that a net's forward and backward passes are made of, compiled once for all nets.

A program (`models/program.py`) lists instructions; each works on rows of one workspace of float32, row i of a group beginning at
`base + i * step`, and on one item's flat weights. Sizes are read at run time, so that no architecture needs a compiler of its own.
`t` counts samples from the beginning of a row. Instructions of one pass take turns block by block, so that what one has written
is still in the cache when the next reads it.
"""

import numpy as np
from numba import njit

from models.simd import (
    REGISTERS,
    WIDTH,
    absolute,
    fma,
    fma_outer,
    fma_strided,
    load,
    load_tile,
    maximum,
    minimum,
    splat,
    spread,
    store,
    store_tile,
    total,
    where_negative,
)

GRAIN = 128  # samples: where a range begins and ends is a multiple of this
BLOCK = 4 * GRAIN  # samples that the instructions of a pass work on in turn
TILE_ROWS = 4  # inputs of a gradient tile: the tables go on for a multiple of it
LINEAR, GRADIENT, ADD, ACTIVATE, DERIVE = range(5)
TANH, SIGMOID, LEAKY, HARDTANH, SOFTSIGN, SILU, PRELU = range(7)
UNGATED, GATED, BLENDED = range(3)

INSTRUCTION = np.dtype(
    [
        ("kind", np.int64),
        ("start", np.int64),  # the first sample it computes
        ("first", np.int64),  # its inputs in the tables: `places` in the workspace, `terms` among the weights
        ("count", np.int64),
        (
            "weight",
            np.int64,
        ),  # where its weights begin; those of output o are `column` further than those of output o - 1
        ("column", np.int64),
        ("outs", np.int64),
        ("base", np.int64),
        ("base_step", np.int64),  # 0 where one row of zeros stands for all
        ("value", np.int64),
        ("out", np.int64),
        ("again", np.int64),  # DERIVE: rows for the activation's output, -1 where `value` is it
        ("slopes", np.int64),  # DERIVE: rows for what trains PReLU's slopes, -1 where nothing does
        ("lanes", np.int64),  # GRADIENT: where its partial sums begin
        ("function", np.int64),
        ("gate", np.int64),
        ("gating", np.int64),
        ("slope", np.float32),  # of LEAKY
        ("gate_slope", np.float32),
    ],
    align=True,
)
PASS = np.dtype([(name, np.int64) for name in ("first", "last", "start", "backwards", "lanes")])

_compiled = njit(error_model="numpy", boundscheck=False, nogil=True, cache=True)
_inlined = njit(error_model="numpy", boundscheck=False, nogil=True, forceinline=True)


@_inlined
def _tanh(x):
    """The quotient of two polynomials that Eigen uses, good to a few float32 steps; NaN stays NaN."""
    x = minimum(splat(7.90531110763549805), maximum(splat(-7.90531110763549805), x))
    y = x * x
    p = fma(y, splat(-2.76076847742355e-16), splat(2.00018790482477e-13))
    p = fma(p, y, splat(-8.60467152213735e-11))
    p = fma(p, y, splat(5.12229709037114e-08))
    p = fma(p, y, splat(1.48572235717979e-05))
    p = fma(p, y, splat(6.37261928875436e-04))
    p = fma(p, y, splat(4.89352455891786e-03))
    q = fma(y, splat(1.19825839466702e-06), splat(1.18534705686654e-04))
    q = fma(q, y, splat(2.26843463243900e-03))
    q = fma(q, y, splat(4.89352518554385e-03))
    return x * p / q


@_inlined
def _sigmoid(x):
    return fma(_tanh(x * splat(0.5)), splat(0.5), splat(0.5))


@_inlined
def _value(function, z, slope):
    """An activation of z."""
    if function == TANH:
        return _tanh(z)
    if function == SIGMOID:
        return _sigmoid(z)
    if function == SILU:
        return z * _sigmoid(z)
    if function == HARDTANH:
        return minimum(splat(1.0), maximum(splat(-1.0), z))
    if function == SOFTSIGN:
        return z / (splat(1.0) + absolute(z))
    return where_negative(z, z * slope, z)


@_inlined
def _derivative(function, z, a, slope):
    """An activation's derivative from its output `a`; of SiLU and PReLU from its input z too."""
    one = splat(1.0)
    if function == TANH:
        return one - a * a
    if function == SIGMOID:
        return a * (one - a)
    if function == SILU:
        s = _sigmoid(z)
        return fma(a, one - s, s)
    if function == HARDTANH:
        return where_negative(absolute(a) - one, one, splat(0.0))
    if function == SOFTSIGN:
        d = one - absolute(a)
        return d * d
    return where_negative(splat(0.0) - z, one, slope)


def _linear_tile(rows: int, columns: int):
    @_inlined
    def tile(s, stride, places, terms, op, w, row, start, stop):
        step, column, first, last = op.base_step, op.column, op.first, op.first + op.count
        base, out, weight = op.base + row * step, op.out + row * stride, op.weight + row * column
        for t in range(start, stop, columns * WIDTH):
            sums = load_tile(s, base + t, step, rows, columns)
            for r in range(first, last):
                sums = fma_strided(sums, w, weight + terms[r], column, s, places[r] + t)
            store_tile(s, out + t, stride, sums)

    return tile


_MANY = REGISTERS == 32
_eight = _linear_tile(8, 2)
_six = _linear_tile(6, 4 if _MANY else 2)
_four = _linear_tile(4, 4 if _MANY else 2)
_three = _linear_tile(3, 4 if _MANY else 2)
_two = _linear_tile(2, 8 if _MANY else 4)
_one = _linear_tile(1, 8)


@_compiled
def _linear(s, stride, places, terms, op, w, start, stop):
    """`out[o] = base[o] + sum over r of weight[o, r] * s[place of r]`: convolutions, 1x1s, and the transpose of each."""
    row, outs = 0, op.outs
    while row < outs:
        left = outs - row
        if left >= 8 and _MANY:
            _eight(s, stride, places, terms, op, w, row, start, stop)
            row += 8
        elif left >= 6:
            _six(s, stride, places, terms, op, w, row, start, stop)
            row += 6
        elif left >= 4:
            _four(s, stride, places, terms, op, w, row, start, stop)
            row += 4
        elif left == 3:
            _three(s, stride, places, terms, op, w, row, start, stop)
            row += 3
        elif left == 2:
            _two(s, stride, places, terms, op, w, row, start, stop)
            row += 2
        else:
            _one(s, stride, places, terms, op, w, row, start, stop)
            row += 1


def _gradient_tile(columns: int):
    @_inlined
    def tile(s, stride, lanes, places, op, out, start, stop):
        first, between = op.first, op.outs * WIDTH
        base = op.base + out * stride
        for row in range(0, op.count, TILE_ROWS):
            sums_at = op.lanes + row * between + out * WIDTH
            sums = load_tile(lanes, sums_at, between, TILE_ROWS, columns)
            for t in range(start, stop, WIDTH):
                sums = fma_outer(sums, s, places, first + row, t, base + t, stride)
            store_tile(lanes, sums_at, between, sums)

    return tile


_gradient_four = _gradient_tile(4 if _MANY else 2)
_gradient_three = _gradient_tile(3 if _MANY else 2)
_gradient_two = _gradient_tile(2)
_gradient_one = _gradient_tile(1)


@_compiled
def _gradient(s, stride, lanes, places, op, start, stop):
    """`lanes[r, o] += s[place of r] * base[o]`, in as many partial sums as a vector has places."""
    out, outs = 0, op.outs
    while out < outs:
        left = outs - out
        if left >= 4 and _MANY:
            _gradient_four(s, stride, lanes, places, op, out, start, stop)
            out += 4
        elif left == 3 and _MANY:
            _gradient_three(s, stride, lanes, places, op, out, start, stop)
            out += 3
        elif left >= 2:
            _gradient_two(s, stride, lanes, places, op, out, start, stop)
            out += 2
        else:
            _gradient_one(s, stride, lanes, places, op, out, start, stop)
            out += 1


@_compiled
def _sum_up(lanes, terms, op, gradient):
    """The partial sums of `_gradient`, to where the weights have their gradients."""
    for row in range(op.count):
        for out in range(op.outs):
            place = op.weight + terms[op.first + row] + out * op.column
            gradient[place] = total(load(lanes, op.lanes + (row * op.outs + out) * WIDTH))


@_compiled
def _add(s, stride, op, start, stop):
    """`out = base + value`."""
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        for t in range(start, stop, WIDTH):
            store(s, out + t, load(s, base + t) + load(s, value + t))


@_inlined
def _slope(function, w, place, plain):
    return spread(w, place) if function == PRELU else splat(plain)


@_compiled
def _activate(s, stride, op, w, start, stop):
    """`out = f(value)`; gated, `f(p) g(q)` of the first and second half of the rows; blended, `f(p) g(q) + p (1 - g(q))`."""
    function, gate, gating, one = op.function, op.gate, op.gating, splat(1.0)
    for row in range(op.outs):
        value, out = op.value + row * stride, op.out + row * stride
        slope = _slope(function, w, op.weight + row, op.slope)
        if gating == UNGATED:
            for t in range(start, stop, WIDTH):
                store(s, out + t, _value(function, load(s, value + t), slope))
        else:
            other = value + op.outs * stride
            gate_slope = _slope(gate, w, op.weight + op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p = load(s, value + t)
                by = _value(gate, load(s, other + t), gate_slope)
                a = _value(function, p, slope) * by
                if gating == BLENDED:
                    a = fma(p, one - by, a)
                store(s, out + t, a)


@_inlined
def _below(z, x):
    """`x z` where z is negative: what the gradient of a slope sums."""
    return where_negative(z, x * z, splat(0.0))


@_compiled
def _derive(s, stride, op, w, start, stop):
    """The transpose of `_activate`: `out = base * f'(value)`, and the activation's output `again` where it was not kept."""
    function, gate, gating, one = op.function, op.gate, op.gating, splat(1.0)
    trains = op.slopes >= 0
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        again, slopes = op.again + row * stride, op.slopes + row * stride
        slope = _slope(function, w, op.weight + row, op.slope)
        if op.again < 0:
            for t in range(start, stop, WIDTH):
                a = load(s, value + t)
                store(s, out + t, load(s, base + t) * _derivative(function, a, a, slope))
        elif gating == UNGATED:
            for t in range(start, stop, WIDTH):
                z, x = load(s, value + t), load(s, base + t)
                a = _value(function, z, slope)
                store(s, again + t, a)
                store(s, out + t, x * _derivative(function, z, a, slope))
                if trains:
                    store(s, slopes + t, _below(z, x))
        else:
            half = op.outs * stride
            gate_slope = _slope(gate, w, op.weight + op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p, q, x = load(s, value + t), load(s, value + half + t), load(s, base + t)
                a, by = _value(function, p, slope), _value(gate, q, gate_slope)
                out_a, to_a, to_by, to_p = a * by, x * by, x * a, splat(0.0)
                if gating == BLENDED:
                    out_a, to_by, to_p = fma(p, one - by, out_a), x * (a - p), x * (one - by)
                store(s, again + t, out_a)
                store(s, out + t, fma(to_a, _derivative(function, p, a, slope), to_p))
                store(s, out + half + t, to_by * _derivative(gate, q, by, gate_slope))
                if trains:
                    store(s, slopes + t, _below(p, to_a))
                    store(s, slopes + half + t, _below(q, to_by))


@_compiled
def run(passes, instructions, places, terms, s, stride, stop, w, lanes, gradient):
    """Run a program on one item: each pass block by block, from its start to `stop` or backwards."""
    for each in passes:
        lanes[: each.lanes] = 0
        blocks = (stop - each.start + BLOCK - 1) // BLOCK
        for number in range(blocks):
            block = each.start + (blocks - 1 - number if each.backwards else number) * BLOCK
            until = min(block + BLOCK, stop)
            for op in instructions[each.first : each.last]:
                start = max(block, op.start)
                if start >= until:
                    continue
                if op.kind == LINEAR:
                    _linear(s, stride, places, terms, op, w, start, until)
                elif op.kind == GRADIENT:
                    _gradient(s, stride, lanes, places, op, start, until)
                elif op.kind == ADD:
                    _add(s, stride, op, start, until)
                elif op.kind == ACTIVATE:
                    _activate(s, stride, op, w, start, until)
                else:
                    _derive(s, stride, op, w, start, until)
        for op in instructions[each.first : each.last]:
            if op.kind == GRADIENT:
                _sum_up(lanes, terms, op, gradient)


@_compiled
def play(passes, instructions, places, terms, workspaces, stride, stop, weights, audio, output, x, y):
    """Every item's audio through the net with its own weights: `x` (B, T) to `y` (B, S)."""
    nothing = np.zeros(0, np.float32)
    for item in range(len(x)):
        s = workspaces[item]
        s[audio : audio + x.shape[1]] = x[item]
        run(passes, instructions, places, terms, s, stride, stop, weights[item], nothing, nothing)
        y[item] = s[output : output + y.shape[1]]


@_compiled
def learn(passes, instructions, places, terms, workspaces, stride, stop, weights, lanes, output, dy, gradients):
    """Each item's gradient of its weights from that of its output, `dy` (B, S), in the workspace where `play` left its traces."""
    for item in range(len(dy)):
        s = workspaces[item]
        s[output : output + dy.shape[1]] = dy[item]
        run(passes, instructions, places, terms, s, stride, stop, weights[item], lanes, gradients[item])
