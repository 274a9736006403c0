"""Packaging a run: the same bytes every time, clips that are the model's own, and no private path."""

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.folder import load_model, save_model
from models.artifacts.model_config import make_config
from models.artifacts.names import EVAL
from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import write_json
from models.knobs.schema import Knobs
from models.playback.stream import play
from models.training.fit import fit
from tests.support.makers import (
    KNOBS,
    RATE,
    amp,
    architecture,
    data_config,
    di,
    model,
    read_wav,
    recipe,
    record,
    wavenet,
)
from tests.support.packages import (
    CORNERS,
    LICENSE,
    evaluation,
    files,
    full_disk,
    pack,
    read_files,
    refused,
    write_files,
    write_run,
    zoo,
)
from zoo.cli.errors import explain
from zoo.package.card import read_front_matter
from zoo.package.card_schema import Terms, read_summary
from zoo.package.demo_clips import HEADROOM, LOUDNESS_DBFS
from zoo.package.manifest import write_manifest
from zoo.package.replay import replay
from zoo.package.verify import verify

STEP = 2.0**-23  # of 24-bit audio


def test_packing_twice_gives_the_same_bytes(tmp_path: Path):
    run = write_run(tmp_path / "run")
    first = read_files(pack(run, tmp_path / "first", LICENSE))
    second = read_files(pack(run, tmp_path / "elsewhere" / "second", LICENSE))
    assert first == second == files()
    assert read_files(pack(tmp_path / "first", tmp_path / "third", LICENSE)) == first  # a package holds a whole run


def test_manifest_covers_every_file_but_the_card(tmp_path: Path):
    folder = pack(write_run(tmp_path / "run"), tmp_path / "package", LICENSE)
    content = read_files(folder)
    manifest = json.loads(content.pop("manifest.json"))
    del content["README.md"]
    assert manifest["files"] == {
        name: {"sha256": sha256(data).hexdigest(), "size": len(data)} for name, data in content.items()
    }
    names = ("default", "gain-low", "gain-high")
    assert set(content) == {
        "config.json", "eval.json", "presets.json", "model.safetensors", "LICENSE", "live.nam", "audio/di.flac",
        "images/scores.png", "images/knobs.png",
        *(f"audio/{name}.flac" for name in names), *(f"baked/{name}.nam" for name in names),
    }  # fmt: skip
    assert verify(folder).package == "tiny"


def test_card_has_what_a_list_needs(tmp_path: Path):
    folder = pack(write_run(tmp_path / "run"), tmp_path / "package", LICENSE)
    front = read_front_matter(folder / "README.md")
    assert (front["library_name"], front["license"], front["pipeline_tag"]) == ("ampzoo", LICENSE, "audio-to-audio")
    assert {"guitar", "amp-modeling"} <= set(front["tags"])
    [index] = front["model-index"]
    assert index["name"] == "tiny"
    assert index["results"][0]["metrics"] == [{"type": "esr", "value": 0.1875, "name": "ESR"}]
    block, (config, net) = read_summary("me/tiny", "", front).amp, load_model(folder)
    assert block.knobs == KNOBS.knobs
    assert (block.esr, block.parameters, block.sample_rate) == (0.1875, net.parameter_count, RATE)
    assert (block.macs_per_sample, block.inject) == (config.architecture.macs_per_sample(2), "mixin+film")
    page = (folder / "README.md").read_text(encoding="utf-8")
    for name in read_files(folder):
        assert not name.startswith("audio/") or f"({name})" in page


@pytest.mark.parametrize(("kind", "words"), [("pedal", "a pedal"), ("amp_cab", "a guitar amp with its cabinet")])
def test_card_says_what_it_is_a_model_of(tmp_path: Path, kind: str, words: str):
    run = write_run(tmp_path / "run")
    scores = evaluation(model()[1]).model_copy(update={"device": "Big *Muff*"})
    write_json(run / EVAL, scores.model_dump(mode="json", by_alias=True))
    assert zoo("package", run, "--license", LICENSE, "--kind", kind, "--out", tmp_path / "made", "--force").code == 0
    page = (tmp_path / "made/run/README.md").read_text()
    assert f"\n# Big &#42;Muff&#42;\n\nA model of {words} whose 2 knobs turn live: " in page


