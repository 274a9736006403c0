"""Amps for tests of the C player: any net as the bytes of `amp.bin`, and players of it."""

import pytest

from models.artifacts.model_config import make_config
from models.formats.player.build import compilers
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knob, Knobs, Switch
from models.network.wavenet import WaveNet

RATE = 48_000  # Hz

PEDAL = Knobs(
    knobs=(
        Knob(name="gain", min=0, max=10, default=5, gain=True, avoid_zero=True),
        Knob(name="volume", min=-3, max=7, default=0, taper="log", step=0.5, unit="dB"),
        Switch(name="bright", positions=("off", "Half +2.5", "on"), default="on"),
    )
)  # five columns

needs_compiler = pytest.mark.skipif(not compilers(), reason="no C compiler is installed (pip install ziglang)")


def plain_knobs(columns: int) -> Knobs:
    """Return so many knobs from -1 to 1, whose levels are their values."""
    return Knobs(knobs=tuple(Knob(name=f"k{n}", min=-1, max=1, default=0) for n in range(columns)))


def amp(net: WaveNet, knobs: Knobs | None = None) -> bytes:
    """Return a net as `amp.bin`, with plain knobs if no others are given."""
    if knobs is None:
        type_level = net.config.inject.encoding == "type_level"
        knobs = plain_knobs(net.knobs - 1 if type_level else net.knobs)
    return amp_bytes(make_config("tiny", RATE, knobs, net.config), net)


def native(net: WaveNet, engine: str | None = None, knobs: Knobs | None = None) -> NativePlayer:
    """Return a player of a net."""
    return NativePlayer(amp(net, knobs), engine=engine)
