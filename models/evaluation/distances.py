"""Distances between sounds, for training and for scores.

Shapes: B windows, T time.
"""

import torch
from torch import Tensor

from models.artifacts.evaluation import Errors
from models.audio.error_ratio import error_ratio
from models.recordings.dataset import energy

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop, window in samples

QUIETEST = 1e-4  # magnitudes below count as this

PRE_EMPHASIS = 0.85  # NAM's coefficient


def pre_emphasize(x_T: Tensor, amount: float | Tensor) -> Tensor:
    """Return `x[n] - amount x[n - 1]`, the high-pass by which Wright and Valimaki (2020) weigh errors.

    The leading shape is free. For the number 0 it returns `x_T` as it is.
    """
    return x_T[..., 1:] - amount * x_T[..., :-1] if isinstance(amount, Tensor) or amount else x_T


def mrstft(predicted_BT: Tensor, target_BT: Tensor) -> Tensor:
    """Return the multi-resolution STFT distance of Yamamoto, Song and Kim (2020), of each window `(B,)`.

    It is the mean over three resolutions of spectral convergence `|S - P| / |S|` (Frobenius) plus the mean of `|log S -
    log P|`, for magnitudes S of the target and P of the prediction, floored at 1e-4.
    """
    total_B = predicted_BT.new_zeros(len(predicted_BT))
    for size, hop, window in RESOLUTIONS:
        shape = torch.hann_window(window, device=predicted_BT.device, dtype=predicted_BT.dtype)
        found, wanted = (
            torch.stft(x_BT, size, hop, window, shape, pad_mode="constant", return_complex=True)
            .abs()
            .clamp(min=QUIETEST)
            for x_BT in (predicted_BT, target_BT)
        )
        total_B = total_B + torch.linalg.norm(wanted - found, dim=(1, 2)) / torch.linalg.norm(wanted, dim=(1, 2))
        total_B = total_B + (wanted.log() - found.log()).abs().mean((1, 2))
    return total_B / len(RESOLUTIONS)


def esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """Return the error-to-signal ratio `sum((target - predicted)^2) / sum(target^2)` of Wright et al. (2020).

    For a silent target it is 0 if the prediction is silent, too, else infinite.
    """
    return error_ratio(energy(predicted_T - target_T), energy(target_T))


def measure_errors(predicted_T: Tensor, target_T: Tensor) -> Errors:
    """Return the errors beside the ESR; the mean absolute error (`mae`) is of full scale 1."""
    return Errors(
        esr_pre_emphasis=esr(pre_emphasize(predicted_T, PRE_EMPHASIS), pre_emphasize(target_T, PRE_EMPHASIS)),
        esr_gain_matched=gain_matched_esr(predicted_T, target_T),
        mrstft=mrstft(predicted_T[None], target_T[None]).item(),
        mae=(predicted_T - target_T).abs().double().mean().item(),
    )


def gain_matched_esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """Return the ESR after the best gain: `1 - <t, p>^2 / (<t, t> <p, p>)`, 1 for a silent prediction."""
    both = (predicted_T.double() @ target_T.double()).item() ** 2
    energies = energy(predicted_T) * energy(target_T)
    return max(0.0, 1 - both / energies) if energies > 0 else 1.0
