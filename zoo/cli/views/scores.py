"""Scores of takes as tables and sentences."""

from collections.abc import Sequence

from models.evaluation.scoring import THIRDS
from models.evaluation.take_scores import TakeScores
from models.knobs.text import format_setting
from zoo.cli import output
from zoo.cli.views.words import count

TAKE_HEADER = ("TAKE", "SETTING", "ESR", "MATCHED", "MRSTFT", "REGION")

REGION_HEADER = ("WHERE", "TAKES", "MEAN", "MEDIAN", "WORST")


def show_scores(found: TakeScores) -> None:
    """Print the takes as a table, then the errors by knob and region, what was noticed, and the sum."""
    output.data_table(TAKE_HEADER, take_rows(found))
    output.info()
    output.info_table(REGION_HEADER, region_rows(found))
    output.info()
    output.info("ESR: error-to-signal ratio, 0 is the take itself. MATCHED: ESR after the best gain.")
    for note in found.notes:
        output.info(note)
    output.info(summary(found))


def take_rows(found: TakeScores) -> list[Sequence[str]]:
    """Return a row of text for each take."""
    return [
        (
            take.wet.name,
            format_setting(take.setting),
            f"{take.esr:.5f}",
            f"{take.errors.esr_gain_matched:.5f}",
            f"{take.errors.mrstft:.3f}",
            take.region,
        )
        for take in found.takes
    ]


def region_rows(found: TakeScores) -> list[Sequence[str]]:
    """Return a row of text for each region of the knob box and of each knob."""
    box = [
        (one.region, f"{one.takes}", f"{one.mean:.5f}", f"{one.median:.5f}", f"{one.worst:.5f}") for one in found.by_box
    ]
    ranked = sorted(found.by_knob, key=lambda one: THIRDS.index(one.region) if one.region in THIRDS else 0)
    ordered = [one for name in found.knobs.names for one in ranked if one.knob == name]
    knobs = [(f"{one.knob} {one.region}", f"{one.settings}", f"{one.esr:.5f}", "-", "-") for one in ordered]
    return [*box, *knobs]


def summary(found: TakeScores) -> str:
    """Return the sentence that sums up the scores."""
    score, errors = found.score, found.score.errors
    text = (
        f"{found.name} at {count(found.takes, 'take')}: ESR mean {score.mean:.5f}, median {score.median:.5f}, "
        f"worst {score.worst:.5f}"
    )
    more = f", gain-matched {errors.esr_gain_matched:.5f}, MRSTFT {errors.mrstft:.3f}" if errors else ""
    return text + more
