"""Scores of takes: how far what a model, or a plugin's rendering, plays is from what was recorded.

Shapes: T time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from models.artifacts.evaluation import Errors, RegionScore, Score, SettingScore
from models.artifacts.split_file import read_split
from models.audio.interpolation import read_between, recorded_span
from models.audio.io import read_length
from models.audio.loudest import loudest_start
from models.core.errors import UserError
from models.evaluation.distances import esr, gain_matched_esr, measure_errors
from models.evaluation.scoring import by_region, pool
from models.evaluation.take_player import TakePlayer, open_player
from models.knobs.geometry import end_values
from models.knobs.schema import Knobs, Setting, Switch
from models.knobs.text import format_setting
from models.recordings.alignment import Lag, estimate_lag
from models.recordings.config import DataConfig
from models.recordings.dataset import MIN_REGION, AlignedRecordings, Piece
from models.recordings.loading import align_recordings, collect_recordings
from models.recordings.manifest import Manifest, Take, read_manifest
from models.recordings.take_store import TakeStore

BoxRegion = Literal["inside", "edge", "corner"]  # of the box that the ends of the knobs span

SMALLEST_LAG = 0.5  # samples: a smaller lag is not corrected, it is part of the error

SAME_LAG = 0.5  # samples within which lags count as one

CERTAIN_LAG = 0.3  # confidence from which a lag counts

LIKE_ESR = 0.5  # largest gain-matched ESR, once the lag is removed, at which a lag counts

CLIPS, CLIP_SECONDS = 12, 3.0

MOST_PLAYED = 1e10  # of full scale: 200 dBFS; errors of more cannot be measured in single precision


@dataclass(frozen=True)
class TakeScore:
    """The error at one take; `trained` tells whether the model was trained on this setting and dry signal.

    `lag` is that of what was played against the take, before any correction; None where it is not certain.
    """

    wet: Path
    setting: Setting
    region: BoxRegion
    esr: float
    errors: Errors
    lag: Lag | None
    trained: bool


@dataclass(frozen=True)
class BoxScore:
    """Errors of the takes in one region of the knob box."""

    region: BoxRegion
    takes: int
    mean: float
    median: float
    worst: float


@dataclass(frozen=True, eq=False)
class Clip:
    """The loudest seconds of a take and what was played there, `(T,)` float32."""

    take_T: np.ndarray
    played_T: np.ndarray


@dataclass(frozen=True, eq=False)
class TakeScores:
    """All takes of a manifest, scored.

    `score` pools the takes in their order. `lag` was removed from all that was played. `clips` are the sound of some
    takes by their index, from the best to the worst. `notes` are sentences for people.
    """

    name: str
    manifest: Path
    knobs: Knobs
    rate_hz: int
    takes: tuple[TakeScore, ...]
    score: Score
    by_knob: tuple[RegionScore, ...]
    by_box: tuple[BoxScore, ...]
    lag: Lag | None
    notes: tuple[str, ...]
    clips: dict[int, Clip]

    def to_json(self) -> dict[str, Any]:
        """Return the scores as plain data, schema `zoo.score/1`."""
        pooled = self.score
        return {
            "schema": "zoo.score/1",
            "model": self.name,
            "manifest": str(self.manifest),
            "sample_rate": self.rate_hz,
            "esr": {"mean": pooled.mean, "median": pooled.median, "worst": pooled.worst},
            "errors": pooled.errors.model_dump() if pooled.errors else None,
            "by_knob": [region.model_dump() for region in self.by_knob],
            "by_region": [vars(region) for region in self.by_box],
            "lag": self.lag and {"delay_samples": self.lag.delay_samples, "polarity": self.lag.polarity},
            "notes": list(self.notes),
            "takes": [
                {
                    "output_file": str(take.wet),
                    "setting": take.setting,
                    "region": take.region,
                    "trained": take.trained,
                    "esr": take.esr,
                    **take.errors.model_dump(),
                    "lag_samples": take.lag and take.lag.delay_samples,
                }
                for take in self.takes
            ],
        }


def score_takes(
    source: Path,
    manifest: Path,
    *,
    align: bool | None = None,
    clips: bool = False,
    on_take: Callable[[int, int], None] = lambda done, total: None,
) -> TakeScores:
    """Play every take of a manifest, training and held ones, and measure the error of each.

    Args:
        source: a package, a run folder, a `.nam` file (stock or with knobs), or a folder of sound files that another
            program rendered from the dry signals, named as the recorded files.
        manifest: the takes.
        align: align the takes with their dry signals first; None does what the run was trained with, False without.
        clips: keep some seconds of sound of `CLIPS` takes.
        on_take: called with the takes done and the takes in all.

    A lag that is common to all that was played is removed, as a host's latency is. Raises `UserError` for files that
    cannot be read or do not fit each other, and where what was played is above `MOST_PLAYED` or not finite.
    """
    listed = read_manifest(manifest)
    takes = [*listed.takes, *listed.held_takes]
    split = read_split(source) or {}
    recorded_hz = listed.sample_rate or read_length(takes[0].wet)[1]
    player = open_player(source, listed.knobs, takes, recorded_hz)
    notes = list(player.notes)
    if player.rate_hz != recorded_hz:
        notes.append(f"the takes are at {recorded_hz} Hz; they are resampled to {player.rate_hz} Hz")
    if align is None and not (align := bool(_stated_in_split(split, "data", "align"))) and _are_cut(takes):
        align = True
        notes.append("takes are not as long as their dry signals; all are aligned with them")
    aligned = _read_takes(listed, takes, player.rate_hz, bool(align))
    store, played, lags = TakeStore(), list[Tensor](), list[Lag | None]()
    for number, (take, piece) in enumerate(zip(takes, aligned.pieces, strict=True), 1):
        y_T = player.play(aligned.recordings.dry_T[piece.dry].numpy(), take)
        if not np.abs(y_T).max(initial=0.0) <= MOST_PLAYED:
            where = format_setting(take.setting) or take.wet.name
            raise UserError(
                f"what {player.name} plays at {where} is beyond all measure, or not finite",
                "Do not play it; tell its maker.",
            )
        played.append(store(np.ascontiguousarray(y_T, np.float32)))
        lags.append(_lag_of(y_T, piece, player.rate_hz))
        on_take(number, len(takes))
    lag, said = common_lag(lags)
    trained, found = _trained_on(split, aligned), list[TakeScore]()
    settings = [piece["setting"] for piece in _stated_in_split(split, "pieces", "train") or []]
    for index, (take, piece) in enumerate(zip(takes, aligned.pieces, strict=True)):
        part, played_T = _place_played(played[index], piece, lag, take)
        found.append(_score_take(take, part, played_T, lags[index], listed.knobs, trained[index]))
    chosen = _spread_by_error(found) if clips else []
    sounds = {i: _clip(*_place_played(played[i], aligned.pieces[i], lag, takes[i]), player.rate_hz) for i in chosen}
    if seen := sum(trained):
        notes.append(f"{seen} of {len(takes)} takes are of the training: their settings on their dry signal")
    if known := sum(take.setting in settings and not take.trained for take in found):
        notes.append(f"{known} of {len(takes)} takes are at settings of the training, on other audio")
    return _pool_takes(player, listed, found, sounds, lag, (*notes, *said))


def region_of_box(knobs: Knobs, setting: Setting) -> BoxRegion:
    """Return where in the box of the knobs a setting is: a corner has every knob at an end; switches do not count."""
    at_end = [
        not float(low) < float(setting[knob.name]) < float(high)
        for knob in knobs.knobs
        if not isinstance(knob, Switch)
        for low, high in [end_values(knob)]
    ]
    return "inside" if not any(at_end) else "corner" if all(at_end) else "edge"


def common_lag(lags: Sequence[Lag | None]) -> tuple[Lag | None, list[str]]:
    """Return the lag that at least half of the takes share, if it is worth a correction, and what to say about lags.

    None where they share none, or one of less than `SMALLEST_LAG` samples and normal polarity.
    """
    certain = [lag for lag in lags if lag]
    if not certain:
        return None, []
    middle = median(lag.delay_samples for lag in certain)
    same = [lag for lag in certain if abs(lag.delay_samples - middle) <= SAME_LAG]
    if 2 * len(same) < len(lags) or len(same) == 1 < len(lags):
        if max(abs(lag.delay_samples) for lag in certain) < SMALLEST_LAG:
            return None, []
        delays = sorted(lag.delay_samples for lag in certain)
        return None, [f"what was played has no common lag: from {delays[0]:+.1f} to {delays[-1]:+.1f} samples"]
    polarity = 1 if sum(lag.polarity for lag in same) >= 0 else -1
    delay, said = median(lag.delay_samples for lag in same), list[str]()
    apart = [lag for lag in certain if abs(lag.delay_samples - delay) > SAME_LAG]
    if apart:
        worst = max(apart, key=lambda lag: abs(lag.delay_samples - delay))
        said.append(f"{len(apart)} of {len(lags)} takes have another lag, up to {worst.delay_samples:+.1f} samples")
    if abs(delay) < SMALLEST_LAG and polarity > 0:
        return None, said
    if abs(delay) >= SMALLEST_LAG:
        side = "late" if delay > 0 else "early"
        said.append(f"what was played is {abs(delay):.2f} samples {side} at all takes; it was moved")
    if polarity < 0:
        said.append("what was played is inverted; its polarity was corrected")
    return Lag(delay if abs(delay) >= SMALLEST_LAG else 0.0, polarity), said


def _read_takes(listed: Manifest, takes: Sequence[Take], rate_hz: int, align: bool) -> AlignedRecordings:
    """Read all takes at one rate, on the time lines of their dry signals."""
    config = DataConfig(name="takes", train=listed.path, held=listed.path, align=align, sample_rate=rate_hz)
    return align_recordings(collect_recordings(config, listed, [(takes, False)]))


def _stated_in_split(split: dict[str, Any], *keys: str) -> Any:
    """Return what a `split.json` states under keys, None where it does not."""
    found: Any = split
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _trained_on(split: dict[str, Any], aligned: AlignedRecordings) -> list[bool]:
    """Return for each take whether a run's `split.json` has its setting, on its dry signal, in training."""
    pieces, digests = _stated_in_split(split, "pieces", "train") or [], _stated_in_split(split, "dry_sha256") or []
    known = [(digests[piece["dry"]], piece["setting"]) for piece in pieces]
    own = [sha256(x_T.numpy().tobytes()).hexdigest() for x_T in aligned.recordings.dry_T]
    return [(own[piece.dry], piece.setting) in known for piece in aligned.pieces]


