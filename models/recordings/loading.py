"""Loads one amp's recordings: reads its manifests, aligns its takes, splits them.

Shapes: T time in samples of the dry signal, K knobs.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import floor
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from models.audio.interpolation import HALF
from models.audio.io import read_length
from models.core.errors import UserError
from models.core.progress import PhaseListener, ignore_phase
from models.knobs.schema import Knobs
from models.recordings.alignment import (
    Lag,
    TakeResponse,
    align_wet,
    reconcile_lags,
)
from models.recordings.config import DataConfig
from models.recordings.dataset import (
    MIN_REGION,
    SILENCE,
    AlignedRecordings,
    AmpData,
    ListedTake,
    Piece,
    Recordings,
)
from models.recordings.manifest import Manifest, Take, read_manifest
from models.recordings.output_files import output_of
from models.recordings.response_cache import recall_response
from models.recordings.splitting import split_recordings
from models.recordings.take_reader import TakeReader, group_by_dry
from models.recordings.take_store import TakeStore

MAX_CUT_SECONDS = 0.5  # by which the start of a take may be cut without that it is aligned twice

_DRY_SIGNALS: WeakValueDictionary[str, Tensor] = WeakValueDictionary()  # in use, by the sha256 of their samples


def load_data(config: DataConfig, on_phase: PhaseListener = ignore_phase) -> AmpData:
    """Read one amp's manifests and audio, align the takes and split them as `DataConfig` states.

    `on_phase` is told of reading and aligning, take by take.

    Raises `UserError` naming the file for anything missing, unreadable, silent or at another rate, and for a split that
    would leak or that leaves nothing to train on, to validate on or to report.
    """
    read_outline(config)
    return split_recordings(align_recordings(read_recordings(config), on_phase))


def read_outline(config: DataConfig) -> AmpData:
    """Return what is known of one amp before any audio is decoded: its knobs and its rate; it has no pieces.

    Raises `UserError` for a file that is missing, that is no audio or at another rate, and for manifests as
    `read_recordings` does.
    """
    manifest, held_takes = _read_manifests(config)
    files = dict.fromkeys(path for take in (*manifest.takes, *held_takes) for path in (take.dry, take.wet))
    found_hz = {path: read_length(path)[1] for path in files}
    rate_hz = config.sample_rate or manifest.sample_rate or found_hz[manifest.takes[0].wet]
    for path in files if config.sample_rate is None else ():
        _check_rate(config, path, found_hz[path], rate_hz)
    return AmpData(config, manifest.knobs, rate_hz, manifest.license, manifest.device)


def read_recordings(config: DataConfig) -> Recordings:
    """Read the manifests and dry signals of one amp.

    Raises `UserError` for a file that is missing, unreadable or at another rate than the takes, for manifests with
    different knobs, and where no take is held.
    """
    manifest, held_takes = _read_manifests(config)
    return collect_recordings(config, manifest, [(manifest.takes, True), (held_takes, False)])


def collect_recordings(
    config: DataConfig, manifest: Manifest, groups: Sequence[tuple[Sequence[Take], bool]]
) -> Recordings:
    """Read the dry signals of groups of takes, each with whether training may use them.

    Raises `UserError` as `read_recordings` does.
    """
    rate_hz = config.sample_rate or manifest.sample_rate or read_length(manifest.takes[0].wet)[1]
    reader = TakeReader(config.sample_rate)
    dry_T: dict[str, Tensor] = {}  # by the sha256 of its samples: copies of one file are one signal
    indices: dict[tuple[Path, int | None], int] = {}
    listed = []
    for takes, training in groups:
        for take in takes:
            source = (take.dry, take.channel)
            if source not in indices:
                dry = reader.read_dry(take)
                _check_rate(config, take.dry, dry.rate_hz, rate_hz)
                dry_T.setdefault(dry.sha256, _shared(dry.sha256, dry.x_T))
                indices[source] = list(dry_T).index(dry.sha256)
            listed.append(ListedTake(take, indices[source], training))
    return Recordings(
        config,
        manifest.knobs,
        rate_hz,
        manifest.license,
        manifest.device,
        manifest.levels,
        tuple(dry_T.values()),
        tuple(listed),
        manifest.delays,
    )


def align_recordings(recordings: Recordings, on_phase: PhaseListener = ignore_phase) -> AlignedRecordings:
    """Read every take and put it on the time line of its dry signal.

    With `align` in the config, delay and polarity are estimated; without it, the delay that the manifest states is
    removed. Each file is decoded once. Raises `UserError` naming the file for a take that is unreadable, at another
    rate, silent, cut where nothing aligns it, or that has no audio in common with its dry signal.
    """
    config, store = recordings.config, TakeStore()
    reader, total = TakeReader(config.sample_rate), len(recordings.takes)
    lags: dict[str, Lag] = {}
    pieces: list[Piece] = []
    if not config.align:
        lags = _stated_lags(recordings)
        for listed in recordings.takes:
            on_phase(f"reading {config.name}", len(pieces), total)
            pieces.append(_place(recordings, listed, reader, lags, store))
        return AlignedRecordings(recordings, tuple(pieces), lags, store)
    for training in (True, False):
        group = [listed for listed in recordings.takes if listed.training == training]
        on_take = partial(_tell_aligned, on_phase, config.name, len(pieces), total)
        placed, lags = _estimate_and_place(recordings, group, reader, lags, store, on_take)
        pieces += placed
    return AlignedRecordings(recordings, tuple(pieces), lags, store)


def _tell_aligned(on_phase: PhaseListener, name: str, first: int, total: int, done: int) -> None:
    on_phase(f"aligning {name}", first + done, total)


def _read_manifests(config: DataConfig) -> tuple[Manifest, list[Take]]:
    """Return the train manifest, and the held takes of the held manifest or else of the train manifest."""
    train = read_manifest(_local_file(config.train))
    held = read_manifest(_local_file(config.held)) if config.held else None
    if held and _scales(held.knobs) != _scales(train.knobs):
        raise UserError(
            f"{held.path} has knobs {', '.join(held.knobs.names)} with other names or ranges than {train.path}",
            "Both manifests must describe the same knobs.",
        )
    held_takes = held.takes if held else [] if config.held_settings else train.held_takes
    if not held_takes and not config.held_settings:
        raise UserError(
            f"{config.name}: no take is held back for the final evaluation",
            "Name either a 'held' manifest or 'held_settings' to take out of 'train'.",
        )
    return train, held_takes


def _local_file(place: Path | str) -> Path:
    """Return a manifest's path on this machine; raises `UserError` for a URI."""
    if isinstance(place, Path):
        return place
    raise UserError(f"{place} is not on this machine", "Only training and search read URIs; name a local file here.")


