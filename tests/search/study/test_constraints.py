"""Bounds that are checked before training."""

from pathlib import Path

import pytest

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.formats.nam.writer import write_nam
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from search.optimizer.candidates import CandidatePool
from search.study.build import check_space
from search.study.constraints import Constraints
from search.study.cost import CountedCost
from tests.support.makers import KNOBS
from tests.support.searches import WIDE, config_of, sample


def test_every_allowed_point_is_exported_live_and_baked(amps: list[AmpData], folder: Path, tmp_path: Path):
    config = config_of(folder).model_copy(update={"space": WIDE.model_copy(update={"shapes": ()})})
    constraints = Constraints(config, amps, CountedCost())
    pool = CandidatePool(config.space, constraints.to_candidate, constraints.violation)
    candidates = pool.candidates(sample(config.space, seed) for seed in range(60))
    exported = 0
    for model in (candidate.model for candidate in candidates if pool.is_allowed(candidate)):
        columns = KNOBS.columns(model.inject.encoding)
        net = WaveNet(model, columns)
        described = make_config("tiny", 8000, KNOBS, model)
        write_nam(tmp_path / "live.nam", described, net)
        write_nam(tmp_path / "baked.nam", described, bake(net, described.encode(KNOBS.defaults)), KNOBS.defaults)
        assert constraints.sizes(model).parameters == net.parameter_count
        exported += 1
    assert exported > 30


BOUNDS = {
    "receptive field": ({"bounds": {"receptive_field": [1, 20]}}, {"depth": 10}),
    "parameters": ({"bounds": {"parameters": [1, 50]}}, {}),
    "costs": ({"bounds": {"cost": 1e-9}}, {}),
    "live in blended": ({"space": {"inject": ["layer1x1_post"]}}, {}),
    "fewer than one segment": ({"learning": {"segment": 9000}}, {}),
}


@pytest.mark.parametrize("word", BOUNDS)
def test_bounds_are_checked_before_training(word: str, folder: Path, amps: list[AmpData]):
    changes, point = BOUNDS[word]
    config = config_of(folder, **{"space": {"shapes": []}, **changes})
    complete = config.space.complete(point)
    assert complete
    constraints = Constraints(config, amps, CountedCost())
    assert word in (constraints.violation(constraints.to_candidate(complete)) or "")
    if not point:
        shapeless = config.model_copy(update={"space": config.space.model_copy(update={"shapes": ()})})
        with pytest.raises(UserError, match=f"may be trained.*{word}"):
            check_space(shapeless, amps, cost_model=CountedCost())
