"""The kernels of `models/fused.py`, in Triton.

An item is one place of the grid. Rows of all signals are T samples long; what a kernel gives is right from `begin` on. A matrix (O, I) begins at
`matrix` among an item's N weights; its inputs are C channels at TAPS taps, the audio `x` if it hears that (AUDIO), then the constant 1.

All products are of full float32 (`ieee`): no factor is rounded to tf32, so that a member on a GPU is its solo run on a CPU. Sums are
made in one order, without atomic operations: the same step gives the same bits. SAMPLES, INPUTS and ROWS are the sizes of tiles; what ends in P
is padded to a power of two.
"""

import triton
import triton.language as tl

# No kernel is compiled anew for other lengths, nor for other places of the matrices among the weights.
NUMBERS = ["N", "T", "begin", "right", "arrives", "head_begin", "dilation", "span", "parts"]

PLACES = ["matrix", "conv", "slopes", "one", "head1x1"]


@triton.jit
def _nonlinear(KIND: tl.constexpr, z, slope):
    """An activation; what is not a number stays so."""
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
def _derivative(KIND: tl.constexpr, z, a, slope):
    """Of an activation at `z`, where it is `a`."""
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
def _columns(h, x, i, t, T, dilation, C: tl.constexpr, TAPS: tl.constexpr, AUDIO: tl.constexpr):
    """What inputs `i` of a matrix hear at times `t`."""
    there = t[None, :] - ((TAPS - 1 - i % TAPS) * dilation)[:, None]
    inside = (i < C * TAPS)[:, None] & (t < T)[None, :]
    heard = tl.load(h + (i // TAPS)[:, None] * T + there, mask=inside, other=0.0)
    if AUDIO:
        audio = tl.load(x + t, mask=t < T, other=0.0)
        heard = tl.where((i == C * TAPS)[:, None], audio[None, :], heard)
    return tl.where((i == C * TAPS + AUDIO)[:, None], 1.0, heard)


@triton.jit
def _product(
    w, O: tl.constexpr, I: tl.constexpr, o, h, x, t, T, dilation, C: tl.constexpr, TAPS: tl.constexpr, AUDIO: tl.constexpr,
    INPUTS: tl.constexpr,
):  # fmt: skip
    """Rows `o` of a matrix times what its inputs hear."""
    sums = tl.zeros((o.shape[0], t.shape[0]), tl.float32)
    for first in range(0, I, INPUTS):
        i = first + tl.arange(0, INPUTS)
        w_OI = tl.load(w + o[:, None] * I + i[None, :], mask=(o < O)[:, None] & (i < I)[None, :], other=0.0)
        sums = tl.dot(w_OI, _columns(h, x, i, t, T, dilation, C, TAPS, AUDIO), sums, input_precision="ieee")
    return sums


@triton.jit(do_not_specialize=NUMBERS + PLACES)
def affine(
    weights, h, x, y, N, T, begin, dilation, matrix, O: tl.constexpr, I: tl.constexpr, C: tl.constexpr, TAPS: tl.constexpr,
    AUDIO: tl.constexpr, OP: tl.constexpr, SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """`y` = a matrix times what its inputs hear, from `begin` on: rechannels and heads. Grid: items, tiles of time."""
    m = tl.program_id(0).to(tl.int64)
    o, t = tl.arange(0, OP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    found = _product(
        weights + m * N + matrix, O, I, o, h + m * C * T, x + m * T, t, T, dilation, C, TAPS, AUDIO, INPUTS
    )
    tl.store(y + m * O * T + o[:, None] * T + t[None, :], found, mask=(o < O)[:, None] & (t < T)[None, :])


@triton.jit
def _one(w, a, from_, to, t, inside, T, O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr,
         HAS: tl.constexpr, ADDS: tl.constexpr):  # fmt: skip
    """A 1x1 (or none) of `a`, added to what there is."""
    o, i = tl.arange(0, OP), tl.arange(0, WP)
    if HAS:
        w_OW = tl.load(w + o[:, None] * (W + 1) + i[None, :], mask=(o < O)[:, None] & (i < W)[None, :], other=0.0)
        a = tl.dot(w_OW, a, input_precision="ieee") + tl.load(w + o * (W + 1) + W, mask=o < O, other=0.0)[:, None]
    at, here = o[:, None] * T + t[None, :], (o < O)[:, None] & inside[None, :]
    if ADDS:
        a += tl.load(from_ + at, mask=here, other=0.0)
    tl.store(to + at, a, mask=here)


@triton.jit(do_not_specialize=NUMBERS + PLACES)
def layer(
    weights, h, x, z, h_out, heads, N, T, begin, head_begin, dilation, conv, slopes, one, head1x1, slope, gate_slope,
    C: tl.constexpr, W: tl.constexpr, H: tl.constexpr, TAPS: tl.constexpr, KIND: tl.constexpr, GATE: tl.constexpr,
    GATING: tl.constexpr, SLOPES: tl.constexpr, ONE: tl.constexpr, HEAD1X1: tl.constexpr, RESIDUAL: tl.constexpr,
    ADDS: tl.constexpr, CP: tl.constexpr, WP: tl.constexpr, HP: tl.constexpr, SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """A layer from `begin` on: `z` before the activation, the residual, and what it adds to `heads` in place. Grid: items, tiles of time."""
    m = tl.program_id(0).to(tl.int64)
    INNER: tl.constexpr = W if GATING == "none" else 2 * W
    I: tl.constexpr = C * TAPS + 2
    w, o, t = weights + m * N, tl.arange(0, WP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    h, x, z, known = h + m * C * T, x + m * T, z + m * INNER * T, t < T
    at, here = o[:, None] * T + t[None, :], (o < W)[:, None] & known[None, :]
    if SLOPES:
        slope = tl.load(w + slopes + o, mask=o < W, other=0.0)[:, None]
    p = _product(w + conv, W, I, o, h, x, t, T, dilation, C, TAPS, True, INPUTS)
    tl.store(z + at, p, mask=here)
    a = _nonlinear(KIND, p, slope)
    if GATING != "none":
        if SLOPES:
            gate_slope = tl.load(w + slopes + W + o, mask=o < W, other=0.0)[:, None]
        q = _product(w + conv + W * I, W, I, o, h, x, t, T, dilation, C, TAPS, True, INPUTS)
        tl.store(z + W * T + at, q, mask=here)
        by = _nonlinear(GATE, q, gate_slope)
        a = a * by
        if GATING == "blended":
            a += (1 - by) * p
    to = heads + m * H * T
    _one(w + head1x1, a, to, to, t, known & (t >= head_begin), T, H, W, HP, WP, HEAD1X1, ADDS)
    if RESIDUAL:
        _one(w + one, a, h, h_out + m * C * T, t, known, T, C, W, CP, WP, ONE, True)


@triton.jit
def _one_back(w, dy, a, O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr, HAS: tl.constexpr,
              dw_OW, dw_O):  # fmt: skip
    """The transpose of `_one`: the gradient of `a`, and those of the matrix and the constant so far."""
    if HAS:
        o, i = tl.arange(0, OP), tl.arange(0, WP)
        w_WO = tl.load(w + o[None, :] * (W + 1) + i[:, None], mask=(o < O)[None, :] & (i < W)[:, None], other=0.0)
        dw_OW = tl.dot(dy, tl.trans(a), dw_OW, input_precision="ieee")
        dw_O += tl.sum(dy, 1)
        dy = tl.dot(w_WO, dy, input_precision="ieee")
    return dy, dw_OW, dw_O


@triton.jit
def _one_keep(to, dw_OW, dw_O, O: tl.constexpr, W: tl.constexpr, OP: tl.constexpr, WP: tl.constexpr):
    o, i = tl.arange(0, OP), tl.arange(0, WP)
    tl.store(to + o[:, None] * (W + 1) + i[None, :], dw_OW, mask=(o < O)[:, None] & (i < W)[None, :])
    tl.store(to + o * (W + 1) + W, dw_O, mask=o < O)


@triton.jit(do_not_specialize=NUMBERS + PLACES)
def derive(
    weights, z, d, d_heads, dz, gradients, N, T, begin, arrives, head_begin, span, parts, slopes, one, head1x1, slope,
    gate_slope, C: tl.constexpr, W: tl.constexpr, H: tl.constexpr, KIND: tl.constexpr, GATE: tl.constexpr,
    GATING: tl.constexpr, SLOPES: tl.constexpr, ONE: tl.constexpr, HEAD1X1: tl.constexpr, RESIDUAL: tl.constexpr,
    CP: tl.constexpr, WP: tl.constexpr, HP: tl.constexpr, SAMPLES: tl.constexpr,
):  # fmt: skip
    """From the gradients of the residual (right from `arrives` on) and of the heads to `dz`, and those of all but the convolution.

    Grid: items, parts of time of `span` tiles each.
    """
    m, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    INNER: tl.constexpr = W if GATING == "none" else 2 * W
    w, o, o_C, o_H = weights + m * N, tl.arange(0, WP), tl.arange(0, CP), tl.arange(0, HP)
    z, dz, d, d_heads = z + m * INNER * T, dz + m * INNER * T, d + m * C * T, d_heads + m * H * T
    if SLOPES:
        slope = tl.load(w + slopes + o, mask=o < W, other=0.0)[:, None]
        if GATING != "none":
            gate_slope = tl.load(w + slopes + W + o, mask=o < W, other=0.0)[:, None]
    one_CW, one_C = tl.zeros((CP, WP), tl.float32), tl.zeros((CP,), tl.float32)
    head_HW, head_H = tl.zeros((HP, WP), tl.float32), tl.zeros((HP,), tl.float32)
    slope_W, gate_W = tl.zeros((WP,), tl.float32), tl.zeros((WP,), tl.float32)
    for turn in range(span):
        t = begin + (part * span + turn) * SAMPLES + tl.arange(0, SAMPLES)
        at, here = o[:, None] * T + t[None, :], (o < W)[:, None] & (t < T)[None, :]
        p = tl.load(z + at, mask=here, other=0.0)
        f = _nonlinear(KIND, p, slope)
        a, q, by = f, p, f
        if GATING != "none":
            q = tl.load(z + W * T + at, mask=here, other=0.0)
            by = _nonlinear(GATE, q, gate_slope)
            a = f * by
            if GATING == "blended":
                a += (1 - by) * p
        there = (o_H < H)[:, None] & ((t < T) & (t >= head_begin))[None, :]
        dy = tl.load(d_heads + o_H[:, None] * T + t[None, :], mask=there, other=0.0)
        da, head_HW, head_H = _one_back(w + head1x1, dy, a, H, W, HP, WP, HEAD1X1, head_HW, head_H)
        if RESIDUAL:
            there = (o_C < C)[:, None] & ((t < T) & (t >= arrives))[None, :]
            dy = tl.load(d + o_C[:, None] * T + t[None, :], mask=there, other=0.0)
            more, one_CW, one_C = _one_back(w + one, dy, a, C, W, CP, WP, ONE, one_CW, one_C)
            da += more
        if GATING == "none":
            df, dp = da, da * _derivative(KIND, p, f, slope)
        else:
            df, dby = da * by, da * f
            dp = df * _derivative(KIND, p, f, slope)
            if GATING == "blended":
                dp += da * (1 - by)
                dby -= da * p
            tl.store(dz + W * T + at, dby * _derivative(GATE, q, by, gate_slope), mask=here)
            if SLOPES:
                gate_W += tl.sum(tl.where(q < 0, q * dby, 0.0), 1)
        tl.store(dz + at, dp, mask=here)
        if SLOPES:
            slope_W += tl.sum(tl.where(p < 0, p * df, 0.0), 1)
    to = gradients + (m * parts + part) * N
    if HEAD1X1:
        _one_keep(to + head1x1, head_HW, head_H, H, W, HP, WP)
    if RESIDUAL and ONE:
        _one_keep(to + one, one_CW, one_C, C, W, CP, WP)
    if SLOPES:
        tl.store(to + slopes + o, slope_W, mask=o < W)
        if GATING != "none":
            tl.store(to + slopes + W + o, gate_W, mask=o < W)


@triton.jit(do_not_specialize=NUMBERS + PLACES)
def gradient(
    dy, h, x, gradients, N, T, begin, dilation, span, parts, matrix, O: tl.constexpr, I: tl.constexpr, C: tl.constexpr,
    TAPS: tl.constexpr, AUDIO: tl.constexpr, ROWS: tl.constexpr, SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """Of a matrix, from that of its outputs, `dy` from `begin` on. Grid: items, parts of time, tiles of the matrix."""
    m, part, tiles = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.cdiv(I, INPUTS)
    o = tl.program_id(2) // tiles * ROWS + tl.arange(0, ROWS)
    i = tl.program_id(2) % tiles * INPUTS + tl.arange(0, INPUTS)
    dy, h, x, sums = dy + m * O * T, h + m * C * T, x + m * T, tl.zeros((ROWS, INPUTS), tl.float32)
    for turn in range(span):
        t = begin + (part * span + turn) * SAMPLES + tl.arange(0, SAMPLES)
        arriving = tl.load(dy + o[:, None] * T + t[None, :], mask=(o < O)[:, None] & (t < T)[None, :], other=0.0)
        heard = _columns(h, x, i, t, T, dilation, C, TAPS, AUDIO)
        sums = tl.dot(arriving, tl.trans(heard), sums, input_precision="ieee")
    to = gradients + (m * parts + part) * N + matrix
    tl.store(to + o[:, None] * I + i[None, :], sums, mask=(o < O)[:, None] & (i < I)[None, :])


@triton.jit(do_not_specialize=NUMBERS + PLACES)
def transposed(
    weights, dy, d, N, T, begin, right, arrives, dilation, matrix, O: tl.constexpr, I: tl.constexpr, C: tl.constexpr,
    TAPS: tl.constexpr, ADDS: tl.constexpr, CP: tl.constexpr, SAMPLES: tl.constexpr, INPUTS: tl.constexpr,
):  # fmt: skip
    """`d`, the gradient of a matrix's channels, `begin` on, from that of its outputs, `dy`, right from `right` on.

    `ADDS` it to what there was in `d` from `arrives` on. Grid: items, tiles of time.
    """
    m = tl.program_id(0).to(tl.int64)
    c, t = tl.arange(0, CP), begin + tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)
    w, dy, sums = weights + m * N + matrix, dy + m * O * T, tl.zeros((CP, SAMPLES), tl.float32)
    for first in range(0, O * TAPS, INPUTS):
        r = first + tl.arange(0, INPUTS)
        o, tap, real = r // TAPS, r % TAPS, r < O * TAPS
        column = o[None, :] * I + c[:, None] * TAPS + tap[None, :]
        w_CR = tl.load(w + column, mask=(c < C)[:, None] & real[None, :], other=0.0)
        there = t[None, :] + ((TAPS - 1 - tap) * dilation)[:, None]
        inside = real[:, None] & (there >= right) & (there < T)
        sums = tl.dot(w_CR, tl.load(dy + o[:, None] * T + there, mask=inside, other=0.0), sums, input_precision="ieee")
    at, here = d + m * C * T + c[:, None] * T + t[None, :], (c < C)[:, None] & (t < T)[None, :]
    if ADDS:
        sums += tl.load(at, mask=here & (t >= arrives)[None, :], other=0.0)
    tl.store(at, sums, mask=here)
