"""How far a model is from its amp, per knob setting.

Shapes: T time, K knobs, R receptive field.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean, median

import torch
from torch import Tensor

from models.artifacts.evaluation import Errors, RegionScore, Score, SettingScore
from models.core.errors import DivergedError
from models.engines.base import Engine
from models.engines.select import engine_for
from models.evaluation.distances import esr, measure_errors
from models.knobs.schema import AnyKnob, Knobs, Switch, Value
from models.knobs.text import format_setting
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData, Piece

THIRDS = ("low", "middle", "high")

SCORED_SAMPLES = 1 << 16  # output samples computed at a time


@torch.no_grad()
def predict(engine: Engine, x_T: Tensor, levels_K: Tensor) -> Tensor:
    """Play `T` samples, of which the first are context, in bounded memory; return `T - R + 1` samples."""
    context, whole = engine.net.receptive_field - 1, len(x_T)
    step = min(SCORED_SAMPLES, whole - context)
    y_T = x_T.new_empty(whole - context)
    for begin in range(0, len(y_T), step):
        begin = min(begin, len(y_T) - step)  # all chunks are of one length
        y_T[begin : begin + step] = engine(x_T[None, begin : begin + step + context], levels_K[None])[0]
    return y_T


def score(net: WaveNet, data: AmpData, pieces: Sequence[Piece], *, thorough: bool = False) -> Score:
    """Play every piece and pool the errors per setting.

    A setting recorded on several pieces counts once, as one long signal. `thorough` measures the other errors too.
    Raises `DivergedError` when what the model plays is not finite.
    """
    groups: dict[tuple[Value, ...], list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(tuple(piece.setting.values()), []).append(piece)
    engine = engine_for(net)
    return pool(_score_setting(engine, data, group, thorough) for group in groups.values())


def _score_setting(engine: Engine, data: AmpData, pieces: list[Piece], thorough: bool) -> SettingScore:
    """Score one setting on all its pieces."""
    nearest_signal = nearest_error = 0.0
    predicted, target, net = [], [], engine.net
    for piece in pieces:
        x_T, target_T = data.with_context(piece, net.receptive_field)
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
    """Return mean, median and worst over settings; baseline mean and other errors only where every setting has them."""
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
    """Return the mean ESR per third of each knob's range, or switch position, in their order.

    Regions without settings are absent.
    """
    groups: dict[tuple[str, str], list[float]] = {}
    for knob in knobs.knobs:
        groups |= {(knob.name, region): [] for region in (knob.positions if isinstance(knob, Switch) else THIRDS)}
        for one in found.settings:
            groups[knob.name, region_of(knob, one.setting[knob.name])].append(one.esr)
    return tuple(
        RegionScore(knob=knob, region=region, settings=len(esrs), esr=fmean(esrs))
        for (knob, region), esrs in groups.items()
        if esrs
    )


def region_of(knob: AnyKnob, value: Value) -> str:
    """Return which third of its range, as the faceplate shows it, a knob is in, or the position of a switch."""
    if isinstance(knob, Switch) or isinstance(value, str):
        return str(value)
    return THIRDS[min(int(3 * (value - knob.min) / (knob.max - knob.min)), 2)]