def test_card_says_where_the_knobs_were_recorded(tmp_path: Path):
    run = write_run(tmp_path / "run")
    pieces = [{"dry": 0, "start": 0, "stop": 9, "setting": {"gain": gain, "tone": 0.5}} for gain in (3.0, 9.0, 5.5)]
    parts = {"train": pieces[:2], "validation": pieces[2:], "held": []}
    write_json(run / "split.json", {"data": {}, "dry_sha256": ["0" * 64], "pieces": parts})
    begun = recipe(data_config(record(tmp_path, "takes", di())))
    write_json(run / "recipe.json", begun.model_dump(mode="json", by_alias=True))
    page = (pack(run, tmp_path / "package") / "README.md").read_text()
    assert "| knob | range | recorded | default |\n|---|---|---|---|\n| gain | 0 to 10 | 3 to 9 | 5 |" in page
    again = (pack(tmp_path / "package", tmp_path / "again") / "README.md").read_text()
    assert again == page


@pytest.mark.parametrize("loud", [False, True])
def test_audio_examples_are_the_model_playing(tmp_path: Path, loud: bool):
    config, net = model()
    net.head_scale.fill_(2.0 if loud else 0.1)
    folder = pack(write_run(tmp_path / "run", (config, net)), tmp_path / "package", LICENSE)
    dry_T = read_wav(folder / "audio/di.flac")
    presets = json.loads((folder / "presets.json").read_text())["presets"]
    assert {preset["audio"] for preset in presets} | {"audio/di.flac"} == {
        name for name in read_files(folder) if name.startswith("audio/")
    }
    gains = {preset["id"]: preset["knobs"]["gain"] for preset in presets}
    assert gains["gain-low"] < gains["default"] == 5 < gains["gain-high"]
    for preset in presets:
        info = sf.info(folder / preset["audio"])
        assert (info.samplerate, info.channels, info.frames) == (RATE, 1, len(dry_T))
        found_T, wet_T = read_wav(folder / preset["audio"]), play(net, dry_T, KNOBS.encode(preset["knobs"]))
        assert np.isfinite(found_T).all()
        assert (float(np.abs(wet_T).max()) > 1) == loud
        assert np.abs(found_T - wet_T * 10 ** (preset["gain_db"] / 20)).max() <= 4 * STEP
        levels = (
            float(np.abs(found_T).max()) / HEADROOM,
            float(np.sqrt(np.mean(found_T**2))) / 10 ** (LOUDNESS_DBFS / 20),
        )
        assert 0.998 < max(levels) <= 1.0001  # as loud as the others, or as its peak allows


def test_package_holds_no_private_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("USER", "LOGNAME", "HOME", "HOSTNAME"):
        monkeypatch.setenv(name, "/home/zaphod")
    folder = pack(write_run(tmp_path / "zaphod" / "run"), tmp_path / "zaphod" / "package", LICENSE)
    for name, data in read_files(folder).items():
        for secret in (b"zaphod", b"/home/", str(tmp_path).encode(), str(Path.cwd()).encode()):
            assert secret not in data, name


@pytest.mark.parametrize("missing", ["eval.json", "config.json", "model.safetensors"])
def test_unfinished_run_is_refused(tmp_path: Path, missing: str):
    run = write_run(tmp_path / "run")
    (run / missing).unlink()
    with pytest.raises(UserError, match=missing) as refusal:
        pack(run, tmp_path / "package", LICENSE)
    assert type(refusal.value) is not NotFound or missing == "config.json"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("there", ["folder", "file"])
def test_what_is_not_a_package_is_left_alone(tmp_path: Path, there: str):
    out = tmp_path / "out"
    write_files(out, {"song.wav": b"mine"}) if there == "folder" else out.write_bytes(b"mine")
    with pytest.raises(UserError, match="is not a package"):
        pack(write_run(tmp_path / "run"), out, LICENSE)
    assert (read_files(out) == {"song.wav": b"mine"}) if there == "folder" else (out.read_bytes() == b"mine")


def test_foreign_manifest_is_left_alone(tmp_path: Path):
    mine = {"manifest.json": b'{"name": "my browser extension", "version": "1.0"}', "popup.js": b"years of work"}
    out = write_files(tmp_path / "out", mine)
    with suppress(UserError):
        pack(write_run(tmp_path / "run"), out, LICENSE)
    assert read_files(out) == mine


def test_earlier_package_is_replaced_whole(tmp_path: Path):
    out = pack(write_run(tmp_path / "run"), tmp_path / "out", "mit")
    (out / "audio/stale.flac").write_bytes(b"")
    pack(tmp_path / "run", out, LICENSE)
    assert read_files(out) == files()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


