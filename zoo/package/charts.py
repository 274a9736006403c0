"""Pictures for the model card: the error at each held setting, and the spectrum as each knob turns.

Shapes: T time.
"""

from pathlib import Path

import numpy as np

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.audio.bands import band_centers, band_edges, band_levels
from models.core.errors import UserError
from models.core.files import read_regular
from models.knobs.schema import Knob
from models.network.wavenet import WaveNet
from models.playback.stream import play
from zoo.package.layout import max_bytes

KNOB_POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of a knob's range

MAX_SETTINGS = 24  # more are not legible

BANDS_PER_OCTAVE = 6

CHART_LOW_HZ = 60.0

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"  # the first eight bytes (PNG specification, 5.2)


def draw_scores(path: Path, evaluation: Evaluation) -> None:
    """Write a PNG of the ESR at each held setting (of many, the worst), beside that of the nearest recorded setting."""
    from models.reporting.plots import plot_setting_errors, save_png

    label = "error-to-signal ratio at settings never trained on"
    save_png(plot_setting_errors(evaluation.held, label, most=MAX_SETTINGS), path)


def draw_knobs(path: Path, config: ModelConfig, net: WaveNet, dry_T: np.ndarray) -> None:
    """Write a PNG of the spectrum of `dry_T` played with each knob turned from end to end, the others at default."""
    from models.reporting.plots import draw_spectra, make_figure, save_png

    knobs = [knob for knob in config.knobs.knobs if isinstance(knob, Knob)]
    across = min(len(knobs), 3)
    figure, panels = make_figure(len(knobs), 2.8 * across, 2.4 * -(-len(knobs) // across), across)
    edges_hz = band_edges(CHART_LOW_HZ, config.audio.sample_rate / 2, BANDS_PER_OCTAVE)
    for axes, knob in zip(panels, knobs, strict=True):
        levels = {}
        for value in (knob.min + turn * (knob.max - knob.min) for turn in KNOB_POSITIONS):
            wet_T = play(net, dry_T, config.encode({knob.name: value}))
            levels[f"{value:g}"] = band_levels(wet_T, config.audio.sample_rate, edges_hz)
        draw_spectra(axes, band_centers(edges_hz), levels)
        axes.set_title(knob.name, size=9)
    panels[0].set_ylabel(f"dBFS in 1/{BANDS_PER_OCTAVE} octave")
    save_png(figure, path)


def read_picture(path: Path) -> bytes:
    """Return the bytes of a PNG; raises `UserError` for a link, and for anything but a PNG of a legal size."""
    data = read_regular(path, max_bytes(path.name), follow=False)
    if not data.startswith(PNG_SIGNATURE):
        raise UserError(f"{path} is no PNG picture", "Remove it: a package is made without it, too.")
    return data
