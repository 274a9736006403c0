"""Tiers, the smaller and larger models of one amp: packaged from a study, pulled, shown, verified and played."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.artifacts.evaluation import read_evaluation
from models.artifacts.folder import load_model
from models.artifacts.names import EVAL
from models.core.errors import Incompatible, IntegrityError
from models.core.files import write_json
from models.core.schema import read_json
from models.knobs.schema import Knob, Knobs
from search.study.lines import to_json
from tests.support.hub_server import Hub
from tests.support.makers import KNOBS, di, model, write_wav
from tests.support.packages import AMP, at, files, flip, read_files, refused, write_files, write_run, zoo
from tests.support.searches import start_line
from zoo.package.card import read_front_matter
from zoo.package.card_schema import read_tiers
from zoo.package.charts import PNG_SIGNATURE
from zoo.package.manifest import write_manifest
from zoo.package.replay import replay
from zoo.package.verify import verify

PICTURE = PNG_SIGNATURE + b"a front"
NANO = {f"tiers/nano/{name}" for name in ("config.json", "eval.json", "model.safetensors")}


@pytest.fixture
def tiered(package: Path) -> Path:
    """A package with two tiers."""
    for tier, form in (("nano", "input"), ("hifi", "film")):
        write_run(package / "tiers" / tier, model(form))
    write_manifest(package, "tiny", "ampzoo")
    return package


def below(folder: str | Path) -> set[str]:
    return set(read_files(Path(folder)))


def test_one_tier_is_pulled(hub: Hub, tiered: Path):
    assert zoo("push", tiered, AMP, *at(hub)).code == 0
    hub.requests.clear()
    ran = zoo("pull", AMP, "--tier", "nano", "--to", "amp", *at(hub))
    assert ran.code == 0 and below("amp") == set(files()) | NANO
    assert not [path for _, path in hub.requests if "hifi" in path]
    assert zoo("pull", AMP, "--to", "all", *at(hub)).code == 0 and below("all") == below(tiered)
    refused(zoo("pull", AMP, "--tier", "giga", "--to", "x", *at(hub)), 3, "no tier 'giga'", "hifi, nano")


def test_partial_package_plays_but_cannot_be_published(tiered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_wav(Path("in.wav"), di(0.2))
    zoo("push", tiered, AMP)
    assert zoo("pull", AMP, "--tier", "nano", "--to", "part").code == 0 and below("part") == set(files()) | NANO
    assert zoo("verify", "part").code == 0
    assert zoo("pull", AMP, "--tier", "nano").code == 0
    assert below(tmp_path / "home" / AMP) == below(tiered), "an amp on the user's own shelf loses no tier"
    outs = []
    for words in ((), ("--tier", "nano"), ("--tier", "hifi")):
        assert zoo("render", AMP, "in.wav", "out.wav", *words).code == 0
        outs.append(Path("out.wav").read_bytes())
    assert len(set(outs)) == 3
    refused(zoo("render", "part", "in.wav", "out.wav", "--tier", "hifi"), 3, "no tier 'hifi'", "nano")
    refused(zoo("push", "part", "alice/part"), 6, "tiers/hifi/config.json is missing")
    (Path("part") / "tiers/nano/config.json").unlink()
    refused(zoo("verify", "part"), 6, "tiers/nano/config.json is missing")


@pytest.mark.parametrize("name", sorted(NANO))
def test_tier_is_verified_like_the_amp(tiered: Path, name: str):
    write_files(tiered, {name: flip((tiered / name).read_bytes())})
    with pytest.raises(IntegrityError, match=name):
        verify(tiered)
    write_manifest(tiered, "tiny", "ampzoo")
    if name.endswith("json"):
        write_files(tiered, {name: b"{}"})
        write_manifest(tiered, "tiny", "ampzoo")
        with pytest.raises(Incompatible, match=name):
            verify(tiered)


def board_trial(trial: str) -> dict[str, Any]:
    """A finished trial as a board states it."""
    start = to_json(start_line(trial, point={"learning_rate": 0.01}))
    return {**start, "state": "finished", "step": 10, "esr": 0.1, "feasible": True, "front": trial == "c"}


def write_study(folder: Path, **held: float) -> Path:
    """A finished study of one amp: nano and lite are trials of their own, the best is so at standard and hifi cost."""
    costs = {"nano": ("input", "a"), "lite": ("film", "b"), "standard": ("mixin+film", "c")}
    for tier, (form, trial) in costs.items():
        run = write_run(folder / "trials" / trial / "tiny", model(form))
        scores = read_evaluation(run)
        held_scores = scores.held.model_copy(update={"mean": held.get(tier, scores.held.mean)})
        scores = scores.model_copy(update={"held": held_scores, "macs_per_sample": 100 + ord(trial)})
        write_json(run / EVAL, scores.model_dump(mode="json", by_alias=True))
    chosen = {tier: {"budget": 1.0, "trial": trial} for tier, (_, trial) in costs.items()}
    tiers = {"all": {**chosen, "hifi": {"budget": None, "trial": "c"}}}
    spent = {"trials": 3, "steps": 90, "trial_hours": 0.1, "steps_unpruned": 90, "states": {"finished": 3}}
    board = {
        "complete": True,
        "name": "mine",
        "mode": "universal",
        "amps": ["tiny"],
        "unit": "seconds",
        "best": "c",
        "best_of": {"tiny": "c"},
        "fronts": {"all": ["c"]},
        "tiers": tiers,
        "spent": {**spent, "controls_doomed": 0, "controls_on_front": 0},
        "trials": [board_trial(trial) for _, trial in costs.values()],
    }
    write_json(folder / "board.json", board)
    write_json(folder / "study.json", {"name": "mine"})
    (folder / "board.png").write_bytes(PICTURE)
    return folder


def package_of(study: Path, out: Path, *words: str) -> Path:
    ran = zoo("package", study, "--license", "mit", "--out", out, *words)
    assert (ran.code, ran.out) == (0, f"{out / 'tiny'}\n"), ran.err
    return out / "tiny"


def test_study_becomes_an_amp_with_its_tiers(hub: Hub, tmp_path: Path):
    study = write_study(tmp_path / "study")
    folder = package_of(study, tmp_path / "out")
    assert {name.split("/")[1] for name in below(folder) if name.startswith("tiers/")} == {"nano", "lite"}
    assert read_json(folder / "manifest.json")["tier"] == "standard"
    for place, trial in (("", "c"), ("tiers/nano", "a"), ("tiers/lite", "b")):
        config, net = load_model(folder / place)
        theirs, other = load_model(study / "trials" / trial / "tiny")
        assert config == theirs and all(
            map(bool, (a.equal(b) for a, b in zip(net.parameters(), other.parameters(), strict=True)))
        )
    assert (folder / "images/front.png").read_bytes() == PICTURE
    page = (folder / "README.md").read_text()
    assert "(images/front.png)" in page and "| standard (this one) |" in page and "--tier nano" in page
    rows = read_tiers("tiny", read_front_matter(folder / "README.md"))
    assert [row.name for row in rows] == ["nano", "lite", "standard"]
    assert {one.name for one in replay(folder) if one.same} >= {
        "tiers/nano/live.nam",
        "tiers/lite/live.nam",
        "live.nam",
    }
    again = package_of(study, tmp_path / "again")
    assert read_files(folder) == read_files(again)
    ran = zoo("package", folder, "--license", "mit", "--out", tmp_path / "third")
    assert ran.code == 0 and read_files(tmp_path / "third/tiny") == read_files(folder)  # a package holds all of it


def test_tiers_are_pulled_by_name(hub: Hub, tmp_path: Path):
    folder = package_of(write_study(tmp_path / "study"), tmp_path / "out")
    zoo("push", folder, AMP, *at(hub))
    write_wav(Path("in.wav"), di(0.1))
    sounds = {}
    for tier, there in (("nano", {"nano"}), ("standard", set()), ("", {"nano", "lite"})):
        to = f"pulled-{tier}"
        ran = zoo("pull", AMP, "--to", to, *(("--tier", tier) if tier else ()), *at(hub))
        assert ran.code == 0, ran.err
        assert {name.split("/")[1] for name in below(to) if name.startswith("tiers/")} == there
        assert zoo("verify", to).code == 0
        assert zoo("render", to, "in.wav", "out.wav", *(("--tier", tier) if tier else ())).code == 0
        sounds[tier] = Path("out.wav").read_bytes()
    assert sounds["standard"] == sounds[""] != sounds["nano"]
    refused(zoo("pull", AMP, "--tier", "hifi", *at(hub)), 3, "no tier 'hifi'", "lite, nano, standard")
    shown = zoo("show", AMP, *at(hub))
    assert [line.split()[1] for line in shown.out.splitlines() if line.startswith("tier ")] == [
        "nano",
        "lite",
        "standard",
    ]
    document = json.loads(zoo("show", AMP, *at(hub), "--json").out)
    assert [tier["name"] for tier in document["tiers"]] == ["nano", "lite", "standard"]


def test_no_tiers_packages_one_model(tmp_path: Path):
    folder = package_of(write_study(tmp_path / "study"), tmp_path / "out", "--no-tiers")
    assert not (folder / "tiers").exists() and read_json(folder / "manifest.json")["tier"] == ""
    assert "--tier" not in (folder / "README.md").read_text()


def test_bad_tier_is_left_out(tmp_path: Path):
    study = write_study(tmp_path / "study", nano=0.7)
    ran = zoo("package", study, "--license", "mit", "--out", tmp_path / "out")
    assert ran.code == 0 and "warning: tier nano is left out: its mean ESR at held settings is 0.7000" in ran.err
    assert sorted(path.name for path in (tmp_path / "out/tiny/tiers").iterdir()) == ["lite"]
    package_of(study, tmp_path / "forced", "--force")
    assert (tmp_path / "forced/tiny/tiers/nano").is_dir()


def other_knobs(folder: Path) -> None:
    config, net = model("input")
    knobs = Knobs(knobs=(Knob(name="gain", min=0, max=11, default=5), KNOBS.knobs[1]))
    write_run(folder, (config.model_copy(update={"knobs": knobs}), net))


def other_rate(folder: Path) -> None:
    write_run(folder, model("input", rate=16000))


@pytest.mark.parametrize("change", [other_knobs, other_rate])
def test_tier_of_another_amp_is_refused(tiered: Path, change: Any):
    change(tiered / "tiers/nano")
    write_manifest(tiered, "tiny", "ampzoo")
    with pytest.raises(IntegrityError, match="tiers/nano has other knobs, or another rate"):
        verify(tiered)


def test_study_without_a_board_is_an_error(tmp_path: Path):
    study = write_study(tmp_path / "study")
    (study / "board.json").unlink()
    refused(zoo("package", study, "--license", "mit", "--out", tmp_path / "out"), 3, "has no board yet")
