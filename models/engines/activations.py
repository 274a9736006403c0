"""Activations for the compiled kernels: the formulas on vectors of the numbers in `engines.activation_codes`."""

import numba

from models.engines.activation_codes import HARDTANH, RELU, SIGMOID, SILU, SLOPED, SOFTSIGN, TANH
from models.engines.jit import NUMBA_OPTIONS
from models.engines.simd import absolute, fma, maximum, minimum, splat, where_negative


@numba.njit(**NUMBA_OPTIONS)
def _tanh(x):
    """A quotient of an odd and an even polynomial, exact to a few units in the last place.

    Eigen's `generic_fast_tanh_float`, Eigen/src/Core/MathFunctionsImpl.h.
    """
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


@numba.njit(**NUMBA_OPTIONS)
def sigmoid(x):
    """`1 / (1 + exp(-x))`, by `_tanh`."""
    return fma(_tanh(x * 0.5), splat(0.5), splat(0.5))


@numba.njit(**NUMBA_OPTIONS)
def apply_activation(code, x, slope):
    """Apply the activation of this code to a vector; `slope` is the slope of `SLOPED` below zero."""
    if code == TANH:
        return _tanh(x)
    if code == RELU:
        return maximum(splat(0.0), x)
    if code == SLOPED:
        return where_negative(x, x * slope, x)
    if code == SILU:
        return x * sigmoid(x)
    if code == HARDTANH:
        return maximum(splat(-1.0), minimum(splat(1.0), x))
    if code == SOFTSIGN:
        return x / (1.0 + absolute(x))
    if code == SIGMOID:
        return sigmoid(x)
    return x
