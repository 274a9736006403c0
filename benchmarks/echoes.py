"""Which echoes and reverbs `zoo check` finds behind an amp: by level, at low and at high gain.

Plays music and the signal of `zoo signal` through the virtual amp, adds one echo or a diffuse reverb (noise that decays
by 60 dB in a stated time) behind it, and looks for it. A level is the energy of the effect's response over that of the
direct sound. With a folder of recordings of real amps, which have neither, also how many of these raise a false alarm.

    python -m benchmarks.echoes RECORDINGS
    python -m benchmarks.echoes RECORDINGS --recordings-only
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from models.audio.guitar import guitar
from models.capture.excitation import excitation
from models.capture.virtual_amp import VirtualAmp
from models.recordings.alignment import Lag
from models.recordings.checks.echoes import find_echo
from models.recordings.manifest import read_manifest
from models.recordings.response_cache import recall_response
from models.recordings.take_reader import TakeReader
from zoo.cli import output

RATE = 48_000
GAINS = (1.0, 9.0)
LEVELS_DB = (-6.0, -12.0, -18.0, -24.0, -30.0)
ECHOES_MS = (80, 200, 350, 500)
DECAYS_S = (0.3, 0.6, 1.0, 2.0)  # to -60 dB


def echo(seconds: float) -> np.ndarray:
    """Return the response of one echo, of unit energy."""
    return np.eye(1, int(seconds * RATE) + 1, int(seconds * RATE))[0]


def reverb(decay_s: float) -> np.ndarray:
    """Return the response of a diffuse reverb, of unit energy."""
    second_T = np.arange(int(decay_s * RATE)) / RATE
    response_T = np.random.default_rng(0).standard_normal(len(second_T)) * 10 ** (-3 * second_T / decay_s)
    return response_T / np.sqrt(np.square(response_T).sum())


def add_effect(amp_T: np.ndarray, response_T: np.ndarray, level_db: float) -> np.ndarray:
    """Return the sound of an amp with an effect behind it."""
    return (amp_T + 10 ** (level_db / 20) * fftconvolve(amp_T, response_T)[: len(amp_T)]).astype(np.float32)


def synthetic() -> None:
    """Print what is found, by signal, gain, effect and level."""
    effects = {f"echo {ms} ms": echo(ms / 1000) for ms in ECHOES_MS}
    effects |= {f"reverb {decay_s:g} s": reverb(decay_s) for decay_s in DECAYS_S}
    signals = {"guitar 4 s": guitar(4.0, RATE, 2), "zoo signal 20 s": excitation(20.0, RATE)}
    rows = []
    for signal, dry_T in signals.items():
        for gain in GAINS:
            amp_T = VirtualAmp(RATE).process(dry_T, gain=gain, tone=5.0, volume=5.0)
            alone = find_echo(dry_T, amp_T, Lag(0.0, 1), RATE)
            for name, response_T in effects.items():
                found = [
                    find_echo(dry_T, add_effect(amp_T, response_T, level_db), Lag(0.0, 1), RATE)
                    for level_db in LEVELS_DB
                ]
                cells = ["missed" if seconds is None else f"{1000 * seconds:.0f} ms" for seconds in found]
                rows.append((signal, f"{gain:g}", "none" if alone is None else "false alarm", name, *cells))
                output.info(" | ".join(rows[-1]))
    heads = ("SIGNAL", "GAIN", "WITHOUT", "EFFECT", *(f"{level_db:g} dB" for level_db in LEVELS_DB))
    output.data_table(heads, rows)


def real(folder: Path) -> None:
    """Print which recordings are said to have an echo."""
    reader, alarms, count = TakeReader(), [], 0
    for path in sorted(folder.glob("*/train.json")):
        for take in read_manifest(path).takes:
            dry, (wet_T, rate_hz) = reader.read_dry(take), reader.read_wet(take)
            lag = recall_response(dry.x_T, wet_T, rate_hz, take.delay_samples).lag
            count += 1
            seconds = find_echo(dry.x_T, wet_T, lag, rate_hz)
            output.info(f"{count} {take.wet.name}: {f'{1000 * seconds:.0f} ms' if seconds else 'none'}")
            alarms += [take.wet.name] if seconds else []
    output.info(f"{len(alarms)} of {count} recordings are said to have an echo: {', '.join(alarms) or 'none'}")


def main() -> None:
    """Run both parts, the first if there are no recordings, or the second alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--recordings-only", action="store_true")
    options = parser.parse_args()
    if not options.recordings_only:
        synthetic()
    if options.data:
        real(options.data)


if __name__ == "__main__":
    main()
