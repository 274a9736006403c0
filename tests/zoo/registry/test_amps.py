"""Commands on pulled amps (verify, diff, rm, doctor, locks) and amps in Python; any bytes are read or refused."""

import io
import json
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

import zoo as zoo_package
from models.artifacts.folder import load_weights
from models.core.errors import Incompatible, IntegrityError, NotFound, UserError
from models.playback.stream import play
from tests.support.hub_server import Hub
from tests.support.makers import JSON, KNOBS, RATE, di, esr, examples, model, write_wav
from tests.support.packages import (
    AMP,
    at,
    bent,
    files,
    read_files,
    refused,
    write_files,
    write_package,
    write_run,
    zoo,
)
from zoo.package.manifest import parse_package_document, write_manifest
from zoo.package.presets import Presets
from zoo.package.replay import replay
from zoo.package.verify import verify
from zoo.registry.lockfile import LockFile, read_lock


def test_clips_and_nam_files_are_replayed(package: Path):
    names = ("default", "gain-low", "gain-high")
    played = {f"audio/{name}.flac" for name in names} | {f"baked/{name}.nam" for name in names} | {"live.nam"}
    assert {one.name for one in replay(package) if one.same} == played
    ran = zoo("verify", package)
    assert ran.code == 0 and "7 of 7 sounds are the same here" in ran.err and ran.out.count("\tok\n") == 7
    document = json.loads(zoo("verify", package, "--json").out)
    assert (document["schema"], document["same"]) == ("zoo.verify/1", True)
    assert {sound["file"] for sound in document["sounds"]} == played


def other_clip(content: bytes) -> bytes:
    clip_T, rate = sf.read(io.BytesIO(content), dtype="float32")
    clip_T[1000:3000] *= 0.98
    return written(clip_T, rate)


def shorter_clip(content: bytes) -> bytes:
    clip_T, rate = sf.read(io.BytesIO(content), dtype="float32")
    return written(clip_T[:-100], rate)


def written(clip_T: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    sf.write(file, clip_T, rate, format="FLAC", subtype="PCM_24")
    return file.getvalue()


def other_weight(content: bytes) -> bytes:
    document = json.loads(content)
    document["weights"] = [1.01 * weight for weight in document["weights"]]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("audio/gain-low.flac", other_clip),
        ("audio/gain-low.flac", shorter_clip),
        ("baked/gain-low.nam", other_weight),
        ("live.nam", other_weight),
    ],
)
def test_clip_that_the_model_does_not_play_is_detected(package: Path, name: str, change: Callable[[bytes], bytes]):
    write_files(package, {name: change((package / name).read_bytes())})
    write_manifest(package, "tiny", "ampzoo")
    verify(package)  # the manifest covers the change
    ran = zoo("verify", package)
    differing = {line.split("\t")[0] for line in ran.out.splitlines() if line.endswith("DIFFERS")}
    assert ran.code == 6 and name in differing and not differing - {name, "baked/gain-low.nam", "live.nam"}
    assert json.loads(zoo("verify", package, "--json").out)["same"] is False


@pytest.mark.parametrize("content", [b"{}", b"", b"[" * 100_000, files()["live.nam"][:-20]])
def test_malformed_nam_file_is_detected(package: Path, content: bytes):
    write_files(package, {"live.nam": content})
    write_manifest(package, "tiny", "ampzoo")
    refused(zoo("verify", package), 6, "live.nam")


def test_verify_of_a_run_is_an_error(tmp_path: Path):
    refused(zoo("verify", write_run(tmp_path / "run")), 3, "is not a package")
    write_wav(tmp_path / "x.wav", di(0.1))
    refused(zoo("verify", tmp_path / "x.wav"), 1, "x.wav is a file, and neither a package nor a .nam file")


