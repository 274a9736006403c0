"""Vectors and tiles in kernels compute what numpy computes."""

import numpy as np
from numba import njit

from models.engines.simd import (
    WIDTH,
    absolute,
    add_tiles,
    broadcast,
    broadcast_tile,
    fma,
    fma_broadcast,
    fma_tiles,
    load_tile,
    load_vector,
    maximum,
    minimum,
    reduce_sum,
    splat,
    store,
    store_tile,
    where_negative,
)

N = WIDTH


@njit
def _vectors(a):
    x, y = load_vector(a, 1), broadcast(a, 3)
    store(a, 100, (x * y + 1.0) / (2 + absolute(x)) - y)
    store(a, 200, maximum(splat(-0.5), minimum(splat(0.5), x)))
    store(a, 300, where_negative(x, y, fma(x, x, y)))
    return reduce_sum(x)


@njit
def _tiles(a):
    tile = fma_broadcast(broadcast_tile(a, 5, 3, 2), a, 50, a, 7)
    other = load_tile(a, 20, 9, 3, 2)
    store_tile(a, 400, 70, fma_tiles(other, other, add_tiles(tile, other)))


def test_vectors():
    a = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    x, y, summed = a[1 : 1 + N].copy(), a[3], _vectors(a)
    np.testing.assert_allclose(summed, x.sum(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(a[100 : 100 + N], (x * y + 1) / (2 + abs(x)) - y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(a[200 : 200 + N], x.clip(-0.5, 0.5))
    np.testing.assert_allclose(a[300 : 300 + N], np.where(x < 0, y, x * x + y), rtol=1e-5, atol=1e-6)


def test_tiles():
    a = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    wanted = a[5:8, None] + a[50:53, None] * a[7 : 7 + 2 * N]
    other = np.stack([a[20 + 9 * row :][: 2 * N] for row in range(3)])
    wanted += other + other**2
    _tiles(a)
    np.testing.assert_allclose([a[400 + 70 * row :][: 2 * N] for row in range(3)], wanted, rtol=1e-5, atol=1e-5)


def test_nan_in_gives_nan_out():
    a = np.full(1000, np.nan, np.float32)
    assert np.isnan(_vectors(a)) and np.isnan(a[100 : 100 + N]).all() and np.isnan(a[200 : 200 + N]).all()
