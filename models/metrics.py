"""How far a model is from its amp, judged per knob setting.

Shapes: T time, P a run of audio predicted from context and region.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import torch
from torch import Tensor

from models.dataset import AmpData, Piece, energy
from models.documents import Score, SettingScore
from models.engine import Engine, engine_for
from models.errors import DivergedError
from models.knobs import format_setting
from models.wavenet import WaveNet

CHUNK = 1 << 16  # output samples computed at a time


def esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """Error-to-signal ratio: sum((target - predicted)^2) / sum(target^2), as Wright et al. (2020) use it for amps."""
    return energy(predicted_T - target_T) / energy(target_T)


@torch.no_grad()
def predict(engine: Engine, x_T: Tensor, levels_K: Tensor) -> Tensor:
    """Play `T` samples of context and region through a net in bounded memory: `T - R + 1` samples come out."""
    context, whole = engine.net.receptive_field - 1, len(x_T)
    step = min(CHUNK, whole - context)
    y_T = x_T.new_empty(whole - context)
    for begin in range(0, len(y_T), step):
        begin = min(begin, len(y_T) - step)  # all chunks are of one length
        y_T[begin : begin + step] = engine(x_T[None, begin : begin + step + context], levels_K[None])[0]
    return y_T


def score(net: WaveNet, data: AmpData, pieces: Sequence[Piece]) -> Score:
    """Play every piece and pool per setting; a setting heard on several pieces counts once, by their summed energies."""
    heard: dict[tuple[float, ...], list[Piece]] = {}
    for piece in pieces:
        heard.setdefault(tuple(piece.setting.values()), []).append(piece)
    engine = engine_for(net)
    return pool(_score_setting(engine, data, group) for group in heard.values())


def _score_setting(engine: Engine, data: AmpData, pieces: list[Piece]) -> SettingScore:
    signal = error = nearest_signal = nearest_error = 0.0
    for piece in pieces:
        x_T, target_T = data.hear(piece, engine.net.receptive_field)
        signal += energy(target_T)
        error += energy(predict(engine, x_T, piece.levels_K) - target_T)
        baseline = data.baseline(piece)
        nearest_signal, nearest_error = nearest_signal + baseline[0], nearest_error + baseline[1]
    if not math.isfinite(error):
        raise DivergedError(f"the model's output at {format_setting(pieces[0].setting)} is not finite")
    nearest = nearest_error / nearest_signal if nearest_signal > 0 else None
    return SettingScore(setting=pieces[0].setting, esr=error / signal, baseline_esr=nearest)


def pool(settings: Iterable[SettingScore]) -> Score:
    """Mean, median and worst over settings; the baseline mean is given only when every setting has one."""
    settings = tuple(settings)
    esrs = [s.esr for s in settings]
    baselines = [s.baseline_esr for s in settings if s.baseline_esr is not None]
    whole = len(baselines) == len(settings)
    return Score(
        mean=fmean(esrs),
        median=median(esrs),
        worst=max(esrs),
        baseline_mean=fmean(baselines) if whole else None,
        settings=settings,
    )


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
