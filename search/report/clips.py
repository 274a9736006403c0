"""The sound of a report: held takes, and what the best model plays there.

Shapes: T time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifacts.evaluation import read_evaluation
from models.artifacts.folder import load_model
from models.artifacts.names import EVAL
from models.audio.loudest import loudest_start
from models.engines.select import engine_for
from models.evaluation.scoring import predict
from models.knobs.text import format_setting
from models.recordings.dataset import AmpData
from models.reporting.html import sounds

CLIP_S = 3.0

LOUDEST_PEAK = 0.9  # of a clip, full scale 1


@dataclass(frozen=True, eq=False)
class HeldClip:
    """The loudest seconds of a held take and what a model plays there, `(T,)` float32."""

    title: str
    take_T: np.ndarray
    played_T: np.ndarray
    rate_hz: int

    def to_html(self) -> str:
        """Return both as players, with the same gain."""
        gain = LOUDEST_PEAK / max(float(np.abs([self.take_T, self.played_T]).max()), 1e-9)
        return sounds(self.title, {"the amp": gain * self.take_T, "the model": gain * self.played_T}, self.rate_hz)


def held_clips(run: Path, data: AmpData) -> list[HeldClip]:
    """Return clips of the held settings with the lowest, the median and the highest error of an evaluated run."""
    if not (run / EVAL).exists():
        return []
    scores = sorted(read_evaluation(run).held.settings, key=lambda score: score.esr)
    places = {"best": 0, "median": len(scores) // 2, "worst": len(scores) - 1}
    words = {place: word for word, place in reversed(places.items())}  # one setting may be all three
    _, net = load_model(run)
    engine, samples = engine_for(net), round(CLIP_S * data.rate_hz)
    clips = []
    for place, word in sorted(words.items()):
        found = scores[place]
        piece = next(piece for piece in data.held if piece.setting == found.setting)
        whole_T = piece.wet_T[piece.start : piece.stop].numpy()
        begin = piece.start + loudest_start(whole_T, min(samples, len(whole_T)))
        part = piece.cut(begin, begin + samples)
        x_T, target_T = data.with_context(part, net.receptive_field)
        played_T = predict(engine, x_T, data.encode(part, net.config.inject.encoding))
        title = f"{word} held setting, {format_setting(found.setting)}: ESR {found.esr:.4f}"
        clips.append(HeldClip(title, target_T.numpy(), played_T.numpy(), data.rate_hz))
    return clips
