"""A saved model is read back as it was, and errors name what is wrong with its files."""

import json
import struct
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.artifacts.folder import MAX_HEADER_BYTES, load_model, load_weights, save_model
from models.artifacts.model_config import make_config
from models.artifacts.names import CONFIG, WEIGHTS
from models.core.errors import IntegrityError, NotFound, UserError
from models.knobs.schema import Knobs
from models.network.wavenet import WaveNet
from tests.support.makers import FORMS, JSON, KNOBS, RATE, architecture, examples, model, wavenets


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "saved"
    save_model(folder, *model())
    return folder


def shapes_of(saved: Path) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in load_file(saved / WEIGHTS).items()}


@pytest.fixture
def folder(tmp_path: Path, saved: Path) -> Path:
    for name in (CONFIG, WEIGHTS):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    return tmp_path


def test_a_config_does_not_say_that_a_knob_was_stated_to_be_a_filter():
    """Models play on every version that knows their schema, and the statement is of use to training alone."""
    stated = Knobs(knobs=tuple(knob.model_copy(update={"after": True}) for knob in KNOBS.knobs))
    assert make_config("tiny", RATE, stated, architecture()).knobs == KNOBS


@pytest.mark.parametrize("form", FORMS)
def test_saved_model_is_read_back_equal(tmp_path: Path, form: str):
    config, net = model(form)
    save_model(tmp_path, config, net)
    again, loaded = load_model(tmp_path)
    assert again == config
    assert not loaded.training
    before, after = net.state_dict(), loaded.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["head_scale"].item() == pytest.approx(0.7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CONFIG, WEIGHTS]


@given(case=wavenets())
@examples(20)
def test_any_saved_model_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[WaveNet, list[float]]
):
    folder, (net, levels_K) = tmp_path_factory.mktemp("model"), case
    knobs = KNOBS.model_copy(
        update={"knobs": tuple(KNOBS.knobs[0].model_copy(update={"name": f"k{n}"}) for n in range(len(levels_K)))}
    )
    save_model(folder, make_config("any", RATE, knobs, net.config), net.float())
    config, loaded = load_model(folder)
    assert config.knobs == knobs
    assert config.architecture == net.config
    assert loaded.knobs == len(levels_K)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in net.state_dict().items())


def test_folder_without_a_model_is_not_found(tmp_path: Path):
    for folder, told in ((tmp_path, CONFIG), (tmp_path / "none", "does not exist")):
        with pytest.raises(NotFound) as caught:
            load_model(folder)
        assert str(folder) in caught.value.message
        assert told in caught.value.message
        assert caught.value.hint


def edited(tensors: dict[str, torch.Tensor], fault: str) -> dict[str, torch.Tensor]:
    name = "arrays.1.layers.0.conv.weight"
    match fault:
        case "another shape":
            return tensors | {name: tensors[name].flatten()}
        case "another size":
            return tensors | {name: torch.zeros(2, 2, 3)}
        case "another type":
            return tensors | {name: tensors[name].double()}
        case "half precision":
            return {key: value.half() for key, value in tensors.items()}
        case "NaN":
            return tensors | {name: tensors[name].index_fill(0, torch.tensor([1]), float("nan"))}
        case "infinite scale":
            return tensors | {"head_scale": torch.tensor(float("inf"))}
        case "one missing":
            return {key: value for key, value in tensors.items() if key != name}
        case "one too many":
            return tensors | {"extra": torch.zeros(1)}
        case _:
            return {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("another shape", "'arrays.1.layers.0.conv.weight' is float32 (8,), expected float32 (2, 2, 2)"),
        ("another size", "(2, 2, 3), expected float32 (2, 2, 2)"),
        ("another type", "'arrays.1.layers.0.conv.weight' is float64"),
        ("half precision", "is float16"),
        ("NaN", "'arrays.1.layers.0.conv.weight' holds a number that is not finite"),
        ("infinite scale", "'head_scale' holds a number that is not finite"),
        ("one missing", "lacks tensor 'arrays.1.layers.0.conv.weight'"),
        ("one too many", "has an unexpected tensor 'extra'"),
        ("none at all", "lacks tensor"),
    ],
)
def test_tensors_that_do_not_match_the_config_are_refused(folder: Path, fault: str, words: str):
    path = folder / WEIGHTS
    save_file(edited(load_file(path), fault), path)
    with pytest.raises(IntegrityError) as caught:
        load_model(folder)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


FILES: dict[str, tuple[Any, str]] = {
    "missing": (None, "is missing"),
    "empty": (b"", "is not a safetensors file"),
    "text": (b"these are my weights", "its header claims"),
    "short text": (b"hi", "is not a safetensors file"),
    "huge header": (struct.pack("<Q", 1 << 60) + b"{}", f"claims {1 << 60:,} bytes, at most {MAX_HEADER_BYTES:,}"),
    "header just too large": (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * (MAX_HEADER_BYTES + 1), "header claims"),
    "header longer than the file": (struct.pack("<Q", 1000) + b"{}", "is not a safetensors file"),
    "header not JSON": (struct.pack("<Q", 2) + b"[]", "is not a safetensors file"),
    "pickle": (b"\x80\x04K\x00.", "its header claims"),
}


