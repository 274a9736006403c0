"""Threats T1 to T14, T24 and T26 of 26, over real HTTP: what a hostile amp, or a hostile hub, cannot do.

Each test fails without its guard: what it refuses would otherwise be fetched, believed, printed, sent or run.
"""

import ast
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile as sf
import torch

from models.artifacts.folder import save_tensors
from tests.support.hub_server import Hub
from tests.support.hub_store import repo_info
from tests.support.makers import model
from tests.support.packages import (
    AMP,
    PULL,
    at,
    card,
    files,
    litter,
    pulled,
    read_files,
    refused,
    write_package,
    zoo,
)
from zoo.cli.main import cli
from zoo.cli.options import complete_amps
from zoo.package.layout import max_bytes

ROOT = Path(__file__).parents[4]


def host(hub: Hub, tmp_path: Path, changed: Mapping[str, bytes]) -> None:
    """Put a package on the hub whose manifest covers what was changed in it."""
    hub.put(AMP, read_files(write_package(tmp_path / "made", changed)))


def config(change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The sound config with something changed."""
    document = json.loads(files()["config.json"])
    change(document)
    return {"config.json": json.dumps(document).encode()}


def resolved(hub: Hub) -> list[str]:
    """The files that were asked for."""
    return [path.split("/resolve/")[1].split("/", 1)[1] for _, path in hub.requests if "/resolve/" in path]


@pytest.mark.parametrize("name", ["../x", "audio/../../x", "/abs", "C:\\x", "a\\..\\b", "x\0y", "x\x1b[31m", "C:x"])
def test_t01_path_that_leads_outside(pushed: Hub, tmp_path: Path, name: str):
    pushed.put(AMP, {name: b"x"})
    before = {path for path in tmp_path.rglob("*") if "hub-lfs" not in path.parts}
    refused(zoo(*PULL, *at(pushed)), 6, "a path that leads outside")
    assert {path for path in tmp_path.rglob("*") if "hub-lfs" not in path.parts} == before
    assert pushed.requests == [("GET", f"/api/models/{AMP}")]


@pytest.mark.parametrize(
    "name", [".git/hooks/post-checkout", ".bashrc", "run.py", "w.pkl", "w.pt", "x.dll", "audio/a.sh"]
)
def test_t02_file_that_no_package_has_is_never_fetched(pushed: Hub, name: str):
    pushed.put(AMP, {name: b"#!/bin/sh\n"})
    ran = zoo(*PULL, *at(pushed))
    assert ran.code == 0 and "ignored 1 files that are no part of a package" in ran.err
    assert name not in resolved(pushed) and pulled("amp") == files()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["CONFIG.JSON"], "one file on some disks"),
        (["caf\u00e9", "cafe\u0301"], "one file on some disks"),
        (["audio/NUL.flac"], "not every disk can hold"),
        (["con"], "not every disk can hold"),
        (["x" * 201], "not every disk can hold"),
        ([f"audio/{number}.flac" for number in range(64)], "at most 64 are legal"),
    ],
)
def test_t03_names_that_collide_or_do_not_fit(pushed: Hub, names: list[str], words: str):
    pushed.put(AMP, dict.fromkeys(names, b"x"))
    refused(zoo(*PULL, *at(pushed)), 6, words)
    assert resolved(pushed) == [] and litter() == set()


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "audio/di.flac", "live.nam", "README.md", "total"]
)
def test_t04_declared_size_is_refused_before_any_fetch(pushed: Hub, monkeypatch: pytest.MonkeyPatch, name: str):
    def lie(*words: Any, **more: Any) -> dict[str, Any]:
        answer = repo_info(*words, **more)
        for sibling in answer["siblings"]:
            if sibling["rfilename"] == name:
                sibling["size"] = max_bytes(name) + 1
            if name == "total" and sibling["rfilename"].endswith((".flac", ".nam", ".safetensors")):
                sibling["size"] = max_bytes(sibling["rfilename"])
        return answer

    monkeypatch.setattr("tests.support.hub_server.repo_info", lie)
    refused(zoo(*PULL, *at(pushed)), 6, "bytes, at most")
    assert resolved(pushed) == []


@pytest.mark.parametrize("place", ["hub", "shelf"])
def test_t04_max_size_option(pushed: Hub, tmp_path: Path, place: str):
    where = at(pushed) if place == "hub" else ()
    write_package(tmp_path / "home" / AMP)
    refused(zoo(*PULL, *where, "--max-size", "0.4"), 1, "alice/tiny is 0.5 MB, --max-size allows 0.4")
    assert resolved(pushed) == [] and litter() == set()
    assert zoo(*PULL, *where, "--max-size", "0.6").code == 0


@pytest.mark.parametrize("manner", ["bomb", "endless"])
@pytest.mark.parametrize("path", ["/cdn/", "/resolve/.*config", "/api/models/", "/api/models$"])
def test_t05_bomb_or_endless_body_is_cut_off(pushed: Hub, monkeypatch: pytest.MonkeyPatch, manner: str, path: str):
    monkeypatch.setattr("zoo.registry.hub.client.MAX_PAGE_BYTES", 1 << 20)
    monkeypatch.setattr("tests.support.hub_server.BOMB", 48 << 20)
    pushed.send(manner, path)
    refused(
        zoo("list" if path.endswith("$") else "pull", *(() if path.endswith("$") else PULL[1:]), *at(pushed)),
        6,
        "gives more than",
    )
    assert litter() == set()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_t06_corruption_of_the_same_length_is_fetched_again_once(pushed: Hub, name: str):
    pushed.corrupt(f"{name}$", times=1)
    assert zoo(*PULL, *at(pushed)).code == 0 and pulled("amp") == files()
    pushed.corrupt(f"{name}$")
    ran = zoo("pull", AMP, "--to", "again", *at(pushed))
    refused(ran, 6, f"{name} has sha256", "the hub announced", "twice")
    assert resolved(pushed).count(name) == 4 and litter() == {"amp"}


def test_t07_manifest_and_hub_disagree(pushed: Hub):
    manifest = json.loads(files()["manifest.json"])
    manifest["files"]["model.safetensors"]["sha256"] = "0" * 64
    pushed.put(AMP, {"manifest.json": json.dumps(manifest).encode()})
    refused(zoo(*PULL, *at(pushed)), 6, "on the hub, the manifest says 000000000000")
    assert resolved(pushed) == ["manifest.json"]  # before any other byte


def test_t08_tag_that_moved_after_the_lock(pushed: Hub, tmp_path: Path):
    old = pushed.repos[AMP].refs["v1.0"] = pushed.repos[AMP].refs["main"]
    assert zoo("pull", f"{AMP}@v1.0", "--lock", *at(pushed)).code == 0
    assert zoo("pull", "--locked").code == 0
    new = pushed.repos[AMP].refs["v1.0"] = pushed.put(AMP, {"README.md": card(license="mit")})
    refused(zoo("pull", AMP, "--locked"), 6, f"was {old[:12]} when it was pinned, it is {new[:12]} now")
    lock = json.loads(Path("zoo.lock").read_text())
    lock["amps"][AMP] |= {"revision": "", "manifest": "0" * 64}
    Path("zoo.lock").write_text(json.dumps(lock))
    refused(zoo("pull", "--locked", "--to", "amp"), 6, "pinned is 000000000000")
    assert litter() == {"zoo.lock"}


def tensors(change: Callable[[dict[str, torch.Tensor]], object], tmp_path: Path) -> bytes:
    """Weights with something changed, as a sound safetensors file."""
    state = {name: value.clone() for name, value in model()[1].state_dict().items()}
    change(state)
    save_tensors(tmp_path / "w.safetensors", state)
    return (tmp_path / "w.safetensors").read_bytes()


WEIGHTS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a huge header": (lambda path: struct.pack("<Q", 1 << 60) + b"{}" * 4000, "header claims"),
    "a header of empty tensors": (
        lambda path: struct.pack("<Q", len(head := json.dumps({f"t{n}": {} for n in range(200_000)}).encode())) + head,
        "header claims",
    ),
    "one tensor more": (
        lambda path: tensors(lambda t: t.update(more=torch.zeros(2)), path),
        "unexpected tensor 'more'",
    ),
    "one tensor less": (
        lambda path: tensors(lambda t: t.update(more=t.pop("head_scale").expand(8).clone()), path),
        "lacks tensor 'head_scale'",
    ),
    "another shape": (lambda path: tensors(lambda t: t.update(head_scale=torch.zeros(2)), path), "'head_scale' is"),
    "another type": (
        lambda path: tensors(lambda t: t.update(head_scale=torch.tensor(1.0).double()), path),
        "is float64",
    ),
    "not a number": (lambda path: tensors(lambda t: t["head_scale"].fill_(float("nan")), path), "not finite"),
}


@pytest.mark.parametrize("what", WEIGHTS)
def test_t09_weights_that_the_config_does_not_promise(hub: Hub, tmp_path: Path, what: str):
    make, words = WEIGHTS[what]
    host(hub, tmp_path, {"model.safetensors": make(tmp_path)})
    refused(zoo(*PULL, *at(hub)), 6, words)
    assert litter() == set()


def widen(document: dict[str, Any]) -> None:
    document["architecture"]["arrays"] = [
        {"channels": 64, "kernel_size": 64, "dilations": [1] * 30, "activation": "Tanh"} for _ in range(4)
    ]
    document["audio"]["receptive_field"] = 4 * 30 * 63 + 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d["architecture"]["arrays"][0].update(channels=1_000_000), 7),
        (lambda d: d["architecture"]["arrays"][0].update(dilations=[1] * 1000), 7),
        (lambda d: d["architecture"]["arrays"][0].update(dilations=[1 << 30]), 7),
        (lambda d: d["audio"].update(sample_rate=1), 7),
        (lambda d: d["audio"].update(receptive_field=5), 6),
        (widen, 6),
    ],
)
def test_t10_config_with_absurd_sizes(hub: Hub, tmp_path: Path, change: Callable[[dict[str, Any]], None], code: int):
    host(hub, tmp_path, config(change))
    ran = zoo(*PULL, *at(hub))
    refused(ran, code, AMP if code == 7 else "")
    if change is widen:
        assert re.search(
            r"the model of config\.json takes \d\d\d,\d\d\d,\d\d\d", ran.err
        )  # refused before it was allocated
    assert litter() == set()


@pytest.mark.parametrize(
    "knobs",
    [
        [{"name": "a"}, {"name": "a"}],
        [{"name": "a", "min": 1, "max": 1, "default": 1}],
        [{"name": "a", "min": 0, "max": 1, "default": 2}],
        [{"name": f"k{number}"} for number in range(10_000)],
        [{"name": "../a"}],
        [{"name": "a\x1b[31m"}],
    ],
)
def test_t11_malformed_knobs(hub: Hub, tmp_path: Path, knobs: list[dict[str, Any]]):
    host(hub, tmp_path, config(lambda document: document.update(knobs={"knobs": knobs})))
    for words in (PULL, ("knobs", AMP)):
        ran = zoo(*words, *at(hub))
        refused(ran, 7, AMP)
        assert "\x1b" not in ran.err
    assert litter() == set()


def test_t12_escape_sequences_are_not_printed(hub: Hub, tmp_path: Path):
    evil = r"\e]0;title\a\u202e\u200b\u2028\x9b31m"
    hub.put(AMP, {**files(), "README.md": card(license=f'"{evil}"')})
    hub.put("eve/amp", {"README.md": f'---\nlibrary_name: ampzoo\nampzoo: {{"{evil}": 1}}\n---\n'.encode()})
    hub.put("eve/bad", {**files(), "manifest.json": b'{"\\u001b[31m": 1}'})
    hub.fail("GET", "/api/models/eve/worse", [403], message="\x1b[31mno\u202e")
    for words in (("list",), ("list", "--json"), ("show", AMP), ("show", AMP, "--json"), ("diff", AMP, AMP), PULL,
                  ("pull", "eve/bad"), ("pull", "eve/worse"), ("--debug", "pull", "eve/bad")):  # fmt: skip
        ran = zoo(*words, *at(hub))
        assert not set(ran.out + ran.err) & set("\x1b\x07\x9b\u202e\u200b\u2028"), words


def test_t12_name_that_a_shell_would_run_is_not_completed(pushed: Hub):
    for name in ("eve/$(touch owned)", "eve/a;b", "eve/a b", "eve"):
        pushed.put(name, files())
    ran = zoo("list", "-q", *at(pushed))
    assert ran.out == f"{AMP}\n" and ran.err.count("this is not a name of the form owner/amp") == 4
    assert complete_amps(click.Context(cli, info_name="zoo"), click.Option(["--x"]), "") == [AMP]


@pytest.mark.parametrize("sha", ["../../x", "main", "", "A" * 40, None])
def test_t13_hub_that_names_no_commit(pushed: Hub, monkeypatch: pytest.MonkeyPatch, sha: object):
    monkeypatch.setattr(
        "tests.support.hub_server.repo_info", lambda *words, **more: {**repo_info(*words, **more), "sha": sha}
    )
    refused(zoo(*PULL, *at(pushed)), 6, "in an unknown form")


def test_t13_newer_schema(hub: Hub, tmp_path: Path):
    host(hub, tmp_path, config(lambda document: document.update(schema_version="2.0", color="red")))
    refused(
        zoo(*PULL, *at(hub)),
        7,
        "config.json: 'schema_version' is '2.0', newer than this zoo knows (1.0)",
        "pip install -U",
    )

    def newer_minor(document: dict[str, Any]) -> None:
        document |= {"schema_version": "1.7", "color": "red"}
        document["audio"]["loudness_lufs"] = -18.3

    host(hub, tmp_path, config(newer_minor))
    assert zoo(*PULL, *at(hub)).code == 0 and zoo("knobs", "amp").code == 0
    host(hub, tmp_path, config(lambda document: document.update(color="red")))
    refused(zoo("knobs", AMP, *at(hub)), 7, "unknown key 'color'")


def test_t14_pickle_is_never_loaded(hub: Hub, tmp_path: Path):
    """What torch.load would run: it makes a file when it is loaded."""
    owned = tmp_path / "owned"
    code = f"import pickle, os, sys\nclass A:\n    def __reduce__(self): return os.mkdir, ({str(owned)!r},)\n"
    made = subprocess.run(
        [sys.executable, "-c", code + "sys.stdout.buffer.write(pickle.dumps(A()))"], capture_output=True, check=True
    )
    assert b"mkdir" in made.stdout
    host(hub, tmp_path, {"model.safetensors": made.stdout.ljust(6000, b".")})
    refused(zoo(*PULL, *at(hub)), 6, "model.safetensors")
    assert not owned.exists() and litter() == set()


def clip(rate: int = 8000, seconds: float = 1.0, channels: int = 1) -> bytes:
    sf.write("clip.flac", np.zeros((int(rate * seconds), channels), np.float32), rate, subtype="PCM_16")
    data = Path("clip.flac").read_bytes()
    Path("clip.flac").unlink()
    return data


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"seconds": 3600.0}, "at most 60 s"),
        ({"rate": 44100}, "at 44100 Hz in 1 channels; a clip is mono at 8000 Hz"),
        ({"channels": 2}, "in 2 channels"),
        ({"channels": 8}, "has 8 channels"),
        (None, "is not audio"),
    ],
)
def test_t24_clip_that_is_a_bomb(hub: Hub, tmp_path: Path, how: dict[str, Any] | None, words: str):
    host(hub, tmp_path, {"audio/default.flac": b"fLaC" if how is None else clip(**how)})
    refused(zoo(*PULL, *at(hub)), 6, "audio/default.flac", words)
    assert litter() == set()


def test_t26_nothing_of_an_amp_is_run(pushed: Hub):
    pushed.put(AMP, {"index.html": b"<script>", "amp.wasm": b"\0asm", "zoo.py": b"raise SystemExit(99)"})
    assert zoo(*PULL, *at(pushed)).code == 0 and set(pulled("amp")) == set(files())
    running = {"subprocess", "webbrowser", "runpy", "importlib.util", "ctypes", "code"}
    for path in (ROOT / "zoo").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not names & running, path
