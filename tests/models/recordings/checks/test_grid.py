"""The check tells along which knobs takes can be composed, and what neighbors miss."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.knobs.schema import Setting
from models.recordings.checks.check import check
from models.recordings.checks.report import KnobGrid
from tests.support.pedal import CENTER, DRY, pedal, record_pedal, tone_first


def grid_of(manifest: Path) -> dict[str, KnobGrid]:
    return {knob.knob: knob for knob in check(manifest).grid}


@pytest.mark.parametrize("late", [0, 70])
def test_filters_are_found_from_the_files(tmp_path: Path, late: int):
    grid = grid_of(record_pedal(tmp_path, late=late))
    found = {name: knob.filter for name, knob in grid.items()}
    assert {name for name, one in found.items() if one and one.is_accepted} == {"tone", "level"}
    assert found["tone"]
    assert found["tone"].positions == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert found["tone"].worst < 1e-4
    assert "tone filters after the distortion from 0 to 1 (ESR up to" in found["tone"].sentence
    assert found["drive"]
    assert "drive does not only filter after the distortion" in found["drive"].sentence


def blend(below: np.ndarray, above: np.ndarray, target: np.ndarray) -> float:
    """Solved by the normal equations, on the whole take."""
    matrix = np.array([[below @ below, below @ above], [below @ above, above @ above]])
    weights = np.linalg.solve(matrix, [below @ target, above @ target])
    return float(np.sum((weights[0] * below + weights[1] * above - target) ** 2) / (target @ target))


def test_neighbors_miss_what_a_blend_of_them_misses(tmp_path: Path):
    grid = grid_of(record_pedal(tmp_path))
    lines = [([0.0, 0.25, 0.5, 0.75, 1.0], 0.5), ([0.0, 0.5, 1.0], 0.0), ([0.0, 0.5, 1.0], 1.0)]  # drives, tone
    wanted = []
    for drives, tone in lines:
        sounds = [pedal(DRY, {**CENTER, "drive": drive, "tone": tone}) for drive in drives]
        wanted += [(drives[i], blend(sounds[i - 1], sounds[i + 1], sounds[i])) for i in range(1, len(drives) - 1)]
    missed = sorted((miss.position, miss.esr) for miss in grid["drive"].misses)
    assert [position for position, _ in missed] == [0.25, 0.5, 0.5, 0.5, 0.75]
    assert [esr for _, esr in missed] == pytest.approx([esr for _, esr in sorted(wanted)], rel=0.02)
    worst = grid["drive"].worst
    assert worst
    assert (worst.position, worst.esr) == max(missed, key=lambda miss: miss[1])
    assert grid["drive"].mean == pytest.approx(np.mean([esr for _, esr in wanted]), rel=0.02)
    assert grid["level"].worst
    assert grid["level"].worst.esr < 1e-6


def test_a_false_statement_is_a_warning(tmp_path: Path):
    def device(x_T: np.ndarray, setting: Setting) -> np.ndarray:
        return tone_first(8 * x_T, setting)

    report = check(record_pedal(tmp_path, device, "drive"))
    assert not [finding for finding in report.findings if "is stated to filter" in finding.message]
    (tmp_path / "other").mkdir()
    report = check(record_pedal(tmp_path / "other", device, "tone"))
    (warning,) = (finding for finding in report.findings if "is stated to filter" in finding.message)
    assert warning.severity == "warning"
    assert "'tone' is stated to filter after the distortion" in warning.message


def test_the_grid_is_in_the_json(tmp_path: Path):
    document = json.loads(json.dumps(check(record_pedal(tmp_path)).to_json()))
    drive, tone, _ = document["grid"]
    assert (tone["knob"], tone["filter"]["accepted"], tone["filter"]["positions"][0]) == ("tone", True, 0.0)
    assert (drive["filter"]["accepted"], drive["neighbors"]["worst"]["position"]) == (False, 0.5)
