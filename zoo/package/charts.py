"""Pictures for the model card: how well each held setting is met, and what turning each knob does to the sound.

Shapes: T time, F frequencies.
"""

from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.audio.bands import band_bins, band_power, power_spectrum
from models.core.files import staged_file
from models.knobs.schema import Knob
from models.knobs.text import format_setting
from models.network.wavenet import WaveNet
from models.playback.stream import play

TURNS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a knob, from end to end

SETTINGS = 24  # more than these are not legible

BANDS_PER_OCTAVE = 6

LOWEST_HZ = 60.0


def draw_scores(path: Path, evaluation: Evaluation) -> None:
    """ESR at each held setting, the worst on top, beside what the nearest recorded setting would give."""
    from matplotlib.figure import Figure

    rows = sorted(evaluation.held.settings, key=lambda score: score.esr)[-SETTINGS:]
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.plot([row.esr for row in rows], range(len(rows)), "o", color="black", label="this model")
    near = [(row.baseline_esr, number) for number, row in enumerate(rows) if row.baseline_esr is not None]
    axes.plot([esr for esr, _ in near], [number for _, number in near], "|", color="grey", label="nearest recording")
    axes.set_yticks(range(len(rows)), [format_setting(row.setting) for row in rows])
    axes.set_xscale("log")
    axes.set_xlabel("error-to-signal ratio at settings never trained on")
    axes.legend(frameon=False)
    _save(path, figure)


def draw_knobs(path: Path, config: ModelConfig, net: WaveNet, dry_T: np.ndarray) -> None:
    """The spectrum of the dry clip played with each knob turned from end to end, the others at rest."""
    from matplotlib.figure import Figure

    knobs = [knob for knob in config.knobs.knobs if isinstance(knob, Knob)]
    figure = Figure(figsize=(4 * min(len(knobs), 3), 3 * -(-len(knobs) // 3)), layout="constrained")
    for number, knob in enumerate(knobs, 1):
        axes = figure.add_subplot(-(-len(knobs) // 3), min(len(knobs), 3), number)
        for turn in TURNS:
            value = knob.min + turn * (knob.max - knob.min)
            wet_T = play(net, dry_T, config.encode({knob.name: value}))
            centres_F, level_F = _bands(wet_T, config.audio.sample_rate)
            axes.semilogx(centres_F, level_F, color=str(0.8 * (1 - turn)), label=f"{value:g}")
        axes.set_title(knob.name)
        axes.set_xlabel("Hz")
        axes.set_ylabel("dB")
        axes.legend(frameon=False, fontsize="small")
    _save(path, figure)


def _bands(wet_T: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """`(centres in Hz, level in dB)` in bands of equal width in octaves, each of one bin at least."""
    power_F = power_spectrum(wet_T.astype(np.float64), np.hanning(len(wet_T)))
    octaves = np.log2(rate_hz / 2 / LOWEST_HZ)
    edges = LOWEST_HZ * 2 ** np.linspace(0, octaves, int(octaves * BANDS_PER_OCTAVE) + 1)
    bins = [slice(band.start, max(band.stop, band.start + 1)) for band in band_bins(len(wet_T), rate_hz, edges)]
    level_F = np.array(list(band_power(power_F, bins)))
    return np.sqrt(edges[:-1] * edges[1:]), 10 * np.log10(level_F + 1e-12)


def _save(path: Path, figure: Any) -> None:
    with staged_file(path) as staged:
        figure.savefig(staged, format="png", dpi=80, metadata={"Software": None})  # no version, no date
