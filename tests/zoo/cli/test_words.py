"""What a person reads: where a trained model is worst, whether it is good, what helps; commands to type."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.evaluation import Evaluation, RegionScore, Score, gap_warning, quality_words
from tests.support.makers import model
from tests.support.packages import evaluation, score
from zoo.cli.views import words

ROOT = Path(__file__).parents[3]


def evaluated(held: Score, seen: Score | None = None, **changes: Any) -> Evaluation:
    plain = evaluation(model()[1])
    corners = plain.corners.model_copy(update={"silence_dbfs": -90.0, **changes})
    return plain.model_copy(update={"held": held, "seen": seen, "validation": held, "corners": corners})


@pytest.mark.parametrize(
    ("esr", "word"), [(0.01, "hard to tell"), (0.011, "good"), (0.03, "good"), (0.1, "usable"), (0.11, "poor")]
)
def test_thresholds(esr: float, word: str):
    assert quality_words(esr).startswith(word)


def test_the_worst_setting_and_what_helps():
    held = score(0.02, 0.3)
    where = words.format_setting(held.settings[1].setting)
    worst, mean, record = words.advice_sentences(evaluated(held, seen=score(0.02)))
    assert worst.startswith(f"worst at {where}: ESR 0.3000, poor")
    assert mean == "the mean 0.1600 is poor: clearly another sound; 0.32 times what the nearest recorded setting gives"
    assert record == f"recorded settings are at 0.0200: record more takes, near {where} first"
    *_, train = words.advice_sentences(evaluated(held, seen=score(0.15)))
    assert train == "recorded settings are at 0.1500, not much better: train longer, or a larger model"
    *_, train = words.advice_sentences(evaluated(held, seen=score(0.5)))
    assert train == "recorded settings are at 0.5000, no better: train longer, or a larger model"
    assert words.advice_sentences(evaluated(score(0.005), seen=score(0.001)))[-1] == "nothing needs to be done"


def test_one_setting_is_no_weak_region():
    held = score(0.2).model_copy(update={"baseline_mean": None})
    region = RegionScore(knob="gain", region="high", settings=1, esr=0.2)
    one = evaluated(held).model_copy(update={"held_regions": (region,)})
    assert len(held.settings) == 1
    assert words.held_sentence(one).startswith("held ESR over 1 setting never trained on: mean 0.2000")
    assert not any("weakest" in sentence for sentence in words.advice_sentences(one))
    two = evaluated(score(0.1, 0.2)).model_copy(update={"held_regions": (region,)})
    assert "weakest where gain is high (mean 0.2000)" in words.advice_sentences(two)[0]


def test_an_amp_that_changes_little_is_named():
    held = score(0.02).model_copy(update={"baseline_mean": 0.025})
    assert "this amp changes little between takes" in words.advice_sentences(evaluated(held))[1]


def test_what_is_wrong_with_a_model_is_warned_of():
    assert evaluated(score(0.02), silence_dbfs=-70.0).warnings == []
    (offset,) = evaluated(score(0.02), silence_dbfs=-34.4).warnings
    assert offset.startswith("when nothing is played, a constant of -34 dBFS comes out at ")
    (constant,) = evaluated(score(0.02), dc_dbfs=-31.0).warnings
    assert constant.startswith(
        "while it plays, a constant (DC) of -31 dBFS is in the sound, 29 dB below the loudest take"
    )
    moved = evaluated(score(0.02)).model_copy(update={"knob_moves_dbfs": {"10": -13.0, "50": -33.0, "200": -45.0}})
    (move,) = moved.warnings
    assert move.startswith("a knob that turns from end to end within 10 ms adds -13 dBFS to the sound")
    far = evaluated(score(0.18)).model_copy(update={"validation": score(0.04)})
    assert [warning[:25] for warning in far.warnings] == ["the held ESR 0.1800 is 4."]
    assert gap_warning(0.04, 0.12) is None
    assert gap_warning(0.001, 0.009) is None, "it is hard to hear"
    assert (gap_warning(0.04, 0.18) or "").startswith("the held ESR 0.1800 is 4.5 times the validation ESR 0.0400")


def test_commands_that_a_person_is_told_to_type_are_quoted():
    begun = re.compile(r"\bzoo [a-z]+( --?[a-z-]+| [A-Z]+)* $")
    known_names = {"card_page.py", "schema.py"}  # names of amps, and no command
    found = []
    for path in (path for place in ("models", "search", "zoo") for path in (ROOT / place).rglob("*.py")):
        for text in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)):
            for before, value in pairwise(text.values):
                words = before.value if isinstance(before, ast.Constant) else ""
                if isinstance(value, ast.FormattedValue) and begun.search(str(words)) and path.name not in known_names:
                    found.append((path.name, ast.unparse(value.value)))
    assert len(found) > 8, "the search finds none"
    assert [one for one in found if not one[1].startswith("shell_words(")] == []
