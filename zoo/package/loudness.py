"""The check of ears: no model of a package is louder than it claims, plays numbers that are none, or plays nothing.

It plays a short piece of guitar at the defaults and at corners of the knobs, through the model, its tiers and all
`.nam` files, and compares: a model with the peak in its scores and with its clips, a `.nam` file with its model and
with the loudness that it states.

Shapes: N settings, K knob columns, T time, R receptive field.
"""

import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from pathlib import Path

import numpy as np

from models.artifacts.evaluation import CornerScan, Evaluation
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import EVAL, WEIGHTS, is_nam_file
from models.audio.calibration import AnalogLevels
from models.audio.decibels import decibels, power_decibels
from models.audio.guitar import guitar
from models.audio.io import read_audio
from models.audio.loudest import loudest_start
from models.core.cache import read_measurement, write_measurement
from models.core.errors import IntegrityError, UserError
from models.formats.nam.reader import read_nam_weights, stated_loudness
from models.formats.nam.writer import standard_guitar
from models.formats.open_model import open_model
from models.formats.player.offline import OfflineModel
from models.knobs.schema import Knob, Knobs, Setting
from models.knobs.text import format_setting
from models.network.numpy_wavenet import NumpyWaveNet
from zoo.package.layout import LIVE, PRESETS, tier_names
from zoo.package.manifest import digest, package_files, read_package_document
from zoo.package.presets import Preset, Presets

LOUDEST_DBFS = 24.0  # no amp plays higher, whatever it claims: a take ends at 0, a model 18 dB above its takes

CLAIM_MARGIN_DB = 12.0  # above the claimed peak; the guitar here may be louder than the maker's

TWIN_MARGIN_DB = 3.0  # of a `.nam` file above its model, and of a model above its own clip

FAINTEST = 1e-6  # amplitude; a model that plays less plays nothing

UNSCORED = CornerScan(  # claims what any amp may play
    settings=0,
    peak_dbfs=LOUDEST_DBFS,
    peak_setting={},
    recorded_peak_dbfs=LOUDEST_DBFS,
    silence_dbfs=-200.0,
    silence_setting={},
    dc_dbfs=-200.0,
)

PROBE_PEAK, PROBE_SECONDS, PROBE_SEED = 0.25, 1.5, 2001

PROBE_SAMPLES = 4800

MAX_PROBED_CORNERS = 16

CHECK_VERSION = 2  # of the rules here; a stored verdict of another version does not count

HINT_EARS = "Do not play it; tell its maker. For a limit of your own add --max-peak with dBFS."


@dataclass(frozen=True)
class _Probe:
    """What a net plays at N settings: the peak of each, and how far it moves away from what silence gives."""

    peak_N: np.ndarray
    swing_N: np.ndarray


def check_loudness(folder: Path, max_peak_dbfs: float | None = None) -> None:
    """Raise `IntegrityError` for a package with a model that must not reach ears.

    Args:
        folder: A package whose files are those of its manifest.
        max_peak_dbfs: The highest peak that is allowed, in place of what the package claims: its scores, its clips, and
            that a `.nam` file is as loud as its model.

    A package that passed without a limit of the caller's own is not played again.
    """
    names = package_files(folder)
    tiers = tier_names(names)
    passed = {"manifest": digest(folder), "tiers": tiers, "version": CHECK_VERSION}
    if max_peak_dbfs is None and read_measurement("loudness", passed) is not None:
        return
    config, net, limit_dbfs = _check_model_at(folder, max_peak_dbfs)
    presets = read_package_document(folder, PRESETS, Presets) if PRESETS in names else Presets()
    compared = max_peak_dbfs is None
    for preset in presets.presets if compared else ():
        _check_against_clip(folder, config, net, preset, presets.dry)
    by_id = {preset.id: preset.knobs for preset in presets.presets}
    for name in names:
        if name == LIVE:
            _check_nam(folder / name, config, net, _probed_settings(config.knobs, {})[:4], limit_dbfs, compared)
        elif name.startswith("baked/"):
            setting = by_id.get(Path(name).stem)
            settings = [config.knobs.complete(setting)] if setting is not None else []
            _check_nam(folder / name, config, net, settings, limit_dbfs, compared)
    for tier in tiers:
        place = folder / "tiers" / tier
        tier_config, tier_net, tier_limit = _check_model_at(place, max_peak_dbfs)
        if (place / LIVE).exists():
            settings = _probed_settings(tier_config.knobs, {})[:4]
            _check_nam(place / LIVE, tier_config, tier_net, settings, tier_limit, compared)
    if max_peak_dbfs is None:
        with suppress(OSError):  # a cache that cannot be written costs the time of the next check
            write_measurement("loudness", passed, 1.0)


def check_model_loudness(source: Path, max_peak_dbfs: float | None = None) -> None:
    """Raise `IntegrityError` for the model of a run folder, or a `.nam` file, that must not reach ears.

    Args:
        source: A model; one without scores claims nothing and may play up to `LOUDEST_DBFS`.
        max_peak_dbfs: As in `check_loudness`.
    """
    _check_model_at(source, max_peak_dbfs, None if (source / EVAL).exists() else UNSCORED)


