"""Lists of amps: one request per page, the stored index, filters, orders, owners, collections, completion."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from models.core.errors import UserError
from tests.support.hub_server import Hub
from tests.support.makers import examples
from tests.support.packages import AMP, at, bent, files, refused, shell, write_package, zoo
from zoo.names import Address, parse_address
from zoo.package.card import merge_cards, parse_card
from zoo.package.card_schema import AmpSummary, CardBlock, read_summary
from zoo.registry.index import Index, format_age, index_path, read_index, require_index

HEAVY = ("torch", "ray", "optuna", "huggingface_hub", "numpy", "scipy", "matplotlib", "soundfile", "rich", "httpx2")


def amp_card(change: Callable[[dict[str, Any]], object], license_id: str = "cc-by-4.0") -> dict[str, bytes]:
    """A card whose block was changed."""
    front, page = parse_card(files()["README.md"].decode())
    change(front["ampzoo"])
    front["license"] = license_id
    return {"README.md": f"---\n{yaml.safe_dump(front)}---\n{page}".encode()}


@pytest.fixture
def many(hub: Hub) -> Hub:
    """Four amps of two owners."""
    amps: dict[str, tuple[Callable[[dict[str, Any]], object], str, int]] = {
        "alice/plexi": (
            lambda b: b.update(kind="amp", tone=["crunch"], esr=0.02, macs_per_sample=9000),
            "cc-by-4.0",
            5,
        ),
        "alice/twin": (lambda b: b.update(kind="amp_cab", tone=["clean"], esr=0.01, macs_per_sample=800), "mit", 50),
        "bob/muff": (lambda b: b.update(kind="pedal", tone=["fuzz"], knobs=[{"name": "sustain"}]), "cc0-1.0", 0),
        "bob/rat": (lambda b: b.update(kind="pedal", tone=["fuzz", "crunch"], esr=0.5), "cc-by-4.0", 7),
    }
    for name, (change, license_id, downloads) in amps.items():
        hub.put(name, amp_card(change, license_id))
        hub.repos[name].downloads = downloads
    hub.collections["carol/my-pedals-1a2b"] = ["bob/muff", "bob/rat", "eve/gone"]
    return hub


def names(hub: Hub, *words: str) -> list[str]:
    ran = zoo("list", "-q", *words, *at(hub))
    assert ran.code == 0, ran.err
    return [name.split("/")[1] for name in ran.out.split()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["plexi", "twin", "muff", "rat"]),
        (("crunch",), ["plexi", "rat"]),
        (("BOB crunch",), ["rat"]),
        (("--knob", "sustain"), ["muff"]),
        (("--knob", "gain", "--knob", "tone"), ["plexi", "twin", "rat"]),
        (("--kind", "pedal"), ["muff", "rat"]),
        (("--tone", "fuzz", "--license", "CC0-1.0"), ["muff"]),
        (("--max-macs", "800"), ["twin", "muff", "rat"]),
        (("--max-cost", "800"), ["twin", "muff", "rat"]),  # its name until 0.2
        (("--sort", "esr"), ["twin", "plexi", "muff", "rat"]),
        (("--sort", "macs"), ["muff", "rat", "twin", "plexi"]),
        (("--sort", "cost"), ["muff", "rat", "twin", "plexi"]),  # its name until 0.2
        (("--sort", "downloads"), ["twin", "rat", "plexi", "muff"]),
        (("--sort", "updated"), ["rat", "muff", "twin", "plexi"]),
        (("nothing",), []),
    ],
)
def test_filters_and_orders(many: Hub, words: tuple[str, ...], found: list[str]):
    assert names(many, *words) == found


def test_one_request_for_each_page(many: Hub):
    many.max_page = 3
    assert len(names(many)) == 4
    assert many.requests == [("GET", "/api/models")] * 2


@pytest.mark.parametrize("form", ["hub:bob", "{url}/bob", "{url}/bob/"])
def test_owner_is_a_zoo(many: Hub, monkeypatch: pytest.MonkeyPatch, form: str):
    monkeypatch.setenv("HF_ENDPOINT", many.url)
    where = ("--zoo", form.format(url=many.url))
    assert zoo("list", "-q", *where).out.split() == ["bob/muff", "bob/rat"] and len(many.requests) == 1
    refused(zoo("pull", "alice/plexi", *where), 3, "no amp 'alice/plexi' at", "bob/...")
    assert zoo("list", "-q", *at(many)).out.count("\n") == 4  # it has a list of its own


@pytest.mark.parametrize("form", ["hub:carol/my-pedals-1a2b", "{url}/collections/carol/my-pedals-1a2b"])
def test_collection_is_a_zoo(many: Hub, monkeypatch: pytest.MonkeyPatch, form: str):
    monkeypatch.setenv("HF_ENDPOINT", many.url)
    many.put("bob/muff", {**files(), **amp_card(lambda block: None)})
    where = ("--zoo", form.format(url=many.url))
    assert zoo("list", "-q", *where).out.split() == ["bob/muff", "bob/rat"] and len(many.requests) == 2
    assert zoo("pull", "bob/muff", *where).code == 0
    refused(zoo("pull", "alice/plexi", *where), 3, "no amp 'alice/plexi' at")
    refused(zoo("list", "--zoo", f"{many.url}/collections/carol/none"), 3, "not found")


@pytest.mark.parametrize(
    "where",
    ["hub:../x", "hub:a/b/c", "http://hub.example/a/b/c", "hub:", "hub:a b", "http://[", "ftp://hub", "s3://bucket/x"]
    + [
        f"http://{host}"
        for host in ("a..b", "a" * 64, "ho st", "x\0y", "\u202e", "\u2177.com", "é" * 64, "-a", "a/\u0660")
    ],
)
def test_malformed_address_of_a_hub_is_an_error(where: str):
    refused(zoo("list", "--zoo", where), 1, "is not the address of a hub")


def test_fresh_list_needs_no_request(many: Hub, monkeypatch: pytest.MonkeyPatch):
    refused(zoo("list", "--cached", *at(many)), 3, f"no list of {many.url} is cached")
    assert many.requests == []
    assert len(names(many)) == 4
    many.requests.clear()
    for words in ((), ("--cached",), ("--json",), ("--cached", "--json", "--sort", "esr")):
        assert zoo("list", *words, *at(many)).code == 0
    assert many.requests == []
    document = json.loads(zoo("list", "--json", *at(many)).out)
    assert document["age_seconds"] is not None and document["zoo"] == many.url
    many.put("bob/new", amp_card(lambda block: None))
    assert "new" not in names(many) and "new" in names(many, "--refresh")


def test_stale_list_is_shown_while_a_new_one_is_fetched(many: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_INDEX_TTL", "0")
    names(many)
    many.put("bob/new", amp_card(lambda block: None))
    many.requests.clear()
    assert "new" not in names(many)  # the stored list
    assert many.requests == [("GET", "/api/models")]
    assert "new" in names(many)  # the list fetched meanwhile


def test_stale_list_is_complete_before_the_hub_answers(many: Hub, tmp_path: Path):
    """A reader in a pipe has the whole stale list, and its end, while the hub still thinks."""
    names(many)
    many.send("slow", "/api/models$")
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "list", "-q", *at(many)]
    env = {"ZOO_HOME": str(tmp_path / "home"), "ZOO_INDEX_TTL": "0", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as run:
        assert run.stdout is not None
        assert len(run.stdout.read().split()) == 4
        assert run.poll() is None  # it still waits for the hub
        run.kill()


def test_age_of_a_list_is_shown(many: Hub):
    names(many)
    path = index_path(many.url)
    document = json.loads(path.read_text())
    document["fetched"] -= 500
    path.write_text(json.dumps(document))
    assert f"(this list is 8 minutes old; --refresh gets a new one from {many.url})" in zoo("list", *at(many)).err
    assert [format_age(age) for age in (3, 61, 4000, 90000, 200000)] == ["3 s", "1 minute", "1 hour", "1 day", "2 days"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": "zoo.index/9"}', b"\xff", b'{"zoo": 3}'])
def test_damaged_index_is_fetched_again(many: Hub, content: bytes):
    names(many)
    index_path(many.url).write_bytes(content)
    assert read_index(many.url) is None and len(names(many)) == 4 and require_index(many.url).amps


def test_shelf_has_the_same_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    write_package(tmp_path / AMP)
    write_package(
        tmp_path / "bob/muff", amp_card(lambda block: block.update(kind="pedal", knobs=[{"name": "sustain"}]))
    )
    assert zoo("list", "-q", "--knob", "sustain").out == "bob/muff\n"
    assert zoo("list", "-q", "--kind", "amp", "--sort", "updated").out == f"{AMP}\n"
    ran = zoo("list", "--cached")
    assert ran.code == 0 and AMP in ran.out


def modules_after(code: str, tmp_path: Path, **env: str) -> set[str]:
    script = f"""
