"""Which take to record next: where models of one device disagree, and how much of that a take removes.

Models that differ in shape or seed agree where takes determine them. Where they disagree, by so much at least one of
them is wrong; what all of them have wrong alike is not seen. Their deviations from their mean are taken for samples of
a Gaussian process over the knobs, so that no length scale is stated: two settings belong together as far as the models
deviate alike there. A take removes the deviation at its setting, and its share of all others (the active learning of
Cohn, 1996; the variance of the process as in Seo et al., IJCNN 2000). The deviation at recorded settings is what takes
do not remove: its share is left out of what they bring.

Shapes: T time, M models, C candidates, P settings in all (candidates and recorded ones), K knob columns.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.artifacts.folder import read_model
from models.artifacts.model_config import ModelConfig
from models.audio.loudest import loudest_start
from models.capture.designs import corner_settings, distinct
from models.capture.plan import split_knobs
from models.core.errors import UserError
from models.knobs.geometry import candidate_settings, setting_key, with_dial_steps
from models.knobs.schema import Knobs, Setting
from models.network.numpy_wavenet import NumpyWaveNet
from models.playback.stream import player_factory

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet

SPREAD_SETTINGS, MOST_RECORDED = 256, 48  # settings spread over the knobs, and recorded ones, that models play

PLAYED_PARTS, PLAYED_PART_SECONDS = 8, 0.125

FADE_SECONDS = 0.005

QUIETEST_SHARE = 1e-3  # of the median energy; an ESR against less is counted as one against so much

LOOK_AHEAD, SERIES = 100, 5  # takes thought of, and in one series

NOT_WORTH = 0.05  # of the disagreement: a series that brings less is not worth recording


@dataclass(frozen=True)
class ProposedTake:
    """A setting to record.

    `esr` is the disagreement at it, `brings` the fall of the mean disagreement over the knobs after those before it.
    """

    setting: Setting
    esr: float
    brings: float


@dataclass(frozen=True)
class Proposal:
    """Settings to record, the most valuable first; `mean_esr` is the disagreement over the knobs before the first.

    `floor_esr` is the disagreement at recorded settings. `enough` is the number of takes after which the next `SERIES`
    bring less than `NOT_WORTH` of the mean; None where no such number is known.
    """

    takes: tuple[ProposedTake, ...]
    mean_esr: float
    floor_esr: float
    enough: int | None

    @property
    def brings(self) -> float:
        """The fall of the mean disagreement by all takes."""
        return sum(take.brings for take in self.takes)


Model = tuple[ModelConfig, "NumpyWaveNet | WaveNet"]


def read_models(sources: Sequence[Path], knobs: Knobs, manifest: Path) -> list[Model]:
    """Read models of one device: run folders, packages or `.nam` files.

    Raises `UserError` for fewer than two, for one with other knobs than those of `manifest`, and for several rates.
    """
    if len(sources) < 2:
        raise UserError(f"{len(sources)} model is named; disagreement takes two", "Name another one, or a study.")
    models = [_read_model(path) for path in sources]
    wanted = {knob.scale for knob in knobs.knobs}
    for path, (config, _) in zip(sources, models, strict=True):
        if {knob.scale for knob in config.knobs.knobs} != wanted:
            raise UserError(
                f"{path} has knobs {', '.join(config.knobs.names) or 'of no name'} with other names or ranges than "
                f"{manifest}",
                "Name models that were trained on this manifest.",
            )
    rates = sorted({config.audio.sample_rate for config, _ in models})
    if len(rates) > 1:
        raise UserError(f"the models play at {' and '.join(map(str, rates))} Hz", "Name models at one rate.")
    return models


def _read_model(path: Path) -> Model:
    if path.suffix.lower() != ".nam":
        return read_model(path)
    from models.formats.nam.reader import read_nam

    return read_nam(path)


def take_excerpt(x_T: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the loudest part of each of `PLAYED_PARTS` stretches of a signal, one after the other, faded.

    Raises `UserError` for a signal that is silent or shorter than that.
    """
    length, fade = round(PLAYED_PART_SECONDS * rate_hz), max(round(FADE_SECONDS * rate_hz), 1)
    if len(x_T) < PLAYED_PARTS * length or not np.any(x_T):
        raise UserError(
            f"the dry signal is silent or shorter than {PLAYED_PARTS * PLAYED_PART_SECONDS:g} s",
            "Name another signal to play.",
        )
    window_N = np.minimum(np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / fade, 1.0)
    stretches = np.array_split(np.asarray(x_T, np.float32), PLAYED_PARTS)
    starts = [loudest_start(part_T, length) for part_T in stretches]
    return np.concatenate([p[s : s + length] * window_N for p, s in zip(stretches, starts, strict=True)], dtype="f4")


