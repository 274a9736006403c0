"""No words of a library reach a person: errors of bad inputs, and those that any test meets, are searched for them."""

import errno
import importlib
import os
import pkgutil
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel

import models
import search
import zoo
from models.core.errors import UserError
from models.core.schema import PATTERN_WORDS, TYPE_WORDS
from search.study import lines
from tests.fuzz.harness import Target, mutated
from tests.fuzz.targets import TARGETS
from tests.support.library_words import LIBRARY_WORDS
from zoo.cli.errors import DISK, explain

INPUTS = 400

# a measurement is never refused, a URI, a report and weights for few reasons
SAY_LITTLE = ("measurement", "uri", "history", "weights")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_errors_about_damaged_inputs_are_in_our_words(target: Target, tmp_path: Path):
    """`tests/conftest.py` lets a `UserError` with a library's words fail when it is made; here are many of them."""
    told = set()
    for number in range(INPUTS):
        data = mutated(target.valid, random.Random(f"words/{number}"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                target.parse(data, tmp_path)
        except UserError as problem:
            told.add(f"{problem.message} {problem.hint}")
        except target.errors:
            continue
    assert len(told) > 10 or target.errors or target.name in SAY_LITTLE
    assert not [message for message in told if LIBRARY_WORDS.search(message)]


def test_the_guard_finds_a_librarys_words():
    with pytest.raises(AssertionError, match="reach a person"):
        UserError("f.json: 'knobs.0.name' is 'Gain': String should match pattern '^[a-z]'")
    with pytest.raises(AssertionError, match="reach a person"):
        UserError("f.json cannot be read", "[Errno 5] Input/output error")


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_errors_of_the_system_are_told_without_their_numbers(code: int):
    told = explain(OSError(code, os.strerror(code), "a.wav"))
    assert told is not None and not LIBRARY_WORDS.search(told.message + told.hint)
    if code in DISK:
        assert told.message == f"a.wav: {DISK[code][0]}"


NODES = {  # kinds of values in pydantic's schemas -> the errors that they raise
    "str": ("string_type",),
    "int": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "float": ("float_type", "float_parsing", "finite_number"),
    "bool": ("bool_type", "bool_parsing"),
    "literal": ("literal_error",),
    "list": ("list_type",),
    "tuple": ("tuple_type",),
    "dict": ("dict_type",),
    "model": ("model_type",),
    "model-fields": ("model_attributes_type",),
    "dataclass-args": ("model_type",),
    "none": ("none_required",),
    "tagged-union": ("union_tag_invalid",),
}

CONSTRAINTS = {
    "ge": "greater_than_equal",
    "gt": "greater_than",
    "le": "less_than_equal",
    "lt": "less_than",
    "min_length": "too_short",
    "max_length": "too_long",
    "multiple_of": "multiple_of",
}

OF_SCHEMAS_ALONE = {
    "any",
    "no-info",
    "nullable",
    "union",
    "default",
    "model-field",
    "definitions",
    "definition-ref",
    "chain",
} | {f"function-{kind}" for kind in ("before", "after", "wrap", "plain")}


def schemas() -> list[type[BaseModel]]:
    """Every document of the project, also those that are made of dataclasses."""
    for package in (models, search, zoo):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with suppress(ImportError):  # an optional library, such as triton
                importlib.import_module(module.name)
    for kind in (lines.TrialStart, lines.TrialReport, lines.TrialRecord):
        lines.stated_schema(kind)
    found, left = [], [BaseModel]
    while left:
        found += (below := left.pop().__subclasses__())
        left += below
    return [kind for kind in found if kind.__module__.split(".")[0] in ("models", "search", "zoo")]


def nodes(schema: object) -> Iterator[dict]:
    if isinstance(schema, dict):
        yield from ([schema] if isinstance(schema.get("type"), str) else [])
        schema = [item for key, item in schema.items() if key not in ("metadata", "serialization", "config", "cls")]
    for item in schema if isinstance(schema, list | tuple) else ():
        yield from nodes(item)


def test_every_constraint_of_every_document_has_words_of_ours():
    kinds = schemas()
    assert len(kinds) > 40
    found = [node for kind in kinds for node in nodes(kind.__pydantic_core_schema__)]
    patterns = {node["pattern"] for node in found if "pattern" in node}
    assert len(patterns) > 12 and patterns <= PATTERN_WORDS.keys(), patterns - PATTERN_WORDS.keys()
    assert not [words for words in PATTERN_WORDS.values() if re.search(r"[\\^$]|\[\w-\w", words)]
    unknown = {node["type"] for node in found} - NODES.keys() - OF_SCHEMAS_ALONE
    assert not unknown, "say which errors this kind raises, and give them words"
    raised = {error for node in found for error in NODES.get(node["type"], ())}
    raised |= {CONSTRAINTS[name] for node in found for name in CONSTRAINTS if node.get(name) is not None}
    assert raised <= TYPE_WORDS.keys(), raised - TYPE_WORDS.keys()