import sys
sys.argv = ["zoo", *{code}]
from zoo.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True,
        env={"PYTHONPATH": ":".join(sys.path), "ZOO_HOME": str(tmp_path / "home"), **env},
    )  # fmt: skip
    assert run.stdout
    return set(run.stderr.splitlines()[-1].split())


def test_list_and_help_import_nothing_heavy(many: Hub, tmp_path: Path):
    names(many)
    write_package(tmp_path / "home" / AMP)
    for words in (
        ["--help"],
        ["list", "--help"],
        ["list", "--cached", *at(many)],
        ["list", *at(many)],
        ["list"],
        ["knobs", AMP],
    ):
        assert modules_after(repr(words), tmp_path) == set(), words
    completing = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo show al", "COMP_CWORD": "2"}
    assert modules_after("[]", tmp_path, **completing) == set()


def complete(words: str, **env: str) -> list[str]:
    ran = shell(_ZOO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1), **env)
    return [line.split(",", 1)[1] for line in ran.out.splitlines()]


def test_names_complete_without_a_network(many: Hub, tmp_path: Path):
    names(many)
    write_package(tmp_path / "home" / AMP)
    many.close()
    assert complete("zoo show al") == ["alice/plexi", "alice/tiny", "alice/twin"]
    assert complete(f"zoo pull --zoo {many.url} bob/") == ["bob/muff", "bob/rat"]
    assert complete("zoo rend") == ["render"]


