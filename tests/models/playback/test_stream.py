"""Playing block by block equals playing the whole signal, for any blocks and knobs that move between them."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import Notice
from models.network.wavenet import WaveNet
from models.playback.stream import Stream, play
from tests.support.makers import ACTIVATIONS, FORMS, architecture, di, esr, examples, wavenet, wavenets

DI = di(2.5)
LEVELS = [0.3, -0.8]


def in_blocks(stream: Stream, x_T: np.ndarray, block: int, levels_K: list[float]) -> np.ndarray:
    return np.concatenate([stream.process(x_T[start : start + block], levels_K) for start in range(0, len(x_T), block)])


@pytest.mark.parametrize(("block", "length"), [(1, 300), (7, 1500), (64, 5000), (8193, len(DI))])
@pytest.mark.parametrize("form", FORMS)
def test_blocks_of_any_size_equal_the_whole_signal(form: str, block: int, length: int):
    net, x_T = wavenet(architecture(form)), DI[:length]
    y_T = in_blocks(Stream(net, LEVELS), x_T, block, LEVELS)
    assert y_T.dtype == np.float32 and y_T.shape == x_T.shape
    assert esr(y_T, play(net, x_T, LEVELS)) < 1e-10


@given(case=wavenets(), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8))
@examples(40)
def test_any_net_plays_in_any_blocks(case: tuple[WaveNet, list[float]], sizes: list[int]):
    net, levels_K = case
    stream, edges = Stream(net, levels_K), np.cumsum([0, *sizes])
    parts = [stream.process(DI[start:stop], levels_K) for start, stop in pairwise(edges)]
    assert esr(np.concatenate(parts), play(net, DI[: edges[-1]], levels_K)) < 1e-20


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_knobs_turned_between_blocks_equal_moving_knobs(form: str, activation: str):
    net = wavenet(architecture(form, activation))
    turns = [(1, LEVELS), (40, [1.0, -1.0]), (7, [-1.0, 0.5]), (3, [0.9, 0.9]), (200, [0.0, 0.0])]
    stream, begin, parts, path = Stream(net, LEVELS), 0, [], [LEVELS] * (net.receptive_field - 1)
    for length, levels_K in turns:
        parts.append(stream.process(DI[begin : begin + length], levels_K))
        path += [levels_K] * length
        begin += length
    x_BT = torch.from_numpy(np.concatenate([np.zeros(net.receptive_field - 1, np.float32), DI[:begin]]))[None]
    with torch.no_grad():
        moving_T = net(x_BT, torch.tensor(path).T[None])[0]
    assert esr(np.concatenate(parts), moving_T) < 1e-10
    assert esr(moving_T, play(net, DI[:begin], LEVELS)) > 1e-6  # the knobs changed the sound


@pytest.mark.parametrize("levels_K", [LEVELS, [-1.0, 1.0]])
def test_reset_forgets_what_was_played(levels_K: list[float]):
    net = wavenet(architecture())
    stream = Stream(net, LEVELS)
    first_T = stream.process(DI[:333], LEVELS)
    stream.reset(levels_K)
    again_T = stream.process(DI[:333], levels_K)
    assert np.array_equal(again_T, Stream(net, levels_K).process(DI[:333], levels_K))
    assert np.array_equal(again_T, first_T) == (levels_K == LEVELS)


def test_streams_of_one_net_are_independent():
    net = wavenet(architecture())
    first, second = Stream(net, LEVELS), Stream(net, LEVELS)
    parts = []
    for start in range(0, 600, 50):
        parts.append(first.process(DI[start : start + 50], LEVELS))
        second.process(-DI[start : start + 50], [1.0, 1.0])
    assert esr(np.concatenate(parts), play(net, DI[:600], LEVELS)) < 1e-10


def test_silence_is_steady_from_the_first_sample():
    """A stream begins in the state of endless silence, so that a model's constant offset does not click."""
    net = wavenet(architecture())
    y_T = Stream(net, LEVELS).process(np.zeros(200, np.float32), LEVELS)
    assert np.abs(y_T).min() > 0 and np.ptp(y_T) < 1e-6 * np.abs(y_T).max()


def test_exact_moves_fall_to_ramps_where_they_cost_too_much():
    net = wavenet(architecture("mixin+film"))
    with pytest.warns(Notice, match="in blocks of 32 samples, more than 0 %, so knobs ramp"):
        stream = Stream(net, [0.2, 0.1], "exact", block=32, budget=0.0)
    assert stream.moves == "ramp"
    x_T = di(0.05)
    np.testing.assert_array_equal(stream.process(x_T, [0.2, 0.1]), Stream(net, [0.2, 0.1]).process(x_T, [0.2, 0.1]))
    assert Stream(net, [0.2, 0.1], "exact", block=32, budget=math.inf).moves == "exact"
