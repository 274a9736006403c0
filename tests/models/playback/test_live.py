"""An amp that is played live: its sound, its knobs, and MIDI controllers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import UserError
from models.knobs.schema import Knob, Knobs, Switch
from models.playback.eager_player import EagerPlayer
from models.playback.live import FULL_TURN_S, LiveAmp, controlled_value, parse_controllers
from models.playback.stream import play
from tests.support.makers import KNOBS, RATE, di, esr, examples, model

ALL = Knobs(
    knobs=(
        *KNOBS.knobs,
        Switch(name="channel", positions=("clean", "crunch", "lead"), default="clean"),
        Knob(name="mix", min=-3, max=3, default=0, step=1.5),
    )
)


class Echo:
    """A player that keeps the levels it is given."""

    def __init__(self) -> None:
        self.levels: list = []

    def play(self, x_T, levels, out_T=None):
        """Return the input."""
        self.levels.append(levels)
        return x_T


def live(player, knobs: Knobs = ALL) -> LiveAmp:
    """A live amp with its knobs at their defaults."""
    return LiveAmp(player, knobs, lambda setting: knobs.encode(setting), knobs.defaults, RATE)


def test_it_sounds_as_the_model_does():
    config, net = model()
    amp = LiveAmp(EagerPlayer(net), config.knobs, config.encode, config.knobs.defaults, RATE)
    x_T, out = di(0.3), []
    amp.process(np.zeros(net.receptive_field, np.float32), np.zeros(net.receptive_field, np.float32))
    for start in range(0, len(x_T), 64):
        out.append(np.zeros(len(x_T[start : start + 64]), np.float32))
        amp.process(x_T[start : start + 64], out[-1])
    true_T = np.clip(np.asarray(play(net, x_T, config.encode(config.knobs.defaults))), -1, 1)
    assert esr(np.concatenate(out), true_T) < 1e-9
    assert amp.load.peak_in > 0.1 and amp.load.share > 0


def test_knobs_move_in_a_line_and_no_faster_than_allowed():
    player = Echo()
    amp = live(player)
    block = np.zeros(40, np.float32)
    amp.process(block, block.copy())
    amp.set_knob("gain", 10)
    for _ in range(20):
        amp.process(block, block.copy())
    rows = [
        np.broadcast_to(np.asarray(levels, np.float32).T, (40, ALL.columns())) if np.ndim(levels) == 1 else levels.T
        for levels in player.levels
    ]
    gain_T = np.concatenate(rows)[:, 0]
    steps_T = np.diff(gain_T)
    assert gain_T[0] == 0 and gain_T[-1] == 1 and (steps_T >= 0).all()
    assert steps_T.max() <= 2 / (FULL_TURN_S * RATE) * 1.001
    assert np.ndim(player.levels[-1]) == 1


def test_what_is_not_finite_or_too_loud_does_not_reach_the_ears():
    class Loud(Echo):
        def play(self, x_T, levels, out_T=None):
            return np.array([np.nan, 5, -np.inf, 0.5], np.float32)

    out_T = np.zeros(4, np.float32)
    live(Loud()).process(np.ones(4, np.float32), out_T)
    assert out_T.tolist() == [0, 1, -1, 0.5]
    amp = live(Loud())
    amp.is_bypassed = True
    amp.process(np.full(4, 0.25, np.float32), out_T)
    assert out_T.tolist() == [0.25] * 4


def test_knobs_are_turned_by_steps():
    amp = live(Echo())
    for name, steps, value in [
        ("gain", 1, 5.5),
        ("gain", 99, 10.0),
        ("mix", 1, 1.5),
        ("mix", -9, -3.0),
        ("channel", 1, "crunch"),
        ("channel", 5, "lead"),
        ("channel", -9, "clean"),
    ]:
        amp.turn(name, steps)
        assert amp.setting[name] == value
    with pytest.raises(UserError, match="gain"):
        amp.set_knob("gain", 11)
    assert amp.setting["gain"] == 10


@examples(200)
@given(st.sampled_from(ALL.names), st.integers(-50, 300))
def test_any_controller_value_is_a_value_of_the_knob(name, number):
    knob = live(Echo()).find(name)
    value = controlled_value(knob, number)
    assert knob.check(value, "") == value
    if number in (0, 127):
        ends = knob.positions if isinstance(knob, Switch) else (knob.min, knob.max)
        assert value == ends[0 if number == 0 else -1]


def test_controllers_are_stated_or_counted():
    assert parse_controllers((), ALL) == {20: "gain", 21: "tone", 22: "channel", 23: "mix"}
    assert parse_controllers(("tone=20", "mix = 74"), ALL) == {20: "tone", 74: "mix", 21: "gain", 22: "channel"}


@examples(300)
@given(
    st.lists(
        st.text(st.sampled_from("gaintoe=0127 -"), max_size=8)
        | st.builds("{}={}".format, st.sampled_from(ALL.names), st.integers(-3, 130)),
        max_size=4,
    )
)
def test_any_controllers_are_read_or_refused_in_a_sentence(texts):
    try:
        found = parse_controllers(tuple(texts), ALL)
    except UserError as problem:
        assert problem.message and problem.hint
    else:
        assert sorted(found.values()) == sorted(ALL.names) and all(0 <= number < 120 for number in found)
