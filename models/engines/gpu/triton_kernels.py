"""Triton kernels: each layer of many small nets, forward and backward.

The first axis of every grid is the item. All signals of an item are rows of T samples on one line of time; a result is
valid from `begin` on. A matrix `(outs, inputs)` begins at some offset among the item's N weights. Its inputs are its
channels at each tap, then the audio (where it takes that), then the constant 1. Names:

* `weights`, `w`: all items' weights, one item's; `h`: the input of a layer or matrix; `x`: audio; `z`: rows before the
  activation, with p and q its halves where there is a gate; `a`: rows after the activation; `y`: outputs.
* `d`, `dy`, `dz`, `d_heads`: gradients, of the residual, of outputs, of `z`, of the input of the array's head.
* `m`, `o`, `i`, `c`, `t`: indices of item, output, input, channel, sample; `r`: of an output at a tap.
* capitals are compile-time constants; `LAYER` and `MATRIX` are groups of them. SAMPLES, INPUTS and ROWS are sizes of
  tiles; what is `padded` is rounded up to a power of two, as Triton's tiles must be.

Products are of full float32 (`ieee`, never tf32), so that a model on a GPU equals its solo run on a CPU. Sums are
made in one order, without atomic operations: the same step gives the same bits.
"""

from typing import NamedTuple

import triton
import triton.language as tl

# No kernel is compiled again for other lengths, nor for other offsets of the matrices among the weights.
NUMBERS = ["N", "T", "begin", "dy_begin", "d_begin", "head_begin", "dilation", "span", "parts"]

OFFSETS = ["matrix", "conv", "slopes", "layer1x1", "head1x1"]


class MatrixShape(NamedTuple):
    """Sizes of a matrix, as one compile-time constant."""

    outs: int
    inputs: int  # channels at each tap, the audio, the constant
    channels: int
    taps: int
    audio: bool
    padded_outs: int
    padded_channels: int


class LayerShape(NamedTuple):
    """Sizes and kinds of a layer, as one compile-time constant."""

    channels: int
    width: int  # channels after the activation
    head: int  # channels of the head's input
    activation: str
    gate: str
    gating: str
    has_slopes: bool  # among the weights
    has_layer1x1: bool
    has_head1x1: bool
    has_residual: bool  # the last layer of all has none
    padded_channels: int
    padded_width: int
    padded_head: int


@triton.jit
def _activate(KIND: tl.constexpr, z, slope):
    """Apply an activation; NaN gives NaN."""
    if KIND == "Tanh":
        return 2 * tl.sigmoid(2 * z) - 1
    elif KIND == "ReLU":
        return tl.where(z < 0, 0.0, z)
    elif KIND == "SiLU":
        return z * tl.sigmoid(z)
    elif KIND == "Hardtanh":
        return tl.where(z < -1, -1.0, tl.where(z > 1, 1.0, z))
    elif KIND == "Softsign":
        return z / (1 + tl.abs(z))
    elif KIND == "Sigmoid":
        return tl.sigmoid(z)
    else:
        return tl.where(z < 0, slope * z, z)


@triton.jit
def _activation_derivative(KIND: tl.constexpr, z, a, slope):
    """Return the derivative of an activation at `z`, from its output `a` there."""
    if KIND == "Tanh":
        return 1 - a * a
    elif KIND == "ReLU":
        return tl.where(z > 0, 1.0, 0.0)
    elif KIND == "SiLU":
        return tl.sigmoid(z) * (1 + z - a)
    elif KIND == "Hardtanh":
        return tl.where(tl.abs(z) < 1, 1.0, 0.0)
    elif KIND == "Softsign":
        return (1 - tl.abs(a)) * (1 - tl.abs(a))
    elif KIND == "Sigmoid":
        return a * (1 - a)
    else:
        return tl.where(z > 0, 1.0, slope)