def _lag_of(played_T: np.ndarray, piece: Piece, rate_hz: int) -> Lag | None:
    """Return how late what was played is against a take; None where it is too unlike the take to tell."""
    take_T = piece.wet_T.numpy()
    lag = estimate_lag(take_T, played_T, rate_hz)
    if lag.confidence < CERTAIN_LAG:
        return None
    moved_T = read_between(played_T, lag.delay_samples, 1.0, len(take_T))
    error = gain_matched_esr(torch.from_numpy(moved_T), piece.wet_T.double())
    return lag if error <= LIKE_ESR else None


def _place_played(played_T: Tensor, piece: Piece, lag: Lag | None, take: Take) -> tuple[Piece, Tensor]:
    """Return the part of a take that was also played, and what was played there, without the lag."""
    lag = lag or Lag(0.0, 1)
    start, stop = recorded_span(len(played_T), lag.delay_samples, 1.0, len(piece.wet_T))
    part = piece.cut(start, stop)
    if part.stop - part.start < MIN_REGION:
        raise UserError(
            f"what was played for {take.wet} has {part.stop - part.start} samples in common with it",
            "Render the whole dry signal of every take.",
        )
    if lag == Lag(0.0, 1):
        return part, played_T[part.start : part.stop]
    moved_T = read_between(played_T.numpy(), lag.delay_samples + part.start, 1.0, part.stop - part.start)
    return part, torch.from_numpy((lag.polarity * moved_T).astype(np.float32))