def _stated_lags(recordings: Recordings) -> dict[str, Lag]:
    """Return the delays that the manifests state, by wet file, in samples at the rate of the loaded takes."""
    return {
        str(take.wet): Lag(delay, 1)
        for take in (listed.take for listed in recordings.takes)
        if (delay := _stated_delay(take, recordings.rate_hz)) is not None
    }


def _stated_delay(take: Take, rate_hz: int) -> float | None:
    """Return the delay that the manifest states, in samples at `rate_hz`."""
    return None if take.delay_samples is None else take.delay_samples * rate_hz / read_length(take.wet)[1]


def _estimate_and_place(
    recordings: Recordings,
    group: Sequence[ListedTake],
    reader: TakeReader,
    known: dict[str, Lag],
    store: TakeStore,
    on_take: Callable[[int], None],
) -> tuple[list[Piece], dict[str, Lag]]:
    """Estimate and remove the lags of takes; returns their pieces, and all lags by wet file.

    `on_take` gets the number of takes done, before each.

    Takes are placed once the other takes of their dry signal have corrected them; until then the decoded ones are held
    in a store of their own, which is emptied while `store` is filled. A wet file with a `known` lag keeps that one:
    training's estimate serves the held takes of the same file, too.
    """
    decoded, unplaced, responses, pieces, lags = TakeStore(), deque[Tensor](), [], [], known
    for done, listed in enumerate(group):
        on_take(done)
        wet_T = _read_wet(recordings, listed, reader)
        responses.append(_measure_response(recordings, listed, wet_T))
        unplaced.append(decoded(wet_T))
    outputs = [output_of(recordings.knobs, listed.take.setting) for listed in group]
    for numbers in group_by_dry(range(len(group)), lambda number: (group[number].dry, outputs[number])):
        reconciled = reconcile_lags([responses[number] for number in numbers], recordings.delays)
        lags = {str(group[n].take.wet): lag for n, lag in zip(numbers, reconciled, strict=True)} | lags
    for listed in group:
        wet_T = unplaced.popleft().numpy()
        pieces.append(_piece(recordings, listed, wet_T, lags[str(listed.take.wet)], store))
        _check_piece(listed.take, pieces[-1])
    return pieces, lags


