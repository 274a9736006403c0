"""Verification: a package with any file that differs from its manifest is refused, and the file is named."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts.folder import save_tensors
from models.core.errors import Incompatible, IntegrityError, NotFound, UserError
from tests.support.makers import JSON, examples, model
from tests.support.packages import AMP, bent, files, flip, write_files, write_package, zoo
from zoo.package.manifest import write_manifest
from zoo.package.privacy import check_private
from zoo.package.verify import verify
from zoo.registry.shelf import Shelf

ZEROS = "0" * 64


def manifest(**changes: Any) -> bytes:
    """The sound manifest with entries changed, `name={"sha256": ...}`, or taken out, `name=None`."""
    document = json.loads(files()["manifest.json"])
    for name, entry in changes.items():
        if entry is None:
            del document["files"][name]
        else:
            document["files"][name] = {"sha256": ZEROS, "size": 1, **document["files"].get(name, {}), **entry}
    return json.dumps(document).encode()


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Other weights, with a manifest that covers them."""
    tensors = {name: value.clone() for name, value in model()[1].state_dict().items()}
    change(tensors)
    save_tensors(folder / "model.safetensors", tensors)
    write_manifest(folder, "tiny", "ampzoo")


def put(changed: Mapping[str, bytes], covered: bool = False) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        write_files(folder, changed)
        if covered:
            write_manifest(folder, "tiny", "ampzoo")

    return change


def link(name: str, target: str, folder: bool = False) -> Callable[[Path], None]:
    def change(package: Path) -> None:
        outside = package.parent / "outside"
        outside.mkdir()
        if folder:
            shutil.move(package / name, outside / target) if (package / name).exists() else (outside / target).mkdir()
        else:
            write_files(outside, {target: files()[name]})
            (package / name).unlink()
        (package / name).symlink_to(outside / target)

    return change


EDITED_CONFIG = files()["config.json"].replace(b'"max": 10.0', b'"max": 11.0')
BAD: dict[str, tuple[Callable[[Path], object], type[UserError], str]] = {
    "a bit of the weights": (
        put({"model.safetensors": flip(files()["model.safetensors"])}),
        IntegrityError,
        "model.safetensors has sha256",
    ),
    "a knob's range": (put({"config.json": EDITED_CONFIG}), IntegrityError, "config.json has sha256"),
    "the scores": (
        put({"eval.json": files()["eval.json"] + b" "}),
        IntegrityError,
        f"eval.json has {len(files()['eval.json']) + 1:,} bytes, the manifest says",
    ),
    "a clip": (put({"audio/di.flac": b"fLaC"}), IntegrityError, "audio/di.flac has 4 bytes"),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), IntegrityError, "lacks model.safetensors"),
    "no config": (lambda p: (p / "config.json").unlink(), IntegrityError, "lacks config.json"),
    "no scores": (lambda p: (p / "eval.json").unlink(), IntegrityError, "lacks eval.json"),
    "no card": (lambda p: (p / "README.md").unlink(), IntegrityError, "lacks README.md"),
    "no clip": (lambda p: (p / "audio/di.flac").unlink(), IntegrityError, "audio/di.flac is missing"),
    "no manifest": (lambda p: (p / "manifest.json").unlink(), NotFound, "manifest.json is missing"),
    "no package": (shutil.rmtree, NotFound, "is not a package"),
    "a program": (put({"evil.py": b"import os"}), IntegrityError, "evil.py does not belong"),
    "a hidden program": (put({".git/hooks/post-checkout": b"#!"}), IntegrityError, ".git/hooks/post-checkout does not"),
    "a covered program": (put({"evil.py": b"import os"}, covered=True), IntegrityError, "evil.py does not belong"),
    "another clip": (put({"audio/more.flac": b"fLaC"}), IntegrityError, "audio/more.flac is not listed"),
    "an upper-case twin": (put({"CONFIG.JSON": b"{}"}), IntegrityError, "lists both 'CONFIG.JSON' and 'config.json'"),
    "a path outside": (
        put({"../x": b"x", "manifest.json": manifest(**{"../x": {}})}),
        IntegrityError,
        "../x is missing",
    ),
    "an absolute path": (
        put({"manifest.json": manifest(**{"/etc/passwd": {}})}),
        IntegrityError,
        "/etc/passwd is missing",
    ),
    "a manifest of itself": (
        put({"manifest.json": manifest(**{"manifest.json": {}})}),
        IntegrityError,
        "manifest.json",
    ),
    "no entry": (
        put({"manifest.json": manifest(**{"config.json": None})}),
        IntegrityError,
        "config.json is not listed in manifest.json",
    ),
    "a wrong hash": (
        put({"manifest.json": manifest(**{"config.json": {"sha256": ZEROS}})}),
        IntegrityError,
        "config.json has sha256",
    ),
    "a wrong size": (put({"manifest.json": manifest(**{"config.json": {"size": 1}})}), IntegrityError, "config.json"),
    "no hash": (
        put({"manifest.json": manifest(**{"config.json": {"sha256": "no"}})}),
        Incompatible,
        "config.json.sha256",
    ),
    "an unknown key": (put({"manifest.json": b'{"evil": 1}'}), Incompatible, "manifest.json: "),
    "a link": (link("config.json", "config.json"), IntegrityError, "config.json is a link"),
    "a linked manifest": (link("manifest.json", "m.json"), IntegrityError, "manifest.json is a link"),
    "linked clips": (link("audio", "audio", folder=True), IntegrityError, "audio"),
    "weights that are no number": (
        lambda p: weights(p, lambda tensors: tensors["arrays.0.head.weight"].fill_(float("nan"))),
        IntegrityError,
        "'arrays.0.head.weight' holds a number that is not finite",
    ),
    "weights of another shape": (
        lambda p: weights(p, lambda tensors: tensors.update({"arrays.0.head.weight": torch.zeros(1)})),
        IntegrityError,
        "'arrays.0.head.weight' is float32 (1,)",
    ),
    "a tensor too few": (
        lambda p: weights(p, lambda t: t.pop("head_scale")),
        IntegrityError,
        "lacks tensor 'head_scale'",
    ),
    "no safetensors": (put({"model.safetensors": b"PK\3\4pickle"}, covered=True), IntegrityError, "model.safetensors"),
    "a huge config": (
        put({"config.json": files()["config.json"] + b" " * (256 << 10)}, covered=True),
        IntegrityError,
        " bytes, at most 262,144 are legal",
    ),
    "a huge manifest": (
        put({"manifest.json": files()["manifest.json"] + b" " * (256 << 10)}),
        IntegrityError,
        "manifest.json is",
    ),
    "too many files": (
        put({f"audio/{number}.flac": b"" for number in range(64)}, covered=True),
        IntegrityError,
        "at most 64",
    ),
    "another receptive field": (
        put({"config.json": files()["config.json"].replace(b'_field": 20', b'_field": 21')}, covered=True),
        IntegrityError,
        "config.json: audio.receptive_field is 21",
    ),
    "a manifest in a folder": (
        lambda p: ((p / "manifest.json").unlink(), write_files(p, {"manifest.json/x": b""})),
        IntegrityError,
        "manifest.json is a folder",
    ),
}


