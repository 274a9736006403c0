"""The few instructions that a net's forward and backward passes are made of, compiled once for all nets.

A program (`models/tape.py`) lists instructions; each works on rows of one workspace `s` of float32, row i of a group beginning at
`group + i * stride`, and on one item's flat weights `w`. Sizes are read at run time, so that no architecture needs a compiler of
its own. `t` counts samples from the beginning of a row. Instructions of one pass take turns block by block, so that what one has
written is still in the cache when the next reads it.
"""

import numba
import numpy as np

from models.engines.activations import BLENDED, HARDTANH, PLAIN, SIGMOID, SILU, SOFTSIGN, TANH, nonlinear, sigmoid
from models.engines.jit import FAST, compiled
from models.engines.simd import (
    REGISTERS,
    WIDTH,
    absolute,
    fma,
    fma_outer,
    fma_strided,
    load,
    load_tile,
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


INSTRUCTION = np.dtype(
    [
        ("kind", np.int64),
        ("start", np.int64),  # the first sample it computes
        ("first", np.int64),  # its inputs in the tables: `places` in the workspace, `terms` among the weights
        ("count", np.int64),
        ("weight", np.int64),  # where its weights begin
        ("column", np.int64),  # how much further those of the next output begin
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
        ("slope", np.float32),  # where no trained ones stand at `weight`
        ("gate_slope", np.float32),
    ],
    align=True,
)

PASS = np.dtype([(name, np.int64) for name in ("first", "last", "start", "backwards", "lanes")])


_inlined = numba.njit(forceinline=True, **FAST)


@_inlined
def _derivative(function, z, a, slope):
    """An activation's derivative from its output `a`; where that is not enough, from its input `z` too."""
    one = splat(1.0)
    if function == TANH:
        return one - a * a
    if function == SIGMOID:
        return a * (one - a)
    if function == SILU:
        s = sigmoid(z)
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


@numba.njit(**FAST)
def _linear(s, stride, places, terms, op, w, start, stop):
    """`out[o] = base[o] + sum over r of weight[o, r] * s[place of r]`: convolutions, 1x1s, and the transpose of each."""
    row, outs = np.int64(0), op.outs  # a plain 0 is a type of its own, for which all would be compiled once more
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


@numba.njit(**FAST)
def _gradient(s, stride, lanes, places, op, start, stop):
    """`lanes[r, o] += s[place of r] * base[o]`, in as many partial sums as a vector has places."""
    out, outs = np.int64(0), op.outs
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


@numba.njit(**FAST)
def _sum_up(lanes, terms, op, gradient):
    """The partial sums of `_gradient`, to where the weights have their gradients."""
    for row in range(op.count):
        for out in range(op.outs):
            place = op.weight + terms[op.first + row] + out * op.column
            gradient[place] = total(load(lanes, op.lanes + (row * op.outs + out) * WIDTH))


@numba.njit(**FAST)
def _add(s, stride, op, start, stop):
    """`out = base + value`."""
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        for t in range(start, stop, WIDTH):
            store(s, out + t, load(s, base + t) + load(s, value + t))


@_inlined
def _slope(op, w, row, plain):
    return splat(plain) if op.weight < 0 else spread(w, op.weight + row)


@numba.njit(**FAST)
def _activate(s, stride, op, w, start, stop):
    """`out = f(value)`; gated, `f(p) g(q)` of the first and second half of the rows; blended, `f(p) g(q) + p (1 - g(q))`."""
    function, gate, gating, one = op.function, op.gate, op.gating, splat(1.0)
    for row in range(op.outs):
        value, out = op.value + row * stride, op.out + row * stride
        slope = _slope(op, w, row, op.slope)
        if gating == PLAIN:
            for t in range(start, stop, WIDTH):
                store(s, out + t, nonlinear(function, load(s, value + t), slope))
        else:
            other = value + op.outs * stride
            gate_slope = _slope(op, w, op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p = load(s, value + t)
                by = nonlinear(gate, load(s, other + t), gate_slope)
                a = nonlinear(function, p, slope) * by
                if gating == BLENDED:
                    a = fma(p, one - by, a)
                store(s, out + t, a)


@_inlined
def _below(z, x):
    """`x z` where z is negative: what the gradient of a slope sums."""
    return where_negative(z, x * z, splat(0.0))


@numba.njit(**FAST)
def _derive(s, stride, op, w, start, stop):
    """The transpose of `_activate`: `out = base * f'(value)`, and the activation's output `again` where it was not kept."""
    function, gate, gating, one = op.function, op.gate, op.gating, splat(1.0)
    trains = op.slopes >= 0
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        again, slopes = op.again + row * stride, op.slopes + row * stride
        slope = _slope(op, w, row, op.slope)
        if op.again < 0:
            for t in range(start, stop, WIDTH):
                a = load(s, value + t)
                store(s, out + t, load(s, base + t) * _derivative(function, a, a, slope))
        elif gating == PLAIN:
            for t in range(start, stop, WIDTH):
                z, x = load(s, value + t), load(s, base + t)
                a = nonlinear(function, z, slope)
                store(s, again + t, a)
                store(s, out + t, x * _derivative(function, z, a, slope))
                if trains:
                    store(s, slopes + t, _below(z, x))
        else:
            half = op.outs * stride
            gate_slope = _slope(op, w, op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p, q, x = load(s, value + t), load(s, value + half + t), load(s, base + t)
                a, by = nonlinear(function, p, slope), nonlinear(gate, q, gate_slope)
                out_a, to_a, to_by, to_p = a * by, x * by, x * a, splat(0.0)
                if gating == BLENDED:
                    out_a, to_by, to_p = fma(p, one - by, out_a), x * (a - p), x * (one - by)
                store(s, again + t, out_a)
                store(s, out + t, fma(to_a, _derivative(function, p, a, slope), to_p))
                store(s, out + half + t, to_by * _derivative(gate, q, by, gate_slope))
                if trains:
                    store(s, slopes + t, _below(p, to_a))
                    store(s, slopes + half + t, _below(q, to_by))


@numba.njit(**FAST)
def _run(passes, instructions, places, terms, s, stride, stop, w, lanes, gradient):
    """Run a program on one item: each pass block by block, from its start to `stop` or backwards."""
    for index in range(len(passes)):
        each = passes[index]
        for place in range(each.lanes):
            lanes[place] = 0
        blocks = (stop - each.start + BLOCK - 1) // BLOCK
        for turn in range(blocks):
            block = each.start + (blocks - 1 - turn if each.backwards else turn) * BLOCK
            until = min(block + BLOCK, stop)
            for number in range(each.first, each.last):
                op = instructions[number]
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
        for number in range(each.first, each.last):
            op = instructions[number]
            if op.kind == GRADIENT:
                _sum_up(lanes, terms, op, gradient)


def _play(passes, instructions, places, terms, workspaces, stride, stop, weights, nothing, audio, output, x, y):
    """Every item's audio through the net with its own weights: `x` (B, T) to `y` (B, S)."""
    for item in range(len(x)):
        s = workspaces[item]
        for t in range(x.shape[1]):
            s[audio + t] = x[item, t]
        _run(passes, instructions, places, terms, s, stride, stop, weights[item], nothing, nothing)
        for t in range(y.shape[1]):
            y[item, t] = s[output + t]


def _learn(passes, instructions, places, terms, workspaces, stride, stop, weights, lanes, output, dy, gradients):
    """Each item's gradient of its weights from that of its output, `dy` (B, S), in the workspace where `play` left its traces."""
    for item in range(len(dy)):
        s = workspaces[item]
        for t in range(dy.shape[1]):
            s[output + t] = dy[item, t]
        _run(passes, instructions, places, terms, s, stride, stop, weights[item], lanes, gradients[item])


play = compiled(_play)

learn = compiled(_learn)
