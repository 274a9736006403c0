"""A shelf: push, pull and list; an amp is replaced whole or not at all, and no card can break a list."""

import errno
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts.model_config import ModelConfig
from models.core.errors import IntegrityError, NotFound, UserError
from tests.support.makers import KNOBS, RATE, examples
from tests.support.packages import (
    AMP,
    LICENSE,
    bent,
    card,
    files,
    flip,
    full_disk,
    read_files,
    refused,
    write_files,
    write_package,
    zoo,
)
from zoo.names import Ref, parse_ref
from zoo.package.card_schema import read_summary
from zoo.registry.folders import shelf_folder
from zoo.registry.shelf import Shelf

REVISION = sha256(files()["manifest.json"]).hexdigest()
FRONT = yaml.safe_load(files()["README.md"].decode().split("---\n")[1])
OTHER = {"audio/more.flac": files()["audio/di.flac"], "presets.json": b"{}"}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def pushed(shelf: Shelf, tmp_path: Path) -> Shelf:
    assert put(shelf, write_package(tmp_path / "package"), AMP) == REVISION
    return shelf


def put(shelf: Shelf, package: Path, name: str) -> str:
    return shelf.push(shelf.plan(package, name))


def seen(folder: Path) -> set[str]:
    """Everything below a folder, hidden or not."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def listed(shelf: Shelf) -> tuple[list[str], list[str]]:
    """The names that a shelf lists, and its messages about those that it skips."""
    skipped: list[str] = []
    return [row.name for row in shelf.list(skipped.append)], skipped


def test_pull_gives_back_what_was_pushed(pushed: Shelf, tmp_path: Path):
    assert pushed.pull(Ref(AMP), tmp_path / "deep" / "pulled").revision == REVISION
    assert read_files(tmp_path / "deep" / "pulled") == read_files(tmp_path / "package") == files()
    assert seen(tmp_path) >= {"shelf/alice/tiny/audio/di.flac"}
    assert not [name for name in seen(tmp_path) if ".staged" in name]


def test_pull_onto_the_shelf_itself_changes_nothing(pushed: Shelf):
    assert pushed.pull(Ref(AMP), pushed.folder / AMP).revision == REVISION
    assert read_files(pushed.folder / AMP) == files()


def test_push_replaces_whole(shelf: Shelf, tmp_path: Path):
    first = put(shelf, write_package(tmp_path / "other", OTHER), AMP)
    assert put(shelf, write_package(tmp_path / "package"), AMP) == REVISION != first
    assert read_files(shelf.folder) == {f"{AMP}/{name}": data for name, data in files().items()}


def test_list_shows_what_the_cards_state(pushed: Shelf, tmp_path: Path):
    for name in ("bob/b", "bob/a"):
        put(pushed, tmp_path / "package", name)
    rows = pushed.list(pytest.fail)
    assert [row.name for row in rows] == ["alice/tiny", "bob/a", "bob/b"]
    assert {(row.revision, row.license, row.amp.knobs, row.amp.sample_rate) for row in rows} == {
        (REVISION, LICENSE, KNOBS.knobs, RATE)
    }


def test_missing_own_shelf_is_empty(tmp_path: Path):
    assert listed(Shelf(tmp_path / "none")) == ([], [])


def test_what_is_not_an_amp_is_not_listed(pushed: Shelf):
    write_files(pushed.folder, {".hidden/tiny/manifest.json": b"", "alice/.staged-1/manifest.json": b"", "x": b""})
    assert listed(pushed) == ([AMP], [])


def test_revision_is_the_one_there_or_not_found(pushed: Shelf, tmp_path: Path):
    for revision in ("", REVISION, REVISION[:12]):
        assert pushed.find(Ref(AMP, revision)) == pushed.folder / AMP
        assert pushed.document(Ref(AMP, revision), "config.json", ModelConfig) == ModelConfig.model_validate_json(
            files()["config.json"]
        )
    for verb in (
        lambda ref: pushed.pull(ref, tmp_path / "pulled"),
        lambda ref: pushed.document(ref, "config.json", ModelConfig),
    ):
        with pytest.raises(NotFound, match=f"{REVISION[:12]}, not v9"):
            verb(Ref(AMP, "v9"))
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize(("name", "hint"), [("alice/tinny", "Did you mean alice/tiny"), ("x/y", "zoo list")])
def test_unknown_amp_suggests_a_similar_name(pushed: Shelf, tmp_path: Path, name: str, hint: str):
    with pytest.raises(NotFound, match=f"no amp '{name}'") as refusal:
        pushed.pull(Ref(name), tmp_path / "pulled")
    assert hint in refusal.value.hint


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["model.safetensors", "audio/di.flac", "evil.py", "audio/extra.flac"])
def test_tampered_package_changes_nothing(shelf: Shelf, tmp_path: Path, name: str, there: bool):
    if there:
        put(shelf, write_package(tmp_path / "package"), AMP)
    before = seen(tmp_path)
    tampered = write_files(write_package(tmp_path / "tampered"), {name: flip(files().get(name, b"new"))})
    with pytest.raises(IntegrityError, match=name):
        put(shelf, tampered, AMP)
    assert seen(tmp_path) - before == {f"tampered/{file}" for file in seen(tampered)} | {"tampered"}
    assert not there or read_files(shelf.folder / AMP) == files()


@pytest.mark.parametrize("verb", ["push", "pull"])
@pytest.mark.parametrize("there", [True, False])
def test_tampered_shelf_is_refused_and_a_push_repairs_it(pushed: Shelf, tmp_path: Path, there: bool, verb: str):
    write_files(pushed.folder / AMP, {"config.json": flip(files()["config.json"])})
    if verb == "push":
        put(pushed, tmp_path / "package", AMP)
        assert read_files(pushed.folder / AMP) == files()
        return
    if there:
        write_package(tmp_path / "pulled")
    with pytest.raises(IntegrityError, match=r"config\.json"):
        pushed.pull(Ref(AMP), tmp_path / "pulled")
    assert read_files(tmp_path / "pulled") == (files() if there else {})


def full_after(files_copied: int) -> Callable[..., object]:
    copied, copy = [], shutil.copyfile

    def copyfile(source: Path, target: Path) -> object:
        copied.append(source)
        if len(copied) > files_copied:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return copy(source, target)

    return copyfile


@pytest.mark.parametrize("there", [True, False])
def test_full_disk_leaves_no_half_package(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool):
    package = write_package(tmp_path / "package")
    if there:
        put(shelf, package, AMP)
        package = write_package(tmp_path / "other", OTHER)
    before = read_files(tmp_path)
    monkeypatch.setattr(shutil, "copyfile", full_after(4))
    refused(zoo("push", package, AMP, "--zoo", shelf.folder), 1, "the disk is full")
    assert read_files(tmp_path) == before
    assert not (shelf.folder / "alice" / "tiny").exists() or there
    with full_disk(1000):
        refused(zoo("push", package, AMP, "--zoo", shelf.folder), 1)
    assert read_files(tmp_path) == before


@pytest.mark.parametrize(("where", "code"), [("/proc/zoo", 1), ("/dev/null/zoo", 1), ("file", 3)])
def test_shelf_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, code: int
):
    monkeypatch.chdir(write_files(tmp_path, {"file": b"mine"}))
    write_package(Path("package"))
    refused(zoo("push", "package", AMP, "--zoo", where), code, where)
    assert Path("file").read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_shelf_is_an_error(pushed: Shelf, tmp_path: Path):
    (pushed.folder / "alice").chmod(0o555)
    try:
        refused(zoo("push", tmp_path / "package", AMP, "--zoo", pushed.folder), 1, "permission is denied")
    finally:
        (pushed.folder / "alice").chmod(0o755)
    assert read_files(pushed.folder / AMP) == files()


@pytest.mark.parametrize(
    "name",
    ["..", "../x", "alice/..", "alice/../bob/x", "/etc/x", "alice//x", "alice", "alice/x/y", "alice/.x", "", "a\n/b",
     "alice/x\x1b[31m", "C:\\x/y", "~/x", "alice/x@", "alice/x@../y", "alice/x@-f", "--help/x"],
)  # fmt: skip
def test_malformed_name_is_refused(name: str, tmp_path: Path):
    with pytest.raises(UserError, match="does not name an amp"):
        parse_ref(name)
    if not name.startswith("--"):
        ran = zoo("push", write_package(tmp_path / "p"), name, "--zoo", tmp_path / "shelf")
        assert (ran.code, ran.out) == (1, "") and "does not name an amp" in ran.err
        assert not (tmp_path / "shelf").exists() and {path.name for path in tmp_path.iterdir()} == {"p"}


@examples(300)
@given(st.text(st.sampled_from("./@~-_ aA1\\\n\0é"), max_size=12) | st.text(max_size=12))
def test_any_name_stays_on_the_shelf(text: str):
    try:
        ref = parse_ref(text)
    except UserError:
        return
    assert len(Path(os.path.normpath(Path("shelf") / ref.name)).parts) == 3
    assert "/" not in ref.revision


def test_push_makes_its_own_revision(tmp_path: Path):
    ran = zoo("push", write_package(tmp_path / "p"), f"{AMP}@v1", "--zoo", tmp_path / "shelf")
    refused(ran, 1, "names a revision", AMP)


def test_environment_sets_the_own_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "mine"))
    assert shelf_folder() == tmp_path / "mine"
    monkeypatch.delenv("ZOO_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shelf_folder() == tmp_path / ".ampzoo" / "shelf"


CARDS = {
    "empty": b"",
    "a page alone": b"# Tiny",
    "latin-1": b"---\nlicense: caf\xe9\n---\n",
    "not YAML": b"---\na: [\n---\n",
    "a list": b"---\n- a\n---\n",
    "numbers for keys": b"---\n1: 2\nampzoo: {3: 4}\n---\n",
    "a date": card(schema="2020-01-01"),
    "a Python object": b"---\nampzoo: !!python/object/apply:os.system ['touch owned']\n---\n",
    "itself": b"---\nampzoo: &a {knobs: *a}\n---\n",
    "a number": b"---\nampzoo: 3\nmodel-index: 3\ntags: 3\n---\n",
    "infinity": card(esr=".inf"),
    "not a number": card(esr=".nan"),
    "a negative": card(esr="-1"),
    "nothing": card(esr=""),
    "a long number": card(parameters="9" * 5000),
    "two knobs of a name": files()["README.md"].replace(b"name: tone", b"name: 'gain\\e[31m'"),
}


@pytest.mark.parametrize("what", CARDS)
def test_bad_card_is_skipped_and_the_others_listed(pushed: Shelf, tmp_path: Path, what: str):
    write_files(pushed.folder / "alice/bad", {**files(), "README.md": CARDS[what]})
    names, [warning] = listed(pushed)
    assert names == [AMP]
    assert "alice/bad" in warning and "\n" not in warning
    ran = zoo("list", "-q", "--zoo", pushed.folder)
    assert (ran.code, ran.out) == (0, f"{AMP}\n") and "warning: " in ran.err


def test_deep_card_is_skipped(pushed: Shelf):
    write_files(pushed.folder / "alice/bad", {**files(), "README.md": b"---\nampzoo: " + b"[" * 3000 + b"\n---\n"})
    try:
        assert listed(pushed)[0] == [AMP]
    except RecursionError:
        pytest.fail("RecursionError", pytrace=False)


@pytest.mark.parametrize("key", ["parameters", "sample_rate"])
def test_huge_number_on_a_card_is_skipped(pushed: Shelf, key: str):
    write_files(pushed.folder / "alice/bad", {**files(), "README.md": card(**{key: "0x" + "f" * 5000})})
    ran = zoo("list", "--zoo", pushed.folder)
    assert ran.code == 0 and "alice/bad" not in ran.out


def test_bomb_of_aliases_on_a_card_is_cheap():
    bomb: Any = 0
    for _ in range(6):
        bomb = [bomb] * 10
    tracemalloc.start()
    with pytest.raises(UserError, match="schema"):
        read_summary(AMP, "", {"ampzoo": {"schema": bomb}})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_manifest_that_is_a_folder_is_skipped(pushed: Shelf):
    odd = {name: data for name, data in files().items() if name != "manifest.json"}
    write_files(pushed.folder / "alice/bad", {**odd, "manifest.json/x": b""})
    assert listed(pushed)[0] == [AMP]


def test_card_cannot_make_up_rows_of_the_table(pushed: Shelf):
    write_files(pushed.folder / "alice/bad", {**files(), "README.md": card(license=r'"mit\nevil/amp\tgain\t0.0001"')})
    rows = zoo("list", "--zoo", pushed.folder).out.splitlines()
    assert [row.split("\t")[0] for row in rows] == ["AMP", "alice/bad", AMP]
    assert {row.count("\t") for row in rows} == {8}


def test_card_without_a_license_is_listed_without_one(pushed: Shelf):
    text = files()["README.md"].replace(f"license: {LICENSE}\n".encode(), b"")
    write_files(pushed.folder / AMP, {"README.md": text})
    assert "None" not in zoo("list", "--zoo", pushed.folder).out


def test_escape_sequences_of_a_card_are_not_printed(pushed: Shelf):
    write_files(pushed.folder / AMP, {"README.md": card(license=r'"\e[31mred\e]0;title\a\u202edelf\x9b"')})
    for words in ((), ("--json",)):
        ran = zoo("list", *words, "--zoo", pushed.folder)
        assert ran.code == 0 and ran.out.isprintable() is False
        assert not set(ran.out + ran.err) & set("\x1b\x07\x9b\u202e")


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with one amp whose card is written over and over."""
    shelf = Shelf(tmp_path_factory.mktemp("battered"))
    write_files(shelf.folder / AMP, files())
    return shelf


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        fence = draw(st.sampled_from([b"", b"---\n"]))
        return fence + draw(st.binary(max_size=200)) + b"\n" + fence
    front: Any = bent(draw, FRONT)
    return f"---\n{yaml.safe_dump(front)}---\n# Tiny\n".encode()


