"""The front matter of a card is plain data: no few bytes of it stand for millions of values."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.hub_server import Hub
from tests.support.packages import AMP, PULL, at, files, litter, refused, write_package, zoo
from zoo.package.card import merge_cards
from zoo.package.front_matter import MAX_NODES, join_card, parse_card, text_of

LETTERS = "abcdefghij"
MERGES = "\n".join(
    [
        "a: &a {k: v}",
        *(f"{y}: &{y} {{<<: [{', '.join([f'*{x}'] * 9)}]}}" for x, y in pairwise(LETTERS)),
    ]
)
ALIASES = "\n".join(["a: &a [x]", *(f"{y}: &{y} [{', '.join([f'*{x}'] * 9)}]" for x, y in pairwise(LETTERS))])
REFUSED = {
    "merge keys": (MERGES, "merge key"),
    "a merge key without an alias": ("<<: {a: 1}", "merge key"),
    "aliases": (f"{ALIASES}\nlicense: *j", "alias"),
    "one alias": ("a: &a x\nlicense: *a", "alias"),
    "many values": (f"a: [{','.join('1' for _ in range(MAX_NODES))}]", f"more than {MAX_NODES:,} values"),
    "deep lists": (f"a: {'[' * 60}{']' * 60}", "nested more than 32 deep"),
    "deeper lists": (f"a: {'[' * 20000}", "nested more than 32 deep"),
    "a number of 5,000 digits": (f"license: {'9' * 5000}", "a number of more than 64 digits"),
    "a number in base 60": (f"license: 1{':59' * 5000}", "a number of more than 64 digits"),
    "a day that is none": ("a: 2026-13-45", "a date, a number or a name that does not exist"),
    "bytes": ("a: !!binary aGk=", "a value of the kind"),
    "a set": ("a: !!set {x}", "a value of the kind"),
    "an object": ("a: !!python/object:os.system {}", "a value of the kind"),
    "a list as a name": ("? [a]\n: b", "a name that does not exist"),
    "half a list": ("a: [1", "not YAML at line 2"),
    "a tab": ("a: 1\n\tb: 2", "not YAML at line 3"),
    "a control character": ("a: \x07", "a character that YAML does not allow"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_plain_is_refused(what: str):
    front, words = REFUSED[what]
    with pytest.raises(ValueError, match=words):
        parse_card(f"---\n{front}\n---\npage")


@pytest.mark.parametrize("what", REFUSED)
def test_no_list_stumbles_over_it(tmp_path: Path, what: str):
    shelf = tmp_path / "shelf"
    write_package(shelf / AMP)
    hostile = write_package(shelf / "eve" / "amp")
    (hostile / "README.md").write_text(f"---\n{REFUSED[what][0]}\n---\npage", encoding="utf-8")
    ran = zoo("list", "-q", "--zoo", shelf)
    assert (ran.code, ran.out) == (0, f"{AMP}\n") and "eve/amp" in ran.err
    refused(zoo("show", "eve/amp", "--zoo", shelf), 1, "README.md cannot be read")
    refused(zoo("pull", "eve/amp", "--zoo", shelf, "--to", tmp_path / "to"), 6, "README.md cannot be read")


@pytest.mark.parametrize("what", ["a merge key without an alias", "one alias"])
def test_it_is_not_pulled_from_a_hub(pushed: Hub, what: str):
    pushed.repos[AMP].at("main").files["README.md"] = f"---\n{REFUSED[what][0]}\n---\npage".encode()
    refused(zoo(*PULL, *at(pushed)), 6, "its front matter has a")
    assert not litter()


@pytest.mark.parametrize("value", ["[mit]", "{a: b}", "17", "2026-01-01", "null", "''", "true"])
def test_a_license_that_is_no_text_is_none(tmp_path: Path, value: str):
    """Everywhere alike: list, show and pull say that none is stated, a push refuses it."""
    shelf, text = tmp_path / "shelf", files()["README.md"].replace(b"license: cc-by-4.0", f"license: {value}".encode())
    package = write_package(shelf / AMP, {"README.md": text})
    assert json.loads(zoo("list", "--json", "--zoo", shelf).out)["amps"][0]["license"] == "-"
    assert json.loads(zoo("show", AMP, "--json", "--zoo", shelf).out)["license"] == "-"
    assert "license\t-\n" in zoo("show", AMP, "--zoo", shelf).out
    assert "license: not stated" in zoo("pull", AMP, "--zoo", shelf, "--to", tmp_path / "to").err
    refused(zoo("push", package, AMP, "--zoo", tmp_path / "other"), 1, "is not a license identifier")


def test_what_is_plain_is_read_and_written():
    front = {"license": "mit", "n": 1.5, "tags": ["a", "b"], "own": {"deep": [None, True]}}
    assert parse_card(join_card(front, "page")) == (front, "\npage")
    assert text_of(front, "license") == "mit" and text_of({"license": "x" * 100}, "license") == "x" * 61 + "..."
    assert parse_card("\ufeff---\r\na: 1\r\n---\r\npage") == ({"a": 1}, "page")


def test_a_merged_card_has_no_alias():
    """A list that stands at two places is written twice, so that it can be read again."""
    shared = ["guitar"]
    text = join_card({"tags": shared, "more": shared}, "page")
    assert "&" not in text and parse_card(text)[0] == {"tags": shared, "more": shared}


def test_a_hostile_published_card_gives_way(tmp_path: Path):
    ours = files()["README.md"].decode()
    assert merge_cards(ours, f"---\n{ALIASES}\n---\npage") == ours