def _check_model_at(
    source: Path, max_peak_dbfs: float | None, scan: CornerScan | None = None
) -> tuple[ModelConfig, NumpyWaveNet, float]:
    """Check a model against its own scores, or `scan`; return it and the limit in dBFS that holds."""
    config, net = open_model(source)
    weights = source if is_nam_file(source) else source / WEIGHTS
    corners = scan or read_package_document(source, EVAL, Evaluation).corners
    if corners.fault and max_peak_dbfs is None:
        raise IntegrityError(f"{source / EVAL} says that its model is unstable: {corners.fault}", HINT_EARS)
    claimed = min(corners.peak_dbfs + CLAIM_MARGIN_DB, LOUDEST_DBFS)
    limit_dbfs = claimed if max_peak_dbfs is None else max_peak_dbfs
    settings = _probed_settings(config.knobs, corners.peak_setting)
    probe = _play_probe(net, config, _level_columns(config, settings))
    claim = f"its scores claim {corners.peak_dbfs:.0f}" if max_peak_dbfs is None else f"allowed are {limit_dbfs:g}"
    _refuse_loud(weights, probe, settings, limit_dbfs, claim)
    if probe.swing_N.max() < FAINTEST:
        raise IntegrityError(f"{weights} plays no sound", HINT_EARS)
    return config, net, limit_dbfs


def _check_nam(
    path: Path, config: ModelConfig, net: NumpyWaveNet, settings: Sequence[Setting], limit_dbfs: float, compared: bool
) -> None:
    """Check a `.nam` file at these settings (none: the defaults) against the limit, and, `compared`, its model."""
    try:
        stated, twin = read_nam_weights(path)
        loudness = stated_loudness(path)
    except UserError as problem:
        raise IntegrityError(problem.message, HINT_EARS) from None
    for what, own, claimed in (("rate", config.audio.sample_rate, stated.audio.sample_rate), *_levels(config, stated)):
        if claimed not in (None, own):
            raise IntegrityError(f"{path} has another {what} than its package: {claimed}, not {own}", HINT_EARS)
    columns_NK = _level_columns(config, settings or [config.knobs.complete({})])
    if twin.knobs not in (0, columns_NK.shape[1]):
        raise IntegrityError(f"{path} has {twin.knobs} knobs, its package {columns_NK.shape[1]}", HINT_EARS)
    found = _play_probe(twin, config, columns_NK if twin.knobs else columns_NK[:, :0])
    _refuse_loud(path, found, settings, limit_dbfs, f"allowed are {limit_dbfs:.0f}")
    if compared and loudness is not None:
        at_rest = config.encode(settings[0] if settings else {}) if twin.knobs else []
        _check_loudness_claim(path, loudness, _measure_loudness(twin, config, at_rest))
    if not settings or not compared:
        return
    model = _play_probe(net, config, columns_NK)
    louder = found.peak_N > model.peak_N * 10 ** (TWIN_MARGIN_DB / 20) + FAINTEST
    if louder.any():
        at = int(louder.argmax())
        dbfs, own = decibels(found.peak_N[at]), decibels(model.peak_N[at])
        where = format_setting(settings[at])
        raise IntegrityError(f"{path} plays at {dbfs:.0f} dBFS at {where}, its model at {own:.0f}", HINT_EARS)
    if (found.swing_N < 0.01 * model.swing_N).all():
        raise IntegrityError(f"{path} plays no sound, its model does", HINT_EARS)


def _levels(config: ModelConfig, stated: ModelConfig) -> list[tuple[str, float | None, float | None]]:
    """Return the analog levels of a package and of its `.nam` file: players that calibrate amplify by them."""
    names = AnalogLevels.model_fields
    return [(name, getattr(config.audio, name), getattr(stated.audio, name)) for name in names]


def _check_loudness_claim(path: Path, stated_dbfs: float, found_dbfs: float) -> None:
    """Raise `IntegrityError` for a file that states to be softer than it is: players level loudness by that."""
    if not found_dbfs <= stated_dbfs + CLAIM_MARGIN_DB:
        raise IntegrityError(
            f"{path} states a loudness of {stated_dbfs:.0f} dBFS and has {found_dbfs:.0f}: players that level loudness "
            f"would play it {found_dbfs - stated_dbfs:.0f} dB louder",
            HINT_EARS,
        )


def _measure_loudness(net: NumpyWaveNet, config: ModelConfig, levels_K: list[float]) -> float:
    """Return the loudness as `metadata.loudness` states it, in dBFS."""
    with np.errstate(over="ignore", invalid="ignore"):
        y_T = OfflineModel(config, net)(standard_guitar(config.audio.sample_rate), levels_K).astype(np.float64)
        return power_decibels(float(np.square(y_T).mean()))


