"""The learning rate and the averaging of the weights, by step."""

import math

from models.training.config import LearningConfig


def rate_at(step: int, learning: LearningConfig) -> float:
    """Return the learning rate of a step (from 0): linear warm-up, then the schedule down to `final_rate`."""
    warm = min(1.0, (step + 1) / max(learning.warmup, 1))
    if learning.schedule == "constant":
        share = 1.0
    elif learning.schedule == "exponential":
        share = learning.final_rate ** (step / learning.steps)
    else:
        turn = 0.5 * (1 + math.cos(math.pi * step / learning.steps))
        share = learning.final_rate + (1 - learning.final_rate) * turn
    return learning.learning_rate * warm * share


def decay_at(step: int, learning: LearningConfig) -> float:
    """Return the share of the average of the weights that remains after a step.

    It is smaller at first, so that the untrained weights are soon forgotten (as in TensorFlow's
    `ExponentialMovingAverage` with `num_updates`).
    """
    return min(learning.ema, (1 + step) / (10 + step))
