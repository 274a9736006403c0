"""The interpreter of a `TrainingProgram`: five instructions that all forward and backward passes are made of.

An instruction works on rows of one item's workspace `s` (float32): row i of a group begins at `group + i * stride`,
and `t` counts samples from the beginning of a row. `w` are the item's folded weights. Sizes are read at run time, so
the kernels are compiled once for all nets. The instructions of one pass are run block by block, so that what one has
written is still in the cache when the next reads it.

Shapes: B items, T samples in, S samples out.
"""

import numba
import numpy as np

from models.engines.activation_codes import BLENDED, HARDTANH, SIGMOID, SILU, SOFTSIGN, TANH, UNGATED
from models.engines.activations import apply_activation, sigmoid
from models.engines.base import GRAIN
from models.engines.denormals import flush_denormals, restore_mode
from models.engines.jit import NUMBA_OPTIONS, cached_njit, inlined
from models.engines.simd import (
    REGISTERS,
    WIDTH,
    absolute,
    broadcast,
    fma,
    fma_outer,
    fma_strided,
    load_tile,
    load_vector,
    reduce_sum,
    splat,
    store,
    store_tile,
    where_negative,
)

PASS_BLOCK = 4 * GRAIN  # samples that the instructions of a pass compute in turn

TILE_ROWS = 4  # inputs of a weight gradient's tile: input tables are padded to a multiple of it

AFFINE, WEIGHT_GRADIENT, ADD, ACTIVATION, ACTIVATION_GRADIENT = range(5)

INSTRUCTION = np.dtype(
    [
        ("kind", np.int64),
        ("start", np.int64),  # the first sample it computes
        ("first", np.int64),  # its first input in the tables `offsets` (in the workspace) and `terms` (in the weights)
        ("count", np.int64),  # of its inputs
        ("weight", np.int64),  # index of its first weight; ACTIVATION: of the slopes, -1 for none
        ("weight_step", np.int64),  # from the weights of one output to those of the next
        ("outs", np.int64),  # rows computed
        ("base", np.int64),  # rows that are added to, or the gradient of the outputs
        ("base_step", np.int64),  # from one row of `base` to the next; 0 where one row of zeros stands for all
        ("value", np.int64),  # rows that are read
        ("out", np.int64),  # rows that are written
        ("activated", np.int64),  # ACTIVATION_GRADIENT: rows for the activation's output, -1 where `value` is it
        ("slopes", np.int64),  # ACTIVATION_GRADIENT: rows for what trains PReLU's slopes, -1 for none
        ("lanes", np.int64),  # WEIGHT_GRADIENT: index of its first partial sum
        ("activation", np.int64),
        ("gate", np.int64),
        ("gating", np.int64),
        ("slope", np.float32),  # where `weight` names no trained ones
        ("gate_slope", np.float32),
    ],
    align=True,
)

PASS = np.dtype([(name, np.int64) for name in ("first", "last", "start", "is_backward", "lanes")])

MANY = REGISTERS == 32


@inlined
def _derivative(code, z, a, slope):
    """Return an activation's derivative from its output `a`, and from its input `z` where the output is not enough."""
    one = splat(1.0)
    if code == TANH:
        return one - a * a
    if code == SIGMOID:
        return a * (one - a)
    if code == SILU:
        s = sigmoid(z)
        return fma(a, one - s, s)
    if code == HARDTANH:
        return where_negative(absolute(a) - one, one, splat(0.0))
    if code == SOFTSIGN:
        d = one - absolute(a)
        return d * d
    return where_negative(splat(0.0) - z, one, slope)


@inlined
def _nothing_left(left, *args):
    """The end of `_largest_first`."""
    return left


def _largest_first(tiles):
    """Return a kernel that runs the largest tile of at most `left` rows, and returns how many rows that was.

    `tiles` are pairs of rows and kernel, the largest first. As numba can index a table of kernels by function pointers
    alone, the table becomes a chain of branches, inlined into the caller.
    """
    (rows, tile), *others = tiles
    run_smaller = _largest_first(others) if others else _nothing_left

    @inlined
    def run(left, *args):
        if left >= rows:
            tile(*args)
            return rows
        return run_smaller(left, *args)

    return run


def _linear_tile(rows: int, columns: int):
    @inlined
    def tile(s, stride, offsets, terms, op, w, row, start, stop):
        step, weight_step, first, last = op.base_step, op.weight_step, op.first, op.first + op.count
        base, out, weight = op.base + row * step, op.out + row * stride, op.weight + row * weight_step
        for t in range(start, stop, columns * WIDTH):
            sums = load_tile(s, base + t, step, rows, columns)
            for r in range(first, last):
                sums = fma_strided(sums, w, weight + terms[r], weight_step, s, offsets[r] + t)
            store_tile(s, out + t, stride, sums)

    return rows, tile


