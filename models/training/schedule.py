"""models/training/schedule.py."""

import math

from models.training.config import LearningConfig


def rate_at(step: int, learning: LearningConfig) -> float:
    """Learning rate of a step: linear warm-up, then the schedule down to `final_rate` of the peak."""
    warm = min(1.0, (step + 1) / max(learning.warmup, 1))
    if learning.schedule == "constant":
        left = 1.0
    elif learning.schedule == "exponential":
        left = learning.final_rate ** (step / learning.steps)
    else:
        turn = 0.5 * (1 + math.cos(math.pi * step / learning.steps))
        left = learning.final_rate + (1 - learning.final_rate) * turn
    return learning.learning_rate * warm * left


def decay_at(step: int, learning: LearningConfig) -> float:
    """How much of the average of the weights a step leaves: less at first, so that the untrained ones are soon forgotten (as TensorFlow's
    `ExponentialMovingAverage` with `num_updates`).
    """
    return min(learning.ema, (1 + step) / (10 + step))
