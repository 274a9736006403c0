"""What a hub says reaches the person, failed pushes leave nothing behind, and what is missing is explained."""

import json
from pathlib import Path

import pytest

from tests.support.hub_server import Hub
from tests.support.packages import AMP, at, card, files, refused, terminal, write_package, zoo
from zoo.registry.lockfile import read_lock

NEW = "alice/new"


def test_an_amp_is_listed_right_after_its_push(hub: Hub, package: Path):
    assert "no such amps" in zoo("list", *at(hub)).err
    owner = ("--zoo", f"{hub.url}/alice")
    zoo("list", *owner)
    assert zoo("push", package, AMP, *at(hub)).code == 0
    assert zoo("list", "-q", *at(hub)).out == f"{AMP}\n"
    assert zoo("list", "-q", *owner).out == f"{AMP}\n"


@pytest.mark.parametrize(
    ("status", "code", "again"), [(400, 1, False), (403, 4, False), (413, 1, False), (500, 5, True)]
)
def test_every_word_of_a_refusal_is_shown(
    hub: Hub, package: Path, status: int, code: int, again: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.fail("POST", "/commit/", [status] * 9, message="LFS pointer pointed to a file that does not exist")
    ran = zoo("push", package, NEW, *at(hub))
    refused(ran, code, "LFS pointer pointed to a file that does not exist")
    assert "mozilla.org" not in ran.err
    assert ("Try again later" in ran.err) == again


@pytest.mark.parametrize("removable", [True, False])
def test_a_failed_first_push_leaves_no_empty_repository(hub: Hub, package: Path, removable: bool):
    hub.fail("POST", "/commit/", [400], message="bad pointer")
    if not removable:
        hub.fail("DELETE", "/api/repos/delete", [403], message="tokens of this kind delete nothing")
    ran = zoo("push", package, NEW, *at(hub))
    refused(ran, 1, "bad pointer")
    assert (NEW in hub.repos) == (not removable)
    assert (f"'{NEW}' stays on the hub, empty" in ran.err) == (not removable)


def test_a_failed_push_keeps_what_is_there(pushed: Hub, tmp_path: Path):
    before = pushed.files(AMP)
    changed = write_package(tmp_path / "changed", {"LICENSE": b"mine\n"})
    pushed.fail("POST", "/commit/", [400], message="bad pointer")
    refused(zoo("push", changed, AMP, *at(pushed)), 1, "bad pointer")
    assert pushed.files(AMP) == before


def test_a_worse_revision_is_told_at_the_push(hub: Hub, package: Path, tmp_path: Path):
    better = write_package(tmp_path / "better", {"README.md": card(esr="0.05")})
    zoo("push", better, AMP, *at(hub))
    ran = zoo("push", package, AMP, *at(hub))
    assert f"worse than the one on {hub.url}: mean held ESR 0.1875, there 0.0500" in ran.err
    assert "worse" not in zoo("push", better, AMP, *at(hub)).err


def test_a_list_without_a_match_says_what_there_is(pushed: Hub):
    assert f"1 amp on {pushed.url}, none with a knob 'drive'; there are gain, tone" in (
        zoo("list", "--knob", "drive", *at(pushed)).err
    )
    assert "none of kind 'pedal'; there are amp" in zoo("list", "--kind", "pedal", *at(pushed)).err
    assert "none within 5 MACs; the smallest has 177" in zoo("list", "--max-macs", 5, *at(pushed)).err
    assert "none that fulfills all conditions" in zoo("list", "nothing", *at(pushed)).err
    ran = zoo("list", "--kind", "foo", *at(pushed))
    assert ran.code == 2
    assert "pedal_amp" in ran.err


def test_an_amp_that_is_not_here_is_offered(pushed: Hub, tmp_path: Path):
    home = str(tmp_path / "other-home")
    zoo("list", *at(pushed))
    ran = zoo("render", AMP, "in.wav", "out.wav")
    refused(ran, 3, f"zoo pull {AMP} --zoo {pushed.url}")
    code, screen = terminal("show", AMP, HF_ENDPOINT=pushed.url, ZOO_HOME=home, answer="n\n", columns=200)
    assert code == 130
    assert f"{AMP} is not on your shelf; it would be pulled from the hub. Continue?" in screen
    code, screen = terminal("show", AMP, HF_ENDPOINT=pushed.url, ZOO_HOME=home, answer="y\n", columns=200)
    assert code == 0
    assert "mean 0.1875" in screen
    assert (tmp_path / "other-home" / AMP / "manifest.json").read_bytes() == files()["manifest.json"]


@pytest.mark.parametrize("command", [("knobs",), ("play", "--no-browser"), ("page", "--out", "site"), ("score",)])
def test_other_commands_offer_it_too(hub: Hub, command: tuple[str, ...], tmp_path: Path):
    verb, *options = command
    words = (verb, AMP, *options, *(["takes.json"] if verb == "score" else []))
    code, screen = terminal(*words, HF_ENDPOINT=hub.url, ZOO_HOME=str(tmp_path / "home"), answer="n\n", columns=200)
    assert code == 130
    assert f"{AMP} is not on your shelf; it would be pulled from the hub. Continue?" in screen


def test_a_faulty_model_is_told_at_the_push(hub: Hub, package: Path, tmp_path: Path):
    assert "warning" not in zoo("push", package, AMP, *at(hub)).err
    scores = json.loads(files()["eval.json"])
    scores["corners"]["silence_dbfs"] = -45.0
    scores["knob_moves_dbfs"]["10"] = -9.0
    bad = write_package(tmp_path / "bad", {"eval.json": json.dumps(scores).encode()})
    ran = zoo("push", bad, "alice/bad", *at(hub), "--dry-run")
    assert "warning: when nothing is played, a constant of -45 dBFS comes out" in ran.err
    assert "warning: a knob that turns from end to end within 10 ms adds -9 dBFS" in ran.err


def test_search_of_a_word_is_understood(tmp_path: Path):
    refused(zoo("search", "crunch"), 3, "zoo search trains models", "zoo list crunch")
    refused(zoo("search", "crunch.json"), 3, "crunch.json does not exist")
    refused(zoo("check", "takes.json"), 3, "takes.json does not exist")


def test_a_revision_has_one_name_on_shelf_and_hub(pushed: Hub):
    commit = pushed.repos[AMP].refs["main"]
    assert zoo("pull", AMP, *at(pushed)).code == 0
    for words in (("list", *at(pushed)), ("list",), ("show", AMP)):
        assert commit[:12] in zoo(*words).out, words
    shown = zoo("show", AMP).out
    assert f"from {pushed.url}" in shown
    assert zoo("show", f"{AMP}@{commit[:8]}").code == 0
    assert zoo("diff", AMP, AMP).err == "no difference\n"


def test_newer_revisions_are_found_and_taken_over(pushed: Hub):
    assert zoo("pull", AMP, "--lock", *at(pushed)).code == 0
    assert zoo("outdated").err == "no amp that was pulled from a hub is newer there\n"
    old = pushed.repos[AMP].refs["main"]
    new = pushed.put(AMP, {"README.md": card(esr="0.05")})
    rows = [line.split("\t") for line in zoo("outdated").out.splitlines()]
    assert [row[1:4] for row in rows[1:]] == [[old[:12], new[:12], "zoo.lock"], [old[:12], new[:12], "shelf"]]
    assert zoo("lock").out.splitlines()[1].split("\t")[:3] == [AMP, "newest", old[:12]]
    assert zoo("lock", "--upgrade").out.splitlines()[1].split("\t")[2] == new[:12]
    assert zoo("outdated").out == ""
    assert read_lock().amps[AMP].commit == new
    refused(zoo("lock", "bob/other"), 3, "does not pin 'bob/other'")