@triton.jit
def _columns(h, x, i, t, T, dilation, MATRIX: tl.constexpr):
    """Return inputs `i` of a matrix at times `t`."""
    C: tl.constexpr = MATRIX.channels
    TAPS: tl.constexpr = MATRIX.taps
    AUDIO: tl.constexpr = MATRIX.audio
    at = t[None, :] - ((TAPS - 1 - i % TAPS) * dilation)[:, None]
    inside = (i < C * TAPS)[:, None] & (t < T)[None, :]
    values = tl.load(h + (i // TAPS)[:, None] * T + at, mask=inside, other=0.0)
    if AUDIO:
        audio = tl.load(x + t, mask=t < T, other=0.0)
        values = tl.where((i == C * TAPS)[:, None], audio[None, :], values)
    return tl.where((i == C * TAPS + AUDIO)[:, None], 1.0, values)


@triton.jit
def _product(w, o, O: tl.constexpr, h, x, t, T, dilation, MATRIX: tl.constexpr, INPUTS: tl.constexpr):
    """Return rows `o` (of O) of a matrix times its inputs at times `t`."""
    I: tl.constexpr = MATRIX.inputs
    sums = tl.zeros((o.shape[0], t.shape[0]), tl.float32)
    for first in range(0, I, INPUTS):
        i = first + tl.arange(0, INPUTS)
        w_OI = tl.load(w + o[:, None] * I + i[None, :], mask=(o < O)[:, None] & (i < I)[None, :], other=0.0)
        sums = tl.dot(w_OI, _columns(h, x, i, t, T, dilation, MATRIX), sums, input_precision="ieee")
    return sums


@triton.jit(do_not_specialize=NUMBERS + OFFSETS)
def affine(
    weights, h, x, y, N, T, begin, dilation, matrix, MATRIX: tl.constexpr, SAMPLES: tl.constexpr, INPUTS: tl.constexpr
):
    """Compute `y`, a matrix times its inputs: rechannels and heads. Grid: items, tiles of time."""
    C: tl.constexpr = MATRIX.channels
    O: tl.constexpr = MATRIX.outs
    OP: tl.constexpr = MATRIX.padded_outs
    m = tl.program_id(0).to(tl.int64)
    o, t = tl.arange(0, OP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    result = _product(weights + m * N + matrix, o, O, h + m * C * T, x + m * T, t, T, dilation, MATRIX, INPUTS)
    tl.store(y + m * O * T + o[:, None] * T + t[None, :], result, mask=(o < O)[:, None] & (t < T)[None, :])


@triton.jit
def _pointwise(
    w, a, addend, to, t, inside, T,
    O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr, HAS: tl.constexpr, ADDS: tl.constexpr,
):  # fmt: skip
    """Store a 1x1 of `a` (or `a` itself where the layer has none) in `to`, plus `addend` if it ADDS that."""
    o, i = tl.arange(0, OP), tl.arange(0, WP)
    if HAS:
        w_OW = tl.load(w + o[:, None] * (W + 1) + i[None, :], mask=(o < O)[:, None] & (i < W)[None, :], other=0.0)
        a = tl.dot(w_OW, a, input_precision="ieee") + tl.load(w + o * (W + 1) + W, mask=o < O, other=0.0)[:, None]
    at, mask = o[:, None] * T + t[None, :], (o < O)[:, None] & inside[None, :]
    if ADDS:
        a += tl.load(addend + at, mask=mask, other=0.0)
    tl.store(to + at, a, mask=mask)


@triton.jit(do_not_specialize=NUMBERS + OFFSETS)
def layer(
    weights, h, x, z, h_out, heads, N, T, begin, head_begin, dilation, conv, slopes, layer1x1, head1x1, slope,
    gate_slope, LAYER: tl.constexpr, CONV: tl.constexpr, ADDS: tl.constexpr, SAMPLES: tl.constexpr,
    INPUTS: tl.constexpr,
):  # fmt: skip
    """Compute a layer: `z`, the residual `h_out`, and its part of the head's input, stored in or added to `heads`.

    The head takes that part from `head_begin` on. Grid: items, tiles of time.
    """
    C: tl.constexpr = LAYER.channels
    W: tl.constexpr = LAYER.width
    H: tl.constexpr = LAYER.head
    WP: tl.constexpr = LAYER.padded_width
    GATED: tl.constexpr = LAYER.gating != "none"
    SLOPES: tl.constexpr = LAYER.has_slopes
    I: tl.constexpr = CONV.inputs
    m = tl.program_id(0).to(tl.int64)
    INNER: tl.constexpr = CONV.outs
    w, o, t = weights + m * N, tl.arange(0, WP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    h, x, z, inside = h + m * C * T, x + m * T, z + m * INNER * T, t < T
    at, mask = o[:, None] * T + t[None, :], (o < W)[:, None] & inside[None, :]
    if SLOPES:
        slope = tl.load(w + slopes + o, mask=o < W, other=0.0)[:, None]
    p = _product(w + conv, o, W, h, x, t, T, dilation, CONV, INPUTS)
    tl.store(z + at, p, mask=mask)
    a = _activate(LAYER.activation, p, slope)
    if GATED:
        if SLOPES:
            gate_slope = tl.load(w + slopes + W + o, mask=o < W, other=0.0)[:, None]
        q = _product(w + conv + W * I, o, W, h, x, t, T, dilation, CONV, INPUTS)
        tl.store(z + W * T + at, q, mask=mask)
        g = _activate(LAYER.gate, q, gate_slope)
        a = a * g
        if LAYER.gating == "blended":
            a += (1 - g) * p
    to = heads + m * H * T
    _pointwise(
        w + head1x1, a, to, to, t, inside & (t >= head_begin), T, H, W, LAYER.padded_head, WP, LAYER.has_head1x1, ADDS
    )
    if LAYER.has_residual:
        _pointwise(
            w + layer1x1,
            a,
            h,
            h_out + m * C * T,
            t,
            inside,
            T,
            C,
            W,
            LAYER.padded_channels,
            WP,
            LAYER.has_layer1x1,
            True,
        )


@triton.jit
def _pointwise_backward(
    w, dy, a, O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr, HAS: tl.constexpr, dw_OW, dw_O
):
    """Return the gradient of `a`, and the sums for the matrix, `dw_OW`, and for the constant, `dw_O`, so far."""
    if HAS:
        o, i = tl.arange(0, OP), tl.arange(0, WP)
        w_WO = tl.load(w + o[None, :] * (W + 1) + i[:, None], mask=(o < O)[None, :] & (i < W)[:, None], other=0.0)
        dw_OW = tl.dot(dy, tl.trans(a), dw_OW, input_precision="ieee")
        dw_O += tl.sum(dy, 1)
        dy = tl.dot(w_WO, dy, input_precision="ieee")
    return dy, dw_OW, dw_O


@triton.jit
def _store_pointwise(
    to, dw_OW, dw_O, O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr, HAS: tl.constexpr
):
    if HAS:
        o, i = tl.arange(0, OP), tl.arange(0, WP)
        tl.store(to + o[:, None] * (W + 1) + i[None, :], dw_OW, mask=(o < O)[:, None] & (i < W)[None, :])
        tl.store(to + o * (W + 1) + W, dw_O, mask=o < O)


@triton.jit
def _store_slopes(to, slope_W, gate_slope_W, o, W: tl.constexpr, GATED: tl.constexpr):
    tl.store(to, slope_W, mask=o < W)
    if GATED:
        tl.store(to + W, gate_slope_W, mask=o < W)


@triton.jit
def _activate_again(z, at, mask, T, slope, gate_slope, LAYER: tl.constexpr):
    """Return p and q (halves of `z`, equal without a gate), f(p), g(q) and the output of the activation."""
    p = tl.load(z + at, mask=mask, other=0.0)
    f = _activate(LAYER.activation, p, slope)
    a, q, g = f, p, f
    if LAYER.gating != "none":
        q = tl.load(z + LAYER.width * T + at, mask=mask, other=0.0)
        g = _activate(LAYER.gate, q, gate_slope)
        a = f * g
        if LAYER.gating == "blended":
            a += (1 - g) * p
    return p, q, f, g, a


@triton.jit(do_not_specialize=NUMBERS + OFFSETS)
def layer_backward(
    weights, z, d, d_heads, dz, gradients, N, T, begin, d_begin, head_begin, span, parts, slopes, layer1x1, head1x1,
    slope, gate_slope, LAYER: tl.constexpr, SAMPLES: tl.constexpr,
):  # fmt: skip
    """Compute `dz` and the gradients of all weights of a layer but its convolution's.

    It begins from `d`, valid from `d_begin` on, and `d_heads`, from `head_begin` on. Grid: items, parts of time of
    `span` tiles each; every part has gradients of its own, to be added up.
    """
    C: tl.constexpr = LAYER.channels
    W: tl.constexpr = LAYER.width
    H: tl.constexpr = LAYER.head
    CP: tl.constexpr = LAYER.padded_channels
    WP: tl.constexpr = LAYER.padded_width
    HP: tl.constexpr = LAYER.padded_head
    GATED: tl.constexpr = LAYER.gating != "none"
    m, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    INNER: tl.constexpr = 2 * W if GATED else W
    w, o, o_C, o_H = weights + m * N, tl.arange(0, WP), tl.arange(0, CP), tl.arange(0, HP)
    z, dz, d, d_heads = z + m * INNER * T, dz + m * INNER * T, d + m * C * T, d_heads + m * H * T
    if LAYER.has_slopes:
        slope = tl.load(w + slopes + o, mask=o < W, other=0.0)[:, None]
        if GATED:
            gate_slope = tl.load(w + slopes + W + o, mask=o < W, other=0.0)[:, None]
    layer_CW, layer_C = tl.zeros((CP, WP), tl.float32), tl.zeros((CP,), tl.float32)
    head_HW, head_H = tl.zeros((HP, WP), tl.float32), tl.zeros((HP,), tl.float32)
    slope_W, gate_slope_W = tl.zeros((WP,), tl.float32), tl.zeros((WP,), tl.float32)
    for turn in range(span):
        t = begin + (part * span + turn) * SAMPLES + tl.arange(0, SAMPLES)
        at, mask = o[:, None] * T + t[None, :], (o < W)[:, None] & (t < T)[None, :]
        p, q, f, g, a = _activate_again(z, at, mask, T, slope, gate_slope, LAYER)
        inside = (o_H < H)[:, None] & ((t < T) & (t >= head_begin))[None, :]
        dy = tl.load(d_heads + o_H[:, None] * T + t[None, :], mask=inside, other=0.0)
        da, head_HW, head_H = _pointwise_backward(w + head1x1, dy, a, H, W, HP, WP, LAYER.has_head1x1, head_HW, head_H)
        if LAYER.has_residual:
            inside = (o_C < C)[:, None] & ((t < T) & (t >= d_begin))[None, :]
            dy = tl.load(d + o_C[:, None] * T + t[None, :], mask=inside, other=0.0)
            da_C, layer_CW, layer_C = _pointwise_backward(
                w + layer1x1, dy, a, C, W, CP, WP, LAYER.has_layer1x1, layer_CW, layer_C
            )
            da += da_C
        if not GATED:
            df, dp = da, da * _activation_derivative(LAYER.activation, p, f, slope)
        else:
            df, dg = da * g, da * f
            dp = df * _activation_derivative(LAYER.activation, p, f, slope)
            if LAYER.gating == "blended":
                dp += da * (1 - g)
                dg -= da * p
            tl.store(dz + W * T + at, dg * _activation_derivative(LAYER.gate, q, g, gate_slope), mask=mask)
            if LAYER.has_slopes:
                gate_slope_W += tl.sum(tl.where(q < 0, q * dg, 0.0), 1)
        tl.store(dz + at, dp, mask=mask)
        if LAYER.has_slopes:
            slope_W += tl.sum(tl.where(p < 0, p * df, 0.0), 1)
    to = gradients + (m * parts + part) * N
    _store_pointwise(to + head1x1, head_HW, head_H, H, W, HP, WP, LAYER.has_head1x1)
    _store_pointwise(to + layer1x1, layer_CW, layer_C, C, W, CP, WP, LAYER.has_residual and LAYER.has_layer1x1)
    if LAYER.has_slopes:
        _store_slopes(to + slopes + o, slope_W, gate_slope_W, o, W, GATED)


@triton.jit(do_not_specialize=NUMBERS + OFFSETS)
def gradient(
    dy, h, x, gradients, N, T, begin, dilation, span, parts, matrix, MATRIX: tl.constexpr, ROWS: tl.constexpr,
    SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of a matrix from that of its outputs, `dy`.

    Grid: items, parts of time, tiles of the matrix.
    """
    C: tl.constexpr = MATRIX.channels
    O: tl.constexpr = MATRIX.outs
    I: tl.constexpr = MATRIX.inputs
    m, part, tiles = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.cdiv(I, INPUTS)
    o = tl.program_id(2) // tiles * ROWS + tl.arange(0, ROWS)
    i = tl.program_id(2) % tiles * INPUTS + tl.arange(0, INPUTS)
    dy, h, x, sums = dy + m * O * T, h + m * C * T, x + m * T, tl.zeros((ROWS, INPUTS), tl.float32)
    for turn in range(span):
        t = begin + (part * span + turn) * SAMPLES + tl.arange(0, SAMPLES)
        dy_OT = tl.load(dy + o[:, None] * T + t[None, :], mask=(o < O)[:, None] & (t < T)[None, :], other=0.0)
        columns = _columns(h, x, i, t, T, dilation, MATRIX)
        sums = tl.dot(dy_OT, tl.trans(columns), sums, input_precision="ieee")
    to = gradients + (m * parts + part) * N + matrix
    tl.store(to + o[:, None] * I + i[None, :], sums, mask=(o < O)[:, None] & (i < I)[None, :])


@triton.jit(do_not_specialize=NUMBERS + OFFSETS)
def transposed(
    weights, dy, d, N, T, begin, dy_begin, d_begin, dilation, matrix, MATRIX: tl.constexpr, ADDS: tl.constexpr,
    SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """Compute `d`, the gradient of a matrix's channels, from that of its outputs, `dy`, valid from `dy_begin` on.

    If it ADDS, the result is added to `d`, valid from `d_begin` on. Grid: items, tiles of time.
    """
    C: tl.constexpr = MATRIX.channels
    O: tl.constexpr = MATRIX.outs
    I: tl.constexpr = MATRIX.inputs
    TAPS: tl.constexpr = MATRIX.taps
    CP: tl.constexpr = MATRIX.padded_channels
    m = tl.program_id(0).to(tl.int64)
    c, t = tl.arange(0, CP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    w, dy, sums = weights + m * N + matrix, dy + m * O * T, tl.zeros((CP, SAMPLES), tl.float32)
    for first in range(0, O * TAPS, INPUTS):
        r = first + tl.arange(0, INPUTS)
        o, tap, is_row = r // TAPS, r % TAPS, r < O * TAPS
        column = o[None, :] * I + c[:, None] * TAPS + tap[None, :]
        w_CR = tl.load(w + column, mask=(c < C)[:, None] & is_row[None, :], other=0.0)
        at = t[None, :] + ((TAPS - 1 - tap) * dilation)[:, None]
        inside = is_row[:, None] & (at >= dy_begin) & (at < T)
        sums = tl.dot(w_CR, tl.load(dy + o[:, None] * T + at, mask=inside, other=0.0), sums, input_precision="ieee")
    to, mask = d + m * C * T + c[:, None] * T + t[None, :], (c < C)[:, None] & (t < T)[None, :]
    if ADDS:
        sums += tl.load(to, mask=mask & (t >= d_begin)[None, :], other=0.0)
    tl.store(to, sums, mask=mask)
