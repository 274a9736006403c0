"""A block of the C player as a function of Python: it takes what is right as it is; the rest is converted before."""

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest

from models.formats.player.python_call import NOT_TAKEN
from models.playback.stream import Stream
from tests.support.makers import architecture, di, esr, wavenet
from tests.support.native import native, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="speaks to CPython alone"),
]

NET = wavenet(architecture("mixin+film"))
DI = di(0.2, 48_000)
STILL_K = np.array([0.3, -0.4], np.float32)


def moving(count: int) -> np.ndarray:
    """Levels that move, `(K, T)`."""
    return np.ascontiguousarray(np.linspace([-1, 0.5], [0.7, -0.2], count, dtype=np.float32).T)


TAKEN: dict[str, tuple[Any, Any]] = {
    "still": (DI[:64], STILL_K),
    "one column each": (DI[:64], STILL_K[:, None]),
    "moving": (DI[:64], moving(64)),
    "a long block": (DI[:4000], moving(4000)),
    "nothing": (DI[:0], STILL_K),
}


@pytest.mark.parametrize("what", TAKEN)
def test_arrays_that_fit_are_played_as_they_are(what: str):
    (x_T, levels), player = TAKEN[what], native(NET)
    y_T = np.full(len(x_T), 9, np.float32)
    player.reset(STILL_K)
    assert player._process(x_T, levels, y_T) == 0
    assert not len(x_T) or esr(y_T, Stream(NET, STILL_K.tolist()).process(x_T, levels)) < 1e-10


OTHERS: dict[str, tuple[Any, Any]] = {
    "a list": (DI[:64], STILL_K.tolist()),
    "double precision": (DI[:64].astype(np.float64), STILL_K),
    "gaps": (DI[:128:2], STILL_K),
    "columns that are rows": (DI[:64], np.ascontiguousarray(moving(64).T).T),
    "integers of 4 bytes": (np.zeros(64, np.int32), STILL_K),
    "another byte order": (DI[:64].astype(">f4"), STILL_K),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_arrays_are_converted(what: str):
    (x_T, levels), player = OTHERS[what], native(NET)
    y_T = np.full(len(x_T), 9, np.float32)
    player.reset(STILL_K)
    assert player._process(x_T, levels, y_T) == NOT_TAKEN and (y_T == 9).all()
    plain = np.ascontiguousarray(x_T, np.float32), np.ascontiguousarray(levels, np.float32)
    assert esr(player.process(x_T, levels), Stream(NET, STILL_K.tolist()).process(*plain)) < 1e-10


WRONG: dict[str, tuple[Any, Any, Any]] = {
    "a short output": (DI[:64], STILL_K, np.zeros(63, np.float32)),
    "a read-only output": (DI[:64], STILL_K, np.frombuffer(bytes(256), np.float32)),
    "too many levels": (DI[:64], np.zeros(3, np.float32), np.zeros(64, np.float32)),
    "levels of another length": (DI[:64], moving(63), np.zeros(64, np.float32)),
    "an output in double precision": (DI[:64], STILL_K, np.zeros(64)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(what: str):
    player = native(NET)
    assert player._process(*WRONG[what]) == NOT_TAKEN
    with pytest.raises(AssertionError):
        player.process(*WRONG[what])


def test_no_arguments_and_odd_ones_do_no_harm():
    process: Any = native(NET)._process
    for arguments in (
        (),
        (DI,),
        (DI, STILL_K, DI, DI),
        (None, None, None),
        ("x", b"y", 7),
        (DI[:4], STILL_K, bytes(16)),
    ):
        assert process(*arguments) == NOT_TAKEN


def test_in_place_and_references():
    player, x_T = native(NET), DI[:64].copy()
    player.reset(STILL_K)
    wanted_T = native(NET)
    wanted_T.reset(STILL_K)
    expected_T, before = wanted_T.process(x_T, STILL_K), sys.getrefcount(x_T)
    assert player.process(x_T, STILL_K, x_T) is x_T
    assert np.array_equal(x_T, expected_T)
    for _ in range(100):
        player.process(x_T, STILL_K, x_T)
        player.process(x_T, STILL_K.tolist(), x_T)
    assert sys.getrefcount(x_T) == before
    del player
    gc.collect()
    x_T.resize(10, refcheck=True)  # no buffer of it is held


def test_numbers_that_are_not_finite_are_told_and_silent():
    player, loud_T = native(NET), np.full(64, np.inf, np.float32)
    assert np.isfinite(player.process(loud_T, STILL_K)).all() and player.silenced > 0
    assert np.isnan(player.play(loud_T, STILL_K)).all() and np.isnan(player.play(loud_T, STILL_K.tolist())).all()


def test_long_blocks_play_while_other_threads_do():
    """Every thread has a player; all play at once what they play alone."""
    x_T = di(1.0, 48_000)
    wanted_T = native(NET).process(x_T, STILL_K)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(native(NET).process(x_T, STILL_K))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(y_T, wanted_T) for y_T in found)


def test_a_stream_plays_through_it():
    stream = Stream(NET, STILL_K.tolist(), create_player=lambda: native(NET))
    wanted = Stream(NET, STILL_K.tolist())
    for begin in range(0, 6400, 64):
        x_T, levels = DI[begin : begin + 64], moving(64) if begin % 128 else STILL_K
        assert esr(stream.process(x_T, levels), wanted.process(x_T, levels)) < 1e-10
    exact = Stream(NET, STILL_K.tolist(), "exact", create_player=lambda: native(NET))
    assert esr(exact.process(DI, STILL_K), Stream(NET, STILL_K.tolist()).process(DI, STILL_K)) < 1e-10


def test_a_net_without_knobs():
    net, y_T = wavenet(architecture("film"), 0), np.empty(64, np.float32)
    assert native(net)._process(DI[:64], np.zeros(0, np.float32), y_T) == 0
    assert esr(y_T, Stream(net, []).process(DI[:64], [])) < 1e-10