_LINEAR_TILES = {32: ((8, 2), (6, 4), (4, 4), (3, 4), (2, 8), (1, 8)), 16: ((6, 2), (4, 2), (3, 2), (2, 4), (1, 8))}

_linear_rows = _largest_first([_linear_tile(rows, columns) for rows, columns in _LINEAR_TILES[REGISTERS]])


@numba.njit(**NUMBA_OPTIONS)
def _linear(s, stride, offsets, terms, op, w, start, stop):
    """`out[o] = base[o] + sum over r of weight[o, r] * s[offset of r]`: convolutions, 1x1s and their transposes."""
    row, outs = np.int64(0), op.outs  # a literal 0 has a type of its own, for which all would be compiled once more
    while row < outs:
        row += _linear_rows(outs - row, s, stride, offsets, terms, op, w, row, start, stop)


def _gradient_tile(columns: int):
    @inlined
    def tile(s, stride, lanes, offsets, op, out, start, stop):
        first, step = op.first, op.outs * WIDTH
        base = op.base + out * stride
        for row in range(0, op.count, TILE_ROWS):
            sums_at = op.lanes + row * step + out * WIDTH
            sums = load_tile(lanes, sums_at, step, TILE_ROWS, columns)
            for t in range(start, stop, WIDTH):
                sums = fma_outer(sums, s, offsets, first + row, t, base + t, stride)
            store_tile(lanes, sums_at, step, sums)

    return columns, tile


_gradient_rows = _largest_first([_gradient_tile(columns) for columns in ((4, 3, 2, 1) if MANY else (2, 1))])


@numba.njit(**NUMBA_OPTIONS)
def _weight_gradient(s, stride, lanes, offsets, op, start, stop):
    """`lanes[r, o] += s[offset of r] * base[o]`: one partial sum per lane of a vector."""
    out, outs = np.int64(0), op.outs
    while out < outs:
        out += _gradient_rows(outs - out, s, stride, lanes, offsets, op, out, start, stop)


@numba.njit(**NUMBA_OPTIONS)
def _reduce_lanes(lanes, terms, op, gradient):
    """Add up the partial sums of `_weight_gradient`, and write them where the weights have their gradients."""
    for row in range(op.count):
        for out in range(op.outs):
            weight = op.weight + terms[op.first + row] + out * op.weight_step
            gradient[weight] = reduce_sum(load_vector(lanes, op.lanes + (row * op.outs + out) * WIDTH))


@numba.njit(**NUMBA_OPTIONS)
def _add(s, stride, op, start, stop):
    """`out = base + value`."""
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        for t in range(start, stop, WIDTH):
            store(s, out + t, load_vector(s, base + t) + load_vector(s, value + t))


@inlined
def _slope(op, w, row, constant):
    """Return the trained slope of a row, or the constant one."""
    return splat(constant) if op.weight < 0 else broadcast(w, op.weight + row)


