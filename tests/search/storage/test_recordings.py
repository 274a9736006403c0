"""Recordings that a URI names."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.artifacts.names import RECIPE
from models.core.errors import NotFound, UserError
from models.core.files import write_json
from models.core.schema import check_document, read_document
from models.recordings.config import DataConfig
from models.recordings.loading import load_data
from models.training.config import Recipe
from search.config.study import read_search
from search.storage import recordings
from search.storage.recordings import load_amp
from search.study.board import read_study
from search.study.warm_start import amp_of, read_source, with_warm_start
from tests.support.bucket_server import Bucket
from tests.support.makers import GRID, architecture, di, record
from tests.support.packages import refused, zoo
from tests.support.searches import search_file

SPLIT = {"held_seconds": 0.25, "validation_settings": 1, "validation_seconds": 0.25}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of the test's own for what is brought; kernels stay where they are."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(recordings, "cache_folder", lambda: folder)
    return folder


def upload(bucket: Bucket, folder: Path, under: str) -> None:
    """Everything in a folder, as objects."""
    for path in folder.rglob("*"):
        if path.is_file():
            bucket.put(f"{under}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def brought(bucket: Bucket) -> list[str]:
    """The objects that were read since the last time."""
    found = [key for method, key in bucket.requests if method == "GET" and key]
    bucket.requests.clear()
    return sorted(found)


def of(train: str | Path, held: str | Path | None = None) -> DataConfig:
    """D of an amp."""
    split = SPLIT if held else {**SPLIT, "held_settings": 1}
    return check_document({"name": "mine", "train": train, "held": held, **split}, DataConfig, "test")


def test_recordings_at_a_uri_are_those_on_disk_and_brought_once(bucket: Bucket, tmp_path: Path):
    here = tmp_path / "mine"
    train = record(here, "train", di(), GRID[:4])
    held = record(here / "more takes", "held", di(seed=1), GRID[4:6])
    upload(bucket, here, "amps/my amp")
    config = of(bucket.uri("amps/my%20amp/train.json"), bucket.uri("amps/my%20amp/more%20takes/held.json"))
    far, near = load_amp(config), load_data(of(train, held))
    assert far.fingerprint(far.recorded) == near.fingerprint(near.recorded)
    assert far.knobs == near.knobs and len(far.held) == 2
    assert far.config == config and far.describe()["data"]["train"] == config.train, "not where it was brought"
    assert brought(bucket) == bucket.keys("amps/")
    load_amp(config)
    assert brought(bucket) == []
    _, *others = GRID[:4]
    record(here, "train", di(), [GRID[9], *others])  # one setting recorded anew, in as many bytes
    bucket.put("amps/my amp/train_0.wav", (here / "train_0.wav").read_bytes(), datetime(2030, 1, 1, tzinfo=UTC))
    again = load_amp(config)
    assert brought(bucket) == ["amps/my amp/train_0.wav"]
    assert again.fingerprint(again.recorded) != near.fingerprint(near.recorded)


def test_a_file_uri_is_read_too(tmp_path: Path):
    train = record(tmp_path / "mine", "train", di(), GRID[:4])
    far, near = load_amp(of(train.as_uri())), load_data(of(train))
    assert far.fingerprint(far.recorded) == near.fingerprint(near.recorded)


def test_copying_goes_on_where_it_was_cut_off(bucket: Bucket, tmp_path: Path, cache: Path):
    record(tmp_path / "mine", "train", di(), GRID[:4])
    upload(bucket, tmp_path / "mine", "mine")
    config, lost = of(bucket.uri("mine/train.json")), bucket.objects.pop("mine/train_3.wav")
    with pytest.raises(NotFound, match=r"^s3://zoo/mine/train_3\.wav\?.* does not exist"):
        load_amp(config)
    there = brought(bucket)
    assert "mine/train.json" in there and not list(cache.rglob(".staged*"))
    bucket.objects["mine/train_3.wav"] = lost
    load_amp(config)
    assert sorted([*there, *brought(bucket)]) == bucket.keys("mine/"), "each came once"


@pytest.mark.parametrize("name", ["../train_3.wav", "/etc/passwd", "s3://zoo/mine/train_3.wav", "..\\train_3.wav"])
def test_a_manifest_that_names_files_elsewhere_is_refused(name: str, bucket: Bucket, tmp_path: Path, cache: Path):
    train = record(tmp_path / "mine", "train", di(), GRID[:4])
    document = json.loads(train.read_text())
    document["entries"][2]["output_file"] = name
    bucket.put("mine/train.json", json.dumps(document).encode())
    with pytest.raises(UserError, match=r"^s3://zoo/mine/train\.json\?.*entry 3 .*names .*own folder"):
        load_amp(of(bucket.uri("mine/train.json")))
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["train.json"]


def test_an_error_at_a_uri_names_the_file(bucket: Bucket, tmp_path: Path):
    record(tmp_path / "mine", "train", di(), GRID[:4])
    upload(bucket, tmp_path / "mine", "mine")
    bucket.put("broken/train.json", b"{")
    bucket.put("odd/train.json", json.dumps({"entries": [{"input_file": "a"}]}).encode())
    bucket.put("mine/train_1.wav", b"no sound")
    for key, words in (
        ("none/train.json", r"s3://zoo/none/train\.json\?.* does not exist"),
        ("broken/train.json", r"s3://zoo/broken/train\.json is not valid JSON"),
        ("odd/train.json", r"s3://zoo/odd/train\.json.*entry 1"),
        ("mine/train.json", r"s3://zoo/mine/train_1\.wav"),
        ("mine/", r"s3://zoo/mine/\?.* names no file"),
    ):
        with pytest.raises(UserError, match=f"^{words}"):
            load_amp(of(bucket.uri(key)))
    with pytest.raises(UserError, match=r"^s3://zoo/mine/train\.json\?.* is not on this machine") as caught:
        load_data(of(bucket.uri("mine/train.json")))
    assert "Only training and search read URIs" in caught.value.hint
    bucket.broken = True
    with pytest.raises(UserError, match="access is denied"):
        load_amp(of(bucket.uri("mine/train.json")))


def test_a_search_and_a_training_on_recordings_at_a_uri(bucket: Bucket, tmp_path: Path):
    """Configs, studies and runs name the URI, so that they mean the same on every machine."""
    path = search_file(tmp_path, amps=1, trials=2)
    upload(bucket, tmp_path / "amp0", "amp0")
    uri, document = bucket.uri("amp0/train.json"), json.loads(path.read_text())
    document["datasets"][0]["train"] = uri
    write_json(path, document)
    words = ("--local", "--storage", bucket.uri("study"))
    ran = zoo("search", path, "--out", tmp_path / "one", *words)
    assert ran.code == 0, ran.err
    assert read_study(tmp_path / "one").datasets[0].train == uri
    ran = zoo("search", path, "--out", tmp_path / "two", *words, "--resume", "--json")
    assert ran.code == 0 and len(json.loads(ran.out)["trials"]) == 2, ran.err
    run = next((tmp_path / "two" / "trials").iterdir()) / "amp0"
    assert read_document(run / RECIPE, Recipe).data.train == uri
    config = read_search(path)
    assert len(with_warm_start(config, [read_source(config, tmp_path / "two")], amp_of(config)).warm) == 1
    refused(zoo("search", path, "--out", tmp_path / "three", *words), 1, "already holds a study", "--resume")
    sound = (tmp_path / "amp0" / "train_4.wav").read_bytes()
    now = datetime.now(UTC)  # a bucket counts whole seconds
    bucket.put("amp0/train_4.wav", sound[:-4] + bytes(4), now + timedelta(seconds=2))
    again = ("--out", tmp_path / "three", *words, "--resume")
    refused(zoo("search", path, *again), 1, "three was begun with other recordings", "of amp0 changed")
    bucket.put("amp0/train_4.wav", sound, now + timedelta(seconds=4))
    assert zoo("search", path, *again).code == 0

    write_json(tmp_path / "data.json", document["datasets"][0])
    write_json(tmp_path / "model.json", architecture().model_dump(mode="json"))
    write_json(tmp_path / "learning.json", {"steps": 10, "batch": 2, "segment": 128, "report_every": 10})
    three = [word for kind in ("data", "model", "learning") for word in (f"--{kind}", tmp_path / f"{kind}.json")]
    ran = zoo("train", *three, "--out", tmp_path / "run")
    assert ran.code == 0 and "held ESR" in ran.err, ran.err