def propose_by_disagreement(
    knobs: Knobs,
    models: Sequence[Model],
    x_T: np.ndarray,
    existing: Sequence[Setting],
    count: int,
    taken: Sequence[Setting] = (),
    on_setting: Callable[[int, int], None] = lambda done, total: None,
) -> Proposal:
    """Return `count` settings to record, chosen one after the other by what they bring.

    `x_T` is what the models play, at their rate. No setting of `existing` or `taken` is proposed. Knobs that are stated
    to filter after the distortion stay at their defaults. `on_setting(done, total)` is called after each setting that
    was played. Raises `UserError` for fewer free settings, and for models that give numbers that are not finite.
    """
    moved, _ = split_knobs(knobs)
    if count < 1 or not moved.knobs:
        raise UserError(f"{count} takes cannot be proposed", "Ask for at least one, of a knob that does not filter.")
    dial = with_dial_steps(moved)
    excluded = {setting_key(setting) for setting in (*existing, *taken)}
    spread = [{**knobs.defaults, **setting} for setting in candidate_settings(dial)]
    corners = [{**knobs.defaults, **setting} for setting in corner_settings(dial)]
    free = [s for s in distinct(spread) if setting_key(s) not in excluded][: max(SPREAD_SETTINGS, count)]
    free = distinct([*free, *(s for s in corners if setting_key(s) not in excluded)])
    if len(free) < count:
        raise UserError(f"only {len(free)} settings are left to record, not {count}", "Ask for fewer.")
    recorded = distinct(existing)[:: -(-len(existing) // MOST_RECORDED) or 1]
    deviations_PT = play_deviations(models, x_T, [*free, *recorded], on_setting)
    covariance_PP = deviations_PT @ deviations_PT.T
    floor = float(np.diag(covariance_PP)[len(free) :].mean()) if recorded else 0.0
    return _choose_takes(free, covariance_PP[: len(free), : len(free)].astype(np.float64), floor, count)


def play_deviations(
    models: Sequence[Model],
    x_T: np.ndarray,
    settings: Sequence[Setting],
    on_setting: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Return how far each model is from the mean of all at each setting, `(P, M * T)` float32.

    A row's sum of squares is the disagreement at the setting as an ESR: the variance of the models (with M - 1) over
    the energy of their mean.
    """
    creates = [player_factory(net) for _, net in models]
    quiet = [np.zeros(config.audio.receptive_field, np.float32) for config, _ in models]

    def play(setting: Setting) -> tuple[np.ndarray, float]:
        played_MT = np.stack(
            [
                create().play(np.concatenate([before, x_T]), config.encode(setting))[len(before) :]
                for create, before, (config, _) in zip(creates, quiet, models, strict=True)
            ]
        ).astype(np.float64)
        if not np.isfinite(played_MT).all():
            raise UserError("a model gives numbers that are not finite", "Train it further, or leave it out.")
        mean_T = played_MT.mean(0)
        return ((played_MT - mean_T) / np.sqrt(len(models) - 1)).astype(np.float32).ravel(), float(mean_T @ mean_T)

    rows, energies = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, (row_T, energy) in enumerate(pool.map(play, settings), 1):
            rows.append(row_T)
            energies.append(energy)
            on_setting(done, len(settings))
    energy_P = np.maximum(energies, QUIETEST_SHARE * float(np.median(energies)) + 1e-12)
    return np.stack(rows) / np.sqrt(energy_P)[:, None].astype(np.float32)


def _choose_takes(free: Sequence[Setting], covariance_CC: np.ndarray, floor: float, count: int) -> Proposal:
    """Choose settings greedily, each the one that lowers the mean of the variance most, given those before it."""
    left_CC, chosen = covariance_CC.copy(), list[ProposedTake]()
    mean, open_C = float(np.diag(left_CC).mean()), np.ones(len(free), bool)
    removable = max(1 - floor / mean, 0.0) if mean > 0 else 0.0
    least = 1e-4 * mean + 1e-30  # of a variance that is left; less is rounding of float32
    for _ in range(min(max(count + SERIES, LOOK_AHEAD), len(free))):
        variance_C = np.diag(left_CC)
        gain_C = np.where(variance_C > least, np.square(left_CC).mean(1) / np.maximum(variance_C, least), 0.0)
        best = int(np.argmax(np.where(open_C, gain_C, -1.0)))
        open_C[best] = False
        chosen.append(ProposedTake(free[best], float(covariance_CC[best, best]), removable * float(gain_C[best])))
        if gain_C[best] > 0:
            left_CC -= np.outer(left_CC[best], left_CC[best]) / variance_C[best]
    return Proposal(tuple(chosen[:count]), mean, floor, _find_enough([take.brings for take in chosen], mean))


def _find_enough(brings: Sequence[float], mean: float) -> int | None:
    """Return after how many takes the next `SERIES` bring less than `NOT_WORTH` of the mean."""
    series = range(len(brings) - SERIES + 1)
    return next((n for n in series if sum(brings[n : n + SERIES]) <= NOT_WORTH * mean), None)
