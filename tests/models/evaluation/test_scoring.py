"""Scores are per setting, pooled with equal weight, beside what the nearest recording would give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifacts.evaluation import SettingScore
from models.core.errors import DivergedError
from models.engines.select import engine_for
from models.evaluation import scoring as metrics
from models.evaluation.distances import gain_matched_esr, measure_errors, mrstft
from models.evaluation.robustness import knob_move_artifact
from models.evaluation.scoring import by_region, pool, predict, score
from models.knobs.schema import Knob, Knobs, Switch
from models.network.architecture import WaveNetConfig
from models.playback.stream import play
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from tests.support.makers import GRID, RATE, amp, architecture, data_config, di, esr, record, wavenet

DI = di(1.5)
CENTER, OFF_CENTER = {"gain": 5.0, "tone": 0.5}, {"gain": 8.0, "tone": 0.8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AmpData:
    train = record(tmp_path_factory.mktemp("takes"), "train", DI)
    return load_data(data_config(train, held_settings=(CENTER, OFF_CENTER)))


def test_esr_of_known_errors():
    truth_T = torch.from_numpy(DI)
    assert metrics.esr(truth_T, truth_T) == 0
    assert metrics.esr(0 * truth_T, truth_T) == pytest.approx(1)
    assert metrics.esr(-truth_T, truth_T) == pytest.approx(4)
    assert metrics.esr(1.1 * truth_T, truth_T) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("chunk", [1, 100, 333, 1 << 16])
def test_prediction_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int):
    monkeypatch.setattr(metrics, "SCORED_SAMPLES", chunk)
    net, x_T = wavenet(architecture()), torch.from_numpy(DI[:1000])
    with torch.no_grad():
        whole_T = net(x_T[None], torch.tensor([[0.3, -0.8]]))[0]
    assert esr(predict(engine_for(net), x_T, torch.tensor([0.3, -0.8])), whole_T) < 1e-10


def test_score_of_a_setting_is_the_esr_of_playing_it(data: AmpData):
    net, held = wavenet(architecture()), len(DI) - RATE // 4
    found = score(net, data, data.held)
    assert [setting.setting for setting in found.settings] == [CENTER, OFF_CENTER]
    for one in found.settings:
        played_T = play(net, DI, data.knobs.encode(one.setting))
        assert one.esr == pytest.approx(esr(played_T[held:], amp(DI, **one.setting)[held:]), rel=1e-4)


@pytest.mark.parametrize("group", ["held", "validation"])
def test_baseline_is_the_nearest_setting_that_is_not_held(data: AmpData, group: str):
    """On the same audio, where that setting was recorded as well."""
    pieces = getattr(data, group)
    for one in score(wavenet(architecture()), data, pieces).settings:
        here_K = np.array(data.knobs.encode(one.setting))
        others = [s for s in GRID if s not in (CENTER, OFF_CENTER, one.setting)]
        far = [float(np.linalg.norm(np.array(data.knobs.encode(s)) - here_K)) for s in others]
        nearest = [s for s, distance in zip(others, far, strict=True) if distance < min(far) + 1e-6]
        region = slice(pieces[0].start, pieces[0].stop)
        wanted = [esr(amp(DI, **s)[region], amp(DI, **one.setting)[region]) for s in nearest]
        assert min(wanted) > 0 and any(one.baseline_esr == pytest.approx(value, rel=1e-4) for value in wanted)


def test_setting_recorded_on_other_audio_only_has_no_baseline(tmp_path: Path):
    train, held = record(tmp_path, "train", DI), record(tmp_path, "held", di(0.5, seed=1), [{"gain": 4.0, "tone": 0.4}])
    data = load_data(data_config(train, held=held, held_settings=(), held_seconds=0))
    found = score(wavenet(architecture()), data, data.held)
    assert found.baseline_mean is None and found.settings[0].baseline_esr is None


def test_setting_recorded_twice_counts_once(tmp_path: Path):
    train = record(tmp_path, "train", DI)
    held = record(tmp_path, "held", di(0.5, seed=1), [{"gain": 4.0, "tone": 0.4}, {"gain": 6.0, "tone": 0.6}])
    data, net = load_data(data_config(train, held=held, held_settings=(), held_seconds=0)), wavenet(architecture())
    once, twice = score(net, data, data.held), score(net, data, [*data.held, data.held[0]])
    assert twice.mean == pytest.approx(once.mean) and len(twice.settings) == 2


def test_pool_weighs_settings_equally():
    pooled = pool(SettingScore(setting={"gain": n}, esr=e, baseline_esr=2 * e) for n, e in enumerate((0.1, 0.6, 0.2)))
    assert (pooled.mean, pooled.median, pooled.worst, pooled.baseline_mean) == (
        pytest.approx(0.3),
        0.2,
        0.6,
        pytest.approx(0.6),
    )
    partly = pool([SettingScore(setting={}, esr=0.1, baseline_esr=0.2), SettingScore(setting={}, esr=0.1)])
    assert partly.baseline_mean is None


def test_output_that_is_not_finite_is_not_scored(data: AmpData):
    net = wavenet(architecture())
    net.head_scale.fill_(float("inf"))
    with pytest.raises(DivergedError, match="gain=5 tone=0.5"):
        score(net, data, data.held)


def test_knob_move_that_moves_nothing_adds_nothing():
    net = wavenet(architecture("mixin"))
    x_T, here_K = torch.from_numpy(di(0.3)), torch.tensor([0.2, -0.4])
    assert knob_move_artifact(net, x_T, here_K, here_K, ramp=100) < -120


def test_knob_move_artifact_is_what_the_crossfade_lacks():
    """A net that is linear in its last FiLM moves as a crossfade does; one that is not does not."""
    x_T, low_K, high_K = torch.from_numpy(di(0.3)), torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    array = {"channels": 3, "dilations": [1, 2], "head1x1": 2}
    straight = WaveNetConfig.model_validate({"arrays": [array], "inject": {"film": ["head1x1_post"]}})
    assert knob_move_artifact(wavenet(straight), x_T, low_K, high_K, ramp=100) < -120
    assert knob_move_artifact(wavenet(architecture("mixin")), x_T, low_K, high_K, ramp=100) > -90


def test_other_errors_are_pooled_evenly(data: AmpData):
    net = wavenet(architecture())
    found = score(net, data, data.held, thorough=True)
    assert found.errors is not None and score(net, data, data.held).errors is None
    for name, mean in found.errors.model_dump().items():
        each = [one.errors.model_dump()[name] for one in found.settings if one.errors]
        assert len(each) == len(found.settings) and mean == pytest.approx(np.mean(each)) and mean > 0


def test_regions_show_where_a_model_is_weak():
    switch = Switch(name="channel", positions=("clean", "lead"), default="clean")
    knobs = Knobs(knobs=(Knob(name="gain", min=0, max=9, default=5), switch))
    stood = ((9, "lead", 0.8), (0, "clean", 0.1), (2.9, "lead", 0.3), (3, "clean", 0.5))
    found = pool(SettingScore(setting={"gain": gain, "channel": at}, esr=error) for gain, at, error in stood)
    regions = {(one.knob, one.region): (one.settings, one.esr) for one in by_region(found, knobs)}
    assert regions == {
        ("gain", "low"): (2, pytest.approx(0.2)),
        ("gain", "middle"): (1, 0.5),
        ("gain", "high"): (1, 0.8),
        ("channel", "clean"): (2, pytest.approx(0.3)),
        ("channel", "lead"): (2, pytest.approx(0.55)),
    }
    order = [("gain", "low"), ("gain", "middle"), ("gain", "high"), ("channel", "clean"), ("channel", "lead")]
    assert list(regions) == order


def test_fingerprint_depends_on_the_audio(data: AmpData):
    first = data.fingerprint(data.held)
    assert first == data.fingerprint(data.held) != data.fingerprint(data.held[1:])
    piece = data.held[0]
    bent_T = piece.wet_T.clone()
    bent_T[piece.start] += 1e-6
    assert data.fingerprint([replace(piece, wet_T=bent_T), *data.held[1:]]) != first


def test_gain_matched_esr_is_the_best_over_all_gains():
    draw = torch.Generator().manual_seed(0)
    target_T, noise_T = torch.randn(2, 4000, generator=draw)
    predicted_T = 0.3 * (target_T + 0.5 * noise_T)
    best = min(metrics.esr(gain * predicted_T, target_T) for gain in torch.linspace(1, 5, 2001))
    assert gain_matched_esr(predicted_T, target_T) == pytest.approx(best, rel=1e-4)
    assert gain_matched_esr(0.01 * target_T, target_T) == pytest.approx(0, abs=1e-6)
    assert gain_matched_esr(torch.zeros(4000), target_T) == 1


def test_pre_emphasis_weights_the_treble():
    t_T = torch.arange(8000) / 48000
    low_T, high_T = (torch.sin(2 * torch.pi * hz * t_T) for hz in (100, 10000))
    dull, bright = (measure_errors(low_T + high_T - 0.1 * part_T, low_T + high_T) for part_T in (low_T, high_T))
    assert dull.esr_pre_emphasis < 0.001 < bright.esr_pre_emphasis
    assert dull.mae == pytest.approx(0.1 * 2 / np.pi, rel=0.05)


def magnitudes(x_T: np.ndarray, size: int, hop: int, window: int) -> np.ndarray:
    """Frames centered on multiples of the hop, silence beyond the ends, a Hann window in the middle of each."""
    padded_T = np.concatenate([np.zeros(size // 2), x_T, np.zeros(size // 2)])
    shape = np.zeros(size)
    shape[(size - window) // 2 :][:window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = [padded_T[start : start + size] * shape for start in range(0, len(padded_T) - size + 1, hop)]
    return np.maximum(np.abs(np.fft.rfft(frames)), 1e-4)


def test_mrstft_is_its_definition():
    draw = np.random.default_rng(0)
    target_T = draw.standard_normal(5000)
    predicted_T = target_T + 0.2 * draw.standard_normal(5000)
    wanted = 0.0
    for shape in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        there, here = magnitudes(target_T, *shape), magnitudes(predicted_T, *shape)
        wanted += (np.linalg.norm(there - here) / np.linalg.norm(there) + np.abs(np.log(there / here)).mean()) / 3
    found = mrstft(torch.from_numpy(predicted_T)[None], torch.from_numpy(target_T)[None])
    assert found.item() == pytest.approx(wanted, rel=1e-6)