@pytest.mark.parametrize("free", [100, 3000, 50_000])  # fails at the config, at the weights, at the audio
def test_full_disk_leaves_the_old_package(tmp_path: Path, free: int):
    run, out = write_run(tmp_path / "run"), write_files(tmp_path / "out", files())
    with full_disk(free), pytest.raises((OSError, UserError)) as failure:
        pack(run, out, "mit")
    explained = explain(failure.value)
    assert explained is not None and explained.code == 1
    assert read_files(out) == files()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


def test_silent_model_is_refused_or_packaged(tmp_path: Path):
    config, net = model()
    net.head_scale.zero_()
    with suppress(UserError):
        pack(write_run(tmp_path / "run", (config, net)), tmp_path / "out", LICENSE)


def test_model_without_knobs_is_refused_or_packaged(tmp_path: Path):
    shape = architecture()
    with suppress(UserError):
        run = write_run(tmp_path / "run", (make_config("tiny", RATE, Knobs(knobs=()), shape), wavenet(shape, 0)))
        pack(run, tmp_path / "out", LICENSE)


def test_model_that_overflows_is_refused(tmp_path: Path):
    config, net = model(activation="ReLU")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1e30)
    with pytest.raises(UserError):
        pack(write_run(tmp_path / "run", (config, net)), tmp_path / "out", LICENSE)


@pytest.mark.parametrize("license_id", ["", "no such\nlicense"])
def test_license_must_look_like_one(tmp_path: Path, license_id: str):
    with pytest.raises(UserError, match="licen[cs]e"):
        pack(write_run(tmp_path / "run"), tmp_path / "out", license_id)


def test_scores_are_copied_unchanged(tmp_path: Path):
    folder = tmp_path / "run"
    config, net = model()
    folder.mkdir()
    save_model(folder, config, net)
    odd = evaluation(net).model_copy(update={"seconds": 1e-9, "recordings_license": "ask Ålice"})
    (folder / EVAL).write_text(odd.model_dump_json(by_alias=True), encoding="utf-8")
    out = pack(folder, tmp_path / "out", LICENSE)
    assert json.loads((out / EVAL).read_text(encoding="utf-8")) == odd.model_dump(mode="json", by_alias=True)
    assert "ask Ålice" in (out / "README.md").read_text(encoding="utf-8")


def worse(**changes: Any) -> Evaluation:
    """Scores with something changed."""
    return evaluation(model()[1]).model_copy(update=changes)


LOUD = CORNERS.model_copy(update={"peak_dbfs": 40.0})
NOISY = CORNERS.model_copy(update={"silence_dbfs": -10.0})
USELESS = evaluation(model()[1]).held.model_copy(update={"mean": 0.7})


@pytest.mark.parametrize(
    ("scores", "words"),
    [(worse(corners=LOUD), "dB louder than the loudest take"), (worse(corners=NOISY), "silence comes out")],
)
def test_unstable_model_is_never_packaged(tmp_path: Path, scores: Evaluation, words: str):
    run = write_run(tmp_path / "run")
    write_json(run / EVAL, scores.model_dump(mode="json", by_alias=True))
    for force in ((), ("--force",)):
        ran = zoo("package", run, "--license", LICENSE, "--out", tmp_path / "out", *force)
        refused(ran, 1, "tiny must not be published", words)
    assert not (tmp_path / "out").exists()


def test_model_worse_than_the_baseline_needs_force(tmp_path: Path):
    words = "mean ESR at held settings is 0.7000, while playing the nearest recorded setting"
    run = write_run(tmp_path / "run")
    write_json(run / EVAL, worse(held=USELESS).model_dump(mode="json", by_alias=True))
    ran = zoo("package", run, "--license", LICENSE, "--out", tmp_path / "out")
    refused(ran, 1, "tiny should not be published", words, "--force")
    assert not (tmp_path / "out").exists()
    assert zoo("package", run, "--license", LICENSE, "--out", tmp_path / "out", "--force").code == 0
    assert words in (tmp_path / "out/run/README.md").read_text(encoding="utf-8")


