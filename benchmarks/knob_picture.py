"""Draw what one knob does: the gain of the virtual amp turns, and a model plays the same low tone at each setting.

The tone is a sine of 110 Hz with some second harmonic. The upper row shows the knob, the middle row the waveform of the
amp and of the model, the lower row the levels of the model's harmonics. The model was trained on none of these
settings. `make` records the takes. Then:

    zoo train --data configs/data/virtual-amp.json --model configs/models/a1-lite-film.json \
        --learning configs/learning/long.json --out runs/virtual-amp
    python -m benchmarks.knob_picture --amp runs/virtual-amp --out docs/images/knob.png

Shapes: T samples.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

import zoo
from models.capture.virtual_amp import VirtualAmp

GAINS = (1.5, 4.0, 6.5, 9.5)
REST = {"tone": 5.0, "volume": 4.0}
NOTE_HZ, LEVEL, SECONDS = 110.0, 0.12, 1.0
PERIODS, HARMONICS = 2.5, 12
AMP_COLOR, MODEL_COLOR = "#c9c9c9", "#0072b2"
FLOOR_DB = -50.0


def note(rate_hz: int) -> np.ndarray:
    """A low tone `(T,)`, full scale 1, that fades in within 0.1 s."""
    t_T = np.arange(int(SECONDS * rate_hz)) / rate_hz
    tone_T = np.sin(2 * np.pi * NOTE_HZ * t_T) + 0.3 * np.sin(4 * np.pi * NOTE_HZ * t_T)
    return (LEVEL * tone_T * np.minimum(1, t_T / 0.1)).astype(np.float32)


def harmonics_db(y_T: np.ndarray, rate_hz: int) -> np.ndarray:
    """Levels of the first harmonics of a steady tone in dB, the loudest at 0."""
    steady_T = y_T[-round(40 * rate_hz / NOTE_HZ) :]
    spectrum = np.abs(np.fft.rfft(steady_T * np.hanning(len(steady_T))))
    bins = np.round(np.arange(1, HARMONICS + 1) * NOTE_HZ * len(steady_T) / rate_hz).astype(int)
    levels = 20 * np.log10(spectrum[bins] + 1e-9)
    return levels - levels.max()


def draw_knob(axes: Axes, value: float) -> None:
    """A knob from 0 (lower left) to 10 (lower right), with its pointer at `value`."""
    angle = np.radians(240 - 30 * value)
    for tick in range(11):
        at = np.radians(240 - 30 * tick)
        axes.plot(*np.outer((np.cos(at), np.sin(at)), (1.15, 1.32)), color="#888888", linewidth=1.5)
    axes.add_patch(Circle((0, 0), 1.0, facecolor="#333333", edgecolor="black"))
    axes.plot(
        *np.outer((np.cos(angle), np.sin(angle)), (0.3, 0.92)), color="white", linewidth=4, solid_capstyle="round"
    )
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    axes.axis("off")
    axes.set_title(f"gain {value:g}", fontsize=17, pad=2)


def draw(amp: zoo.Amp, path: Path) -> None:
    """One column for each gain."""
    rate_hz = amp.sample_rate
    x_T = note(rate_hz)
    figure, panels = plt.subplots(
        3, len(GAINS), figsize=(9, 6.2), height_ratios=(1, 1.6, 1.1), sharey="row", layout="constrained"
    )
    length = round(PERIODS * rate_hz / NOTE_HZ)
    for (knob, wave, bars), gain in zip(panels.T, GAINS, strict=True):
        truth_T, model_T = VirtualAmp(rate_hz).process(x_T, gain=gain, **REST), amp(x_T, gain=gain, **REST)
        draw_knob(knob, gain)
        wave.plot(truth_T[-length:], color=AMP_COLOR, linewidth=7, label="amp")
        wave.plot(model_T[-length:], color=MODEL_COLOR, linewidth=2.2, label="model")
        bars.bar(range(1, HARMONICS + 1), harmonics_db(model_T, rate_hz) - FLOOR_DB, color=MODEL_COLOR)
        bars.set_ylim(0, -FLOOR_DB + 2)
        for axes in (wave, bars):
            axes.set(xticks=[], yticks=[])
            axes.spines[["top", "right", "left"]].set_visible(False)
        wave.spines["bottom"].set_visible(False)
    panels[1, 0].set_ylabel("waveform", fontsize=14)
    panels[2, 0].set_ylabel("harmonics", fontsize=14)
    handles, names = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=14, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")


def main() -> None:
    """Draw the picture of one amp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amp", type=Path, default=Path("runs/virtual-amp"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/knob.png"))
    options = parser.parse_args()
    if not options.amp.is_dir():
        sys.exit(f"skipped: {options.amp} is not there; see --help for how to train it")
    draw(zoo.pull(str(options.amp), zoo=None), options.out)


if __name__ == "__main__":
    main()
