"""The interpreter of a `PlayerProgram`: kernels compiled once for all nets, run block by block.

Rows are computed in tiles of `height` rows by `columns` vectors of time that stay in registers. The last tile of a row
may reach past the end of the block; nothing reads those samples. Every operation begins with where its buffers are:
`source`, `target`, `addend`, `extra` are records of `BUFFER`, `op` is one of `OPERATION`, `net` the one of `NET`.
`features` is the number of features that move within the block, 0 where the knobs stand still.

Shapes: K knob columns, T time.
"""

import numba
import numpy as np

from models.engines.activation_codes import BLENDED, UNGATED
from models.engines.activations import apply_activation
from models.engines.cpu_stream.program import (
    ACTIVATE,
    MODULATE,
    NARROW,
    NONE,
    WIDE,
    film_height,
    tile_heights,
    tile_samples,
)
from models.engines.denormals import flush_denormals, restore_mode
from models.engines.jit import NUMBA_OPTIONS, cached_njit, inlined
from models.engines.simd import (
    REGISTERS,
    WIDTH,
    add_tiles,
    broadcast,
    broadcast_tile,
    data_pointer,
    fma,
    fma_broadcast,
    fma_tiles,
    load_tile,
    load_vector,
    splat,
    store,
    store_tile,
)

TILE, TILE_HEIGHTS, FILM_HEIGHT = tile_samples(WIDTH), tile_heights(REGISTERS), film_height(REGISTERS)

# Low tiles may be wide: with `NARROW` columns they have too few sums to keep the CPU busy.
MAX_WIDE_HEIGHT = max(height for height in TILE_HEIGHTS if height <= 4 and height * WIDE + WIDE < REGISTERS)


def _convolution(height: int, columns: int):
    """Return the convolution whose tiles have so many rows and vectors of time."""
    step = columns * WIDTH

    @numba.njit(**NUMBA_OPTIONS)
    def convolve(weights, state, op, source, target, addend, extra, feature_rows, net, samples, features):
        source_at, source_stride = source.base + source.position, source.stride
        target_at, target_stride = target.base + target.position, target.stride
        adds, addend_at, addend_stride = op.addend != NONE, addend.base + addend.position, addend.stride
        extra_at, extra_stride = extra.base + extra.position, extra.stride
        features_at, features_stride = feature_rows.base, feature_rows.stride
        groups, chunks, rows, taps, extra_rows = op.groups, op.chunks, op.rows_per_group, op.taps, op.extra_rows
        dilation, moving, coefficients = op.dilation, features if op.follows_features else 0, net.coefficients
        for t in range(0, samples, step):
            w, bias, row = op.weights, op.bias, 0
            for group in range(groups):
                oldest = source_at + group * rows * source_stride + t - (taps - 1) * dilation
                for _ in range(chunks):
                    tile = broadcast_tile(state, net.values + bias, height, columns)
                    for feature in range(moving):
                        slope = net.slopes + feature * coefficients + bias
                        tile = fma_broadcast(tile, weights, slope, state, features_at + feature * features_stride + t)
                    for tap in range(taps):
                        x = oldest + tap * dilation
                        for _ in range(rows):
                            tile = fma_broadcast(tile, weights, w, state, x)
                            w += height
                            x += source_stride
                    x = extra_at + t
                    for _ in range(extra_rows):
                        tile = fma_broadcast(tile, weights, w, state, x)
                        w += height
                        x += extra_stride
                    if adds:
                        added = load_tile(state, addend_at + row * addend_stride + t, addend_stride, height, columns)
                        tile = add_tiles(tile, added)
                    store_tile(state, target_at + row * target_stride + t, target_stride, tile)
                    bias += height
                    row += height

    return convolve


@inlined
def _no_tile(columns, weights, state, op, source, target, addend, extra, feature_rows, net, samples, features):
    """The end of `_choose_tile`: no program has another shape."""


