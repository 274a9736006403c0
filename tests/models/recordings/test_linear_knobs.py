"""Knobs that filter after the distortion are found, and no others."""

import numpy as np

from models.knobs.schema import Knobs, Setting
from models.recordings.composed_pieces import find_bases
from models.recordings.linear_knobs import (
    LEAD,
    LIMIT,
    STATED_LIMIT,
    TAPS,
    apply_filter,
    examine_linear_knobs,
    filter_error,
    find_linear_knobs,
    fit_filter,
)
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


def noisy(x_T: np.ndarray, setting: Setting) -> np.ndarray:
    """The pedal with hiss of -26 dB after its tone."""
    hiss_T = np.random.default_rng(int(1e6 * sum(map(float, setting.values())))).normal(size=len(x_T))
    y_T = pedal(x_T, setting)
    return y_T + 0.05 * np.sqrt(np.mean(y_T**2)) * hiss_T


def stating(*names: str) -> Knobs:
    return Knobs(knobs=tuple(knob.model_copy(update={"after": knob.name in names}) for knob in KNOBS.knobs))


def test_a_stated_knob_is_accepted_where_hiss_hides_it():
    data = recordings(noisy)
    assert find_linear_knobs(KNOBS, data.train) == []
    (tone,) = find_linear_knobs(stating("tone"), data.train)
    assert (tone.knob.name, tone.positions) == ("tone", (0.0, 0.25, 0.5, 0.75, 1.0))
    assert LIMIT < tone.describe().worst < STATED_LIMIT
    assert tone.describe().stated
    assert tone.describe().residuals["0"] > LIMIT


def test_a_statement_does_not_make_a_filter_of_what_is_none():
    """Positions that the filter misses stay out, whatever a person states."""
    (tone,) = (one for one in examine_linear_knobs(stating("tone"), recordings(tone_first).train) if one.knob.after)
    assert not {0.0, 0.75, 1.0} & set(tone.positions)
    assert all(tone.residuals[position] > STATED_LIMIT for position in (0.0, 0.75, 1.0))


def test_refused_knobs_have_their_evidence_too():
    drive, tone, level = examine_linear_knobs(KNOBS, recordings().train)
    assert [linear.is_accepted for linear in (drive, tone, level)] == [False, True, True]
    assert (drive.knob.name, drive.positions) == ("drive", (0.5,))
    assert drive.describe().worst == min(drive.residuals.values())
    assert drive.describe().worst > LIMIT
    assert tone.describe().worst == max([*tone.residuals.values(), *tone.joint.values()])