def _score_take(take: Take, piece: Piece, played_T: Tensor, lag: Lag | None, knobs: Knobs, trained: bool) -> TakeScore:
    target_T = piece.wet_T[piece.start : piece.stop]
    if not target_T.any():
        raise UserError(
            f"{take.wet} is silent where something was played for it", "Render the whole dry signal of every take."
        )
    return TakeScore(
        take.wet,
        take.setting,
        region_of_box(knobs, take.setting),
        esr(played_T, target_T),
        measure_errors(played_T, target_T),
        lag,
        trained,
    )


def _pool_takes(
    player: TakePlayer,
    listed: Manifest,
    takes: Sequence[TakeScore],
    clips: dict[int, Clip],
    lag: Lag | None,
    notes: tuple[str, ...],
) -> TakeScores:
    pooled = pool(SettingScore(setting=take.setting, esr=take.esr, errors=take.errors) for take in takes)
    regions, boxes = by_region(pooled, listed.knobs), tuple(_box_scores(takes))
    name, rate_hz = player.name, player.rate_hz
    return TakeScores(name, listed.path, listed.knobs, rate_hz, tuple(takes), pooled, regions, boxes, lag, notes, clips)


def _spread_by_error(takes: Sequence[TakeScore]) -> list[int]:
    """Return the indices of at most `CLIPS` takes, from the best to the worst."""
    order = sorted(range(len(takes)), key=lambda index: takes[index].esr)
    ranks = np.linspace(0, len(order) - 1, min(CLIPS, len(order)))
    return list(dict.fromkeys(order[int(rank)] for rank in ranks))


def _are_cut(takes: Sequence[Take]) -> bool:
    """Whether a take without a stated delay is shorter or longer than its dry signal, in seconds."""
    for take in takes:
        (wet, wet_hz), (dry, dry_hz) = read_length(take.wet), read_length(take.dry)
        if take.delay_samples is None and wet * dry_hz != dry * wet_hz:
            return True
    return False


def _box_scores(takes: Sequence[TakeScore]) -> list[BoxScore]:
    """Pool the takes of each region of the box; regions without takes are absent."""
    groups = {region: [take.esr for take in takes if take.region == region] for region in get_args(BoxRegion)}
    return [
        BoxScore(region, len(esrs), fmean(esrs), median(esrs), max(esrs)) for region, esrs in groups.items() if esrs
    ]


def _clip(piece: Piece, played_T: Tensor, rate_hz: int) -> Clip:
    """Cut the loudest seconds of a take."""
    take_T, other_T = piece.wet_T[piece.start : piece.stop].numpy(), played_T.numpy()
    length = min(int(CLIP_SECONDS * rate_hz), len(take_T))
    start = loudest_start(take_T, length)
    return Clip(take_T[start : start + length].copy(), other_T[start : start + length].copy())
