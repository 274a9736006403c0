"""The built-in virtual amp behind a calculated sound card, whose knobs somebody turns exactly as asked."""

from collections.abc import Callable

import numpy as np

from models.capture.virtual_amp import KNOB_DEFAULT, KNOB_MAX, KNOB_MIN, KNOBS, VirtualAmp
from models.core.errors import UserError
from models.knobs.schema import Knob, Knobs, Setting
from models.sound_card.simulated import SimulatedCard

ROUND_TRIP_S = 0.012  # as a USB interface has


def open_virtual_card(knobs: Knobs, rate_hz: int, setting_now: Callable[[], Setting]) -> SimulatedCard:
    """Return a card with the virtual amp between output and input; its knobs stand as `setting_now` says.

    A knob that is not named has its default. Raises `UserError` for knobs that the amp does not have.
    """
    for knob in knobs.knobs:
        if knob.name not in KNOBS or not isinstance(knob, Knob) or not KNOB_MIN <= knob.min < knob.max <= KNOB_MAX:
            raise UserError(
                f"the virtual amp has no knob '{knob.name}', {knob.legal}",
                f"It has {', '.join(KNOBS)}, each {KNOB_MIN:g} to {KNOB_MAX:g}.",
            )
    amp = VirtualAmp(rate_hz)

    def device(x_T: np.ndarray) -> np.ndarray:
        turned = dict.fromkeys(KNOBS, KNOB_DEFAULT) | {name: float(value) for name, value in setting_now().items()}
        return amp.process(x_T, **turned)

    return SimulatedCard(device, rate_hz, "virtual amp", latency=round(ROUND_TRIP_S * rate_hz), noise=10**-4.5)
