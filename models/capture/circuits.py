"""Virtual devices of ours for benchmarks: the virtual amp, a pedal, a preamp; their true sound is known everywhere.

In the amp every knob acts on a distortion. In the pedal tone and level come after the diodes. In the preamp bass,
treble and presence come after both stages. No circuit is that of a maker, and all of their takes are free (CC0).

Shapes: T time, U oversampled time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.audio.guitar import guitar
from models.audio.io import write_audio
from models.capture.analog import (
    OVERSAMPLING,
    band_limit,
    clip_by_diodes,
    first_order_low_pass,
    high_pass,
    run_circuit,
    saturate,
    shelf,
    upsample,
    wiper,
)
from models.capture.designs import corner_settings, distinct, sample_between
from models.capture.plan import make_plan
from models.capture.session import entry, manifest_top, new_folder
from models.capture.virtual_amp import HELD_SEED_OFFSET, LICENSE, SCHEMA, VirtualAmp
from models.core.files import staged_folder, write_json
from models.knobs.geometry import setting_key
from models.knobs.schema import Knobs, Setting

BENCH_BETWEEN = 6  # settings to train on beside corners and isolated ones, and settings held

CLIP_DRIVE_DB = (12.0, 46.0)  # of the pedal, from end to end of its drive

STAGE_DRIVE_DB = (6.0, 40.0)  # into the preamp's second stage, from end to end of its gain

Circuit = Callable[[np.ndarray, Mapping[str, float], int], np.ndarray]  # (x_T, knobs, rate in Hz)


@dataclass(frozen=True)
class VirtualDevice:
    """A device with its knobs; `play` gets values of all of them."""

    name: str
    description: str
    knobs: Knobs
    play: Circuit


def _play_amp(x_T: np.ndarray, knobs: Mapping[str, float], rate_hz: int) -> np.ndarray:
    return VirtualAmp(rate_hz).process(x_T, **knobs)


def play_pedal(x_T: np.ndarray, knobs: Mapping[str, float], rate_hz: int) -> np.ndarray:
    """Play an overdrive: a band boosted into diodes, the dry signal added, then a tilting tone and a level pot."""
    drive, tone, level = (float(knobs[name]) / 10 for name in ("drive", "tone", "level"))
    x_T = run_circuit(high_pass(30.0), np.asarray(x_T, np.float64), rate_hz)
    low_db, high_db = CLIP_DRIVE_DB
    boosted_T = 10 ** ((low_db + drive * (high_db - low_db)) / 20) * run_circuit(high_pass(720.0), x_T, rate_hz)
    inner_hz = OVERSAMPLING * rate_hz
    clipped_U = 0.2 * clip_by_diodes(upsample(boosted_T)) + upsample(x_T)
    y_U = run_circuit(shelf(900.0, 3.0 - 6 * tone, 15 * tone - 12), clipped_U, inner_hz)
    y_T = band_limit(run_circuit(first_order_low_pass(7500.0), y_U, inner_hz))[::OVERSAMPLING]
    return (0.4 * wiper(level, 40.0) * run_circuit(high_pass(40.0), y_T, rate_hz)).astype(np.float32)


def play_preamp(x_T: np.ndarray, knobs: Mapping[str, float], rate_hz: int) -> np.ndarray:
    """Play two tube stages with a gain pot between them, a tone stack behind them, and a presence control."""
    gain, bass, treble, presence = (float(knobs[name]) / 10 for name in ("gain", "bass", "treble", "presence"))
    inner_hz, (low_db, high_db) = OVERSAMPLING * rate_hz, STAGE_DRIVE_DB
    x_T = run_circuit(high_pass(40.0), np.asarray(x_T, np.float64), rate_hz)
    first_U = run_circuit(high_pass(90.0), saturate(3 * upsample(x_T), 0.4), inner_hz)
    second_U = saturate(10 ** ((low_db + gain * (high_db - low_db)) / 20) * first_U / 3, -0.3)
    y_U = run_circuit(high_pass(60.0), run_circuit(first_order_low_pass(9000.0), second_U, inner_hz), inner_hz)
    for part in (
        shelf(180.0, 16 * bass - 10, 0.0),
        shelf(1600.0, 0.0, 18 * treble - 12),
        shelf(3500.0, 0.0, 9 * presence),
    ):
        y_U = run_circuit(part, y_U, inner_hz)
    return (0.12 * band_limit(y_U)[::OVERSAMPLING]).astype(np.float32)


def _faceplate(*names: str) -> Knobs:
    return Knobs.model_validate({"knobs": [{"name": name, "min": 0, "max": 10} for name in names]})


DEVICES = {
    device.name: device
    for device in (
        VirtualDevice("amp", "ampzoo virtual amp", SCHEMA, _play_amp),
        VirtualDevice("pedal", "ampzoo virtual pedal", _faceplate("drive", "tone", "level"), play_pedal),
        VirtualDevice("preamp", "ampzoo virtual preamp", _faceplate("gain", "bass", "treble", "presence"), play_preamp),
    )
}


def benchmark_settings(knobs: Knobs, seed: int = 0) -> tuple[list[Setting], list[Setting]]:
    """Return settings to train on (each knob alone, corners, some between) and to hold (others between)."""
    fixed = distinct([*(make_plan(knobs, "isolated", held=0).train or ()), *corner_settings(knobs)])
    taken = {setting_key(setting) for setting in fixed}
    train = [
        *fixed,
        *sample_between(knobs, BENCH_BETWEEN, seed, lambda setting: setting_key(setting) not in taken, fixed),
    ]
    taken = {setting_key(setting) for setting in train}
    offset = seed + HELD_SEED_OFFSET
    return train, sample_between(knobs, BENCH_BETWEEN, offset, lambda setting: setting_key(setting) not in taken, train)


def render_device(
    device: VirtualDevice,
    folder: Path,
    *,
    rate_hz: int = 48000,
    seconds: float = 6.0,
    held_seconds: float = 3.0,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Record a device into a new `folder` and return its manifests `train.json` and `held.json`.

    Held takes have other settings and other music. A folder that has both manifests is left alone; raises `UserError`
    when it holds anything else.
    """
    manifests = folder / "train.json", folder / "held.json"
    if all(path.exists() for path in manifests):
        return manifests
    new_folder(folder)
    train, held = benchmark_settings(device.knobs, seed)
    with staged_folder(folder) as takes:
        _write_part(device, takes, "train", train, guitar(seconds, rate_hz, seed), rate_hz)
        _write_part(device, takes, "held", held, guitar(held_seconds, rate_hz, seed + HELD_SEED_OFFSET), rate_hz)
    return manifests


def _write_part(
    device: VirtualDevice, folder: Path, part: str, settings: Sequence[Setting], x_T: np.ndarray, rate_hz: int
) -> None:
    """Write the dry signal, a take for each setting, and their manifest."""
    write_audio(folder / f"di_{part}.flac", x_T, rate_hz)
    entries = []
    for number, setting in enumerate(settings):
        values = {name: float(value) for name, value in setting.items()}
        wet = f"{part}_{number:02d}.flac"
        write_audio(folder / wet, device.play(x_T, values, rate_hz), rate_hz)
        entries.append(entry(f"di_{part}.flac", wet, setting))
    top = manifest_top(device.knobs, device.description, LICENSE, rate_hz)
    write_json(folder / f"{part}.json", {**top, "entries": entries})
