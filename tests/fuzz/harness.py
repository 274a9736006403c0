"""A mutation loop: valid inputs of a parser are damaged at random, and the parser may raise our own errors alone."""

import json
import random
import re
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from models.core.errors import UserError

MAX_CPU_S, MAX_WALL_S = 2.0, 60.0  # of one input; the wall clock is generous, since the machine may be busy

MAX_GROWTH_BYTES = 1 << 30

MAX_FAILURES = 20  # of one target, each of another kind; more tell nothing new

NUMBERS = (b"0", b"-1", b"1e400", b"-1e400", b"1e-400", b"NaN", b"Infinity", b"true", b"null", b'"1"', b"1" * 400)

PIECES = (
    b"",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r\n",
    b"\n\n",
    b"\\ud800",
    b"{}",
    b"[" * 4000,
    b'{"a":' * 4000,
    b"1" * 5000,
    b"%00",
    b"../",
    b"://",
    b"@",
    b"[",
    b"\xe2\x80\xae",
    b"$",
    b"<script>",
)

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, -(10**400), 10**5000, 0.5, 1e308, 5e-324, float("nan"), float("inf")),
    *("", "\0", "\ud800", "a" * 5000, "../x", "/", "1", "nan", "<b>", [], {}, [[]], {"": None}, [None] * 3),
)

NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")


class TooSlow(BaseException):
    """An input took too long: no parser may catch this."""


@dataclass(frozen=True)
class Target:
    """A parser of bytes that a person or a stranger wrote.

    Args:
        name: one word, for the command line.
        valid: inputs that it takes, small ones for speed.
        parse: reads the bytes; the folder is an own empty one, for parsers that read files.
        errors: what it may raise besides `UserError`.
    """

    name: str
    valid: Sequence[bytes]
    parse: Callable[[bytes, Path], object]
    errors: tuple[type[Exception], ...] = ()


@dataclass(frozen=True)
class Failure:
    """An input that a parser did not take as it must: the number of the mutation, what happened, and the bytes."""

    target: str
    number: int
    reason: str
    data: bytes


def fuzz(target: Target, inputs: int, seed: int = 0) -> list[Failure]:
    """Give a parser so many damaged inputs; return the first failure of each kind, at most `MAX_FAILURES`.

    Input `number` depends on the seed and the number alone. A failure is any error but our own, more than `MAX_CPU_S`
    of work, and more memory than `MAX_GROWTH_BYTES`.
    """
    found: dict[str, Failure] = {}
    with tempfile.TemporaryDirectory(prefix="zoo-fuzz-") as folder, _bounded_memory(), _stopping_slow_ones():
        for data in target.valid:
            if reason := _attempt(target, data, Path(folder), valid=True):
                return [Failure(target.name, -1, f"a valid input is refused: {reason}", data)]
        for number in range(inputs):
            data = mutated(target.valid, random.Random(f"{seed}/{number}"))
            reason = _attempt(target, data, Path(folder))
            if reason:
                found.setdefault(reason, Failure(target.name, number, reason, data))
            if len(found) >= MAX_FAILURES:
                break
    return list(found.values())


def _attempt(target: Target, data: bytes, folder: Path, *, valid: bool = False) -> str | None:
    """Return how a parser failed on an input, or None."""
    own: tuple[type[Exception], ...] = () if valid else (UserError, *target.errors)
    try:
        with _bounded_time():
            target.parse(data, folder)
    except own:
        return None
    except TooSlow:
        return f"it takes more than {MAX_CPU_S:g} s"
    except MemoryError:
        return f"it takes more than {MAX_GROWTH_BYTES >> 20} MiB"
    except BaseException as problem:  # anything else is what we look for
        if isinstance(problem, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(problem.__traceback__)
        place = next((f"{one.filename}:{one.lineno}" for one in reversed(frames) if _is_own(one.filename)), "?")
        return (
            f"{type(problem).__name__} at {place}: {str(problem)[:200]!r}"
            if valid
            else (f"{type(problem).__name__} at {place}")
        )
    return None


def _is_own(file: str) -> bool:
    root = str(Path(__file__).parents[2])
    return file.startswith(root) and "/.venv/" not in file


@contextmanager
def _stopping_slow_ones() -> Iterator[None]:
    """Let the timers of `_bounded_time` raise `TooSlow`."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = {name: signal.signal(name, stop) for name in (signal.SIGPROF, signal.SIGALRM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def _bounded_time() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    signal.setitimer(signal.ITIMER_REAL, MAX_WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let this process grow by `MAX_GROWTH_BYTES` and no more; only Linux states how large it is."""
    if sys.platform != "linux":
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MAX_GROWTH_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def mutated(valid: Sequence[bytes], chance: random.Random) -> bytes:
    """Return one of the valid inputs with one to four damages."""
    data = chance.choice(valid)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = _damage_json(data, chance) if chance.random() < 0.5 else _damage_bytes(data, valid, chance)
    return data


def _damage_bytes(data: bytes, valid: Sequence[bytes], chance: random.Random) -> bytes:
    """Return bytes with a part cut, doubled, replaced or taken from another input."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 1, 2, 8, 64, 1024)))
    how = chance.randrange(7)
    if how == 0:
        return data[:start]
    if how == 1:
        return data[:start] + data[end:]
    if how == 2:
        return data[:end] + data[start:end] + data[end:]
    if how == 3:
        return data[:start] + chance.choice(PIECES) + data[end:]
    if how == 4:
        return data[:start] + chance.randbytes(end - start) + data[end:]
    if how == 5:
        other = chance.choice(valid)
        return data[:start] + other[chance.randrange(len(other) + 1) :]
    spots = list(NUMBER.finditer(data))
    if not spots:
        return data + chance.choice(PIECES)
    spot = chance.choice(spots)
    return data[: spot.start()] + chance.choice(NUMBERS) + data[spot.end() :]


def _damage_json(data: bytes, chance: random.Random) -> bytes:
    """Return JSON, or lines of JSON, with one value replaced, left out or put elsewhere; other bytes as they are."""
    lines = [data]
    spot = 0
    value = _parsed(data)
    if value is None:
        lines = data.split(b"\n")
        spot = chance.randrange(len(lines))
        value = _parsed(lines[spot])
    if value is None:
        return data
    if not (isinstance(value, dict | list) and value):
        return _dumped(chance.choice(VALUES))
    owner, key = _place(value, chance)
    how = chance.randrange(4)
    if how == 0:
        del owner[key]
    elif how == 1 and isinstance(owner, dict):
        owner[chance.choice(("", "\0", "x" * 300, "schema", "extra", *owner))] = owner.pop(key)
    elif how == 2:
        donor, other = _place(value, chance)
        owner[key] = deepcopy(donor[other])
    else:
        owner[key] = deepcopy(chance.choice(VALUES))
    lines[spot] = _dumped(value)
    return b"\n".join(lines)


def _dumped(value: Any) -> bytes:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)  # the input is to have 5,000 digits, whatever its reader does with them
    try:
        return json.dumps(value).encode()
    finally:
        sys.set_int_max_str_digits(limit)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _place(value: Any, chance: random.Random) -> tuple[Any, Any]:
    """Return a place in a JSON list or object as its owner and key; it is as likely to be deep as to be at the top."""
    while True:
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        inner = value[key]
        if not (isinstance(inner, dict | list) and inner) or chance.random() < 0.25:
            return value, key
        value = inner
