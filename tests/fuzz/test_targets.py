"""Every parser that is fuzzed takes damaged inputs, or refuses them with an error of ours."""

import time
from pathlib import Path

import pytest

from models.core.errors import UserError
from tests.fuzz import harness
from tests.fuzz.harness import Target, fuzz
from tests.fuzz.targets import TARGETS

INPUTS = 10_000


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_only_our_own_errors(target: Target):
    found = [f"{failure.number}: {failure.reason}: {failure.data[:200]!r}" for failure in fuzz(target, INPUTS)]
    assert not found, "\n".join(found)


def _strict(data: bytes, folder: Path) -> None:
    """Take one input and refuse all others."""
    if data != b"7":
        raise UserError("not 7")


def test_a_sound_parser_has_no_failure_and_inputs_repeat():
    seen: list[bytes] = []
    target = Target("sound", [b"7", b'{"a": [1, {"b": "c"}]}'], lambda data, folder: seen.append(data))
    assert not fuzz(target, 300) and not fuzz(target, 300)
    assert seen[:302] == seen[302:]
    assert len(set(seen)) > 150
    assert not fuzz(Target("strict", [b"7"], _strict), 300)


def test_an_error_of_another_is_a_failure():
    def parse(data: bytes, folder: Path) -> None:
        if b"7" not in data:
            raise KeyError("seven")

    (failure,) = fuzz(Target("t", [b"7"], parse), 300)
    assert "KeyError at " in failure.reason and b"7" not in failure.data
    assert not fuzz(Target("t", [b"7"], parse, errors=(KeyError,)), 300)


def test_a_refused_valid_input_is_a_failure():
    (failure,) = fuzz(Target("t", [b"8"], _strict), 300)
    assert "a valid input is refused" in failure.reason


def test_a_hang_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    def spin(data: bytes, folder: Path) -> None:
        while data != b"7":
            pass

    def wait(data: bytes, folder: Path) -> None:
        if data != b"7":
            time.sleep(600)

    monkeypatch.setattr(harness, "MAX_CPU_S", 0.01)
    monkeypatch.setattr(harness, "MAX_WALL_S", 0.05)
    for parse in (spin, wait):
        (failure,) = fuzz(Target("t", [b"7"], parse), 3)
        assert "it takes more than 0.01 s" in failure.reason


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux states the size of a process")
def test_growth_is_a_failure():
    def grow(data: bytes, folder: Path) -> None:
        if data != b"7":
            bytearray(2 * harness.MAX_GROWTH_BYTES)

    (failure,) = fuzz(Target("t", [b"7"], grow), 3)
    assert "it takes more than 1024 MiB" in failure.reason
