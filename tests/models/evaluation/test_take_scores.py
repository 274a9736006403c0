"""Takes are scored whatever plays them, and a common lag is found, said and removed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.artifacts.folder import save_model
from models.core.errors import UserError
from models.evaluation.take_scores import common_lag, region_of_box, score_takes
from models.formats.nam.writer import write_nam
from models.network.baking import bake
from models.playback.stream import play
from models.recordings.alignment import Lag
from tests.support.makers import GRID, KNOBS, RATE, amp, di, esr, model, read_wav, record, write_wav

CONFIG, NET = model()
SOME = GRID[::4]
DI = di(1.0)


def takes(folder: Path, settings=SOME) -> Path:
    return record(folder, "takes", DI, settings)


def rendered(folder: Path, change=lambda y_T: y_T, settings=SOME) -> Path:
    """A folder of what the amp plays, changed, under the names of the takes."""
    for number, setting in enumerate(settings):
        write_wav(folder / f"takes_{number}.wav", change(amp(DI, **setting)))
    return folder


def played_by_model(setting: dict) -> np.ndarray:
    return play(NET, DI, CONFIG.encode(setting))


def test_a_folder_with_a_model_is_scored(tmp_path: Path):
    save_model(tmp_path / "run", CONFIG, NET)
    found = score_takes(tmp_path / "run", takes(tmp_path))
    wanted = [esr(played_by_model(setting), amp(DI, **setting)) for setting in SOME]
    assert [take.esr for take in found.takes] == pytest.approx(wanted, rel=1e-4)
    assert found.score.mean == pytest.approx(np.mean(wanted), rel=1e-4)
    assert found.score.median == pytest.approx(np.median(wanted), rel=1e-4)
    assert found.score.worst == pytest.approx(max(wanted), rel=1e-4)
    assert [take.wet.name for take in found.takes] == [f"takes_{number}.wav" for number in range(len(SOME))]
    assert {region.knob for region in found.by_knob} == {"gain", "tone"}
    assert sum(box.takes for box in found.by_box) == len(SOME)


def test_live_and_stock_nam_files_are_scored(tmp_path: Path):
    manifest = takes(tmp_path)
    save_model(tmp_path / "run", CONFIG, NET)
    write_nam(tmp_path / "live.nam", CONFIG, NET)
    run, live = (score_takes(tmp_path / name, manifest) for name in ("run", "live.nam"))
    assert [take.esr for take in live.takes] == pytest.approx([take.esr for take in run.takes], rel=1e-3)
    fixed = bake(NET, CONFIG.encode(SOME[1]))
    write_nam(tmp_path / "stock.nam", CONFIG, fixed, SOME[1])
    stock = score_takes(tmp_path / "stock.nam", manifest)
    assert stock.takes[1].esr == pytest.approx(run.takes[1].esr, rel=1e-3)
    assert stock.takes[2].esr == pytest.approx(esr(played_by_model(SOME[1]), amp(DI, **SOME[2])), rel=1e-3)
    assert "it plays every position alike" in stock.notes[0]


def test_unnamed_knobs_are_taken_in_their_order(tmp_path: Path):
    manifest = takes(tmp_path)
    write_nam(tmp_path / "live.nam", CONFIG, NET)
    document = json.loads((tmp_path / "live.nam").read_text())
    del document["metadata"]["knobs"]
    (tmp_path / "peer.nam").write_text(json.dumps(document))
    named, unnamed = (score_takes(tmp_path / name, manifest) for name in ("live.nam", "peer.nam"))
    assert [take.esr for take in unnamed.takes] == [take.esr for take in named.takes]
    assert unnamed.notes[0] == "peer names no knobs; they are taken in the order gain, tone"


def test_renderings_are_scored(tmp_path: Path):
    manifest = takes(tmp_path)
    exact = score_takes(rendered(tmp_path / "exact"), manifest)
    assert exact.score.worst == 0
    half = score_takes(rendered(tmp_path / "half", lambda y_T: 0.5 * y_T), manifest)
    assert half.score.mean == pytest.approx(0.25, rel=1e-5)
    assert half.score.errors
    assert half.score.errors.esr_gain_matched < 1e-6
    assert half.lag is None
    assert half.notes == ()


@pytest.mark.parametrize("late", [37, -5, 300])
def test_a_constant_lag_is_found_said_and_removed(tmp_path: Path, late: int):
    def shift(y_T: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(late), y_T]) if late > 0 else y_T[-late:]

    found = score_takes(rendered(tmp_path / "late", shift), takes(tmp_path))
    assert found.lag
    assert found.lag.delay_samples == pytest.approx(late, abs=0.01)
    assert found.score.worst < 1e-4
    side = "late" if late > 0 else "early"
    assert f"{abs(late):.2f} samples {side} at all takes; it was moved" in found.notes[0]


def test_inverted_renderings_are_turned(tmp_path: Path):
    found = score_takes(rendered(tmp_path / "inverted", lambda y_T: -y_T), takes(tmp_path))
    assert found.score.worst == 0
    assert found.notes == ("what was played is inverted; its polarity was corrected",)


def test_lags_that_differ_are_said_and_kept():
    lags = [Lag(delay, 1) for delay in (0.0, 20.0, 45.0, 70.0)]
    assert common_lag(lags) == (None, ["what was played has no common lag: from +0.0 to +70.0 samples"])
    lag, said = common_lag([Lag(12.0, 1), Lag(12.1, 1), Lag(12.0, 1), Lag(90.0, 1)])
    assert lag == Lag(12.0, 1)
    assert said == [
        "1 of 4 takes have another lag, up to +90.0 samples",
        "what was played is 12.00 samples late at all takes; it was moved",
    ]
    assert common_lag([Lag(0.2, 1), Lag(0.1, 1)]) == (None, [])
    assert common_lag([None, None]) == (None, [])


def test_regions_of_the_knob_box():
    places = {"inside": (5, 0.5), "edge": (5, 1), "corner": (0, 1)}
    assert {
        region_of_box(KNOBS, {"gain": gain, "tone": tone}): (gain, tone) for gain, tone in places.values()
    } == places


def test_clips_are_the_sound_beside_the_take(tmp_path: Path):
    long_T = di(8.0)
    manifest = record(tmp_path, "takes", long_T, SOME[:2])
    for number, setting in enumerate(SOME[:2]):
        write_wav(tmp_path / "half" / f"takes_{number}.wav", 0.5 * amp(long_T, **setting))
    found = score_takes(tmp_path / "half", manifest, clips=True)
    assert set(found.clips) == {0, 1}
    clip = found.clips[1]
    assert len(clip.take_T) == 3 * RATE
    assert np.array_equal(clip.played_T, np.float32(0.5) * clip.take_T)
    whole_T = read_wav(tmp_path / "takes_1.wav")
    assert any(np.array_equal(whole_T[at : at + 3 * RATE], clip.take_T) for at in range(len(whole_T) - 3 * RATE + 1))


def test_takes_of_the_training_are_counted(tmp_path: Path):
    save_model(tmp_path / "run", CONFIG, NET)
    manifest = takes(tmp_path)
    first = score_takes(tmp_path / "run", manifest)
    assert not any(take.trained for take in first.takes)
    from hashlib import sha256

    split = {
        "data": {"align": False},
        "dry_sha256": [sha256(DI.tobytes()).hexdigest()],
        "pieces": {"train": [{"dry": 0, "start": 0, "stop": 100, "setting": SOME[2]}]},
    }
    (tmp_path / "run" / "split.json").write_text(json.dumps(split))
    found = score_takes(tmp_path / "run", manifest)
    assert [take.trained for take in found.takes] == [False, False, True, False, False]
    assert found.notes == ("1 of 5 takes are of the training: their settings on their dry signal",)
    split["dry_sha256"] = ["0" * 64]
    (tmp_path / "run" / "split.json").write_text(json.dumps(split))
    other = score_takes(tmp_path / "run", manifest)
    assert not any(take.trained for take in other.takes)
    assert other.notes == ("1 of 5 takes are at settings of the training, on other audio",)


def test_takes_that_were_cut_are_aligned(tmp_path: Path):
    manifest = takes(tmp_path)
    for number in range(len(SOME)):
        path = tmp_path / f"takes_{number}.wav"
        write_wav(path, np.concatenate([np.zeros(100 * number), read_wav(path)]).astype(np.float32))
    found = score_takes(rendered(tmp_path / "exact"), manifest)
    assert found.score.worst < 1e-3
    assert "all are aligned" in found.notes[0]


def test_what_cannot_be_scored_is_named(tmp_path: Path):
    manifest = takes(tmp_path)
    folder = rendered(tmp_path / "some")
    (folder / "takes_3.wav").unlink()
    with pytest.raises(UserError, match=r"no rendering of 1 of 5 takes: takes_3\.wav"):
        score_takes(folder, manifest)
    (tmp_path / "empty").mkdir()
    for name, text in (("empty", "no model and no sound file"), ("none", "does not exist"), ("takes.json", "no .nam")):
        with pytest.raises(UserError, match=text):
            score_takes(tmp_path / name, manifest)
    other, torch_net = model()
    renamed = other.model_copy(update={"knobs": KNOBS.model_validate({"knobs": [{"name": "a"}, {"name": "b"}]})})
    assert torch.isfinite(torch_net.head_scale)
    save_model(tmp_path / "other", renamed, torch_net)
    with pytest.raises(UserError, match="has knobs a, b, the takes have gain, tone"):
        score_takes(tmp_path / "other", manifest)


@pytest.mark.parametrize("scale", [1e12, 1e30, 3e38])
def test_what_is_beyond_all_measure_is_told(scale: float, tmp_path: Path):
    """Whatever the formulas of the errors would make of it."""
    manifest, (config, net) = record(tmp_path, "train", di(0.5)), model()
    net.head_scale.data *= scale
    write_nam(tmp_path / "loud.nam", config, net)
    with pytest.raises(UserError, match="beyond all measure"):
        score_takes(tmp_path / "loud.nam", manifest)


def test_a_rendering_of_the_silence_before_a_take_is_told(tmp_path: Path):
    dry_T = di(1.5)
    dry_T[: RATE // 2] = 0
    manifest, folder = record(tmp_path, "train", dry_T), tmp_path / "rendered"
    for path in tmp_path.glob("train_[0-9]*.wav"):
        write_wav(folder / path.name, read_wav(path)[: RATE // 2])
    with pytest.raises(UserError, match="is silent where something was played for it"):
        score_takes(folder, manifest, align=False)
