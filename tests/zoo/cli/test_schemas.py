"""The JSON schemas in configs/schema match the code, and accept the files that reading accepts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from models.capture.session import write_session
from models.capture.virtual_amp import render_takes
from models.core.errors import UserError
from models.core.schema import check_document, read_json
from models.knobs.schema import Knobs
from models.recordings.manifest import read_manifest
from tests.support.makers import JOINT, KNOBS, di, examples, injections, layer_arrays, record
from tests.test_configs import CONFIGS, ROOT
from zoo.cli.schema import DOCUMENT_TYPES, schema, write_schemas

VALIDATORS = {kind: Draft202012Validator(schema(kind)) for kind in DOCUMENT_TYPES}


def test_committed_schemas_are_not_stale(tmp_path: Path):
    written = write_schemas(tmp_path)
    assert {path.name for path in written} == {path.name for path in (ROOT / "schema").iterdir()}
    for path in written:
        assert (ROOT / "schema" / path.name).read_text() == path.read_text(), (
            "run make schema and commit what it writes"
        )


@pytest.mark.parametrize("kind", DOCUMENT_TYPES)
def test_schema_is_a_valid_json_schema(kind: str):
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$id"] == f"urn:ampzoo:{kind}:1"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_config_matches_the_schema_it_names(path: Path):
    value = read_json(path)
    named = (path.parent / value["$schema"]).resolve()
    assert named.parent == (ROOT / "schema").resolve()
    Draft202012Validator(read_json(named)).validate(value)


def test_written_manifests_match_their_schema(tmp_path: Path):
    train, held = render_takes(tmp_path / "takes", rate_hz=8000, seconds=0.1, held_seconds=0.1)
    setting = KNOBS.defaults
    made = write_session(
        tmp_path / "session", KNOBS, [setting], [setting], tmp_path / "takes" / "di_train.flac", device="x"
    )
    for path in (train, held, *made[:2]):
        value = read_json(path)
        assert value["$schema"] == schema("manifest")["$id"]
        VALIDATORS["manifest"].validate(value)
        assert read_manifest(path).takes


def test_schema_field_changes_nothing(tmp_path: Path):
    path = record(tmp_path, "train", di(0.1))
    plain = read_manifest(path)
    path.write_text(json.dumps({"$schema": "urn:anything", **read_json(path)}))
    assert read_manifest(path) == plain
    with pytest.raises(UserError, match="unknown key 'schema'"):
        check_document({"schema": "x", "knobs": []}, Knobs, "knobs")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("knobs", {"knobs": ["gain", {"name": "tone", "max": 10}, {"name": "channel", "positions": ["a", "b"]}]}),
        ("manifest", JOINT),
        ("manifest", {"entries": [{"input_file": "d", "output_file": "w", "knob_type": "gain", "knob_level": 1}]}),
        (
            "model",
            {"arrays": [{"channels": 2, "dilations": [1, 2], "kernel_size": [3, 2], "activation": ["Tanh", "ReLU"]}]},
        ),
        (
            "model",
            {"arrays": [{"channels": 2, "dilations": [1]}], "inject": {"film": ["conv_pre", {"slot": "conv_post"}]}},
        ),
    ],
)
def test_short_forms_match_the_schema(kind: str, value: dict[str, Any]):
    VALIDATORS[kind].validate(value)
    check_document(value, DOCUMENT_TYPES[kind], kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("knobs", {"knobs": []}),
        ("knobs", {"knobs": [{"name": "Gain"}]}),
        ("knobs", {"knobs": [{"name": "gain", "taper": "curved"}]}),
        ("manifest", {"entries": []}),
        ("manifest", {**JOINT, "color": 1}),
        ("manifest", {**JOINT, "channel": 2}),
        ("data", {"name": "x"}),
        ("learning", {"steps": 0}),
        ("model", {"arrays": [{"channels": 2, "dilations": [1], "activation": "Tan"}]}),
        ("search", {"name": "x", "datasets": []}),
    ],
)
def test_schema_refuses_what_reading_refuses(kind: str, value: dict[str, Any]):
    assert not VALIDATORS[kind].is_valid(value)
    with pytest.raises(UserError):
        check_document(value, DOCUMENT_TYPES[kind], kind)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    arrays = tuple(draw(st.lists(layer_arrays(), min_size=1, max_size=2)))
    inject = draw(injections(arrays))
    return {"arrays": [array.model_dump(mode="json") for array in arrays], "inject": inject.model_dump(mode="json")}


@given(value=models())
@examples(60)
def test_any_model_matches_the_schema(value: dict[str, Any]):
    VALIDATORS["model"].validate(value)
