"""models/engines/activations.py."""

import numba

from models.engines.jit import FAST
from models.engines.simd import absolute, fma, maximum, minimum, splat, where_negative

IDENTITY, TANH, RELU, SLOPED, SILU, HARDTANH, SOFTSIGN, SIGMOID = range(8)

PLAIN, GATED, BLENDED = range(3)


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
def sigmoid(x):
    return fma(_tanh(x * 0.5), splat(0.5), splat(0.5))


@numba.njit(**FAST)
def nonlinear(kind, x, slope):
    """One of the activations; `slope` is where `SLOPED` goes below zero."""
    if kind == TANH:
        return _tanh(x)
    if kind == RELU:
        return maximum(splat(0.0), x)
    if kind == SLOPED:
        return where_negative(x, x * slope, x)
    if kind == SILU:
        return x * sigmoid(x)
    if kind == HARDTANH:
        return maximum(splat(-1.0), minimum(splat(1.0), x))
    if kind == SOFTSIGN:
        return x / (1.0 + absolute(x))
    if kind == SIGMOID:
        return sigmoid(x)
    return x


KINDS = {
    "Tanh": TANH,
    "ReLU": RELU,
    "LeakyReLU": SLOPED,
    "PReLU": SLOPED,
    "SiLU": SILU,
    "Hardtanh": HARDTANH,
    "Softsign": SOFTSIGN,
    "Sigmoid": SIGMOID,
}

GATINGS = {"none": PLAIN, "gated": GATED, "blended": BLENDED}
