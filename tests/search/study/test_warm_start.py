"""`--from`: studies, packages with their tiers, whole shelves and hubs, read for first points."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from models.artifacts.model_config import make_config
from models.core.errors import NotFound, UserError
from models.core.files import write_json
from models.knobs.schema import Knob, Knobs, Switch
from models.network.wavenet import WaveNet
from models.training.config import LearningConfig
from search.config.locate import locate
from search.config.space import Space
from search.config.study import Final, SearchConfig, read_search
from search.study.ledger import read_lines
from search.study.summary import summarize
from search.study.warm_start import amp_of, read_source, with_warm_start
from tests.support.hub_server import Hub
from tests.support.makers import GRID, KNOBS, RATE, di, record
from tests.support.packages import card, evaluation, files, read_files, refused, score, write_files, write_run, zoo
from tests.support.searches import play, scheduler_of
from zoo.cli.search import read_warm_start
from zoo.names import Ref
from zoo.package.manifest import write_manifest
from zoo.registry.hub import hub as zoo_hub

ONE_KNOB = Knobs(knobs=KNOBS.knobs[:1])
SPLIT = {"held_settings": 1, "held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}
SPACE = {
    "shapes": [],
    "depth": [2, 3, 4],
    "channels": [2, 3, 4, 5, 6, 7],
    "dilations": ["pow2"],
    "learning_rate": [0.003, 0.015],
    "learning": {"batch": [4, 8]},
}


def search_of(folder: Path, **changes: Any) -> SearchConfig:
    """A search as a file that a person wrote; its recordings are there when `record` put them there."""
    document = {
        "name": "mine",
        "datasets": [{"name": "a", "train": "train.json", **SPLIT}],
        "space": SPACE,
        "learning": {"steps": 100, "report_every": 10, "segment": 64},
        "trials": 40,
        **changes,
    }
    write_json(folder / "search.json", document)
    return read_search(folder / "search.json")


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> SearchConfig:
    folder = tmp_path_factory.mktemp("mine")
    record(folder, "train", di(), GRID[:6])
    return search_of(folder)


def put_model(folder: Path, channels: int, rate: float, error: float, knobs: Knobs = KNOBS, **learning: Any) -> None:
    """A model as a package holds it, at its root or in a tier."""
    point = Space.model_validate(SPACE).complete({"channels": channels})
    assert point
    model = Space.model_validate(SPACE).model(point)
    net = WaveNet(model, knobs.columns())
    write_run(folder, (make_config("tiny", RATE, knobs, model), net))
    scores = {**score(error).model_dump(mode="json"), "baseline_mean": 0.5}
    write_json(folder / "eval.json", {**evaluation(net).model_dump(mode="json", by_alias=True), "validation": scores})
    learnt = LearningConfig.model_validate({"learning_rate": rate, **learning}).model_dump(mode="json")
    write_json(folder / "training.json", {"schema": "ampzoo.training/1", "learning": learnt})


def put_package(folder: Path, channels: int = 4, knobs: Knobs = KNOBS, tiers: bool = False) -> Path:
    put_model(folder, channels, 0.004, 0.1, knobs, batch=8)
    if tiers:
        put_model(folder / "tiers" / "nano", 2, 0.012, 0.2, knobs, batch=16)
        put_model(folder / "tiers" / "hifi", 6, 0.006, 0.05, knobs, batch=4)
    write_manifest(folder, "tiny", "ampzoo")
    return folder


def test_a_package_gives_its_tiers_as_points(search: SearchConfig, tmp_path: Path):
    begun = with_warm_start(search, [read_source(search, put_package(tmp_path, tiers=True))], amp_of(search))
    learnt = [(p["channels"], p["learning_rate"], p["batch"]) for p in begun.warm]
    assert learnt == [(6, 0.006, 4), (4, 0.004, 8), (2, 0.012, 4)], "the best first; a batch of 16 is not in the space"
    few = with_warm_start(search.model_copy(update={"trials": 8}), [read_source(search, tmp_path)])
    assert few.warm == begun.warm[:2], "a quarter of the trials at most"
    (tmp_path / "tiers" / "hifi" / "eval.json").unlink()
    unscored = with_warm_start(search, [read_source(search, tmp_path)])
    assert [point["channels"] for point in unscored.warm] == [4, 2, 6], "what was not scored comes last"


def test_models_outside_the_space_are_told(search: SearchConfig, tmp_path: Path):
    other = search.model_copy(update={"space": Space(channels=(31,))})
    with pytest.raises(UserError, match="holds no point of"):
        with_warm_start(other, [read_source(other, put_package(tmp_path, tiers=True))])


def put_study(search: SearchConfig, folder: Path, **changes: Any) -> Path:
    """A study played through without training."""
    from search.storage.recordings import load_amp

    folder.mkdir()
    config = search.model_copy(update={"trials": 5, **changes})
    write_json(folder / "study.json", config.model_dump(mode="json"))
    amps = [load_amp(data) for data in config.datasets]
    scheduler = scheduler_of(config, folder, amps)
    play(scheduler)
    if config.final:
        board = summarize(config, read_lines(folder))
        assert board.best
        scheduler.begin_finals([board.best])
        play(scheduler)
    return folder


def test_a_study_with_finals_gives_its_whole_searched_front(search: SearchConfig, tmp_path: Path):
    study = put_study(search, tmp_path / "study", trials=20, seed=3, final=Final(steps=200, seeds=2, top=1))
    lines = read_lines(study)
    assert len(summarize(search, lines).fronts["all"]) == 1, "the board has the final alone"
    searched = [trial.point for trial in summarize(search, lines, finals=False).trials if trial.front]
    assert len(searched) > 1
    assert sorted(map(str, read_source(search, study).points)) == sorted(map(str, searched))


def test_a_short_search_begins_with_few_points(search: SearchConfig, tmp_path: Path):
    study = put_study(search, tmp_path / "study")
    best = summarize(search, read_lines(study), finals=False).best
    for trials, most in ((1, 1), (4, 1), (12, 3), (400, 8)):
        short = search.model_copy(update={"trials": trials})
        begun = with_warm_start(short, [read_source(short, study)])
        assert 1 <= len(begun.warm) <= most and short.identity(begun.warm[0]) == best, "the best of few"


def test_sources_are_compared_by_knobs_not_by_columns(search: SearchConfig, tmp_path: Path):
    switched = Knobs(knobs=(Switch(name="mode", positions=("a", "b", "c", "d"), default="a"), *ONE_KNOB.knobs))
    for name, knobs in (("alike", switched), ("three", Knobs(knobs=(*KNOBS.knobs, Knob(name="mid", default=0.5))))):
        study = put_study(search, tmp_path / name, seed=len(name))
        put_model(study / "trials" / "any" / "a", 4, 0.01, 0.1, knobs)
    bare = put_study(search, tmp_path / "bare", seed=9)
    sources = [read_source(search, tmp_path / name) for name in ("bare", "three", "alike")]
    assert [source.amp.knobs for source in sources] == [None, 3, 2]
    begun = with_warm_start(search.model_copy(update={"trials": 400}), sources, amp_of(search)).warm
    ordered = [point for name in ("alike", "three", "bare") for point in read_source(search, tmp_path / name).points]
    assert [search.identity(point) for point in begun] == list(dict.fromkeys(map(search.identity, ordered)))[:8]
    assert bare.exists()


def test_a_whole_shelf_is_read_nearest_amps_first(
    search: SearchConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    home = tmp_path / "home"
    monkeypatch.setenv("ZOO_HOME", str(home))
    put_package(home / "alice" / "far", 3, ONE_KNOB)
    put_package(home / "alice" / "near", 5)
    put_package(home / "bob" / "near", 7)
    put_package(home / "bob" / "broken")
    (home / "bob" / "broken" / "config.json").write_text("{")
    for named, where in ((("zoo:",), None), ((str(home),), None), (("zoo:alice", "zoo:bob"), str(home))):
        begun = read_warm_start(search, named, where)
        assert [point["channels"] for point in begun.warm] == [5, 7, 3]
        assert "bob/broken/config.json" in capsys.readouterr().err
    assert [point["channels"] for point in read_warm_start(search, ("zoo:bob",), None).warm] == [7]
    with pytest.raises(NotFound, match="no amps of 'carol' on"):
        read_warm_start(search, ("zoo:carol",), None)


def test_amps_of_a_hub_are_sources_without_being_pulled(
    search: SearchConfig, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    content = read_files(put_package(write_files(tmp_path / "package", files()), 5, tiers=True))
    hub.put("alice/amp", content)
    sounds = {name for name in files() if name == "live.nam" or name.startswith("baked/")}  # those of another model
    without = {name: data for name, data in files().items() if name not in sounds} | {"presets.json": b"{}"}
    hub.put("bob/amp", {**read_files(put_package(write_files(tmp_path / "other", without), 3)), "README.md": card()})
    _, front, page = files()["README.md"].decode().split("---\n", 2)
    fewer = yaml.safe_load(front)
    fewer["ampzoo"]["knobs"].pop()
    far = read_files(put_package(write_files(tmp_path / "far", files()), 4, ONE_KNOB))
    hub.put("aaron/far", {**far, "README.md": f"---\n{yaml.safe_dump(fewer)}---\n{page}".encode()})
    begun = read_warm_start(search, ("zoo:alice",), hub.url)
    assert [point["channels"] for point in begun.warm] == [6, 5, 2]
    fetched = {path.rpartition("/")[2] for _, path in hub.requests if "/resolve/" in path}
    assert fetched == {"config.json", "eval.json", "training.json"} and not (tmp_path / "home").exists()
    assert [point["channels"] for point in read_warm_start(search, ("zoo:",), hub.url).warm] == [6, 5, 2, 3, 4]
    monkeypatch.setattr("zoo.registry.nearest.MAX_HUB_AMPS", 1)
    assert [point["channels"] for point in read_warm_start(search, ("zoo:",), hub.url).warm] == [6, 5, 2]
    assert "of 3 amps on" in capsys.readouterr().err
    assert [point["channels"] for point in read_warm_start(search, ("zoo:bob/amp",), hub.url).warm] == [3]
    assert (tmp_path / "home" / "bob" / "amp").is_dir(), "a named amp is pulled, as by all commands"


def test_an_amp_that_cannot_be_fetched_is_left_out(
    search: SearchConfig, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, channels in (("alice/amp", 5), ("bob/amp", 3)):
        package = put_package(write_files(tmp_path / name, files()), channels)
        hub.put(name, {**read_files(package), "README.md": card()})
    fetch = zoo_hub.Hub.fetch

    def fail(self: zoo_hub.Hub, ref: Ref, *rest: Any) -> bytes:
        if ref.name == "alice/amp":
            raise NotFound("alice/amp is gone", "Look again.")
        return fetch(self, ref, *rest)

    monkeypatch.setattr(zoo_hub.Hub, "fetch", fail)
    assert [point["channels"] for point in read_warm_start(search, ("zoo:",), hub.url).warm] == [3]
    assert "alice/amp is left out: alice/amp is gone" in capsys.readouterr().err


def test_a_model_without_a_point_is_not_located():
    space = Space(head1x1=(None, 8), inject=("mixin+head1x1_post", "mixin"), depth=(2,), channels=(3,))
    model = Space(depth=(2,), channels=(3,), inject=("film",)).complete({})
    assert model and locate(space, Space(depth=(2,), channels=(3,), inject=("film",)).model(model)) is None


def test_without_recordings_the_given_order_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """As on a machine that submits a search to a cluster, whose disks alone have the recordings."""
    search = search_of(tmp_path, space={**SPACE, "channels": [3, 5]})
    places = [put_package(tmp_path / "one", 3, ONE_KNOB), put_package(tmp_path / "two", 5)]
    places.append(put_package(tmp_path / "wide", 7))
    begun = read_warm_start(search, tuple(map(str, places)), None)
    assert [point["channels"] for point in begun.warm] == [3, 5]
    line, taken = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert "in the given order" in line
    assert "train.json does not exist" in line
    one, two, wide = places
    assert taken == f"the search begins with 2 models of {one} and {two}, none of {wide}"


def test_a_folder_that_is_no_source_is_refused(search: SearchConfig, tmp_path: Path):
    record(tmp_path, "train", di(), GRID[:6])
    search_of(tmp_path)
    config = tmp_path / "search.json"
    refused(zoo("search", config, "--from", tmp_path / "nowhere"), 3, "no study, package or run")
    refused(zoo("search", config, "--from", "zoo:alice/none", "--zoo", tmp_path), 3, "no amp 'alice/none'")
