"""Distances between sounds, for training and for judging.

Shapes: B windows, T time.
"""

import torch
from torch import Tensor

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop, window in samples
QUIETEST = 1e-4  # magnitudes below count as this


def pre_emphasise(x_T: Tensor, amount: float | Tensor) -> Tensor:
    """`x[n] - amount x[n - 1]`, the high-pass by which Wright and Valimaki (2020) weigh errors; any leading shape. The number 0: as it is."""
    return x_T[..., 1:] - amount * x_T[..., :-1] if isinstance(amount, Tensor) or amount else x_T


def mrstft(predicted_BT: Tensor, target_BT: Tensor) -> Tensor:
    """Multi-resolution STFT distance of Yamamoto, Song and Kim (2020), of each window `(B,)`.

    The mean over three resolutions of spectral convergence `|S - P| / |S|` (Frobenius) plus the mean of `|log S - log P|`, for magnitudes S of
    the target and P of the prediction, floored at 1e-4.
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
