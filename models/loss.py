"""What training makes small, per window: how far the sound is from the recording, as sample and as spectrum.

Shapes: B windows, S samples, F frequencies, M moments.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # (transform, hop, window), in samples
QUIETEST = 1e-7  # spectral energy below which there is nothing to hear, of a sound of energy 1 per sample


def emphasised(x_BS: Tensor, amount: float) -> Tensor:
    """`x[t] - amount * x[t - 1]`: what is high weighs more (Wright and Valimaki 2020 train amps on it)."""
    return x_BS if amount == 0 else x_BS - amount * F.pad(x_BS[..., :-1], (1, 0))


def squared_error(predicted_BS: Tensor, target_BS: Tensor, amount: float) -> Tensor:
    """Mean squared error of each window `(B,)`, after emphasis."""
    return emphasised(predicted_BS - target_BS, amount).square().mean(1)


def spectral_error(predicted_BS: Tensor, target_BS: Tensor) -> Tensor:
    """Multi-resolution STFT loss of each window `(B,)` (Yamamoto et al. 2020): spectral convergence plus the mean distance of log
    magnitudes, averaged over those of `RESOLUTIONS` that a window is long enough for.
    """
    fitting = [shape for shape in RESOLUTIONS if shape[0] <= predicted_BS.shape[1]]
    errors = []
    for size, hop, window in fitting:
        shape_F = torch.hann_window(window, dtype=predicted_BS.dtype, device=predicted_BS.device)
        found_BFM, wanted_BFM = (
            torch.stft(x_BS, size, hop, window, shape_F, return_complex=True).abs().square().clamp_min(QUIETEST).sqrt()
            for x_BS in (predicted_BS, target_BS)
        )
        convergence_B = (wanted_BFM - found_BFM).norm(dim=(1, 2)) / wanted_BFM.norm(dim=(1, 2))
        errors.append(convergence_B + (wanted_BFM.log() - found_BFM.log()).abs().mean((1, 2)))
    return torch.stack(errors).mean(0)
