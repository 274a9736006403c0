"""What a mean error hides: unrecorded settings that blow up, knobs that crackle, knobs that do nothing.

Shapes: N settings, K columns, T time, R receptive field.
"""

import math
import random
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from models.artifacts.evaluation import CornerScan, KnobTurn
from models.audio.bursts import bursts
from models.audio.decibels import decibels, power_decibels
from models.engines.select import engine_for
from models.knobs.schema import AnyKnob, Encoding, Knob, Knobs, Setting
from models.network.wavenet import WaveNet

RANDOM_SETTINGS = 1000  # beside the corners

MAX_PLAYED_CORNERS = 1024

PLAYED_SAMPLES = 2048  # samples: the loudest part of the dry signal, played at every setting

BURST_SLOT = 128  # samples

OFFSET_SAMPLES = 16384  # of the loudest part; an offset is told from low notes by a window that is longer than these
OFFSET_SETTINGS = 64  # corners at which the offset is measured, and so many random settings

BATCH = 32  # settings played at once

FAR = 1e9  # stands for what is not finite

RAMPS_MS = (10, 50, 200)

TURN_STEPS = 9


@torch.no_grad()
def knob_move_artifact(net: WaveNet, x_T: Tensor, from_K: Tensor, to_K: Tensor, ramp: int) -> float:
    """Return what a knob move adds to the sound, in dBFS: the moving output less the crossfade of the two still ones.

    The knobs go from `from_K` to `to_K` (levels in [-1, 1]) in a straight line of `ramp` samples that begins one
    receptive field after the start of `x_T`; the difference is measured from there until the ramp and one receptive
    field have passed.
    """
    context = net.receptive_field - 1
    fade_T = ((torch.arange(len(x_T)) - 2 * context) / ramp).clamp(0, 1)
    knobs_KT = from_K[:, None] + (to_K - from_K)[:, None] * fade_T
    moving_T = net(x_T[None], knobs_KT[None])[0]
    before_T, after_T = (net(x_T[None], still[None])[0] for still in (from_K, to_K))
    fade_T = fade_T[context:]
    added_T = moving_T - ((1 - fade_T) * before_T + fade_T * after_T)
    measured_T = added_T[context : context + ramp + context]
    return power_decibels(measured_T.double().square().mean().item())


@torch.no_grad()
def scan_corners(
    net: WaveNet, knobs: Knobs, x_T: Tensor, recorded_peak: float, random_settings: int = RANDOM_SETTINGS
) -> CornerScan:
    """Play the loudest part of `x_T`, and silence, at every corner of the knobs and at so many random settings between.

    Corners play bursts of high crest at every level, too, up to the peak of `x_T`: they are what blows up there.
    `recorded_peak` is that of the loudest take (full scale 1). Of more than `MAX_PLAYED_CORNERS`, that many are drawn.
    """
    settings = _scanned_settings(knobs, random_settings)
    corners = len(settings) - random_settings if knobs.knobs else len(settings)
    measured = settings[: min(corners, OFFSET_SETTINGS)] + settings[corners:][:OFFSET_SETTINGS]
    columns_NK, measured_NK = (_encode(knobs, net.config.inject.encoding, some) for some in (settings, measured))
    loud_T = loudest(x_T, PLAYED_SAMPLES + net.receptive_field - 1)
    loud_NT = _play_all(net, loud_T, columns_NK).nan_to_num(math.inf).clamp(-FAR, FAR)
    still_N = _play_all(net, loud_T.new_zeros(net.receptive_field), columns_NK)[:, 0].abs()
    peak_N, still_N = loud_NT.abs().amax(1), still_N.nan_to_num(math.inf)
    corners = len(settings) - (random_settings if knobs.knobs else 0)
    burst_NT = _play_all(net, _bursts_like(x_T, len(loud_T)), columns_NK[:corners])
    peak_N[:corners] = peak_N[:corners].maximum(burst_NT.nan_to_num(math.inf).clamp(-FAR, FAR).abs().amax(1))
    loudest_at, stillest_at = int(peak_N.argmax()), int(still_N.argmax())
    return CornerScan(
        settings=len(settings),
        peak_dbfs=decibels(peak_N[loudest_at].item()),
        peak_setting=settings[loudest_at],
        recorded_peak_dbfs=decibels(recorded_peak),
        silence_dbfs=decibels(still_N[stillest_at].item()),
        silence_setting=settings[stillest_at],
        dc_dbfs=decibels(_offset(net, x_T, measured_NK)),
    )


def _offset(net: WaveNet, x_T: Tensor, columns_NK: Tensor) -> float:
    """Return the largest offset (full scale 1) of any of the settings while the loudest part of `x_T` is played.

    It is the mean with a Hann window: a plain one is that of the last period of the lowest note, -36 to -48 dBFS in
    takes of amps without any offset.
    """
    loud_T = loudest(x_T, OFFSET_SAMPLES + net.receptive_field - 1)
    window_T = torch.hann_window(OFFSET_SAMPLES, dtype=x_T.dtype)
    mean_N = _play_all(net, loud_T, columns_NK) @ (window_T / window_T.sum())
    return mean_N.nan_to_num(math.inf).clamp(-FAR, FAR).abs().max().item()


