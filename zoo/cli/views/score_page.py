"""Scores of takes as an HTML page: sums, the sound beside the takes, all takes."""

from pathlib import Path

import numpy as np

from models.core.files import write_text
from models.evaluation.take_scores import Clip, TakeScores
from models.knobs.text import format_setting
from models.reporting.html import heading, page, paragraph, sounds, table
from zoo.cli.views.scores import REGION_HEADER, TAKE_HEADER, region_rows, summary, take_rows

LOUDEST = 0.9  # peak of a clip, full scale 1


def write_score_page(found: TakeScores, path: Path) -> Path:
    """Write the page whole or not at all, and return its path."""
    parts = [
        paragraph(f"{summary(found)}."),
        *(paragraph(f"Note: {note}.") for note in found.notes),
        heading("By region and knob"),
        table([name.lower() for name in REGION_HEADER], region_rows(found)),
        heading("Listen, from the best take to the worst"),
        paragraph("The loudest seconds of a take, and what was played there; both with the same gain."),
        *(_listen_section(found, index, clip) for index, clip in found.clips.items()),
        heading("Takes"),
        table([name.lower() for name in TAKE_HEADER], take_rows(found)),
    ]
    write_text(path, page(f"{found.name} at {len(found.takes)} takes of {found.manifest.name}", parts))
    return path


def _listen_section(found: TakeScores, index: int, clip: Clip) -> str:
    take = found.takes[index]
    gain = LOUDEST / max(float(np.abs([clip.take_T, clip.played_T]).max()), 1e-9)
    title = f"{format_setting(take.setting) or take.wet.name}: ESR {take.esr:.5f}"
    return sounds(title, {"the take": gain * clip.take_T, found.name: gain * clip.played_T}, found.rate_hz)
