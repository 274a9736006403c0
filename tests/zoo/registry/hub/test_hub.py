"""A zoo on a hub, through the real client: push, list and pull; requests are counted, bad repositories refused."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests.support.hub_server import Hub, Reply, Request
from tests.support.makers import RATE, di, read_wav, write_wav
from tests.support.packages import (
    AMP,
    LICENSE,
    at,
    card,
    files,
    flip,
    litter,
    pulled,
    read_files,
    refused,
    shell,
    there,
    write_files,
    write_package,
    zoo,
)
from zoo.package.layout import MAX_BYTES
from zoo.registry.push_plan import KEEP_LINE_ENDS

SECOND = {"presets.json": b'{"schema_version": "1.0", "presets": []}', "audio/more.flac": files()["audio/di.flac"]}
COVERED = ["model.safetensors", "config.json", "eval.json", "audio/default.flac"]


def test_pull_gives_back_what_was_pushed(hub: Hub, package: Path, tmp_path: Path):
    first = json.loads(zoo("push", package, AMP, *at(hub), "--json").out)
    HfApi(endpoint=hub.url).create_tag(AMP, tag="v1.0")
    other = write_package(tmp_path / "other", SECOND)
    second = json.loads(zoo("push", other, AMP, *at(hub), "--json").out)
    assert first["name"] == second["name"] == AMP and first["revision"] != second["revision"]
    for name, source in (("@v1.0", package), (f"@{first['revision']}", package), ("", other), ("@main", other)):
        ran = zoo("pull", AMP + name, *at(hub), "--to", "amp", "--json")
        assert pulled("amp") == there(read_files(source))
        revision = first["revision"] if source == package else second["revision"]
        [described] = json.loads(ran.out)["amps"]
        assert [described[key] for key in ("name", "revision", "folder")] == [AMP, revision, "amp"]
    assert litter() == {"amp"}


def test_pulled_amp_can_be_published_again(pushed: Hub):
    assert zoo("pull", AMP, *at(pushed)).code == 0
    ran = zoo("push", Path("../home") / AMP, "alice/again", *at(pushed))
    assert (ran.code, ran.out) == (0, "alice/again\n") and "published" in ran.err
    expected = there(pushed.files(AMP), "alice/again")
    attributes = KEEP_LINE_ENDS + expected[".gitattributes"]
    assert pushed.files("alice/again") == {**expected, ".gitattributes": attributes}


def test_the_command_as_a_user_runs_it(hub: Hub, package: Path, tmp_path: Path):
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "ZOO_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path)}
    ran = shell("push", package, AMP, "--zoo", "hub", **env)
    assert (ran.code, ran.out) == (0, f"{AMP}\n"), ran.err
    hub.requests.clear()
    ran = shell("list", "--zoo", "hub", **env)
    assert ran.out.splitlines()[1].split("\t")[:6] == [AMP, "gain tone", "0.1875", "177", "amp", LICENSE], ran.err
    ran = shell("pull", AMP, "--zoo", "hub", **{**env, "HF_TOKEN": ""})
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'home' / AMP}\n"), ran.err
    assert pulled(tmp_path / "home" / AMP) == there(files())
    hub.close()
    assert shell("list", "-q", "--zoo", "hub", **env).out == f"{AMP}\n"
    refused(shell("pull", AMP, "--zoo", "hub", **env), 5, "the hub cannot be reached")


def test_list_is_one_request(pushed: Hub):
    pushed.put("bob/other", {**files(), "README.md": card(license="mit")})
    pushed.put("bob/foreign", {"README.md": b"---\nlibrary_name: transformers\n---\n"})
    pushed.put("bob/broken", {"README.md": b"---\nlibrary_name: ampzoo\nampzoo: 3\n---\n"})
    pushed.requests.clear()
    ran = zoo("list", *at(pushed))
    assert pushed.requests == [("GET", "/api/models")]
    head, *rows = (row.split("\t") for row in ran.out.splitlines())
    assert head == ["AMP", "KNOBS", "ESR", "MACS", "KIND", "LICENSE", "RATE", "UPDATED", "REVISION"]
    commits = {name: list(pushed.repos[name].commits)[-1][:12] for name in (AMP, "bob/other")}
    assert [[*row[:7], row[8]] for row in rows] == [
        [AMP, "gain tone", "0.1875", "177", "amp", LICENSE, "8000", commits[AMP]],
        ["bob/other", "gain tone", "0.1875", "177", "amp", "mit", "8000", commits["bob/other"]],
    ]
    assert ran.err == "warning: bob/broken: its card has no 'ampzoo' block\n"
    assert set(zoo("list", "-q", *at(pushed)).out.split()) == {AMP, "bob/other"}
    document = json.loads(zoo("list", "--json", *at(pushed)).out)
    assert (document["schema"], document["zoo"]) == ("zoo.list/1", pushed.url)
    assert {amp["name"]: amp["amp"]["sample_rate"] for amp in document["amps"]} == {AMP: RATE, "bob/other": RATE}


def test_empty_hub_gives_a_hint(hub: Hub):
    ran = zoo("list", *at(hub))
    assert (ran.code, ran.out) == (0, "") and "no such amps on" in ran.err
    assert json.loads(zoo("list", "--json", *at(hub)).out)["amps"] == []


def test_unreadable_card_does_not_end_the_list(pushed: Hub):
    pushed.put("bob/broken", {"README.md": b"---\nlibrary_name: ampzoo\ntags: 3\n---\n"})
    assert zoo("list", "-q", *at(pushed)).out == f"{AMP}\n"


@pytest.mark.parametrize(("verb", "wanted"), [("knobs", {"config.json"}), ("show", {"config.json", "eval.json"})])
def test_show_fetches_no_more_than_it_shows(pushed: Hub, verb: str, wanted: set[str]):
    pushed.requests.clear()
    ran = zoo(verb, AMP, *at(pushed))
    assert ran.code == 0 and "gain" in ran.out and "tone" in ran.out
    head = pushed.repos[AMP].refs["main"]
    looked = {path for _, path in pushed.requests if "/resolve/" in path}
    assert looked == {f"/{AMP}/resolve/{head}/{name}" for name in wanted}
    assert len(pushed.requests) == 1 + len(wanted)
    assert json.loads(zoo(verb, AMP, *at(pushed), "--json").out)["name"] == AMP


def test_render_pulls_an_amp_from_the_hub_once(pushed: Hub, tmp_path: Path):
    write_wav(Path("in.wav"), di(0.2))
    ran = zoo("render", AMP, "in.wav", "out.wav", "-k", "gain=7", *at(pushed))
    assert (ran.code, ran.out) == (0, "out.wav\n") and len(read_wav(Path("out.wav"))) == int(0.2 * RATE)
    assert zoo("list", "-q").out == f"{AMP}\n"
    assert pulled(tmp_path / "home" / AMP) == files()


def test_second_push_uploads_no_large_file(hub: Hub, package: Path):
    zoo("push", package, AMP, *at(hub))
    head = hub.repos[AMP].refs["main"]
    hub.requests.clear()
    assert zoo("push", package, AMP, *at(hub)).code == 0
    assert hub.repos[AMP].refs["main"] == head and hub.requests == [("GET", f"/api/models/{AMP}")]
    write_files(package, {"README.md": card(license="mit")})
    assert zoo("push", package, AMP, *at(hub)).code == 0
    assert (
        hub.repos[AMP].refs["main"] != head
        and hub.files(AMP)["README.md"] == there({"README.md": card(license="mit")})["README.md"]
    )
    assert "PUT" not in {method for method, _ in hub.requests}


def test_stale_file_of_an_earlier_push_disappears(hub: Hub, package: Path, tmp_path: Path):
    zoo("push", write_package(tmp_path / "other", SECOND), AMP, *at(hub))
    hub.put(AMP, {"NOTES.txt": b"the owner's own"})
    zoo("push", package, AMP, *at(hub))
    assert set(hub.files(AMP)) == {*files(), ".gitattributes", "NOTES.txt"}
    zoo("pull", AMP, *at(hub), "--to", "amp")
    assert pulled("amp") == there(files())


@pytest.mark.parametrize("replaced", [True, False])
@pytest.mark.parametrize("name", COVERED)
def test_corrupted_body_leaves_nothing_behind(pushed: Hub, name: str, replaced: bool):
    if replaced:
        write_package(Path("amp"), {**SECOND, name: flip(files()[name])})
    before = read_files(Path("amp"))
    pushed.corrupt(f"{name}$")
    refused(zoo("pull", AMP, *at(pushed), "--to", "amp"), 6, f"{name} has sha256")
    assert read_files(Path("amp")) == before
    assert litter() == ({"amp"} if replaced else set())
    refused(zoo("pull", AMP, *at(pushed)), 6, name)
    assert zoo("list", "-q").out == ""


def test_corrupted_body_names_the_amp(pushed: Hub):
    pushed.corrupt("config.json$")
    ran = zoo("pull", AMP, *at(pushed), "--to", "amp")
    assert AMP in ran.err and ".staged" not in ran.err


def test_pull_after_a_corrupted_document_succeeds(pushed: Hub):
    pushed.corrupt("config.json$")
    zoo("knobs", AMP, *at(pushed))
    pushed._corrupt.clear()
    assert zoo("pull", AMP, *at(pushed), "--to", "amp").code == 0


def hostile(name: str) -> dict[str, bytes]:
    """A repository one would rather not pull."""
    manifest = json.loads(files()["manifest.json"])
    if name == "a manifest with a wrong hash":
        manifest["files"]["model.safetensors"]["sha256"] = "0" * 64
    if name == "a manifest that leads outside":
        manifest["files"]["../x"] = {"sha256": sha256(b"x").hexdigest(), "size": 1}
    more = {
        "an oversize config": {"config.json": files()["config.json"] + b" " * MAX_BYTES[".json"]},
        "an oversize card": {"README.md": b"#" * (MAX_BYTES[".md"] + 1)},
        "too many files": {f"audio/{number}.flac": b"" for number in range(64)},
        "a manifest that leads outside": {"../x": b"x"},
        "an unlisted clip": {"audio/more.flac": b"fLaC"},
        "other weights": {"model.safetensors": flip(files()["model.safetensors"])},
    }
    content = {**files(), "manifest.json": json.dumps(manifest).encode(), **more.get(name, {})}
    return {key: data for key, data in content.items() if f"no {key}" != name}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a manifest with a wrong hash", "model.safetensors has sha256"),
        ("a manifest that leads outside", "a path that leads outside"),
        ("an oversize config", "config.json is"),
        ("an oversize card", "README.md is"),
        ("too many files", "files, at most 64"),
        ("an unlisted clip", "audio/more.flac is not listed"),
        ("other weights", "model.safetensors has sha256"),
        ("no manifest.json", "lacks manifest.json"),
        ("no config.json", "lacks config.json"),
        ("no model.safetensors", "lacks model.safetensors"),
    ],
)
def test_hostile_repository_is_refused(hub: Hub, tmp_path: Path, name: str, words: str):
    hub.put(AMP, hostile(name))
    hub.requests.clear()
    refused(zoo("pull", AMP, *at(hub), "--to", "deep/amp"), 6, words)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.is_relative_to(tmp_path / "here")]
    assert not (tmp_path / "here/x").exists() and not (tmp_path / "here/deep/x").exists()
    if name.startswith(("no ", "an oversize", "too")):
        assert hub.requests == [("GET", f"/api/models/{AMP}")]  # from the listing, before any byte


def test_what_does_not_belong_is_not_fetched(hub: Hub, tmp_path: Path):
    extra = [
        ".git/hooks/post-checkout",
        ".bashrc",
        "evil.py",
        "audio/DI2.flac",
        "a.pkl",
        "pytorch_model.bin",
        "index.html",
    ]
    hub.put(AMP, {**files(), **{name: b"#!/bin/sh" for name in extra}})
    before = set(tmp_path.rglob("*"))
    ran = zoo("pull", AMP, *at(hub), "--to", "amp")
    assert ran.code == 0 and "ignored 7 files" in ran.err
    assert pulled("amp") == files()
    assert not [path for _, path in hub.requests if any(path.endswith(name) for name in extra)]
    written = {path.relative_to(tmp_path).parts[:2] for path in set(tmp_path.rglob("*")) - before}
    assert written == {("here", "amp"), ("home",), ("home", ".origins.jsonl")}


def test_target_with_other_files_is_refused_before_any_request(pushed: Hub):
    write_files(Path("mine"), {"song.wav": b"mine"})
    pushed.requests.clear()
    refused(zoo("pull", AMP, *at(pushed), "--to", "mine"), 1, "is not a package")
    assert pushed.requests == [] and read_files(Path("mine")) == {"song.wav": b"mine"}


def test_tampered_package_is_not_pushed(hub: Hub, package: Path):
    write_files(package, {"model.safetensors": flip(files()["model.safetensors"])})
    refused(zoo("push", package, AMP, *at(hub)), 6, "model.safetensors")
    assert hub.requests == []


@pytest.mark.parametrize("verb", ["pull", "show", "knobs", "render"])
@pytest.mark.parametrize("amp", ["alice/nothing", f"{AMP}@v9", f"{AMP}@{'0' * 40}"])
def test_unknown_amp_or_revision_is_not_found(pushed: Hub, verb: str, amp: str):
    more = ("in.wav", "out.wav") if verb == "render" else ()
    words = "no such revision" if "@" in amp else "not found, or private"
    refused(zoo(verb, amp, *more, *at(pushed)), 3, words)
    assert litter() == set()


@pytest.mark.parametrize("amp", ["alice/nothing", f"{AMP}@v9"])
def test_unknown_amp_or_revision_is_named(pushed: Hub, amp: str):
    refused(zoo("pull", amp, *at(pushed)), 3, *amp.split("@"))


@pytest.mark.parametrize("name", ["alice/amp.git", "alice/amp-", "alice/amp."])
def test_name_that_no_hub_accepts_is_a_user_error(hub: Hub, name: str):
    refused(zoo("pull", name, *at(hub)), 1, name)


def test_push_without_permission_is_refused(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    refused(zoo("push", package, "bob/tiny", *at(hub)), 4, "the hub refused", "hf auth login")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_test_token")
    ran = zoo("push", package, AMP, *at(hub))
    refused(ran, 4, "the hub refused", "hf auth login")
    assert "hf_wrong" not in ran.err
    monkeypatch.delenv("HF_TOKEN")
    refused(zoo("push", package, AMP, *at(hub)), 4, "the hub refused", "hf auth login")
    assert not hub.repos


def test_private_amp_is_visible_to_its_owner_only(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    pushed.repos[AMP].private = True
    assert zoo("list", "-q", *at(pushed)).out == f"{AMP}\n"
    monkeypatch.delenv("HF_TOKEN")
    assert zoo("list", "-q", "--refresh", *at(pushed)).out == ""
    ran = zoo("pull", AMP, *at(pushed), "--to", "amp")
    refused(ran, ran.code, "hf auth login")
    assert ran.code in (3, 4) and litter() == set()


def test_unknown_amp_is_not_found_without_a_token_too(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    refused(zoo("pull", "alice/nothing", *at(pushed)), 3, "not found, or private", "hf auth login")


def test_token_is_sent_to_the_hub_only_and_never_shown(
    hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    sent: list[tuple[str, str, bool]] = []
    handle = hub.handle

    def record(request: Request) -> Reply:
        sent.append((request.headers["Host"], request.path, "Authorization" in request.headers))
        return handle(request)

    monkeypatch.setattr(hub, "handle", record)
    runs = [
        zoo("push", package, AMP, *at(hub)),
        zoo("list", "--json", *at(hub)),
        zoo("show", AMP, *at(hub)),
        zoo("pull", AMP, *at(hub), "--json"),
        zoo("pull", "alice/nothing", *at(hub)),
        zoo("push", package, "bob/tiny", *at(hub)),
        zoo("--debug", "push", package, "bob/tiny", *at(hub)),
        zoo("doctor", *at(hub)),
    ]
    assert [ran.code for ran in runs] == [0, 0, 0, 0, 3, 4, 4, 0]
    assert "403" in runs[-2].err and "alice" in runs[-1].out
    texts = [text for ran in runs for text in (ran.out, ran.err)] + list(capfd.readouterr())
    assert not [text for text in texts if hub.token in text]
    assert {host for host, _, with_token in sent if with_token} == {hub.url.removeprefix("http://")}
    moved = [path for host, path, with_token in sent if host == hub.cdn.removeprefix("http://") and not with_token]
    assert {path.split("/")[1] for path in moved} == {"lfs", "cdn"}


def test_race_of_two_pushes_is_an_error(pushed: Hub, tmp_path: Path):
    before = pushed.files(AMP)
    pushed.fail("POST", f"/api/models/{AMP}/commit/", [412])
    ran = zoo("push", write_package(tmp_path / "other", SECOND), AMP, *at(pushed))
    refused(ran, 1, "the amp changed on the hub meanwhile")
    assert pushed.files(AMP) == before


def test_interrupted_push_changes_nothing(hub: Hub, package: Path):
    hub.fail("POST", f"/api/models/{AMP}/commit/", [500] * 3)
    refused(zoo("push", package, AMP, *at(hub)), 5, "the hub answered with an error")
    assert AMP not in hub.repos
    hub.requests.clear()
    assert zoo("push", package, AMP, *at(hub)).code == 0
    assert "PUT" not in {method for method, _ in hub.requests}
    assert {name: data for name, data in hub.files(AMP).items() if name != ".gitattributes"} == there(files())


@pytest.mark.parametrize("path", ["/api/models/", "/resolve/.*json$", "/cdn/"])
def test_failing_hub_leaves_nothing_behind(pushed: Hub, monkeypatch: pytest.MonkeyPatch, path: str):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's pauses between attempts
    pushed.fail("GET", path, [500] * 20)
    refused(zoo("pull", AMP, *at(pushed), "--to", "amp"), 5, "the hub", "500")
    assert litter() == set()


def test_client_library_logs_nothing(
    pushed: Hub, package: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    pushed.fail("GET", "/api/models$", [500])
    assert zoo("list", *at(pushed)).code == zoo("push", package, AMP, *at(pushed)).code == 0
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]


def test_oversize_config_is_not_fetched(hub: Hub):
    hub.put(AMP, {**files(), "config.json": files()["config.json"] + b" " * 3_000_000})
    ran = zoo("knobs", AMP, *at(hub))
    assert ran.code == 6
    assert not [path for method, path in hub.requests if method == "GET" and "/cdn/" in path]


def test_malformed_config_on_the_hub_names_the_amp(hub: Hub):
    hub.put(AMP, {**files(), "config.json": b"{"})
    ran = zoo("knobs", AMP, *at(hub))
    assert ran.code in (1, 6)
    assert AMP in ran.err
    assert "Pull the amp again" in ran.err and "Correct the file" not in ran.err
