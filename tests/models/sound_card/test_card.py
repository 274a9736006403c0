"""Choosing a sound card, its meter, and cards that are calculated or resampled."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import NotFound, UserError
from models.sound_card.card import CardEntry, CardLost, choose_pair
from models.sound_card.meter import Meter
from models.sound_card.resampled import ResampledCard
from models.sound_card.simulated import SimulatedCard
from tests.support.makers import RATE, di, esr, examples

CARDS = [
    CardEntry(0, "Built-in", "ALSA", 2, 2, 48000, True, True),
    CardEntry(1, "Scarlett 2i2", "ALSA", 2, 2, 48000),
    CardEntry(2, "Line (Clarett)", "WASAPI", 4, 0, 48000),
    CardEntry(3, "Speakers (Clarett)", "WASAPI", 0, 4, 48000),
    CardEntry(4, "Speakers (Clarett)", "MME", 0, 2, 44100),
    CardEntry(5, "Microphone", "ALSA", 1, 0, 48000),
]
NAMES = st.text(st.sampled_from("abAB 12()"), max_size=6)


@pytest.mark.parametrize(
    ("wanted", "pair"),
    [
        (None, (0, 0)),
        ("1", (1, 1)),
        ("scarlett", (1, 1)),
        ("Scarlett 2i2", (1, 1)),
        ("clarett", (2, 3)),  # listed as two, of one driver
        (" BUILT ", (0, 0)),
    ],
)
def test_a_card_is_chosen(wanted: str | None, pair: tuple[int, int]):
    assert tuple(card.number for card in choose_pair(CARDS, wanted)) == pair


def test_a_card_that_is_not_clear_is_refused():
    with pytest.raises(NotFound, match="no sound card is called 'none'"):
        choose_pair(CARDS, "none")
    with pytest.raises(UserError, match="'5' has no output"):
        choose_pair(CARDS, "5")
    with pytest.raises(UserError, match="fits several sound cards: 0 Built-in, ALSA; 1 Scarlett"):
        choose_pair(CARDS, "i")
    with pytest.raises(NotFound, match="no sound card is found"):
        choose_pair([], None)


@examples(300)
@given(
    st.lists(st.tuples(NAMES, st.sampled_from("xy"), st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=5),
    NAMES | st.none(),
)
def test_any_name_gives_a_pair_that_plays_and_records_or_a_sentence(cards, wanted):
    listed = [CardEntry(n, name, api, i, o, 48000, d, d) for n, (name, api, i, o, d) in enumerate(cards)]
    try:
        one, other = choose_pair(listed, wanted)
    except UserError as problem:
        assert problem.message and problem.hint
    else:
        assert one.inputs and other.outputs and one.api == other.api
        assert wanted is None or all(
            wanted.strip().casefold() in (str(card.number), *[card.name.casefold()])
            or wanted.strip().casefold() in card.name.casefold()
            for card in (one, other)
        )


def test_the_meter_holds_peak_and_clipping():
    meter = Meter(RATE)
    meter.add(np.full(4000, 0.5, np.float32))
    assert (meter.peak_dbfs, meter.rms_dbfs, meter.clipped) == (-6.02, -6.02, 0)
    meter.add(np.array([1.0, -1.0, np.nan], np.float32))
    meter.add(np.zeros(8000, np.float32))
    assert (meter.peak_dbfs, meter.highest_dbfs, meter.clipped) == (-200.0, 0.0, 3)
    meter.reset()
    assert (meter.highest_dbfs, meter.clipped) == (-200.0, 0)


def test_a_calculated_card_is_late_and_has_faults():
    x_T = di(1.0)
    card = SimulatedCard(lambda x_T: 0.5 * x_T, RATE, latency=7, noise=0.0)
    assert esr(card.play_and_record(x_T).x_T[7:], 0.5 * x_T[:-7]) < 1e-12
    blocks: list[np.ndarray] = []
    dropped = SimulatedCard(lambda x_T: x_T, RATE, noise=0.0, drop=(3000,)).play_and_record(x_T, blocks.append)
    assert dropped.lost == (3000,) and np.ptp(dropped.x_T[3000:3256]) == 0
    assert np.array_equal(np.concatenate(blocks), dropped.x_T)
    clipped = SimulatedCard(lambda x_T: x_T, RATE, input_gain=4.0).play_and_record(x_T)
    assert np.abs(clipped.x_T).max() == 1.0
    with pytest.raises(CardLost, match=r"stopped answering after 0\.5 s"):
        SimulatedCard(lambda x_T: x_T, RATE, stops_after_s=0.5).play_and_record(x_T)


def test_a_card_at_another_rate_is_resampled():
    x_T = np.sin(np.arange(2 * RATE) * 0.3).astype(np.float32) * np.hanning(2 * RATE).astype(np.float32)
    card = ResampledCard(SimulatedCard(lambda x_T: x_T, 3 * RATE, latency=30, noise=0.0, drop=(6000,)), RATE)
    back = card.play_and_record(x_T)
    assert (card.rate_hz, back.lost, len(back.x_T)) == (RATE, (2000,), len(x_T))
    whole = ResampledCard(SimulatedCard(lambda x_T: x_T, 3 * RATE, latency=30, noise=0.0), RATE)
    assert esr(whole.play_and_record(x_T).x_T[10:], x_T[:-10]) < 1e-9
