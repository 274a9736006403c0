"""Short sounds with a high crest factor at every level: what drives a model past its takes, where music does not."""

import numpy as np

BURST_LEVELS_DB = (-48.0, -1.0)  # peaks, full scale 0

LONGEST_CLICK = 1 / 40  # of a slot

DECAYS = (0.02, 0.15)  # time constants, in slots

PLUCK_HARMONICS = 6


def bursts(samples: int, slot: int, seed: int) -> np.ndarray:
    """Return clicks, decaying noise and plucks in turn, each at the start of a slot of so many samples, float32.

    Their peaks are spaced evenly in dB over `BURST_LEVELS_DB`, in random order. Less than half a slot stays silent.
    """
    draw, count = np.random.default_rng(seed), max(round(samples / slot), 1)
    levels_db = draw.permutation(np.linspace(*BURST_LEVELS_DB, count)) if count > 1 else [BURST_LEVELS_DB[1]]
    x_T = np.zeros(max(samples, count * slot), np.float64)
    for number, level_db in enumerate(levels_db):
        burst_N = (_click, _noise_burst, _harmonic_burst)[number % 3](slot, draw)
        x_T[number * slot : (number + 1) * slot] = 10 ** (level_db / 20) * burst_N / np.abs(burst_N).max()
    return x_T[:samples].astype(np.float32)


def _click(slot: int, draw: np.random.Generator) -> np.ndarray:
    """Return half a period of a sine, up or down."""
    width = int(draw.integers(1, max(round(slot * LONGEST_CLICK), 1) + 1))
    click_N = np.zeros(slot)
    click_N[:width] = draw.choice([-1, 1]) * np.sin(np.pi * (np.arange(width) + 0.5) / width)
    return click_N


def _noise_burst(slot: int, draw: np.random.Generator) -> np.ndarray:
    return draw.standard_normal(slot) * _decay_envelope(slot, draw)


def _harmonic_burst(slot: int, draw: np.random.Generator) -> np.ndarray:
    """Return a decaying tone with harmonics that are in phase, which has a higher crest than random phases."""
    periods = draw.uniform(4, 40) * np.arange(slot) / slot
    tone_N = sum(np.cos(2 * np.pi * n * periods) / n for n in range(1, PLUCK_HARMONICS + 1))
    return draw.choice([-1, 1]) * tone_N * _decay_envelope(slot, draw)


def _decay_envelope(slot: int, draw: np.random.Generator) -> np.ndarray:
    time_N = np.arange(slot) / slot
    return np.exp(-time_N / draw.uniform(*DECAYS)) * np.minimum((1 - time_N) / 0.05, 1.0)
