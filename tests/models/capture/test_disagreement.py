"""Which take to record next."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifacts.model_config import ModelConfig, make_config
from models.capture.disagreement import (
    NOT_WORTH,
    SERIES,
    play_deviations,
    propose_by_disagreement,
    read_models,
    take_excerpt,
)
from models.core.errors import UserError
from models.knobs.schema import Knob, Knobs
from models.network.wavenet import WaveNet
from models.playback.stream import play
from tests.support.makers import GRID, KNOBS, RATE, architecture, di, esr, model, wavenet
from tests.support.packages import write_run

X_T = take_excerpt(di(3.0), RATE)


def louder(factor: float) -> tuple[ModelConfig, WaveNet]:
    config, net = model()
    other = copy.deepcopy(net)
    other.head_scale.data.mul_(factor)
    return config, other


def of_seed(seed: int) -> tuple[ModelConfig, WaveNet]:
    config = architecture()
    return make_config("tiny", RATE, KNOBS, config), wavenet(config, seed=seed)


def test_disagreement_is_an_esr():
    """Outputs y and 1.1 y vary by 0.005 y^2 around 1.05 y."""
    rows_PT = play_deviations([model(), louder(1.1)], X_T, GRID)
    assert np.square(rows_PT, dtype=np.float64).sum(1) == pytest.approx(np.full(len(GRID), 0.005 / 1.05**2), rel=1e-3)


def test_disagreement_of_three_is_their_mean_error_to_their_mean():
    models = [of_seed(seed) for seed in range(3)]
    setting = GRID[3]
    warm_T = np.concatenate([np.zeros(40, np.float32), X_T])
    played = [play(net, warm_T, config.encode(setting))[40:].astype(np.float64) for config, net in models]
    mean_T = np.mean(played, 0)
    wanted = 1.5 * np.mean([esr(y_T, mean_T) for y_T in played])
    found = np.square(play_deviations(models, X_T, [setting, setting]), dtype=np.float64).sum(1)
    assert found == pytest.approx([wanted, wanted], rel=1e-3)


def test_first_take_brings_most():
    taken = GRID[:8]
    played: list[tuple[int, ...]] = []
    proposal = propose_by_disagreement(
        KNOBS, [of_seed(0), of_seed(1)], X_T, (), 12, taken, lambda *done: played.append(done)
    )
    settings = [take.setting for take in proposal.takes]
    assert len(settings) == len({tuple(setting.values()) for setting in settings}) == 12
    assert not [setting for setting in settings if setting in taken]
    brings = [take.brings for take in proposal.takes]
    assert brings[0] == max(brings)
    assert 0 < proposal.brings < proposal.mean_esr
    assert played[-1][0] == played[-1][1] == len(played)


def test_a_batch_is_not_the_same_hole_again():
    """The candidate beside the first, which disagrees nearly as much, waits until others have been chosen."""
    proposal = propose_by_disagreement(KNOBS, [of_seed(0), of_seed(1)], X_T, (), 4)
    turns = [np.array(KNOBS.encode(take.setting)) for take in proposal.takes]
    apart = [np.abs(a - b).max() for number, a in enumerate(turns) for b in turns[:number]]
    assert min(apart) > 0.2


def test_models_that_agree_need_no_take():
    proposal = propose_by_disagreement(KNOBS, [model(), model()], X_T, GRID[:4], 3)
    assert (proposal.enough, proposal.mean_esr, proposal.brings) == (0, 0, 0)


def test_what_models_disagree_at_takes_brings_nothing():
    """The disagreement is the same everywhere, also where takes are: more of them will not remove it."""
    proposal = propose_by_disagreement(KNOBS, [model(), louder(1.1)], X_T, GRID[:4], 3)
    assert proposal.floor_esr == pytest.approx(proposal.mean_esr, rel=1e-2)
    assert proposal.brings < 0.02 * proposal.mean_esr
    assert proposal.enough == 0


def test_enough_is_where_a_series_brings_little():
    models = [of_seed(0), of_seed(1)]
    enough = propose_by_disagreement(KNOBS, models, X_T, (), 3).enough
    assert enough
    proposal = propose_by_disagreement(KNOBS, models, X_T, (), enough + SERIES)
    brings = [take.brings for take in proposal.takes]
    assert sum(brings[enough:]) <= NOT_WORTH * proposal.mean_esr < sum(brings[enough - 1 : -1])


def test_knob_that_filters_stays_at_its_default():
    knobs = Knobs(knobs=(KNOBS.knobs[0], KNOBS.knobs[1].model_copy(update={"after": True})))
    proposal = propose_by_disagreement(knobs, [of_seed(0), of_seed(1)], X_T, GRID[:4], 3)
    assert {take.setting["tone"] for take in proposal.takes} == {0.5}


def test_excerpt_is_the_loudest_of_every_part():
    x_T = np.full(8 * RATE, 1e-3, np.float32)
    for number in range(8):
        x_T[number * RATE + 3000 : number * RATE + 4000] = 0.1 * (number + 1)
    part_TN = take_excerpt(x_T, RATE).reshape(8, 1000)
    assert part_TN[:, 500] == pytest.approx(0.1 * np.arange(1, 9))
    assert part_TN[:, 0] == pytest.approx(0.1 * np.arange(1, 9) / 40)


@pytest.mark.parametrize("x_T", [np.zeros(20000, np.float32), di(0.5)])
def test_signal_without_sound_is_refused(x_T: np.ndarray):
    with pytest.raises(UserError, match="silent or shorter than 1 s"):
        take_excerpt(x_T, RATE)


def test_models_that_cannot_be_compared_are_refused(tmp_path: Path):
    mine = write_run(tmp_path / "a")
    with pytest.raises(UserError, match="1 model is named"):
        read_models([mine], KNOBS, tmp_path)
    config, net = model()
    faster = write_run(tmp_path / "b", (make_config("b", 2 * RATE, KNOBS, config.architecture), net))
    with pytest.raises(UserError, match="at 8000 and 16000 Hz"):
        read_models([mine, faster], KNOBS, tmp_path)
    other = Knobs(knobs=(KNOBS.knobs[0], Knob(name="bass", default=0.5)))
    with pytest.raises(UserError, match="has knobs gain, tone with other names"):
        read_models([mine, mine], other, tmp_path)


def test_numbers_that_are_not_finite_are_refused():
    config, net = model()
    broken = copy.deepcopy(net)
    with torch.no_grad():
        broken.head_scale.fill_(torch.inf)
    with pytest.raises(UserError, match="not finite"):
        propose_by_disagreement(KNOBS, [(config, net), (config, broken)], X_T, GRID[:4], 3)
