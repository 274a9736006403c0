"""Nonlinearities by numpy; the formulas are those of `network.wavenet`."""

from collections.abc import Callable

import numpy as np

from models.network.activation import Activation


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * z) + 0.5


def _fast_tanh(z: np.ndarray) -> np.ndarray:
    """NeuralAmpModelerCore's approximation; see `network.wavenet.fast_tanh`."""
    size, square = np.abs(z), z * z
    above = 2.45550750702956 + 2.45550750702956 * size + (0.893229853513558 + 0.821226666969744 * size) * square
    return z * above / (2.44506634652299 + (2.44506634652299 + square) * np.abs(z + 0.814642734961073 * z * size))


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # those without a parameter
    "Tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0),
    "SiLU": lambda z: z * _sigmoid(z),
    "Hardtanh": lambda z: np.clip(z, -1, 1),
    "Softsign": lambda z: z / (1 + np.abs(z)),
    "Sigmoid": _sigmoid,
    "Hardswish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "Fasttanh": _fast_tanh,
}


def activate_array(config: Activation, slopes_C: np.ndarray | None, z_CT: np.ndarray) -> np.ndarray:
    """Apply a nonlinearity to each number; `slopes_C` are PReLU's, one per channel."""
    if slopes_C is not None:
        return np.where(z_CT < 0, slopes_C[:, None] * z_CT, z_CT)
    if config.type == "LeakyReLU":
        return np.where(z_CT < 0, z_CT.dtype.type(config.negative_slope) * z_CT, z_CT)
    if config.bends is not None:
        low, high, below, above = config.bends
        return np.clip(z_CT, low, high) + below * np.minimum(z_CT - low, 0) + above * np.maximum(z_CT - high, 0)
    return FORMULAS[config.type](z_CT)