def test_sound_package_passes(tmp_path: Path):
    assert set(verify(write_package(tmp_path / "p")).files) == set(files()) - {"manifest.json", "README.md"}


@pytest.mark.parametrize("what", BAD)
def test_bad_package_is_refused_by_name(tmp_path: Path, what: str):
    change, kind, words = BAD[what]
    change(write_package(tmp_path / "p"))
    with pytest.raises(kind) as refusal:
        verify(tmp_path / "p")
    assert type(refusal.value) is kind
    assert words in refusal.value.message and refusal.value.hint


def test_owner_may_edit_the_card(tmp_path: Path):
    verify(write_files(write_package(tmp_path / "p"), {"README.md": b"# Mine", ".gitattributes": b"*.flac filter=lfs"}))


def test_extra_linked_folder_is_refused(tmp_path: Path):
    link("more", "more", folder=True)(write_package(tmp_path / "p"))
    with pytest.raises(IntegrityError, match="more"):
        verify(tmp_path / "p")


def test_wrong_size_is_reported_as_a_size(tmp_path: Path):
    put({"manifest.json": manifest(**{"config.json": {"size": 1}})})(write_package(tmp_path / "p"))
    with pytest.raises(IntegrityError, match=r"config\.json .* bytes"):
        verify(tmp_path / "p")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"))


@st.composite
def contents(draw: st.DrawFn, name: str) -> bytes:
    """Random bytes, random JSON, or the sound document bent at one place."""
    kind = draw(st.sampled_from(["bytes", "json", "bent", "bent", "cut"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "json":
        return json.dumps(draw(JSON)).encode()
    if kind == "cut":
        return files()[name][: draw(st.integers(0, len(files()[name])))]
    return json.dumps(bent(draw, json.loads(files()[name]))).encode()


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "eval.json"])
def test_any_document_is_read_or_refused_with_a_message(shelf: Shelf, name: str):
    @examples(60)
    @given(contents(name), st.booleans())
    def refuse(content: bytes, covered: bool) -> None:
        folder = write_files(shelf.folder / AMP, {**files(), name: content})
        if covered and name != "manifest.json":
            write_manifest(folder, "tiny", "ampzoo")
        with suppress(UserError):
            verify(folder)
        assert zoo("list", "--zoo", shelf.folder).code == 0
        for words in (("show",), ("knobs", "--json")):
            assert zoo(*words, AMP, "--zoo", shelf.folder).code in (0, 6, 7)

    refuse()


@pytest.mark.parametrize("name", ["images/scores.png", "audio/di.flac", "live.nam", "model.safetensors"])
@pytest.mark.parametrize("secret", [b"hf_" + b"a" * 34, b'"/home/alice/takes"'])
def test_a_secret_is_found_whatever_the_name_of_its_file_says(tmp_path: Path, name: str, secret: bytes):
    package = write_package(tmp_path / "package")
    check_private(package)
    content = (package / name).read_bytes() if (package / name).exists() else b""
    write_files(package, {name: content + b"\0" + secret})
    write_manifest(package, "tiny", "ampzoo")
    with pytest.raises(UserError, match=rf"{name} holds (a token|the path /home/alice), which a push"):
        check_private(package)
