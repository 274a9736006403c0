"""The command `zoo export`."""

import json
from pathlib import Path

import pytest
import torch

from models.playback.stream import play
from tests.support.makers import KNOBS, esr, model, read_wav
from tests.support.packages import AMP, refused, zoo
from tests.zoo.cli.conftest import DI, created


def test_baked_file_is_the_model_at_that_setting(here: Path):
    from nam.models._from_nam import init_from_nam

    ran = zoo("export", AMP, "amp.nam", "--bake", "gain=7.5,tone=0.25")
    assert (ran.code, ran.out, ran.err) == (0, "amp.nam\n", "baked at gain=7.5 tone=0.25\n")
    document = json.loads((here / "amp.nam").read_text())
    assert document["metadata"]["baked_setting"] == {"gain": 7.5, "tone": 0.25}
    zoo("render", AMP, "in.wav", "out.wav", "-k", "gain=7.5", "-k", "tone=0.25")
    with torch.no_grad():
        theirs_T = init_from_nam(document).eval()(torch.from_numpy(DI)[None], pad_start=True)[0]
    assert esr(theirs_T.numpy(), play(model()[1], DI, KNOBS.encode({"gain": 7.5, "tone": 0.25}))) < 1e-10
    assert esr(theirs_T.numpy(), read_wav(here / "out.wav")) < 1e-9  # 24 bits


def test_empty_bake_uses_the_defaults(here: Path):
    assert zoo("export", AMP, "amp.nam", "--bake", "").err == "baked at gain=5 tone=0.5\n"


def test_live_file_keeps_the_knobs(here: Path):
    ran = zoo("export", AMP, "new/amp.nam", "--live")
    assert (ran.code, ran.out, ran.err) == (0, "new/amp.nam\n", "")
    document = json.loads((here / "new/amp.nam").read_text())
    assert document["config"]["in_channels"] == 3
    assert [knob["name"] for knob in document["metadata"]["knobs"]] == ["gain", "tone"]


BAD_EXPORTS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "neither": (1, (AMP, "amp.nam"), ("give one of --live, --for-parametric-plugin, --bake",)),
    "both": (
        1,
        (AMP, "amp.nam", "--live", "--bake", "gain=7"),
        ("give one of --live, --for-parametric-plugin, --bake",),
    ),
    "suffix": (1, (AMP, "amp.json", "--live"), ("amp.json does not end in .nam", "amp.nam")),
    "no suffix": (1, (AMP, "amp", "--live"), ("amp does not end in .nam", "amp.nam")),
    "range": (1, (AMP, "amp.nam", "--bake", "gain=11"), ("'gain' is 11", "0 to 10")),
    "unknown knob": (1, (AMP, "amp.nam", "--bake", "gain=7,presence=1"), ("'presence'", "gain, tone")),
    "empty setting": (1, (AMP, "amp.nam", "--bake", "gain=7,"), ("'' does not set a knob",)),
    "spaces": (1, (AMP, "amp.nam", "--bake", "gain=7 tone=1"), ("does not set a knob",)),
    "unknown amp": (3, ("alice/tinny", "amp.nam", "--live"), ("Did you mean alice/tiny?",)),
    "below a file": (1, (AMP, "in.wav/amp.nam", "--live"), ("in.wav",)),
}


@pytest.mark.parametrize("what", BAD_EXPORTS)
def test_bad_export_explains_and_writes_nothing(here: Path, what: str):
    code, words, expected = BAD_EXPORTS[what]
    refused(zoo("export", *words), code, *expected)
    assert created(here) == set()


@pytest.mark.parametrize("target", [".", "/"])
def test_export_to_a_folder_is_refused(here: Path, target: str):
    refused(zoo("export", AMP, target, "--live"), 1, ".nam")


def test_grid_of_baked_files_is_named_by_its_knobs(here: Path):
    ran = zoo("export", AMP, "snapshots", "--bake-grid", "gain=2,5", "--bake-grid", "tone=0,0.5,1")
    names = [f"tiny-gain{gain}-tone{tone}.nam" for gain in (2, 5) for tone in ("0", "0.5", "1")]
    assert ran.code == 0
    assert ran.out.split() == [f"snapshots/{name}" for name in names]
    for name in names:
        document = json.loads((Path("snapshots") / name).read_text())
        assert [f"{knob}{value:g}" for knob, value in document["metadata"]["baked_setting"].items()] == name[
            5:-4
        ].split("-")
    one = json.loads((Path("snapshots") / names[1]).read_text())
    assert zoo("export", AMP, "one.nam", "--bake", "gain=2,tone=0.5").code == 0
    assert json.loads(Path("one.nam").read_text()) == one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bake-grid", "gain=2,x"), "knob 'gain' is 'x', which is not a number"),
        (("--bake-grid", "gain=2,50"), "'gain' is 50"),
        (("--bake-grid", "gain=1", "--bake-grid", "gain=2"), "two lists"),
        (("--bake-grid", "gain=" + ",".join(["1"] * 1001)), "at most 1,000"),
        (("--bake-grid", "gain=1", "--live"), "give one of"),
    ],
)
def test_bad_grid_explains_and_writes_nothing(here: Path, words: tuple[str, ...], message: str):
    refused(zoo("export", AMP, "snapshots", *words), 1, message)
    assert not Path("snapshots").exists()