@numba.njit(**NUMBA_OPTIONS)
def _activate_pass(s, stride, op, w, start, stop):
    """`out = f(value)`; gated: `f(p) g(q)` with p, q the halves of the rows; blended: `f(p) g(q) + p (1 - g(q))`."""
    activation, gate, gating, one = op.activation, op.gate, op.gating, splat(1.0)
    for row in range(op.outs):
        value, out = op.value + row * stride, op.out + row * stride
        slope = _slope(op, w, row, op.slope)
        if gating == UNGATED:
            for t in range(start, stop, WIDTH):
                store(s, out + t, apply_activation(activation, load_vector(s, value + t), slope))
        else:
            other = value + op.outs * stride
            gate_slope = _slope(op, w, op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p = load_vector(s, value + t)
                g = apply_activation(gate, load_vector(s, other + t), gate_slope)
                a = apply_activation(activation, p, slope) * g
                if gating == BLENDED:
                    a = fma(p, one - g, a)
                store(s, out + t, a)


@inlined
def _slope_terms(z, x):
    """Return `x z` where z is negative, else 0: the terms of the gradient of a slope."""
    return where_negative(z, x * z, splat(0.0))


@numba.njit(**NUMBA_OPTIONS)
def _activation_gradient(s, stride, op, w, start, stop):
    """The transpose of `_activate_pass`: `out = base * f'(value)`; also writes `activated`, where it was not stored."""
    activation, gate, gating, one = op.activation, op.gate, op.gating, splat(1.0)
    trains = op.slopes >= 0
    for row in range(op.outs):
        base, value, out = op.base + row * op.base_step, op.value + row * stride, op.out + row * stride
        activated, slopes = op.activated + row * stride, op.slopes + row * stride
        slope = _slope(op, w, row, op.slope)
        if op.activated < 0:
            for t in range(start, stop, WIDTH):
                a = load_vector(s, value + t)
                store(s, out + t, load_vector(s, base + t) * _derivative(activation, a, a, slope))
        elif gating == UNGATED:
            for t in range(start, stop, WIDTH):
                z, x = load_vector(s, value + t), load_vector(s, base + t)
                a = apply_activation(activation, z, slope)
                store(s, activated + t, a)
                store(s, out + t, x * _derivative(activation, z, a, slope))
                if trains:
                    store(s, slopes + t, _slope_terms(z, x))
        else:
            half = op.outs * stride
            gate_slope = _slope(op, w, op.outs + row, op.gate_slope)
            for t in range(start, stop, WIDTH):
                p, q, x = load_vector(s, value + t), load_vector(s, value + half + t), load_vector(s, base + t)
                a, g = apply_activation(activation, p, slope), apply_activation(gate, q, gate_slope)
                out_a, to_a, to_g, to_p = a * g, x * g, x * a, splat(0.0)
                if gating == BLENDED:
                    out_a, to_g, to_p = fma(p, one - g, out_a), x * (a - p), x * (one - g)
                store(s, activated + t, out_a)
                store(s, out + t, fma(to_a, _derivative(activation, p, a, slope), to_p))
                store(s, out + half + t, to_g * _derivative(gate, q, g, gate_slope))
                if trains:
                    store(s, slopes + t, _slope_terms(p, to_a))
                    store(s, slopes + half + t, _slope_terms(q, to_g))


@numba.njit(**NUMBA_OPTIONS)
def _run_passes(passes, instructions, offsets, terms, s, stride, stop, w, lanes, gradient):
    """Run passes on one item, each block by block, from its start to `stop` or from `stop` back."""
    for index in range(len(passes)):
        each = passes[index]
        for lane in range(each.lanes):
            lanes[lane] = 0
        blocks = (stop - each.start + PASS_BLOCK - 1) // PASS_BLOCK
        for turn in range(blocks):
            block = each.start + (blocks - 1 - turn if each.is_backward else turn) * PASS_BLOCK
            until = min(block + PASS_BLOCK, stop)
            for number in range(each.first, each.last):
                op = instructions[number]
                start = max(block, op.start)
                if start >= until:
                    continue
                if op.kind == AFFINE:
                    _linear(s, stride, offsets, terms, op, w, start, until)
                elif op.kind == WEIGHT_GRADIENT:
                    _weight_gradient(s, stride, lanes, offsets, op, start, until)
                elif op.kind == ADD:
                    _add(s, stride, op, start, until)
                elif op.kind == ACTIVATION:
                    _activate_pass(s, stride, op, w, start, until)
                else:
                    _activation_gradient(s, stride, op, w, start, until)
        for number in range(each.first, each.last):
            op = instructions[number]
            if op.kind == WEIGHT_GRADIENT:
                _reduce_lanes(lanes, terms, op, gradient)


def _forward(passes, instructions, offsets, terms, workspaces, stride, stop, weights, unused, audio, output, x, y):
    """Play each item's audio with the item's own weights: `x` (B, T) to `y` (B, S)."""
    mode = flush_denormals()
    for item in range(len(x)):
        s = workspaces[item]
        for t in range(x.shape[1]):
            s[audio + t] = x[item, t]
        _run_passes(passes, instructions, offsets, terms, s, stride, stop, weights[item], unused, unused)
        for t in range(y.shape[1]):
            y[item, t] = s[output + t]
    restore_mode(mode)


def _backward(passes, instructions, offsets, terms, workspaces, stride, stop, weights, lanes, output, dy, gradients):
    """Compute each item's gradient of its weights from that of its output, `dy` (B, S), after `forward`."""
    mode = flush_denormals()
    for item in range(len(dy)):
        s = workspaces[item]
        for t in range(dy.shape[1]):
            s[output + t] = dy[item, t]
        _run_passes(passes, instructions, offsets, terms, s, stride, stop, weights[item], lanes, gradients[item])
    restore_mode(mode)


forward = cached_njit(_forward)

backward = cached_njit(_backward)
