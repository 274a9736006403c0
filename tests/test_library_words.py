"""No words of a library reach a person: errors of bad inputs, and those that any test meets, are searched for them."""

import errno
import os
import random
import warnings
from pathlib import Path

import pytest

from models.core.errors import UserError
from tests.fuzz.harness import Target, mutated
from tests.fuzz.targets import TARGETS
from tests.support.library_words import LIBRARY_WORDS
from zoo.cli.errors import DISK, explain

INPUTS = 400

SAY_LITTLE = ("measurement", "uri")  # a measurement is never refused, and a URI for one reason alone


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