def knob_moves(net: WaveNet, knobs: Knobs, x_T: Tensor, rate_hz: int) -> dict[str, float] | None:
    """Return what turning a knob from end to end in 10, 50 and 200 ms adds to the sound: `{"10": dBFS, ...}`.

    It is the mean power of `knob_move_artifact` over all continuous knobs; None where there is none.
    """
    found = {str(ramp_ms): _move_artifacts(net, knobs, x_T, rate_hz, ramp_ms) for ramp_ms in RAMPS_MS}
    means = {ms: sum(10 ** (move / 10) for move in moves) / len(moves) for ms, moves in found.items() if moves}
    return {ms: round(power_decibels(mean, floor=0), 2) for ms, mean in means.items()} or None


def worst_move(net: WaveNet, knobs: Knobs, x_T: Tensor, rate_hz: int, ramp_ms: int) -> float:
    """Return the largest `knob_move_artifact` of a turn from end to end in `ramp_ms`, in dBFS; -200 without knobs."""
    return max(_move_artifacts(net, knobs, x_T, rate_hz, ramp_ms), default=-200.0)


@torch.no_grad()
def turn_knobs(net: WaveNet, knobs: Knobs, x_T: Tensor) -> tuple[KnobTurn, ...]:
    """Return how much each continuous knob changes the sound, the others at rest, in `TURN_STEPS` even steps."""
    loud_T = loudest(x_T, PLAYED_SAMPLES + net.receptive_field - 1)
    return tuple(_turn(net, knobs, knob, loud_T) for knob in knobs.knobs if isinstance(knob, Knob))


def loudest(x_T: Tensor, samples: int) -> Tensor:
    """Return the stretch of `samples` with the most energy in its second half; the first half is context.

    A signal that is too short is repeated.
    """
    if len(x_T) < samples:
        x_T = x_T.repeat(-(-samples // len(x_T)))
    half = samples - samples // 2
    energy_T = torch.cat([x_T.new_zeros(1).double(), x_T.double().square().cumsum(0)])
    ends = torch.arange(samples, len(x_T) + 1)
    best = int(ends[(energy_T[ends] - energy_T[ends - half]).argmax()])
    return x_T[best - samples : best]


def _bursts_like(x_T: Tensor, samples: int) -> Tensor:
    """Return bursts that peak where `x_T` does; the context before them is silent."""
    burst_T = torch.from_numpy(bursts(PLAYED_SAMPLES, BURST_SLOT, 0)).to(x_T)
    return torch.cat([x_T.new_zeros(samples - len(burst_T)), burst_T * x_T.abs().max() / burst_T.abs().max()])


def _scanned_settings(knobs: Knobs, random_settings: int) -> list[Setting]:
    """Return the corners, then the random settings; a single setting where there are no knobs."""
    draw = random.Random(0)
    ends = [_ends(knob) for knob in knobs.knobs]
    if math.prod(map(len, ends)) <= MAX_PLAYED_CORNERS:
        corners = list(product(*ends))
    else:
        corners = [tuple(draw.choice(pair) for pair in ends) for _ in range(MAX_PLAYED_CORNERS)]
    count = random_settings if ends else 0
    between = [tuple(_draw_value(knob, draw) for knob in knobs.knobs) for _ in range(count)]
    return [dict(zip(knobs.names, values, strict=True)) for values in corners + between]


def _move_artifacts(net: WaveNet, knobs: Knobs, x_T: Tensor, rate_hz: int, ramp_ms: int) -> list[float]:
    """Return `knob_move_artifact` of each continuous knob, in dBFS."""
    ramp = ramp_ms * rate_hz // 1000
    loud_T = loudest(x_T, ramp + 4 * net.receptive_field)
    found = []
    for knob in knobs.knobs:
        if isinstance(knob, Knob):
            ends: list[Setting] = [{knob.name: knob.min}, {knob.name: knob.max}]
            from_K, to_K = _encode(knobs, net.config.inject.encoding, ends)
            move = knob_move_artifact(net, loud_T, from_K, to_K, ramp)
            found.append(move if math.isfinite(move) else decibels(FAR))
    return found


def _turn(net: WaveNet, knobs: Knobs, knob: Knob, x_T: Tensor) -> KnobTurn:
    """Measure what one knob does to `x_T`, context included."""
    values = [knob.min + (knob.max - knob.min) * step / (TURN_STEPS - 1) for step in range(TURN_STEPS)]
    settings: list[Setting] = [{knob.name: value} for value in values]
    played_NT = _play_all(net, x_T, _encode(knobs, net.config.inject.encoding, settings)).double()
    distance_N = (played_NT - played_NT[0]).square().mean(1)
    loudest_power = played_NT.square().mean(1).max().item()
    change = distance_N[-1].item() / max(loudest_power, 1e-30)
    rising = (torch.diff(distance_N) > 0).double().mean().item()
    return KnobTurn(name=knob.name, change_db=round(power_decibels(change, floor=1e-12), 2), rising=rising)


def _ends(knob: AnyKnob) -> Sequence[float | str]:
    return (knob.min, knob.max) if isinstance(knob, Knob) else knob.positions


def _draw_value(knob: AnyKnob, draw: random.Random) -> float | str:
    return draw.uniform(knob.min, knob.max) if isinstance(knob, Knob) else draw.choice(knob.positions)


def _encode(knobs: Knobs, encoding: Encoding, settings: Sequence[Setting]) -> Tensor:
    rows = [knobs.encode(setting, encoding) for setting in settings]
    return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), -1)


def _play_all(net: WaveNet, x_T: Tensor, columns_NK: Tensor) -> Tensor:
    """Play one signal at N still settings: `(N, T - R + 1)`."""
    engine = engine_for(net)
    return torch.cat([engine(x_T.expand(len(some_BK), -1), some_BK) for some_BK in columns_NK.split(BATCH)])
