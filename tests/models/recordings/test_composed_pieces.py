"""Models are judged where nobody recorded: validation takes through the filters of their linear knobs."""

import dataclasses

import numpy as np
import pytest
import torch

from models.recordings.composed_pieces import judged_pieces
from models.recordings.dataset import AmpData
from tests.support.pedal import CENTER, ISOLATED, JOINT, KNOBS, RATE, pedal, recordings

UNHEARD = {**CENTER, "drive": 0.4}  # a drive that training never has


def split(count: int, cut: int = RATE // 2) -> AmpData:
    """The pedal's takes: training on the first half, one other drive to validate on the second."""
    data = recordings(settings=[CENTER, *ISOLATED, *JOINT, UNHEARD])
    *train, held_out = data.train
    config = data.config.model_copy(update={"validation_composed": count})
    return AmpData(
        config, KNOBS, RATE, "", "", dry_T=data.dry_T,
        train=tuple(piece.cut(0, cut) for piece in train), validation=(held_out.cut(cut + 4096, RATE),),
    )  # fmt: skip


def test_composed_pieces_sound_as_the_device_does_at_settings_far_from_all_takes():
    data = split(6)
    recorded, *composed = judged_pieces(data)
    assert recorded is data.validation[0] and len(composed) == 6
    x_T = data.dry_T[0].double().numpy()
    for piece in composed:
        assert piece.setting["drive"] == 0.4
        assert torch.allclose(piece.levels_K, torch.tensor(KNOBS.encode(piece.setting)))
        true_T, inner = pedal(x_T, piece.setting), slice(piece.start, piece.stop)
        error_T = piece.wet_T[inner].double().numpy() - true_T[inner]
        assert np.square(error_T).sum() < 2e-3 * np.square(true_T[inner]).sum()
        assert recorded.start <= piece.start and piece.stop <= recorded.stop
    nearest = [min(torch.dist(piece.levels_K, take.levels_K) for take in data.train) for piece in composed]
    assert np.mean(nearest) > 2 * min(torch.dist(recorded.levels_K, take.levels_K) for take in data.train)


def test_the_same_pieces_judge_every_model():
    first, second = judged_pieces(split(3)), judged_pieces(split(3))
    assert [piece.setting for piece in first] == [piece.setting for piece in second]
    assert all(torch.equal(one.wet_T, other.wet_T) for one, other in zip(first[1:], second[1:], strict=True))
    data = split(3)
    assert judged_pieces(data) == judged_pieces(data)


@pytest.mark.parametrize("count", [0, 2])
def test_nothing_is_composed_that_was_not_asked_for(count: int):
    data = split(count)
    assert len(judged_pieces(data)) == 1 + count
    none = dataclasses.replace(data, validation=())
    assert judged_pieces(none) == ()


def test_filters_are_not_fitted_to_what_is_judged():
    """Noise in place of all audio after the training pieces changes the judged audio, and no filter."""
    data, spoiled = split(2), split(2)
    for piece in spoiled.train:
        piece.wet_T[RATE // 2 :] = torch.randn(RATE - RATE // 2)
    pairs = zip(judged_pieces(data), judged_pieces(spoiled), strict=True)
    assert all(torch.equal(one.wet_T, other.wet_T) for one, other in pairs)