def _choose_tile(shapes: list[tuple[int, int]]):
    """Return a kernel that runs the convolution of `op.height` rows and `columns` vectors, one of `shapes`.

    numba can index a table of kernels by function pointers alone, so the table becomes a chain of branches instead,
    inlined into the caller.
    """
    (own_height, own_columns), *others = shapes
    convolve = _convolution(own_height, own_columns)
    choose_other = _choose_tile(others) if others else _no_tile

    @inlined
    def choose(columns, weights, state, op, source, target, addend, extra, feature_rows, net, samples, features):
        if op.height == own_height and columns == own_columns:
            convolve(weights, state, op, source, target, addend, extra, feature_rows, net, samples, features)
        else:
            choose_other(
                columns, weights, state, op, source, target, addend, extra, feature_rows, net, samples, features
            )

    return choose


_convolve = _choose_tile(
    [
        (height, columns)
        for height in reversed(TILE_HEIGHTS)
        for columns in ((WIDE, NARROW) if height <= MAX_WIDE_HEIGHT else (NARROW,))
    ]
)


@numba.njit(**NUMBA_OPTIONS)
def _modulate(weights, state, op, source, target, addend, feature_rows, net, samples, features):
    source_at, source_stride = source.base + source.position, source.stride
    target_at, target_stride = target.base + target.position, target.stride
    adds, addend_at, addend_stride = op.addend != NONE, addend.base + addend.position, addend.stride
    features_at, features_stride = feature_rows.base, feature_rows.stride
    for row in range(0, op.rows, FILM_HEIGHT):
        for t in range(0, samples, NARROW * WIDTH):
            scale = broadcast_tile(state, net.values + op.scale + row, FILM_HEIGHT, NARROW)
            shift = broadcast_tile(state, net.values + op.shift + row, FILM_HEIGHT, NARROW)
            for feature in range(features):
                slopes, x = net.slopes + feature * net.coefficients + row, features_at + feature * features_stride + t
                scale = fma_broadcast(scale, weights, slopes + op.scale, state, x)
                shift = fma_broadcast(shift, weights, slopes + op.shift, state, x)
            signal = load_tile(state, source_at + row * source_stride + t, source_stride, FILM_HEIGHT, NARROW)
            tile = fma_tiles(scale, signal, shift)
            if adds:
                added = load_tile(state, addend_at + row * addend_stride + t, addend_stride, FILM_HEIGHT, NARROW)
                tile = add_tiles(tile, added)
            store_tile(state, target_at + row * target_stride + t, target_stride, tile)


@numba.njit(**NUMBA_OPTIONS)
def _activate_block(weights, state, op, source, target, extra, addend, samples):
    source_at, source_stride = source.base + source.position, source.stride
    target_at, target_stride = target.base + target.position, target.stride
    sums, extra_at, extra_stride = op.extra != NONE, extra.base + extra.position, extra.stride
    adds, addend_at, addend_stride = op.addend != NONE, addend.base + addend.position, addend.stride
    rows, activation, gating, gate = op.rows, op.activation, op.gating, op.gate
    for row in range(rows):
        slope, gate_slope = broadcast(weights, op.slopes + row), broadcast(weights, op.gate_slopes + row)
        for t in range(0, samples, WIDTH):
            z = load_vector(state, source_at + row * source_stride + t)
            a = apply_activation(activation, z, slope)
            if gating != UNGATED:
                g = apply_activation(gate, load_vector(state, source_at + (rows + row) * source_stride + t), gate_slope)
                a = fma(g, a - z, z) if gating == BLENDED else g * a
            store(state, target_at + row * target_stride + t, a)
            if sums:
                if adds:
                    a += load_vector(state, addend_at + row * addend_stride + t)
                store(state, extra_at + row * extra_stride + t, a)


@numba.njit(**NUMBA_OPTIONS)
def _make_room(state, buffers, samples):
    """Where a buffer has no room for the block after its history, move its history to the front of each row."""
    for index in range(len(buffers)):
        history = buffers[index].history
        if buffers[index].position + samples + TILE > buffers[index].stride:
            for row in range(buffers[index].rows):
                front = buffers[index].base + row * buffers[index].stride
                oldest = front + buffers[index].position - history
                for t in range(0, history, WIDTH):
                    store(state, front + t, load_vector(state, oldest + t))
            buffers[index].position = history


