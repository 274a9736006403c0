"""Plugins for tests: any net as plugins of this machine, and what plays the same without them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models.artifacts.model_config import make_config
from models.formats.player.build import compilers
from models.formats.player.reader import read_amp
from models.formats.player.writer import amp_bytes
from models.formats.plugin.bundles import write_plugin
from models.formats.plugin.targets import this_machine
from models.knobs.schema import Knobs, Switch, Value
from models.network.wavenet import WaveNet
from models.playback.stream import play
from tests.support.native import PEDAL, RATE

needs_plugins = pytest.mark.skipif(not compilers(), reason="no C compiler is installed (pip install ziglang)")


def plugin_data(net: WaveNet, knobs: Knobs = PEDAL, identity: str = "alice/tiny", name: str = "tiny") -> bytes:
    """Return a net as the data of a plugin."""
    return amp_bytes(make_config(name, RATE, knobs, net.config), net, identity)


def plugin(kind: str, folder: Path, net: WaveNet, knobs: Knobs = PEDAL) -> Path:
    """Write a net as a plugin of this machine."""
    data = plugin_data(net, knobs)
    return write_plugin(kind, this_machine(), folder, "tiny", data, [read_amp(data)])


def faceplate(knobs: Knobs, setting: Mapping[str, Value]) -> dict[str, float]:
    """Return a setting as hosts state it: a switch by the index of its position."""
    full = knobs.complete(setting)
    return {
        knob.name: knob.positions.index(str(full[knob.name])) if isinstance(knob, Switch) else float(full[knob.name])
        for knob in knobs.knobs
    }


def reference(net: WaveNet, x_T: np.ndarray, setting: Mapping[str, Value], knobs: Knobs = PEDAL) -> np.ndarray:
    """Return what the numba player makes of a signal after silence."""
    return play(net, x_T, knobs.encode(setting, net.config.inject.encoding))