def _check_against_clip(folder: Path, config: ModelConfig, net: NumpyWaveNet, preset: Preset, shared_dry: str) -> None:
    """Raise `IntegrityError` where the model plays the loudest part of a dry clip louder than its clip says."""
    dry_T, clip_T = (read_audio(folder / name)[0] for name in (preset.dry or shared_dry, preset.audio))
    if not len(dry_T):
        raise IntegrityError(f"{folder / preset.audio} has an empty dry clip", HINT_EARS)
    middle = int(np.abs(dry_T).argmax())
    begin, end = max(0, middle - PROBE_SAMPLES // 2), middle + PROBE_SAMPLES // 2
    context = net.receptive_field - 1
    x_T = np.concatenate([np.zeros(max(0, context - begin), np.float32), dry_T[max(0, begin - context) : end]])
    y_T = _play_settings(net, config, x_T, _level_columns(config, [preset.knobs]))[0]
    peak = float(np.abs(y_T).max()) * 10 ** (preset.gain_db / 20)
    same_T = clip_T[begin:end] if len(clip_T) == len(dry_T) else clip_T  # the replay tells of another length
    claimed = float(np.abs(same_T).max(initial=0.0))
    if not peak <= claimed * 10 ** (TWIN_MARGIN_DB / 20) + 1e-4:
        above = decibels(peak) - decibels(claimed)
        raise IntegrityError(f"{folder / WEIGHTS} is {above:.0f} dB louder than its clip {preset.audio}", HINT_EARS)


def _refuse_loud(path: Path, probe: _Probe, settings: Sequence[Setting], limit_dbfs: float, claim: str) -> None:
    """Raise `IntegrityError` for a peak that is not finite or above the limit; the largest one is named."""
    at = int(probe.peak_N.argmax())
    where = f" at {format_setting(settings[at])}" if settings and settings[at] else ""
    if not math.isfinite(probe.peak_N[at]):
        raise IntegrityError(f"{path} plays numbers that are not finite{where}", HINT_EARS)
    if (dbfs := decibels(float(probe.peak_N[at]))) > limit_dbfs:
        raise IntegrityError(f"{path} plays at {dbfs:.0f} dBFS{where}, {claim}", HINT_EARS)


def _probed_settings(knobs: Knobs, claimed: Mapping[str, float | str]) -> list[Setting]:
    """Return the defaults, the lowest and the highest corner, further corners, and the setting of the claimed peak."""
    ends = [(knob.min, knob.max) if isinstance(knob, Knob) else knob.positions for knob in knobs.knobs]
    if math.prod(map(len, ends)) <= MAX_PROBED_CORNERS:
        corners = list(product(*ends))
    else:
        draw = random.Random(0)
        corners = [tuple(draw.choice(pair) for pair in ends) for _ in range(MAX_PROBED_CORNERS)]
    first = [tuple(pair[0] for pair in ends), tuple(pair[-1] for pair in ends)]
    settings = [{}, *(dict(zip(knobs.names, values, strict=True)) for values in dict.fromkeys([*first, *corners]))]
    with suppress(UserError):  # the claim may name a setting that is none
        settings.append(knobs.complete(claimed))
    return [knobs.complete(setting) for setting in islice(settings, MAX_PROBED_CORNERS + 4)]


def _level_columns(config: ModelConfig, settings: Sequence[Setting]) -> np.ndarray:
    """Return the settings as the network takes them, `(N, K)`."""
    rows = [config.encode(setting) for setting in settings]
    return np.array(rows, np.float32).reshape(len(rows), -1)


def _play_probe(net: NumpyWaveNet, config: ModelConfig, columns_NK: np.ndarray) -> _Probe:
    """Play a short piece of guitar, and silence, at N settings."""
    x_T = _loudest_guitar(config.audio.sample_rate, PROBE_SAMPLES + net.receptive_field - 1)
    y_NT = _play_settings(net, config, x_T, columns_NK)
    still_NT = _play_settings(net, config, np.zeros(net.receptive_field, np.float32), columns_NK)
    peak_N = np.maximum(np.abs(y_NT).max(1), np.abs(still_NT).max(1))
    swing_N = np.abs(y_NT - still_NT[:, -1:]).max(1)
    return _Probe(*(np.nan_to_num(found_N, nan=math.inf, posinf=math.inf) for found_N in (peak_N, swing_N)))


@cache
def _loudest_guitar(rate_hz: int, samples: int) -> np.ndarray:
    """Return so many samples of guitar with a peak of `PROBE_PEAK`, the last `PROBE_SAMPLES` of them the loudest."""
    x_T = guitar(PROBE_SECONDS, rate_hz, PROBE_SEED)
    end = loudest_start(x_T, PROBE_SAMPLES) + PROBE_SAMPLES
    before = -(-samples // len(x_T))  # times that the whole guitar is played before
    part_T = np.concatenate([np.tile(x_T, before), x_T[:end]])[-samples:]
    return part_T * np.float32(PROBE_PEAK / np.abs(part_T).max())


def _play_settings(net: NumpyWaveNet, config: ModelConfig, x_T: np.ndarray, columns_NK: np.ndarray) -> np.ndarray:
    """Play one signal at N settings: `(N, T - R + 1)` in double precision."""
    context = net.receptive_field - 1
    with np.errstate(over="ignore", invalid="ignore"):
        play = OfflineModel(config, net)
        return np.stack([play(x_T, levels_K.tolist())[context:].astype(np.float64) for levels_K in columns_NK])