@pytest.mark.parametrize("fault", FILES)
def test_malformed_weights_are_refused(folder: Path, fault: str):
    content, words = FILES[fault]
    path = folder / WEIGHTS
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        load_model(folder)
    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint


def test_folder_in_place_of_weights_is_refused(folder: Path):
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()
    with pytest.raises(IntegrityError):
        load_model(folder)


@given(cut=st.floats(0, 1, exclude_max=True))
@examples(40)
def test_truncated_weights_are_refused(saved: Path, tmp_path_factory: pytest.TempPathFactory, cut: float):
    whole, path = (saved / WEIGHTS).read_bytes(), tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(IntegrityError, match="cut.safetensors"):
        load_weights(path, shapes_of(saved))


@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
@examples(150)
def test_changed_byte_is_refused_or_gives_finite_weights(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, at: float, byte: int
):
    changed, path = bytearray((saved / WEIGHTS).read_bytes()), tmp_path_factory.getbasetemp() / "changed.safetensors"
    header = 8 + struct.unpack("<Q", changed[:8])[0]
    index = int(at * 2 * header) % len(changed)  # mostly in the header, where structure is
    assume(changed[index] != byte)
    changed[index] = byte
    path.write_bytes(changed)
    expected = shapes_of(saved)
    try:
        tensors = load_weights(path, expected)
    except IntegrityError as problem:
        assert str(path) in problem.message
        return
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        assert tensor.shape == expected[name]
        assert np.isfinite(tensor).all()


def paths(value: Any, here: tuple = ()) -> list[tuple]:
    """Where every value of a JSON document is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, part in inner for path in paths(part, (*here, key)))]


def changed(document: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    document = deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("color",), 1, "unknown key 'color'"),
        (("audio", "color"), 1, "unknown key 'audio.color'"),
        (("architecture", "arrays", 0, "gated"), True, "unknown key 'architecture.arrays.0.gated'"),
        (("knobs", "knobs", 0, "curve"), "log", "unknown key 'knobs.knobs.0.curve'"),
        (("schema_version",), "2.0", "'schema_version' is '2.0'"),
        (("library",), "peft", "'library' is 'peft'"),
        (("name",), "../escape", "'name' is '../escape'"),
        (("audio", "sample_rate"), 0, "'audio.sample_rate' is 0"),
        (("audio", "channels"), 2, "'audio.channels' is 2"),
        (("audio", "receptive_field"), 21, "audio.receptive_field is 21, but the architecture's is 20"),
        (("architecture", "arrays", 0, "channels"), 65, "'architecture.arrays.0.channels' is 65"),
        (("architecture", "arrays", 0, "channels"), 1_000_000_000, "'architecture.arrays.0.channels' is 1000000000"),
        (("architecture", "arrays", 0, "dilations"), [], "'architecture.arrays.0.dilations' is []"),
        (("architecture", "arrays", 0, "dilations"), [1 << 14] * 64, "receptive field is"),
        (
            ("architecture", "arrays", 0, "activation"),
            "__import__",
            "'architecture.arrays.0.activation' is '__import__'",
        ),
        (("knobs", "knobs", 1, "name"), "gain", "share a name"),
        (("knobs", "knobs"), [], "lacks|unexpected|expected"),
    ],
)
def test_error_in_a_config_names_its_key(folder: Path, path: tuple, value: Any, words: str):
    document = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(changed(document, path, value)))
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert str(folder) in caught.value.message
    assert any(word in caught.value.message for word in words.split("|")), caught.value.message


@given(
    content=st.binary(max_size=60)
    | st.text(alphabet='[]{}":,0123456789.eE+-truefalsn \\u', max_size=30).map(str.encode)
)
@examples(100)
def test_any_bytes_as_config_are_a_user_error(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.getbasetemp() / CONFIG
    path.write_bytes(content)
    with pytest.raises(UserError, match=CONFIG):
        load_model(path.parent)


@given(data=st.data())
@examples(250)
def test_any_change_of_the_config_loads_or_is_a_user_error(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder, document = tmp_path_factory.getbasetemp(), json.loads((saved / CONFIG).read_text())
    path = data.draw(st.sampled_from(paths(document)))
    small = st.integers(-2, 9) | st.lists(st.integers(1, 5), max_size=3)  # what a plausible slip would be
    (folder / CONFIG).write_text(json.dumps(changed(document, path, data.draw(small | JSON))))
    (folder / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes())
    try:
        config, net = load_model(folder)
    except UserError as problem:
        assert str(folder) in problem.message
        return
    assert len(config.knobs.knobs) == net.knobs == 2
    assert net.receptive_field == config.audio.receptive_field
