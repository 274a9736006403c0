"""Bounds that are checked before training."""

from pathlib import Path

import numpy as np
import pytest

from models.artifacts.model_config import make_config
from models.core.errors import UserError
from models.formats.nam.writer import write_nam
from models.network.baking import bake
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from search.optimizer.candidates import CandidatePool
from search.study.build import check_space
from search.study.constraints import Constraints
from search.study.cost import CountedCost
from tests.support.makers import KNOBS, RATE, data_config, di, read_wav, record, write_wav
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


def test_a_model_is_made_once_for_all_its_learning_settings(amps: list[AmpData], folder: Path):
    space = {"shapes": [], "channels": [2, 3], "depth": [4, 5], "inject": ["film"], "learning": {"batch": [2, 4]}}
    config = config_of(folder, space=space)
    constraints = Constraints(config, amps, CountedCost())
    points = [sample(config.space, seed) for seed in range(100)]
    found = [constraints.to_candidate(point) for point in points]
    networks = {
        tuple((axis, point[axis]) for axis in point if axis not in ("batch", "learning_rate")) for point in points
    }
    assert len({id(candidate.model) for candidate in found}) == len(networks) < 50
    assert len({candidate.identity for candidate in found}) > len(networks)
    for point, candidate in zip(points, found, strict=True):
        assert candidate == Constraints(config, amps, CountedCost()).to_candidate(point)


BOUNDS = {  # word of the reason -> what changes, a point, words of the hint
    "receptive field": ({"bounds": {"receptive_field": [1, 20]}}, {"depth": 10}, "Raise the second number"),
    "outside 9000": ({"bounds": {"receptive_field": [9000, 9999]}}, {}, "Lower the first number"),
    "parameters": ({"bounds": {"parameters": [1, 50]}}, {}, "add smaller 'space.channels'"),
    "costs": ({"bounds": {"cost": 1e-9}}, {}, "Raise 'bounds.cost'"),
    "live in blended": ({"space": {"inject": ["layer1x1_post"]}}, {}, '"bounds": {"export": ["bake"]}'),
    "fewer than one segment": ({"learning": {"segment": 9000}}, {}, "Use a shorter segment"),
}


@pytest.mark.parametrize("word", BOUNDS)
def test_bounds_are_checked_before_training(word: str, folder: Path, amps: list[AmpData]):
    changes, point, hint = BOUNDS[word]
    config = config_of(folder, **{"space": {"shapes": []}, **changes})
    complete = config.space.complete(point)
    assert complete
    constraints = Constraints(config, amps, CountedCost())
    assert word in (constraints.violation(constraints.to_candidate(complete)) or "")
    if not point:
        shapeless = config.model_copy(update={"space": config.space.model_copy(update={"shapes": ()})})
        with pytest.raises(UserError, match=f"s.json: no point of the space may be trained.*{word}") as refused:
            check_space(shapeless, amps, cost_model=CountedCost(), file=Path("s.json"))
        assert hint in refused.value.hint and "record more" not in refused.value.hint
    violation = constraints.violation(constraints.to_candidate(complete))
    assert violation and hint in violation.hint


def test_a_model_that_misses_a_long_response_is_refused(tmp_path: Path):
    """A resonance of 30 ms rings on after the amp; the least field is that of the amp that needs most."""
    long = record_ringing(tmp_path / "long", 0.03)
    dry = record_ringing(tmp_path / "dry", 0.0)
    config = config_of(tmp_path / "long", space={"shapes": [], "depth": [2, 12]})
    both = Constraints(config, [dry, long], CountedCost())
    assert Constraints(config, [dry], CountedCost()).least_field < 40
    assert Constraints(config, [], CountedCost()).least_field == 1
    assert both.least_field == Constraints(config, [long], CountedCost()).least_field > 200
    found = {}
    for depth in (2, 12):
        point = config.space.complete({"depth": depth})
        assert point
        found[depth] = both.to_candidate(point)
    assert "the takes play on" in (both.violation(found[2]) or "")
    assert found[12].model.receptive_field > both.least_field and both.violation(found[12]) is None
    stated = config.model_copy(update={"bounds": config.bounds.model_copy(update={"receptive_field": (2, 10**6)})})
    assert Constraints(stated, [long], CountedCost()).violation(found[2]) is None


def record_ringing(folder: Path, decay_s: float) -> AmpData:
    """The tiny amp, and behind it a resonance of 90 Hz that falls by the factor e in `decay_s`."""
    folder.mkdir()
    manifest = record(folder, "train", di(3.0))
    time_N = np.arange(RATE // 4) / RATE
    ringing_N = 0.5 * np.exp(-time_N / decay_s) * np.sin(2 * np.pi * 90 * time_N) if decay_s else 0 * time_N
    ringing_N[0] += 1.0
    for path in sorted(folder.glob("train_[0-9]*.wav")):
        wet_T = read_wav(path)
        write_wav(path, 0.1 * np.convolve(wet_T, ringing_N)[: len(wet_T)].astype(np.float32))
    return load_data(data_config(manifest))
