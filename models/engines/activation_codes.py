"""The numbers of activations and gating modes in the programs of both CPU engines. Light to import: no numba."""

IDENTITY, TANH, RELU, SLOPED, SILU, HARDTANH, SOFTSIGN, SIGMOID = range(8)

UNGATED, GATED, BLENDED = range(3)

ACTIVATION_CODES = {
    "Tanh": TANH,
    "ReLU": RELU,
    "LeakyReLU": SLOPED,
    "PReLU": SLOPED,
    "SiLU": SILU,
    "Hardtanh": HARDTANH,
    "Softsign": SOFTSIGN,
    "Sigmoid": SIGMOID,
}

GATING_CODES = {"none": UNGATED, "gated": GATED, "blended": BLENDED}