def _place(
    recordings: Recordings, listed: ListedTake, reader: TakeReader, stated: dict[str, Lag], store: TakeStore
) -> Piece:
    """Read one take and remove the delay that its manifest states; without one it must be as long as its dry signal."""
    wet_T, dry_T, take = _read_wet(recordings, listed, reader), recordings.dry_T[listed.dry], listed.take
    lag = stated.get(str(take.wet))
    if lag is None and len(wet_T) != len(dry_T):
        why = "its start or end was cut" if len(wet_T) < len(dry_T) else "it was recorded for longer"
        raise UserError(
            f"{take.wet} has {len(wet_T) - len(dry_T):+d} samples against its dry {take.dry.name}: {why}",
            f'Set "align": true for {recordings.config.name}, so that takes are aligned with their dry signal.',
        )
    piece = _piece(recordings, listed, wet_T, lag, store)
    _check_piece(take, piece)
    return piece


def _read_wet(recordings: Recordings, listed: ListedTake, reader: TakeReader) -> np.ndarray:
    wet_T, rate_hz = reader.read_wet(listed.take)
    _check_rate(recordings.config, listed.take.wet, rate_hz, recordings.rate_hz)
    return wet_T


def _check_rate(config: DataConfig, path: Path, found_hz: int, wanted_hz: int) -> None:
    if found_hz != wanted_hz:
        raise UserError(
            f"{path} is at {found_hz} Hz but {config.name} is at {wanted_hz} Hz",
            f'Set "sample_rate": {wanted_hz} in the data config, so that takes are resampled to it.',
        )


def _measure_response(recordings: Recordings, listed: ListedTake, wet_T: np.ndarray) -> TakeResponse:
    """Measure the response of a take; that of a training take does not depend on validation or held audio."""
    dry_T, rate_hz, config = recordings.dry_T[listed.dry].numpy(), recordings.rate_hz, recordings.config
    if listed.training:
        evaluated = len(dry_T) - int(config.held_seconds * rate_hz) - int(config.validation_seconds * rate_hz)
        dry_T = dry_T[: max(evaluated, 0)]
        wet_T = wet_T[: max(evaluated - int(MAX_CUT_SECONDS * rate_hz), 0)]
    if len(wet_T) < MIN_REGION:
        raise UserError(
            f"{listed.take.wet} is too short to be aligned", "Record longer takes, or hold less audio back."
        )
    stated = _stated_delay(listed.take, rate_hz)
    response = recall_response(dry_T, wet_T, rate_hz, stated)
    usable = len(dry_T) + floor(response.lag.delay_samples)
    if listed.training and MIN_REGION <= usable < len(wet_T):  # the start was cut by more than `MAX_CUT_SECONDS`
        return recall_response(dry_T, wet_T[:usable], rate_hz, response.lag.delay_samples)
    return response


def _piece(recordings: Recordings, listed: ListedTake, wet_T: np.ndarray, lag: Lag | None, store: TakeStore) -> Piece:
    """Put a whole take on the time line of its dry signal and leave out what was not recorded."""
    dry_T, knobs = recordings.dry_T[listed.dry], recordings.knobs
    start, stop = 0, len(dry_T)
    if lag is not None:
        wet_T, start, stop = align_wet(wet_T, lag, len(dry_T), recordings.margin)
    first, end = _recorded(wet_T, dry_T.numpy())
    setting = knobs.complete(listed.take.setting, str(listed.take.wet))
    levels_K = torch.tensor(knobs.encode(setting), dtype=torch.float32)
    return Piece(listed.dry, store(wet_T), max(start, first), min(stop, end), setting, levels_K)


def _check_piece(take: Take, piece: Piece) -> None:
    """Raise `UserError` for a take with nothing to learn from."""
    if piece.stop - piece.start < MIN_REGION:
        raise UserError(f"{take.wet} and its dry {take.dry.name} have no audio in common", "Is it the right file?")
    if piece.energy < SILENCE:
        raise UserError(f"{take.wet} is silent", "Leave this setting out: no error can be measured against silence.")


def _recorded(wet_T: np.ndarray, dry_T: np.ndarray) -> tuple[int, int]:
    """Return `(start, stop)` of what was recorded.

    More digital silence than an interpolator's reach, at an end where the dry signal sounds, is padding.
    """
    sounding_N = np.flatnonzero(wet_T)
    first, end = (int(sounding_N[0]), int(sounding_N[-1]) + 1) if len(sounding_N) else (0, len(wet_T))
    padded_before = first > HALF and np.any(dry_T[:first])
    padded_after = len(wet_T) - end > HALF and np.any(dry_T[end:])
    return first if padded_before else 0, end if padded_after else len(wet_T)


def _shared(digest: str, x_T: np.ndarray) -> Tensor:
    """Return one tensor for a dry signal, even if several datasets use it."""
    known = _DRY_SIGNALS.get(digest)
    if known is None:
        _DRY_SIGNALS[digest] = known = torch.from_numpy(x_T)
    return known


def _scales(knobs: Knobs) -> set[tuple]:
    return {knob.scale for knob in knobs.knobs}