@numba.njit(**NUMBA_OPTIONS)
def _copy(source, begin, target, to, samples):
    """Copy exactly so many samples: the arrays of a caller end where the block ends."""
    whole = samples // WIDTH * WIDTH
    for t in range(0, whole, WIDTH):
        store(target, to + t, load_vector(source, begin + t))
    for t in range(whole, samples):
        target[to + t] = source[begin + t]


@numba.njit(**NUMBA_OPTIONS)
def _write_levels(state, level_rows, levels_KT, begin, samples):
    """Write the rows of knobs from sample `begin` on; knobs that stand still are repeated."""
    for knob in range(levels_KT.shape[0]):
        row = level_rows.base + knob * level_rows.stride
        if levels_KT.shape[1] > 1:
            _copy(levels_KT[knob], begin, state, row, samples)
        else:
            for t in range(0, samples, WIDTH):
                store(state, row + t, splat(levels_KT[knob, 0]))


@numba.njit(**NUMBA_OPTIONS)
def _compute_coefficients(weights, state, net, feature_rows, moves):
    """Compute the values of the coefficients for the features at the first sample; where they move, the constants."""
    count, slopes, values = net.coefficients, net.slopes, net.values
    features = 0 if moves else net.features
    for t in range(0, count, WIDTH):
        value = load_vector(weights, slopes - count + t)  # the constants stand before the slopes
        for feature in range(features):
            level = broadcast(state, feature_rows.base + feature * feature_rows.stride)
            value = fma(level, load_vector(weights, slopes + feature * count + t), value)
        store(state, values + t, value)


@numba.njit(**NUMBA_OPTIONS)
def _run_operations(weights, state, operations, begin, end, buffers, net, samples, features):
    """Run operations `begin` to `end` over a block."""
    feature_rows, is_long = buffers[net.feature_rows], samples > NARROW * WIDTH
    for index in range(begin, end):
        op = operations[index]
        source, target = buffers[op.source], buffers[op.target]
        addend, extra = buffers[max(op.addend, 0)], buffers[max(op.extra, 0)]
        if op.kind == ACTIVATE:
            _activate_block(weights, state, op, source, target, extra, addend, samples)
        elif op.kind == MODULATE:
            _modulate(weights, state, op, source, target, addend, feature_rows, net, samples, features)
        else:
            columns = WIDE if is_long and op.height <= MAX_WIDE_HEIGHT else NARROW
            _convolve(columns, weights, state, op, source, target, addend, extra, feature_rows, net, samples, features)


def _play(weights, state, operations, buffers, nets, x_T, levels_KT, y_T):
    """Play a signal of any length; `levels_KT` has one column where the knobs stand still, else one per sample."""
    mode = flush_denormals()
    net, moves = nets[0], levels_KT.shape[1] > 1
    zero = np.int64(0)  # a literal 0 has a type of its own, for which everything would be compiled a second time
    w, s, features = data_pointer(weights), data_pointer(state), net.features if moves else 0
    if net.encoder_operations > 0:
        _compute_coefficients(w, s, net, buffers[net.feature_rows], True)  # the encoder has biases of its own
    for begin in range(0, len(x_T), net.block):
        samples = min(net.block, len(x_T) - begin)
        if moves or net.levels_per_sample or begin == 0:
            written = samples if moves or net.levels_per_sample else 1  # still knobs need one sample
            _write_levels(state, buffers[net.level_rows], levels_KT, begin, written)
            _run_operations(w, s, operations, zero, net.encoder_operations, buffers, net, written, zero)
        if begin == 0:
            _compute_coefficients(w, s, net, buffers[net.feature_rows], moves)
        _copy(x_T, begin, state, buffers[net.input].base, samples)
        _copy(x_T, begin, state, buffers[net.condition].base, samples)
        _make_room(s, buffers, samples)
        _run_operations(w, s, operations, net.encoder_operations, len(operations), buffers, net, samples, features)
        _copy(state, buffers[net.output].base, y_T, begin, samples)
        for index in range(len(buffers)):
            if buffers[index].history:
                buffers[index].position += samples
    restore_mode(mode)


play_program = cached_njit(_play)