@examples(150)
@given(cards())
def test_any_card_is_listed_or_skipped(battered: Shelf, text: bytes):
    write_files(battered.folder / AMP, {"README.md": text})
    ran = zoo("list", "--json", "--zoo", battered.folder)
    assert ran.code == 0
    amps = json.loads(ran.out)["amps"]
    assert len(amps) + ran.err.count("warning: ") == 1
    assert zoo("list", "--zoo", battered.folder).code == 0


def test_pull_into_what_is_not_a_package_is_refused(pushed: Shelf, tmp_path: Path):
    for name in ("folder/song.wav", "file"):
        write_files(tmp_path, {name: b"mine"})
        target = tmp_path / name.split("/")[0]
        refused(zoo("pull", AMP, "--zoo", pushed.folder, "--to", target), 1, "is not a package", target)
        assert (tmp_path / name).read_bytes() == b"mine"


def test_pull_into_the_current_folder(pushed: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert zoo("pull", AMP, "--zoo", pushed.folder, "--to", ".").code == 0
    assert read_files(tmp_path / "empty") == files()


def test_pull_into_a_linked_folder_leaves_no_other_file(pushed: Shelf, tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    pushed.pull(Ref(AMP), tmp_path / "link")
    assert {path.name for path in tmp_path.iterdir()} == {"shelf", "package", "real", "link"}


@pytest.mark.parametrize("verb", [("list",), ("show", AMP), ("knobs", AMP), ("pull", AMP)])
def test_missing_named_shelf_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]):
    monkeypatch.chdir(tmp_path)
    refused(zoo(*verb, "--zoo", "hup"), 3, "there is no shelf at hup")