def test_diff_shows_what_changed(hub: Hub, package: Path, tmp_path: Path):
    zoo("push", package, AMP, "--tag", "v1", *at(hub))
    other = tmp_path / "other"
    write_files(other, files())
    write_run(other, model("film"))
    write_manifest(other, "tiny", "ampzoo")
    pushed = zoo("push", other, AMP, "--max-peak", "24", *at(hub))  # its clips are of another model
    assert pushed.code == 0, pushed.err
    ran = zoo("diff", f"{AMP}@v1", AMP, *at(hub))
    rows = dict(line.split("\t", 1) for line in ran.out.splitlines())
    assert {"revision", "architecture.inject.mixin", "model.safetensors", "config.json", "parameters"} <= set(rows)
    assert rows["WHAT"] == f"{AMP}@v1\t{AMP}" and "presets.json" not in rows
    assert zoo("diff", package, AMP, "--json", *at(hub)).code == 0
    same = zoo("diff", package, package)
    assert (same.code, same.out) == (0, "") and "no difference" in same.err


def test_rm_removes_an_amp_from_the_shelf(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    zoo("push", package, AMP)
    refused(zoo("rm", AMP), 1, "would be removed", "Add --yes.")
    assert (tmp_path / "home" / AMP).exists()
    assert zoo("rm", AMP, "--yes").out == f"{tmp_path / 'home' / AMP}\n"
    assert not (tmp_path / "home" / AMP).exists()
    refused(zoo("rm", AMP, "--yes"), 3, "no amp")
    refused(zoo("rm", "../x", "--yes"), 1, "does not name an amp")
    write_files(tmp_path / "home/alice/mine", {**files(), "song.wav": b"years of work"})
    refused(zoo("rm", "alice/mine", "--yes"), 1, "is not a package")
    assert (tmp_path / "home/alice/mine/song.wav").exists()


def test_doctor_finds_what_is_wrong(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    ran = zoo("doctor", *at(hub))
    assert ran.code == 0 and {line[:3] for line in ran.out.splitlines()} == {"ok "}
    document = json.loads(zoo("doctor", "--json", *at(hub)).out)
    found = {row["what"]: row["found"] for row in document["findings"]}
    assert found["login"] == "alice" and hub.url in found["hub"]
    write_package(tmp_path / "home" / AMP, {"README.md": b"# no block"})
    ran = zoo("doctor", *at(hub))
    assert ran.code == 1 and "BAD shelf\twarning: alice/tiny: its card has no 'ampzoo' block" in ran.out
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_test_token")
    assert "BAD " in (ran := zoo("doctor", *at(hub))).out and "hf_wrong" not in ran.out
    hub.close()
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert "the hub cannot be reached" in zoo("doctor", *at(hub)).out


def test_doctor_of_a_shelf_asks_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing answers
    write_package(tmp_path / "other" / AMP)
    ran = zoo("doctor", "--zoo", tmp_path / "other")
    assert ran.code == 0, ran.out
    assert f"{tmp_path / 'other'}, 1 amp" in ran.out and "hub" not in ran.out.replace("huggingface_hub", "")
    refused(zoo("doctor", "--zoo", tmp_path / "none"), 3, "there is no shelf at")


def test_doctor_finds_packages_of_the_same_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "lib/models").mkdir(parents=True)
    (tmp_path / "lib/stranger-1.0.dist-info").mkdir()
    (tmp_path / "lib/stranger-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n"
    )
    (tmp_path / "lib/stranger-1.0.dist-info/top_level.txt").write_text("models\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    write_package(tmp_path / "other" / AMP)
    ran = zoo("doctor", "--zoo", tmp_path / "other")
    assert ran.code == 1
    assert "BAD packages\tmodels is also in stranger" in ran.out


def test_what_is_neither_folder_nor_amp_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for command, *more in (("verify",), ("knobs",), ("show",), ("export", "a.nam", "--live")):
        refused(zoo(command, "runs/none", *more), 3, "no amp 'runs/none'", "and there is no such file or folder here")
    refused(zoo("verify", "runs/deep/none"), 1, "does not name an amp, and there is no such file or folder here")


def test_locked_pull_fetches_the_pinned_commit(pushed: Hub):
    first = pushed.repos[AMP].refs["main"]
    assert zoo("pull", AMP, "--lock", *at(pushed)).code == 0
    pin = read_lock().amps[AMP]
    assert (pin.zoo, pin.revision, pin.commit, pin.tier) == (pushed.url, "", first, "")
    pushed.put(AMP, {"presets.json": b"{}", "NOTES": b"newer, and damaged"})
    assert zoo("pull", "--locked").code == zoo("pull", AMP, "--locked", "--to", "amp").code == 0
    assert read_files(Path("amp")) == files()
    refused(zoo("pull", "bob/other", "--locked"), 3, "zoo.lock does not pin 'bob/other'", AMP)
    refused(zoo("pull", AMP, "--lock", "--locked"), 1, "--locked")
    Path("zoo.lock").unlink()
    refused(zoo("pull", "--locked"), 3, "there is no zoo.lock here")
    assert zoo("pull").code == 2


def test_shelf_can_be_pinned_too(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shelf = ("--zoo", str(tmp_path / "shelf"))
    zoo("push", package, AMP, *shelf)
    assert (
        zoo("pull", AMP, "--lock", "--to", "amp", *shelf).code == zoo("pull", AMP, "--locked", "--to", "amp").code == 0
    )
    zoo("push", write_package(tmp_path / "other", {"presets.json": b"{}"}), AMP, *shelf)
    assert zoo("pull", AMP, "--locked", "--to", "amp").code == 3 and read_files(Path("amp")) == files()


def test_amp_is_called_from_python(pushed: Hub):
    amp = zoo_package.pull(AMP, pushed.url)
    dry_T = di(0.2)
    levels_K = KNOBS.encode({"gain": 7.0})
    assert esr(amp(dry_T, gain=7), play(model()[1], dry_T, levels_K)) < 1e-11
    assert amp(dry_T[:0]).shape == (0,) and amp(dry_T.astype(np.float64)).dtype == np.float32
    assert (amp.name, amp.sample_rate, amp.knobs) == ("tiny", RATE, KNOBS)
    assert repr(amp) == "Amp('tiny', 8000 Hz, knobs: gain 0 to 10, tone 0 to 1)"
    for wrong in ({"gian": 7}, {"gain": 11}):
        with pytest.raises(UserError, match="tiny: "):
            amp(dry_T, **wrong)
    for shape in (np.zeros((2, 8), np.float32), np.full(8, np.nan, np.float32)):
        with pytest.raises(UserError, match="mono"):
            amp(shape)
    with pytest.raises(NotFound):
        zoo_package.pull(AMP, None, tier="nano")
    with pytest.raises(AttributeError, match="push"):
        _ = zoo_package.push  # type: ignore[attr-defined]
    assert zoo_package.pull.__doc__ and zoo_package.Amp.__call__.__doc__


def test_importing_zoo_is_light():
    import subprocess

    heavy = {"torch", "numpy", "pydantic", "click"}
    script = f"import sys, zoo; assert zoo.__version__; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


LOCK: dict[str, Any] = {
    "schema": "ampzoo.lock/1",
    "amps": {AMP: {"zoo": "hub", "revision": "v1", "commit": "0" * 40, "manifest": "0" * 64, "tier": ""}},
}


@examples(150)
@given(st.data())
def test_any_lock_or_presets_is_read_or_refused(data: st.DataObject):
    for kind, sound in ((LockFile, LOCK), (Presets, json.loads(files()["presets.json"]))):
        content = data.draw(st.binary(max_size=60) | st.just(b"")) or json.dumps(bent(data.draw, sound)).encode()
        with suppress(IntegrityError, Incompatible):
            assert isinstance(parse_package_document(content, kind, "x"), kind)


@examples(60)
@given(st.binary(max_size=120), st.integers(0, 1 << 64), JSON, st.booleans())
def test_any_malformed_weights_are_refused(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, size: int, head: Any, fit: bool
):
    text = json.dumps(head).encode()
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if fit else size % (1 << 64)) + text + tail)
    expected = {name: tuple(tensor.shape) for name, tensor in model()[1].state_dict().items()}
    with pytest.raises(IntegrityError, match=r"any\.safetensors"):
        load_weights(path, expected)


@examples(60)
@given(st.data())
def test_any_clip_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    sound = files()["audio/default.flac"]
    place = data.draw(st.integers(0, 200))
    bytes_there = data.draw(st.binary(min_size=1, max_size=40))
    folder = tmp_path_factory.getbasetemp() / "clips"
    write_files(
        folder, {**files(), "audio/default.flac": sound[:place] + bytes_there + sound[place + len(bytes_there) :]}
    )
    write_manifest(folder, "tiny", "ampzoo")
    with suppress(UserError):
        verify(folder)
        replay(folder)
