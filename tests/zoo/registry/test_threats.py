"""Threats T15 to T23 and T25 of 26, over real HTTP: tokens, secrets, races, tags, outages, full disks, licenses.

Each test fails without its guard: what it refuses would otherwise be fetched, believed, printed, sent or run.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.hub_server import Hub, Reply, Request
from tests.support.packages import (
    AMP,
    PULL,
    ZOO,
    around,
    at,
    card,
    files,
    full_disk,
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

ROOT = Path(__file__).parents[3]


def test_t15_token_is_not_echoed(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    """A hub that answers with the token in its words, and one of the usual form in a card."""
    other = "hf_" + "A1b2" * 9
    for method, path in (("GET", "/api/models/eve"), ("POST", "/api/repos/create"), ("GET", "/api/models$")):
        hub.fail(method, path, [403] * 9, message=f"you sent {hub.token} and {other}")
    for words in (("pull", "eve/amp"), ("list",), ("push", package, AMP), ("doctor",), ("list", "--json")):
        for more in ((), ("--debug",)):
            ran = zoo(*more, *words, *at(hub))
            assert ran.code == (1 if words == ("doctor",) else 4) and "you sent" in ran.out + ran.err
            assert hub.token not in ran.out + ran.err and other not in ran.out + ran.err


def test_t15_token_goes_to_no_second_host(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[str, str | None]] = []
    handle = pushed.handle

    def record(request: Request) -> Reply:
        seen.append((request.headers["Host"], request.headers["Authorization"]))
        reply = handle(request)
        if request.path == "/api/models":
            reply.headers["Link"] = f'<{pushed.cdn}/api/models?cursor=1>; rel="next"'
        return reply

    monkeypatch.setattr(pushed, "handle", record)
    refused(zoo("list", *at(pushed)), 6, "leads to another host")
    assert zoo(*PULL, *at(pushed)).code == 0
    own = pushed.url.removeprefix("http://")
    assert {bool(token) for host, token in seen if host == own} == {True}
    assert {token for host, token in seen if host != own} == {None} and len({host for host, _ in seen}) == 2


def test_t15_token_is_not_sent_over_http_or_to_another_host(monkeypatch: pytest.MonkeyPatch):
    from zoo.names import Address
    from zoo.registry.hub.hub import Hub as HubZoo

    monkeypatch.setenv("HF_TOKEN", Hub.token)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://hub.example")
    for endpoint in ("http://hub.example", "https://hub.example", "https://other.example", "http://huggingface.co"):
        assert "authorization" not in HubZoo(Address(endpoint)).headers
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub.example")
    assert HubZoo(Address("https://hub.example")).headers["authorization"] == f"Bearer {Hub.token}"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"README.md": card() + b"\nmy token is hf_" + b"A1b2" * 9}, "holds a token"),
        ({"eval.json": files()["eval.json"].replace(b'"tiny"', b'"/home/zaphod/amps"')}, "the path /home/zaphod"),
        ({"README.md": card() + b"\nsee /Users/zaphod/amps"}, "the path /Users/zaphod"),
        ({"live.nam": files()["live.nam"].replace(b'"tiny"', rb'"C:\\Users\\zaphod"')}, "the path C:"),
        ({".env": b"SECRET=1"}, ".env does not belong"),
    ],
)
def test_t16_secrets_are_not_published(hub: Hub, tmp_path: Path, changed: dict[str, bytes], words: str):
    made = write_package(tmp_path / "made", changed)
    ran = zoo("push", made, AMP, *at(hub))
    refused(ran, 6 if ".env" in changed else 1, words)
    assert not hub.requests and "hf_A1b2" not in ran.err
    assert zoo("push", made, AMP, "--zoo", tmp_path / "shelf").code != 0 and not (tmp_path / "shelf" / AMP).exists()


def test_t16_what_only_looks_like_a_secret_is_published(hub: Hub, tmp_path: Path):
    page = card() + b"\nSee https://example.org/home/page and hf_hub_download.\n"
    assert zoo("push", write_package(tmp_path / "made", {"README.md": page}), AMP, *at(hub)).code == 0


def test_t16_link_is_not_published(hub: Hub, package: Path, tmp_path: Path):
    write_files(tmp_path, {"secret": files()["audio/di.flac"]})
    (package / "audio/di.flac").unlink()
    (package / "audio/di.flac").symlink_to(tmp_path / "secret")
    refused(zoo("push", package, AMP, *at(hub)), 6, "audio/di.flac is a link")
    assert not hub.requests


def test_t17_two_pushes_at_once(pushed: Hub, tmp_path: Path):
    made = write_package(tmp_path / "made", {"presets.json": b"{}"})
    pushed.before("POST", "/commit/", lambda: pushed.put(AMP, {"NOTES.txt": b"somebody was faster"}))
    refused(zoo("push", made, AMP, *at(pushed)), 1, "the amp changed on the hub meanwhile")
    assert pushed.files(AMP) == {**pushed.files(AMP), **files(), "NOTES.txt": b"somebody was faster"}


def test_t18_push_killed_between_upload_and_commit(hub: Hub, package: Path):
    """kill -9 when everything is uploaded: the head has not moved, and the next push uploads nothing again."""
    env = {"HF_TOKEN": hub.token, "HF_ENDPOINT": hub.url}
    with subprocess.Popen([ZOO, "push", package, AMP, *at(hub)], env=around(**env), stderr=subprocess.DEVNULL) as run:
        hub.before("POST", "/commit/", run.kill)
        run.wait(timeout=60)
        assert run.returncode < 0
    hub.repos[AMP].refs["main"] = next(
        iter(hub.repos[AMP].commits)
    )  # its last request may have been answered all the same
    hub.requests.clear()
    assert zoo("push", package, AMP, *at(hub)).code == 0
    assert "PUT" not in {method for method, _ in hub.requests}
    assert {**hub.files(AMP), **there(files())} == hub.files(AMP)


def test_t19_tag_is_not_moved(hub: Hub, package: Path, tmp_path: Path):
    for _ in range(2):  # the second time everything is there already
        assert zoo("push", package, AMP, "--tag", "v1.0", *at(hub)).code == 0
    first = hub.repos[AMP].refs["v1.0"]
    other = write_package(tmp_path / "other", {"presets.json": b"{}"})
    refused(zoo("push", other, AMP, "--tag", "v1.0", *at(hub)), 1, f"has a tag 'v1.0' already, at {first[:12]}")
    assert hub.repos[AMP].refs["main"] == hub.repos[AMP].refs["v1.0"] == first
    assert zoo("push", other, AMP, "--tag", "v1.1", *at(hub)).code == 0
    assert hub.repos[AMP].refs["v1.1"] == hub.repos[AMP].refs["main"] != first


def test_t20_gated_and_private(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    pushed.repos[AMP].gated = True
    refused(zoo(*PULL, *at(pushed)), 4, "the hub refused", f"{pushed.url}/{AMP}", "hf auth login")
    pushed.repos[AMP].private = True
    refused(zoo(*PULL, *at(pushed)), 3, "not found, or private", "hf auth login")
    assert litter() == set()


def test_t21_offline(pushed: Hub, tmp_path: Path):
    env = {"HF_ENDPOINT": pushed.url, "ZOO_HOME": os.environ["ZOO_HOME"], "HF_HUB_OFFLINE": "1"}
    assert zoo("pull", AMP, *at(pushed)).code == zoo("list", *at(pushed)).code == 0
    pushed.requests.clear()
    ran = shell("export", AMP, "amp.nam", "--live", "--zoo", "hub", **env)
    assert ran.code == 0 and "using the copy on your shelf" in ran.err
    assert shell("list", "-q", "--zoo", "hub", **env, ZOO_INDEX_TTL="0").out == f"{AMP}\n"
    refused(shell("pull", "bob/other", "--zoo", "hub", **env), 5, "HF_HUB_OFFLINE")
    assert pushed.requests == []


@pytest.mark.parametrize("how", ["slow", "down"])
def test_t22_hub_that_is_slow_or_down(pushed: Hub, monkeypatch: pytest.MonkeyPatch, how: str):
    assert zoo("list", *at(pushed)).code == 0
    monkeypatch.setattr("zoo.registry.index.DEADLINE_SECONDS", 0.3)
    monkeypatch.setenv("ZOO_INDEX_TTL", "0")
    pushed.send("slow", "/api/models$") if how == "slow" else pushed.close()
    began = time.monotonic()
    for words in (("-q",), ("-q", "--refresh")):
        ran = zoo("list", *words, *at(pushed))
        assert (ran.code, ran.out) == (0, f"{AMP}\n") and re.search("warning: .*this list is", ran.err)
    assert time.monotonic() - began < 2.5  # the hub would keep us for far longer
    monkeypatch.setenv("ZOO_HOME", "elsewhere")
    refused(zoo("list", *at(pushed)), 5, "the hub cannot be reached")


@pytest.mark.parametrize("free", [1000, 100_000])
def test_t23_full_disk(pushed: Hub, free: int):
    write_package(Path("amp"), {"presets.json": b"{}"})
    before = read_files(Path("amp"))
    with full_disk(free):
        refused(zoo(*PULL, *at(pushed)), 1)
    assert read_files(Path("amp")) == before and litter() == {"amp"}


def test_t23_two_pulls_at_once(pushed: Hub):
    env = around(HF_ENDPOINT=pushed.url, ZOO_HOME=os.environ["ZOO_HOME"])
    command = [
        sys.executable,
        "-c",
        "from zoo.cli.main import main; main()",
        "pull",
        AMP,
        "--zoo",
        "hub",
        "--to",
        "amp",
    ]
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    assert pulled("amp") == files() and litter() == {"amp"}


def test_t23_pull_that_is_killed(pushed: Hub):
    env = around(HF_ENDPOINT=pushed.url)
    with subprocess.Popen([ZOO, *PULL, "--zoo", "hub"], env=env, stderr=subprocess.DEVNULL) as run:
        pushed.before("GET", "/cdn/", run.kill)
        run.wait(timeout=60)
        assert run.returncode < 0
    [left] = litter()
    assert left.startswith(".staged-")  # nothing under its name, nothing half visible
    os.utime(left, (0, 0))
    assert zoo(*PULL, *at(pushed)).code == 0 and pulled("amp") == files()
    assert litter() == {"amp"}  # the next pull sweeps up


@pytest.mark.parametrize("front", ["license: my-own", "license: other", "license: [mit]", "# none"])
def test_t25_license_must_be_stated(hub: Hub, package: Path, front: str):
    text = files()["README.md"].replace(b"license: cc-by-4.0", front.encode())
    refused(zoo("push", write_files(package, {"README.md": text}), AMP, *at(hub)), 1, "licen")
    assert not hub.requests
    named = text.replace(front.encode(), b"license: other\nlicense_name: mine\nlicense_link: https://example.org/terms")
    assert zoo("push", write_files(package, {"README.md": named}), AMP, *at(hub)).code == 0
    assert "other" in zoo("show", AMP, *at(hub)).out


@pytest.mark.parametrize("place", ["hub", "shelf"])
def test_t25_license_can_be_required(pushed: Hub, tmp_path: Path, place: str):
    where = at(pushed) if place == "hub" else ()
    write_package(tmp_path / "home" / AMP)
    asked = ("--require-license", "mit", "--require-license", "cc0-1.0")
    refused(zoo(*PULL, *where, *asked), 1, "the license of alice/tiny is cc-by-4.0, not mit or cc0-1.0")
    assert litter() == set() and not [path for _, path in pushed.requests if "/resolve/" in path]
    assert zoo(*PULL, *where, *asked, "--require-license", "CC-BY-4.0").code == 0