def test_provenance_names_the_training_without_private_paths(tmp_path: Path):
    folder = tmp_path / "zaphod"
    data = data_config(record(folder, "takes", di()))
    trained = folder / "study" / "trials" / "0007" / "tiny"
    fit(recipe(data), trained)
    write_json(folder / "study" / "study.json", {"name": "mine"})
    held = read_evaluation(trained).held
    scores = worse(held=held, validation=held, corners=CORNERS)
    write_json(trained / EVAL, scores.model_dump(mode="json", by_alias=True))
    first = read_files(pack(trained, tmp_path / "first", LICENSE, force=True))
    assert read_files(pack(trained, tmp_path / "second", LICENSE, force=True)) == first
    document = json.loads(first["training.json"])
    assert document["search"] == {"study": "mine", "trial": "0007"}
    assert document["learning"] == recipe(data).learning.model_dump(mode="json")
    assert document["takes"] == {"train": 17, "validation": 1, "held": 2, "seen": 18}
    assert len(document["data"]["sha256"]) == 64 and {"python", "torch", "numpy", "ampzoo"} == set(document["versions"])
    assert set(document["hardware"]) == {"cpu", "cores", "gpu"} and document["hardware"]["cores"] >= 1
    assert document["seconds"] == scores.seconds
    check_held_take(trained, tmp_path)
    for name, content in first.items():
        assert b"zaphod" not in content and str(tmp_path).encode() not in content, name
    assert read_files(pack(tmp_path / "first", tmp_path / "third", LICENSE, force=True)) == first


def check_held_take(run: Path, tmp_path: Path) -> None:
    """The held take and the model's clip have one dry signal; a missing or unfree take is an error."""
    folder = pack(run, tmp_path / "with", LICENSE, force=True, take=True)
    [held] = [
        preset for preset in json.loads((folder / "presets.json").read_text())["presets"] if preset["id"] == "held"
    ]
    dry_T, wet_T, model_T = (read_wav(folder / held[part]) for part in ("dry", "target", "audio"))
    truth_T = amp(dry_T, held["knobs"]["gain"], held["knobs"]["tone"])
    gain = float(truth_T @ wet_T / (wet_T @ wet_T))
    assert len(dry_T) == len(wet_T) == len(model_T) and np.abs(gain * wet_T - truth_T)[100:].max() < 1e-3
    assert all(one.same for one in replay(folder)) and verify(folder)
    page = (folder / "README.md").read_text()
    assert all(f"({held[part]})" in page for part in ("dry", "target", "audio"))
    scores = json.loads((run / EVAL).read_text())
    write_json(run / EVAL, {**scores, "recordings_license": "all rights reserved"})
    with pytest.raises(UserError, match=r"license is 'all rights reserved'"):
        pack(run, tmp_path / "unfree", LICENSE, force=True, take=True)
    write_json(run / EVAL, scores)
    with pytest.raises(UserError, match=r"recipe.json is missing"):
        pack(folder, tmp_path / "again", LICENSE, force=True, take=True)
    (folder / "presets.json").write_text(
        json.dumps({"schema_version": "1.0", "presets": [{**held, "target": "audio/other.target.flac"}]})
    )
    write_manifest(folder, "tiny", "ampzoo")
    with pytest.raises(IntegrityError, match=r"plays audio/other.target.flac, which is not in the package"):
        verify(folder)


def test_a_license_may_be_in_capitals():
    assert [Terms(license=word).license for word in ("MIT", "CC-BY-4.0", "mit")] == ["mit", "cc-by-4.0", "mit"]


def test_other_license_needs_a_name_and_a_link(tmp_path: Path):
    run = write_run(tmp_path / "run")
    refused(zoo("package", run, "--license", "other", "--out", tmp_path / "out"), 1, "--license-name")
    named = ("--license-name", "Mine", "--license-link", "https://example.org/terms")
    refused(zoo("package", run, "--license", "mit", "--dataset", "x"), 1, "'x' is not the name of a data set")
    words = ("--license", "other", *named, "--kind", "pedal", "--tone", "fuzz", "--tone", "clean", "--dataset", "me/di")
    assert zoo("package", run, *words, "--out", tmp_path / "out").code == 0
    front = read_front_matter(tmp_path / "out/run/README.md")
    assert (front["license"], front["license_name"], front["license_link"]) == ("other", named[1], named[3])
    assert front["datasets"] == ["me/di"]
    assert (front["ampzoo"]["kind"], front["ampzoo"]["tone"]) == ("pedal", ["fuzz", "clean"])
    assert {"pedal", "fuzz", "clean"} <= set(front["tags"])
    assert named[3] in (tmp_path / "out/run/LICENSE").read_text()
    refused(
        zoo("package", run, "--license", "my-license", "--out", tmp_path / "no"), 1, "'my-license' is not a license"
    )