def test_misspelt_command_gets_a_suggestion():
    ran = zoo("lst")
    assert ran.code == 2 and "Did you mean 'list'?" in ran.err
    assert "Did you mean" not in zoo("frobnicate").err


@examples(60)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_cards_merge_or_are_refused(ours: str, theirs: str):
    sound = files()["README.md"].decode()
    for one, other in ((sound, theirs), (sound, f"---\n{theirs}\n---\n{ours}"), (sound, sound + theirs)):
        merged = merge_cards(one, other)
        front, _ = parse_card(merged)
        assert front["license"] == "cc-by-4.0" and read_summary(AMP, "", front).amp.knobs


@examples(200)
@given(st.data())
def test_any_index_is_read_or_not(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    block = json.loads(json.dumps(parse_card(files()["README.md"].decode())[0]["ampzoo"]))
    row = AmpSummary(name=AMP, revision="", license="mit", amp=CardBlock.model_validate(block))
    sound = json.loads(Index(zoo="hub", fetched=0.0, amps=(row,)).model_dump_json(by_alias=True))
    path = index_path("hub")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bent(data.draw, sound)))
    index = read_index("hub")
    assert index is None or index.age_seconds >= 0
    path.unlink()


@examples(300)
@given(
    st.text(max_size=40)
    | st.builds("hub:{}".format, st.text(max_size=20))
    | st.builds("http://{}".format, st.text(max_size=20))
)
@example("http://[")
@example("https://hub.example:port")
def test_any_address_is_a_folder_a_hub_or_refused(text: str):
    try:
        found = parse_address(text)
    except UserError:
        return
    assert isinstance(found, Path | Address)
    if isinstance(found, Address):
        assert "/.." not in found.label and " " not in found.owner + found.collection


def test_a_list_goes_on_where_it_stopped(many: Hub, monkeypatch: pytest.MonkeyPatch):
    """The second page never comes in time: the first is shown and kept, and the next list asks for the second alone."""
    monkeypatch.setattr("zoo.registry.index.DEADLINE_SECONDS", 1.0)
    many.max_page = 3
    many.before(
        "GET", "/api/models$", lambda: many.before("GET", "/api/models$", lambda: many.send("slow", "/api/models$", 1))
    )
    ran = zoo("list", "-q", *at(many))
    assert (ran.code, len(ran.out.split())) == (0, 3)
    assert "the list is not whole" in ran.err
    assert "did not answer within 1 s" in ran.err
    index = require_index(many.url)
    assert index.following
    assert len(index.amps) == 3
    many.requests.clear()
    ran = zoo("list", "-q", *at(many))
    assert (ran.code, len(ran.out.split()), ran.err) == (0, 4, "")
    assert many.requests == [("GET", "/api/models")]
    assert not require_index(many.url).following


def test_a_slow_line_is_waited_for_as_long_as_bytes_come(many: Hub, monkeypatch: pytest.MonkeyPatch):
    """Each page takes more than twice the deadline, but never so long without a byte."""
    monkeypatch.setattr("zoo.registry.index.DEADLINE_SECONDS", 1.0)
    many.max_page = 2
    many.send("drip", "/api/models$")
    ran = zoo("list", "-q", *at(many))
    assert (ran.code, len(ran.out.split()), ran.err) == (0, 4, "")
    assert not require_index(many.url).following
