"""How far a model is from its amp, judged per knob setting.

Shapes: T time, P a run of audio predicted from context and region.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import torch
from torch import Tensor

from models.dataset import AmpData, Piece, energy
from models.documents import Errors, RegionScore, Score, SettingScore
from models.engine import Engine, engine_for
from models.errors import DivergedError
from models.knobs import AnyKnob, Knobs, Switch, Value, format_setting
from models.loss import mrstft, pre_emphasise
from models.wavenet import WaveNet

THIRDS = ("low", "middle", "high")
CHUNK = 1 << 16  # output samples computed at a time
PRE_EMPHASIS = 0.85  # NAM's coefficient


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


def score(net: WaveNet, data: AmpData, pieces: Sequence[Piece], *, thorough: bool = False) -> Score:
    """Play every piece and pool per setting; a setting heard on several pieces counts once, as one long signal.

    `thorough` measures the other errors too. Raises `DivergedError` when what the model plays is not finite.
    """
    heard: dict[tuple[Value, ...], list[Piece]] = {}
    for piece in pieces:
        heard.setdefault(tuple(piece.setting.values()), []).append(piece)
    engine = engine_for(net)
    return pool(_score_setting(engine, data, group, thorough) for group in heard.values())


def _score_setting(engine: Engine, data: AmpData, pieces: list[Piece], thorough: bool) -> SettingScore:
    nearest_signal = nearest_error = 0.0
    predicted, target, net = [], [], engine.net
    for piece in pieces:
        x_T, target_T = data.hear(piece, net.receptive_field)
        predicted.append(predict(engine, x_T, data.encode(piece, net.config.inject.encoding)))
        target.append(target_T)
        baseline = data.baseline(piece)
        nearest_signal, nearest_error = nearest_signal + baseline[0], nearest_error + baseline[1]
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


def by_region(found: Score, knobs: Knobs) -> tuple[RegionScore, ...]:
    """The same errors by where each knob stands; regions without a setting are left out."""
    groups: dict[tuple[str, str], list[float]] = {}
    for knob in knobs.knobs:
        for one in found.settings:
            groups.setdefault((knob.name, region_of(knob, one.setting[knob.name])), []).append(one.esr)
    return tuple(
        RegionScore(knob=knob, region=region, settings=len(esrs), esr=fmean(esrs))
        for (knob, region), esrs in groups.items()
    )


def region_of(knob: AnyKnob, value: Value) -> str:
    """Which third of its range, as its faceplate shows it, a knob is in; the position of a switch."""
    if isinstance(knob, Switch) or isinstance(value, str):
        return str(value)
    return THIRDS[min(int(3 * (value - knob.min) / (knob.max - knob.min)), 2)]


def measure_errors(predicted_T: Tensor, target_T: Tensor) -> Errors:
    """Beside the plain ESR: after pre-emphasis, after the best gain, MRSTFT, and the mean absolute error (full scale 1)."""
    return Errors(
        esr_pre_emphasis=esr(pre_emphasise(predicted_T, PRE_EMPHASIS), pre_emphasise(target_T, PRE_EMPHASIS)),
        esr_gain_matched=gain_matched_esr(predicted_T, target_T),
        mrstft=mrstft(predicted_T[None], target_T[None]).item(),
        mae=(predicted_T - target_T).abs().double().mean().item(),
    )


def gain_matched_esr(predicted_T: Tensor, target_T: Tensor) -> float:
    """The ESR after the gain that suits best: `1 - <t, p>^2 / (<t, t> <p, p>)`, 1 for a silent prediction."""
    both = (predicted_T.double() @ target_T.double()).item() ** 2
    energies = energy(predicted_T) * energy(target_T)
    return max(0.0, 1 - both / energies) if energies > 0 else 1.0


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
