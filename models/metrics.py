"""How far a model is from its amp, judged per knob setting.

Shapes: T time, P a run of audio predicted from context and region.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import torch
from torch import Tensor

from models.dataset import AmpData, Piece
from models.documents import Errors, Score, SettingScore
from models.errors import DivergedError
from models.knobs import Value, format_setting
from models.wavenet import WaveNet

CHUNK = 1 << 16  # output samples computed at a time
PRE_EMPHASIS = 0.85
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # size, hop, window in samples


def esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """Error-to-signal ratio: sum((target - predicted)^2) / sum(target^2), as Wright et al. (2020) use it for amps."""
    return _energy(predicted_T - target_T) / _energy(target_T)


@torch.no_grad()
def predict(net: WaveNet, x_T: Tensor, levels_K: Tensor) -> Tensor:
    """Play `T` samples of context and region through the net in bounded memory: `T - R + 1` samples come out."""
    context = net.receptive_field - 1
    knobs = levels_K[None]
    parts = [net(x_T[None, start : start + CHUNK + context], knobs)[0] for start in range(0, len(x_T) - context, CHUNK)]
    return torch.cat(parts)


def score(net: WaveNet, data: AmpData, pieces: Sequence[Piece], *, thorough: bool = False) -> Score:
    """Play every piece and pool per setting; a setting heard on several pieces counts once, as one long signal.

    `thorough` measures the other errors too. Raises `DivergedError` when what the model plays is not finite.
    """
    heard: dict[tuple[Value, ...], list[Piece]] = {}
    for piece in pieces:
        heard.setdefault(tuple(piece.setting.values()), []).append(piece)
    return pool(_score_setting(net, data, group, thorough) for group in heard.values())


def _score_setting(net: WaveNet, data: AmpData, pieces: list[Piece], thorough: bool) -> SettingScore:
    nearest_signal = nearest_error = 0.0
    predicted, target = [], []
    for piece in pieces:
        x_T, target_T = data.hear(piece, net.receptive_field)
        neighbour = data.neighbour(piece)
        predicted.append(predict(net, x_T, data.encode(piece, net.config.inject.encoding)))
        target.append(target_T)
        if neighbour:
            there = slice(neighbour.start, neighbour.stop)
            nearest_signal += _energy(piece.wet_T[there])
            nearest_error += _energy(neighbour.wet_T[there] - piece.wet_T[there])
    predicted_T, target_T = torch.cat(predicted), torch.cat(target)
    if not predicted_T.isfinite().all():
        raise DivergedError(f"the model's output at {format_setting(pieces[0].setting)} is not finite")
    return SettingScore(
        setting=pieces[0].setting,
        esr=esr(predicted_T, target_T),
        baseline_esr=nearest_error / nearest_signal if nearest_signal > 0 else None,
        errors=measure_errors(predicted_T, target_T) if thorough else None,
    )


def pool(settings: Iterable[SettingScore]) -> Score:
    """Mean, median and worst over settings; the baseline mean and the other errors are given only when every setting has them."""
    settings = tuple(settings)
    esrs = [s.esr for s in settings]
    baselines = [s.baseline_esr for s in settings if s.baseline_esr is not None]
    errors = [s.errors.model_dump() for s in settings if s.errors is not None]
    return Score(
        mean=fmean(esrs),
        median=median(esrs),
        worst=max(esrs),
        baseline_mean=fmean(baselines) if len(baselines) == len(settings) else None,
        errors=Errors(**{name: fmean(e[name] for e in errors) for name in Errors.model_fields})
        if len(errors) == len(settings)
        else None,
        settings=settings,
    )


def measure_errors(predicted_T: Tensor, target_T: Tensor) -> Errors:
    """Beside the plain ESR: after pre-emphasis, after the best gain, MRSTFT, and the mean absolute error (full scale 1)."""
    return Errors(
        esr_pre_emphasis=esr(pre_emphasise(predicted_T), pre_emphasise(target_T)),
        esr_gain_matched=gain_matched_esr(predicted_T, target_T),
        mrstft=mrstft(predicted_T[None], target_T[None]).item(),
        mae=(predicted_T - target_T).abs().double().mean().item(),
    )


def pre_emphasise(x_T: Tensor) -> Tensor:
    """`x[n] - 0.85 x[n - 1]`, the high-pass by which Wright and Valimaki (2020) weigh errors, with NAM's coefficient; any leading shape."""
    return x_T[..., 1:] - PRE_EMPHASIS * x_T[..., :-1]


def gain_matched_esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """The ESR after the gain that suits best: `1 - <t, p>^2 / (<t, t> <p, p>)`, 1 for a silent prediction."""
    both = (predicted_T.double() @ target_T.double()).item() ** 2
    energies = _energy(predicted_T) * _energy(target_T)
    return max(0.0, 1 - both / energies) if energies > 0 else 1.0


def mrstft(predicted_BT: Tensor, target_BT: Tensor) -> Tensor:
    """Multi-resolution STFT distance of Yamamoto, Song and Kim (2020), a scalar.

    The mean over three resolutions of spectral convergence `|S - P| / |S|` (Frobenius) plus the mean of `|log S - log P|`, for magnitudes S of
    the target and P of the prediction, floored at 1e-4.
    """
    total = predicted_BT.new_zeros(())
    for size, hop, window in RESOLUTIONS:
        shape = torch.hann_window(window, device=predicted_BT.device, dtype=predicted_BT.dtype)
        found, wanted = (
            torch.stft(x_BT, size, hop, window, shape, pad_mode="constant", return_complex=True).abs().clamp(min=1e-4)
            for x_BT in (predicted_BT, target_BT)
        )
        total = total + torch.linalg.norm(wanted - found) / torch.linalg.norm(wanted)
        total = total + (wanted.log() - found.log()).abs().mean()
    return total / len(RESOLUTIONS)


@torch.no_grad()
def knob_move_artifact(net: WaveNet, x_T: Tensor, from_K: Tensor, to_K: Tensor, ramp: int) -> float:
    """What a knob move adds to the sound: the level in dBFS of the moving output less the crossfade of the two still ones.

    The knobs go from `from_K` to `to_K` (levels in [-1, 1]) in a straight line of `ramp` samples that begins one receptive field after
    the start of `x_T`; the difference is measured from there until the ramp and one receptive field have passed.
    """
    context = net.receptive_field - 1
    fade_T = ((torch.arange(len(x_T)) - 2 * context) / ramp).clamp(0, 1)
    knobs_KT = from_K[:, None] + (to_K - from_K)[:, None] * fade_T
    moving_T = net(x_T[None], knobs_KT[None])[0]
    before_T, after_T = (net(x_T[None], still[None])[0] for still in (from_K, to_K))
    fade_T = fade_T[context:]
    added_T = moving_T - ((1 - fade_T) * before_T + fade_T * after_T)
    heard_T = added_T[context : context + ramp + context]
    return 10 * math.log10(heard_T.double().square().mean().item() + 1e-20)


def _energy(x_T: Tensor) -> float:
    return x_T.double().square().sum().item()
