"""A hub that fails: cut connections, server errors, limits, races. Requests are retried; nothing partial is left."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.hub_server import Hub
from tests.support.hub_store import Reply
from tests.support.packages import (
    AMP,
    PULL,
    ZOO,
    around,
    at,
    card,
    files,
    flip,
    litter,
    pulled,
    refused,
    shell,
    there,
    write_files,
    write_package,
    zoo,
)
from zoo.package.card import BEGIN, END


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which was waited for."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def uploads(hub: Hub) -> int:
    return [method for method, _ in hub.requests].count("PUT")


@pytest.mark.parametrize("path", ["/cdn/", "/resolve/.*config", "/api/models/"])
def test_connection_cut_twice_is_retried(pushed: Hub, waits: list[float], path: str):
    pushed.send("cut", path, times=2)
    assert zoo(*PULL, *at(pushed)).code == 0 and pulled("amp") == files()
    assert len(waits) == 2


@pytest.mark.parametrize("path", ["/cdn/", "/resolve/.*config", "/api/models/"])
def test_connection_always_cut_ends_with_a_message(pushed: Hub, waits: list[float], path: str):
    pushed.send("cut", path)
    refused(zoo(*PULL, *at(pushed)), 5, "the hub cannot be reached")
    assert litter() == set() and sum(waits) < 10


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("path", ["/cdn/", "/resolve/.*config", "/api/models/", "/api/models$"])
def test_hub_that_fails_twice_is_retried(pushed: Hub, waits: list[float], status: int, path: str):
    pushed.fail("GET", path, [status] * 2)
    assert (
        zoo("list" if path.endswith("$") else "pull", *([] if path.endswith("$") else PULL[1:]), *at(pushed)).code == 0
    )
    assert waits == [0, 0]  # as long as the hub asks


@pytest.mark.parametrize(("body", "code"), [(b"<html>log in</html>", 5), (b"", 5), (b"3", 0), (b'[3, {"id": 3}]', 0)])
def test_server_that_is_not_a_hub_is_reported(pushed: Hub, monkeypatch: pytest.MonkeyPatch, body: bytes, code: int):
    monkeypatch.setattr(pushed, "_list_page", lambda request: Reply(200, body))
    ran = zoo("list", *at(pushed))
    assert (ran.code, ran.out) == (code, "")
    assert ("does not answer as a hub does" in ran.err) == (code == 5)


@pytest.mark.parametrize("status", [400, 403, 404, 501])
def test_refusal_is_not_retried(pushed: Hub, waits: list[float], status: int):
    pushed.fail("GET", "/api/models/", [status] * 9)
    assert zoo(*PULL, *at(pushed)).code == {400: 1, 403: 4, 404: 3, 501: 5}[status]
    assert len(pushed.requests) == 1 and waits == []


@pytest.mark.parametrize(
    "faults", [("PUT", "/lfs/"), ("POST", "/preupload/"), ("POST", "/batch"), ("POST", "/commit/")]
)
def test_push_is_retried(hub: Hub, package: Path, waits: list[float], faults: tuple[str, str]):
    hub.fail(*faults, [500, 503])
    ran = zoo("push", package, AMP, *at(hub))
    assert ran.code == 0, ran.err
    assert hub.files(AMP) == {**hub.files(AMP), **there(files())} and len(hub.repos[AMP].commits) == 2
    assert uploads(hub) == 5 + 2 * (faults[0] == "PUT")  # weights and four clips; what had arrived is not sent again


def test_commit_made_despite_an_error_is_not_repeated(hub: Hub, package: Path, waits: list[float]):
    hub.fail("POST", "/commit/", [500], after=True)
    ran = zoo("push", package, AMP, "--tag", "v1.0", *at(hub))
    assert ran.code == 0 and len(hub.repos[AMP].commits) == 2
    assert hub.repos[AMP].refs["v1.0"] == hub.repos[AMP].refs["main"]


def test_commit_of_somebody_else_is_not_overwritten(pushed: Hub, tmp_path: Path, waits: list[float]):
    made = write_package(tmp_path / "made", {"presets.json": b"{}"})
    pushed.before("POST", "/commit/", lambda: pushed.put(AMP, {"NOTES.txt": b"theirs"}))
    pushed.fail("POST", "/commit/", [500])
    assert zoo("push", made, AMP, *at(pushed)).code != 0
    assert pushed.files(AMP)["presets.json"] == files()["presets.json"] and "NOTES.txt" in pushed.files(AMP)


def test_hub_that_stores_other_bytes_is_detected(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch):
    commit = hub._commit

    def spoil(repo, content, title):  # type: ignore[no-untyped-def]
        if "config.json" in content:
            content = {**content, "config.json": flip(content["config.json"])}
        return commit(repo, content, title)

    monkeypatch.setattr(hub, "_commit", spoil)
    refused(zoo("push", package, AMP, *at(hub)), 6, "config.json is not on the hub as it was sent")


def test_interrupted_pull_is_quiet_and_leaves_nothing(pushed: Hub):
    with subprocess.Popen(
        [ZOO, *PULL, "--zoo", "hub"], env=around(HF_ENDPOINT=pushed.url), stderr=subprocess.PIPE, text=True
    ) as run:
        pushed.before("GET", "/cdn/", lambda: run.send_signal(signal.SIGINT))
        _, err = run.communicate(timeout=60)
    assert (run.returncode, err.strip()) == (130, "interrupted") and litter() == set()


def test_second_pull_makes_one_request(pushed: Hub):
    zoo(*PULL, *at(pushed))
    pushed.requests.clear()
    ran = zoo(*PULL, *at(pushed))
    assert ran.code == 0 and " 0 bytes moved" in ran.err and pushed.requests == [("GET", f"/api/models/{AMP}")]
    (Path("amp") / "config.json").unlink()
    assert zoo(*PULL, *at(pushed)).code == 0 and pulled("amp") == files()
    assert [path for _, path in pushed.requests if path.endswith("config.json")] and len(pushed.requests) == 3


def requests_of(hub: Hub, *words: object) -> int:
    hub.requests.clear()
    ran = zoo(*words, *at(hub))
    assert ran.code == 0, ran.err
    return len(hub.requests)


def test_requests_of_every_command(hub: Hub, package: Path, tmp_path: Path):
    small = sum(not name.endswith((".flac", ".safetensors")) for name in files())
    large = len(files()) - small
    changed = write_files(tmp_path / "changed", {**files(), "README.md": card(license="mit")})
    counted = {
        "first push": requests_of(hub, "push", package, AMP),
        "second push": requests_of(hub, "push", package, AMP),
        "push with a tag": requests_of(hub, "push", package, AMP, "--tag", "v1"),
        "push of another card": requests_of(hub, "push", changed, AMP),
        "dry push": requests_of(hub, "push", package, AMP, "--dry-run"),
        "list": requests_of(hub, "list"),
        "list again": requests_of(hub, "list"),
        "cached list": requests_of(hub, "list", "--cached"),
        "knobs": requests_of(hub, "knobs", AMP),
        "show": requests_of(hub, "show", AMP),
        "diff": requests_of(hub, "diff", AMP, f"{AMP}@v1"),
        "dry pull": requests_of(hub, "pull", AMP, "--dry-run"),
        "pull": requests_of(hub, "pull", AMP),
        "second pull": requests_of(hub, "pull", AMP),
        "verify": requests_of(hub, "verify", AMP),
    }
    assert counted == {
        # look, create, look at the new head, .gitattributes; validate, preupload, batch, PUT, verify, commit; read back
        "first push": 4 + 3 + 2 * large + 1 + 1,
        "second push": 1,
        "push with a tag": 1 + 1 + 1,  # look, refs, tag
        "push of another card": 1 + 2 + 3 + 1,  # look, their card and .gitattributes; then as above
        "dry push": 1 + 2,
        "list": 1,
        "list again": 0,
        "cached list": 0,
        "knobs": 1 + 1,
        "show": 1 + 2,
        "diff": 2 * (1 + 3),
        "dry pull": 1,
        "pull": 1 + small + 2 * large,  # a large file is a redirect to another host
        "second pull": 1,
        "verify": 1,
    }


def test_text_of_the_owner_survives_a_push(hub: Hub, package: Path, tmp_path: Path):
    zoo("push", package, AMP, *at(hub))
    text = hub.files(AMP)["README.md"].decode()
    text = text.replace("- guitar\n", "- guitar\n- my-tag\n").replace(
        "---\n\n", "thumbnail: me.png\n---\n\nMy own opening.\n\n", 1
    )
    hub.put(AMP, {"README.md": (text.replace("Listen", "Hear it") + "\nMy own end.\n").encode()})
    other = write_package(tmp_path / "other", {"README.md": card(license="mit"), "presets.json": b"{}"})
    assert zoo("push", other, AMP, *at(hub)).code == 0
    page = hub.files(AMP)["README.md"].decode()
    assert "My own opening.\n\n" + BEGIN in page and page.endswith(END + "\n\nMy own end.\n")
    assert "license: mit\n" in page and "- my-tag\n" in page and "thumbnail: me.png\n" in page
    assert "## Listen" in page and "Hear it" not in page  # inside our lines it is written anew
    assert zoo("list", "-q", "--refresh", *at(hub)).out == f"{AMP}\n"
    hub.put(AMP, {"README.md": re.sub(f"{BEGIN}.*{END}", "All mine.", page, flags=re.DOTALL).encode()})
    assert zoo("push", package, AMP, *at(hub)).code == 0
    page = hub.files(AMP)["README.md"].decode()
    assert "All mine." in page and "## Listen" not in page and "license: cc-by-4.0\n" in page


def test_replacing_another_amp_needs_a_confirmation(pushed: Hub, tmp_path: Path):
    other = write_package(tmp_path / "other", {"presets.json": b"{}"})
    text = (other / "manifest.json").read_text().replace('"tiny"', '"plexi"')
    (other / "manifest.json").write_text(text)
    zoo("push", tmp_path / "other", AMP, "--zoo", tmp_path / "shelf")
    for where, name in ((at(pushed), "tiny"), (("--zoo", tmp_path / "shelf"), "plexi")):
        package = other if name == "tiny" else write_package(tmp_path / "package")
        ran = zoo("push", package, AMP, *where)
        refused(ran, 1, f"would replace another amp, '{name}'", "--yes")
        assert zoo("push", package, AMP, *where, "--yes").code == 0


def test_private_push_and_pull_request(hub: Hub, package: Path, tmp_path: Path):
    assert zoo("push", package, AMP, "--private", *at(hub)).code == 0 and hub.repos[AMP].private
    hub.repos[AMP].private = False
    other = write_package(tmp_path / "other", {"presets.json": b"{}"})
    refused(zoo("push", other, AMP, "--private", *at(hub)), 1, "is public already")
    before = hub.files(AMP)
    assert zoo("push", other, AMP, "--pr", *at(hub)).code == 0
    assert hub.files(AMP) == before and hub.files(AMP, "refs/pr/1")["presets.json"] == b"{}"
    refused(zoo("push", other, "alice/new", "--pr", *at(hub)), 1, "there is no 'alice/new'")
    refused(zoo("push", other, AMP, "--pr", "--tag", "v1", *at(hub)), 1, "--pr")


def test_dry_runs_change_nothing(hub: Hub, package: Path):
    ran = zoo("push", package, AMP, "--dry-run", *at(hub))
    assert (ran.code, ran.out) == (0, f"{AMP}\n") and "write   model.safetensors (4,936 bytes)" in ran.err
    assert not hub.repos
    zoo("push", package, AMP, *at(hub))
    ran = zoo("pull", AMP, "--dry-run", *at(hub))
    assert ran.code == 0 and "model.safetensors (4,936 bytes)" in ran.err and f"{len(files())} files" in ran.err
    assert not (Path("../home") / AMP).exists()


def test_transfers_show_no_bar_without_a_terminal(pushed: Hub):
    ran = shell(*PULL, *at(pushed))
    assert (ran.code, ran.out) == (0, "amp\n"), ran.err
    assert ran.err.count("\n") == 2 and "\r" not in ran.err
