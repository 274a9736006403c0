"""Knobs that filter after the distortion are found, and no others."""

import numpy as np

from models.knobs.schema import Setting
from models.recordings.composed_pieces import find_bases
from models.recordings.linear_knobs import LEAD, TAPS, apply_filter, filter_error, find_linear_knobs, fit_filter
from tests.support.pedal import CENTER, ISOLATED, KNOBS, RATE, low_pass, passive, pedal, recordings, tone_first


def test_a_fitted_filter_is_the_filter():
    x_T = np.random.default_rng(1).normal(size=RATE)
    taps_N = fit_filter(x_T, low_pass(x_T, 0.3))
    assert taps_N.shape == (TAPS,)
    assert filter_error(taps_N, x_T, low_pass(x_T, 0.3)) < 1e-5
    identity_N = np.zeros(TAPS)
    identity_N[LEAD] = 1
    assert np.allclose(apply_filter(identity_N, x_T), x_T)


def test_knobs_behind_the_distortion_are_found():
    found = {linear.knob.name: linear for linear in find_linear_knobs(KNOBS, recordings().train)}
    assert set(found) == {"tone", "level"}
    tone = found["tone"]
    assert (tone.reference, tone.positions, tone.fixed) == (0.5, (0.0, 0.25, 0.5, 0.75, 1.0), {})
    assert max(tone.residuals.values()) < 1e-4
    assert set(tone.joint) == {0.0, 1.0}
    assert max(tone.joint.values()) < 1e-4
    assert max(tone.between.values()) < 1e-3


def test_a_knob_in_front_of_the_distortion_is_not_found():
    assert "tone" not in {linear.knob.name for linear in find_linear_knobs(KNOBS, recordings(tone_first).train)}


def test_knobs_that_load_each_other_turn_one_at_a_time():
    together: list[Setting] = [
        {"drive": 0.5, "tone": tone, "level": level} for tone in (0.0, 1.0) for level in (0.0, 1.0)
    ]
    data = recordings(passive, [CENTER, *ISOLATED, *together])
    linear = find_linear_knobs(KNOBS, data.train)
    assert {knob.knob.name: knob.fixed for knob in linear} == {"tone": {"level": 0.5}, "level": {"tone": 0.5}}
    assert all(len(base.knobs) == 1 for base in find_bases(linear, data.train))


def test_joint_takes_that_are_missed_refuse_a_knob():
    """Alone the tone is a filter; with drive away from the center it is another one."""

    def device(x_T: np.ndarray, setting: Setting) -> np.ndarray:
        moved = setting if setting["drive"] == 0.5 else {**setting, "tone": 1 - float(setting["tone"])}
        return pedal(x_T, moved)

    linear = {knob.knob.name: knob for knob in find_linear_knobs(KNOBS, recordings(device).train)}
    assert linear["tone"].fixed == {"drive": 0.5}


def test_silent_takes_show_nothing():
    assert not find_linear_knobs(KNOBS, recordings(lambda x_T, setting: 0 * x_T).train)
