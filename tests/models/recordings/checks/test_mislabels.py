"""A label is suspect where another one is much more likely, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recordings.checks.mislabels import (
    EXCHANGE_GAIN,
    MIN_TAKES,
    MOVE_GAIN,
    find_mislabels,
    label_candidates,
    level_features,
)
from tests.support.makers import GRID, KNOBS, RATE, amp, di, examples

PARTS = 16
LEVELS_ND = np.array([KNOBS.encode(setting) for setting in GRID])
CANDIDATES_MD = np.array([KNOBS.encode(setting) for setting in label_candidates(KNOBS)])
FEATURES_NP = level_features(np.stack([amp(di(1.0), **setting)[:7936] for setting in GRID]), PARTS, RATE)


@given(seed=st.integers(0, 1000), count=st.integers(MIN_TAKES, len(GRID)))
@examples(25)
def test_right_labels_are_not_suspect(seed: int, count: int):
    some = np.random.default_rng(seed).permutation(len(GRID))[:count]
    assert find_mislabels(FEATURES_NP[some], LEVELS_ND[some], CANDIDATES_MD) == []


def test_exchanged_labels_are_found():
    right = 0
    for draw in range(40):
        pair = np.random.default_rng(draw).choice(len(GRID), 2, replace=False)
        labels_ND = LEVELS_ND.copy()
        labels_ND[pair] = LEVELS_ND[pair[::-1]]
        right += [{d.take, d.partner} for d in find_mislabels(FEATURES_NP, labels_ND, CANDIDATES_MD)] == [
            set(pair.tolist())
        ]
    assert right >= 38


def test_two_exchanged_pairs_are_found():
    labels_ND = LEVELS_ND.copy()
    labels_ND[[1, 18, 4, 15]] = LEVELS_ND[[18, 1, 15, 4]]
    assert {frozenset((d.take, d.partner)) for d in find_mislabels(FEATURES_NP, labels_ND, CANDIDATES_MD)} == {
        frozenset((1, 18)),
        frozenset((4, 15)),
    }


@pytest.mark.parametrize("take", [0, 6, 12])
def test_moved_label_is_found(take: int):
    labels_ND = LEVELS_ND.copy()
    labels_ND[take] = CANDIDATES_MD[np.argmax(np.abs(CANDIDATES_MD - LEVELS_ND[take]).min(1))]
    (mislabel,) = find_mislabels(FEATURES_NP, labels_ND, CANDIDATES_MD)
    assert mislabel.take == take and mislabel.candidate is not None
    assert np.abs(CANDIDATES_MD[mislabel.candidate] - LEVELS_ND[take]).max() < 0.8


@given(count=st.integers(1, 12), seed=st.integers(0, 99), kind=st.sampled_from(["noise", "one sound", "one setting"]))
@examples(25)
def test_any_takes_give_an_answer(count: int, seed: int, kind: str):
    draw = np.random.default_rng(seed)
    sound_NP, levels_ND = draw.standard_normal((count, 5)), draw.uniform(-1, 1, (count, 2))
    found = find_mislabels(sound_NP * (kind != "one sound"), levels_ND * (kind != "one setting"), CANDIDATES_MD)
    assert len(found) <= count // 4 and all(0 <= d.take < count for d in found)
    assert 0 < EXCHANGE_GAIN < MOVE_GAIN and (count >= MIN_TAKES or not found)
