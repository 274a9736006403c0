"""No amp that is louder than it claims, or plays no numbers or nothing, is packaged, pushed, pulled or played."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from models.artifacts.folder import load_model, save_model
from models.core.errors import IntegrityError, UserError
from models.formats.nam.reader import stated_loudness
from models.formats.nam.writer import write_nam
from models.network.wavenet import WaveNet
from tests.support.hub_server import Hub
from tests.support.makers import model
from tests.support.packages import (
    AMP,
    PULL,
    at,
    files,
    litter,
    pack,
    read_files,
    refused,
    write_package,
    write_run,
    zoo,
)
from zoo.amp import Amp
from zoo.package.loudness import check_loudness
from zoo.package.manifest import write_manifest
from zoo.package.replay import Replay, replay

ROOT, NAM = "model.safetensors", "live.nam"


def scale(folder: Path, factor: float, whole: bool = False) -> None:
    """Make a model louder: its last scale, or all of its weights."""
    tensors = load_file(folder / ROOT)
    for name, tensor in tensors.items():
        if whole or name == "head_scale":
            tensor *= factor
    save_file(tensors, folder / ROOT, {"format": "pt"})
    write_manifest(folder, "tiny", "ampzoo")


def scale_nam(path: Path, factor: float) -> None:
    document = json.loads(path.read_text())
    document["weights"][-1] *= factor  # the scale of the output is the last number
    path.write_text(json.dumps(document))


def edit_scores(folder: Path, **corners: object) -> None:
    scores = json.loads((folder / "eval.json").read_text())
    scores["corners"] |= corners
    (folder / "eval.json").write_text(json.dumps(scores))
    write_manifest(folder, "tiny", "ampzoo")


def without_clips(folder: Path) -> Path:
    """A package whose maker hides that its clips were made by another model."""
    (folder / "presets.json").write_text("{}")
    for path in folder.glob("baked/*"):
        path.unlink()
    (folder / NAM).unlink()
    return folder


LOUD: dict[str, tuple[Callable[[Path], object], str]] = {
    "by 60 dB": (lambda folder: scale(folder, 1e3), f"{ROOT} plays at 5"),
    "in all weights": (lambda folder: scale(folder, 1e3, whole=True), f"{ROOT} plays at 181"),
    "in all weights by 200 dB": (lambda folder: scale(folder, 1e10, whole=True), f"{ROOT} plays at 200"),
    "beyond all numbers": (lambda folder: scale(folder, 1e30, whole=True), f"{ROOT} plays numbers that are not finite"),
    "by 20 dB": (lambda folder: scale(without_clips(folder), 10), f"{ROOT} plays at"),
    "by 6 dB against its clips": (lambda folder: scale(folder, 2), "dB louder than its clip audio/"),
    "silent": (lambda folder: scale(without_clips(folder), 0), f"{ROOT} plays no sound"),
    "live.nam by 6 dB": (lambda folder: scale_nam(folder / NAM, 2), f"{NAM} plays at"),
    "live.nam by 400 dB": (lambda folder: scale_nam(folder / NAM, 1e20), f"{NAM} plays at"),
    "live.nam silent": (lambda folder: scale_nam(folder / NAM, 0), f"{NAM} plays no sound"),
    "baked by 6 dB": (lambda folder: scale_nam(folder / "baked/gain-low.nam", 2), "baked/gain-low.nam plays at"),
    "live.nam that says it is soft": (
        lambda folder: say_loudness(folder / NAM, -160),
        f"{NAM} states a loudness of -160 dBFS",
    ),
    "baked that says it is soft": (
        lambda folder: say_loudness(folder / "baked/gain-low.nam", -1e300),
        "baked/gain-low.nam states a loudness of",
    ),
    "live.nam at another level": (
        lambda folder: say_loudness(folder / NAM, -10, output_level_dbu=60),
        f"{NAM} has another output_level_dbu than its package: 60.0, not None",
    ),
    "claims to be loud": (
        lambda folder: (
            scale(without_clips(folder), 1e3),
            edit_scores(folder, peak_dbfs=60.0, recorded_peak_dbfs=60.0, silence_dbfs=-20.0),
        ),
        f"{ROOT} plays at",
    ),
    "says that it is unstable": (lambda folder: edit_scores(folder, peak_dbfs=17.5), "says that its model is unstable"),
}


@pytest.fixture(params=LOUD)
def loud(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    folder = write_package(tmp_path / "loud")
    change, words = LOUD[request.param]
    change(folder)
    write_manifest(folder, "tiny", "ampzoo")
    return folder, words


def test_it_gets_nowhere(loud: tuple[Path, str], hub: Hub, tmp_path: Path):
    folder, words = loud
    refused(zoo("push", folder, AMP, *at(hub)), 6, words, "--max-peak")
    refused(zoo("push", folder, AMP, "--zoo", tmp_path / "shelf"), 6, words)
    refused(zoo("verify", folder), 6, words)
    hub.put(AMP, read_files(folder))
    refused(zoo(*PULL, *at(hub)), 6, words, "Do not play it", f"{AMP}")
    assert not litter() and not (tmp_path / "shelf" / AMP).exists()
    with pytest.raises(IntegrityError):
        check_loudness(folder)


def test_one_put_on_a_shelf_by_hand_is_not_played(tmp_path: Path):
    scale(write_package(tmp_path / "shelf" / AMP), 1e3, whole=True)
    import zoo as library

    with pytest.raises(IntegrityError, match="plays at"):
        library.pull(AMP, zoo=str(tmp_path / "shelf"))


def test_a_sound_package_is_played_once(package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    check_loudness(package)
    monkeypatch.setattr(WaveNet, "forward", lambda *args: pytest.fail("it is played again"))
    check_loudness(package)


@pytest.mark.parametrize("kind", ["a tier", "its live.nam"])
def test_a_tier_is_checked(tmp_path: Path, kind: str):
    folder, tier = write_package(tmp_path / "package"), tmp_path / "package" / "tiers" / "nano"
    config, net = load_model(folder)
    save_model(tier, config, net)
    (tier / "eval.json").write_bytes(files()["eval.json"])
    write_nam(tier / NAM, config, net)
    write_manifest(folder, "tiny", "ampzoo", "full")
    check_loudness(folder)
    if kind == "a tier":
        net.head_scale.data *= 1e3
        save_model(tier, config, net)
    else:
        scale_nam(tier / NAM, 2)
    write_manifest(folder, "tiny", "ampzoo", "full")
    with pytest.raises(IntegrityError, match=r"tiers/nano/.* plays at"):
        check_loudness(folder)


def test_a_limit_of_ones_own(package: Path, tmp_path: Path):
    with pytest.raises(IntegrityError, match=r"plays at .* dBFS .*allowed are -40"):
        check_loudness(package, -40)
    refused(zoo("push", package, AMP, "--zoo", tmp_path / "shelf", "--max-peak", "-40"), 6, "allowed are -40")
    refused(zoo("verify", package, "--max-peak", "-40"), 6, "allowed are -40")
    edit_scores(without_clips(package), peak_dbfs=-60.0, silence_dbfs=-150.0, recorded_peak_dbfs=-60.0)
    refused(zoo("push", package, AMP, "--zoo", tmp_path / "shelf"), 6, "its scores claim -60")
    assert zoo("push", package, AMP, "--zoo", tmp_path / "shelf", "--max-peak", "0").code == 0
    refused(zoo("pull", AMP, "--zoo", tmp_path / "shelf", "--to", tmp_path / "to"), 6, "its scores claim -60")
    words = ("pull", AMP, "--zoo", tmp_path / "shelf", "--to", tmp_path / "to", "--max-peak", "0")
    assert zoo(*words).code == 0


def test_it_is_not_packaged(tmp_path: Path):
    config, net = model()
    net.head_scale.data *= 30
    with pytest.raises(IntegrityError, match="plays at .* its scores claim -1"):
        pack(write_run(tmp_path / "run", (config, net)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_python_gives_no_numbers_that_are_none(tmp_path: Path):
    """Also of a run folder, which nobody checked."""
    config, net = model()
    for weights in net.parameters():
        weights.data *= 1e30
    amp = Amp(write_run(tmp_path / "run", (config, net)))
    with pytest.raises(UserError, match="plays numbers that are not finite"):
        amp(np.ones(4000, np.float32))


def test_what_cannot_be_played_is_not_the_same(package: Path):
    """A NaN is neither larger nor smaller than the errors of the other presets; it must not be lost among them."""
    for name in (NAM, "baked/gain-low.nam"):
        document = json.loads((package / name).read_text())
        document["weights"] = [*(1e3 * weight for weight in document["weights"][:-1]), 3e38]
        (package / name).write_text(json.dumps(document))
    found = {one.name: one for one in replay(package)}
    assert found[NAM].esr == found["baked/gain-low.nam"].esr == math.inf and found["audio/gain-low.flac"].same
    assert not Replay("x", math.nan).same


EAR_WAYS = (
    ("play", "--no-browser"),
    ("page", "--out", "site"),
    ("play", "--live"),
    ("export", "a.nam", "--live"),
    ("export", "a.nam", "--bake", "gain=3"),
)


@pytest.mark.parametrize("words", EAR_WAYS, ids=" ".join)
def test_a_run_folder_is_no_way_around_it(words: tuple[str, ...], package: Path, monkeypatch: pytest.MonkeyPatch):
    """A package without its manifest looks like a run; nobody hears what plays at +60 dBFS without a wish to."""
    monkeypatch.chdir(package.parent)
    scale(package, 1e3)
    (package / "manifest.json").unlink()
    command, *rest = words
    refused(zoo(command, package, *rest), 6, f"{ROOT} plays at", "its scores claim", "--max-peak")
    (package / "eval.json").unlink()
    refused(zoo(command, package, *rest), 6, f"{ROOT} plays at")
    if command == "export":
        assert zoo(command, package, *rest, "--max-peak", "100").code == 0


def say_loudness(path: Path, dbfs: object, **metadata: object) -> None:
    document = json.loads(path.read_text())
    document["metadata"] |= {"loudness": dbfs, **metadata}
    path.write_text(json.dumps(document))


def test_the_loudness_of_a_container_is_the_lowest_that_it_states(package: Path):
    """A player shows one of its models, whose own loudness it may take."""
    inner = json.loads((package / NAM).read_text())
    assert stated_loudness(package / NAM) == inner["metadata"]["loudness"]
    head = {"version": "0.7.0", "architecture": "SlimmableContainer", "sample_rate": inner["sample_rate"]}
    models = [{"max_value": n, "model": inner | {"metadata": {"loudness": n - 90}}} for n in (0.5, 1)]
    for stated, expected in ((-3, -89.5), (-99, -99), ("none", -89.5)):
        document = {**head, "metadata": {"loudness": stated}, "config": {"submodels": models}}
        (package / "c.nam").write_text(json.dumps(document))
        assert stated_loudness(package / "c.nam") == expected
    say_loudness(package / NAM, "loud")
    assert stated_loudness(package / NAM) is None
