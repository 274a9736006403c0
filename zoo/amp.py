"""An amp in Python: call it on audio, with knobs by name.

Shapes: T time.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.artifacts.folder import load_model
from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from models.knobs.schema import Knobs
from models.network.wavenet import WaveNet
from models.playback.stream import play
from zoo.registry.resolve import find_model


@dataclass(frozen=True)
class Amp:
    """A model whose knobs turn: `amp(x_T, gain=7)`.

    `folder` is where it lies; nothing of it is fetched again.
    """

    folder: Path

    @cached_property
    def _model(self) -> tuple[ModelConfig, WaveNet]:
        return load_model(self.folder)

    @property
    def name(self) -> str:
        """What the amp is called."""
        return self._model[0].name

    @property
    def knobs(self) -> Knobs:
        """The knobs: names, ranges, defaults."""
        return self._model[0].knobs

    @property
    def sample_rate(self) -> int:
        """The rate it plays at, in Hz."""
        return self._model[0].audio.sample_rate

    def __call__(self, x_T: np.ndarray, /, **knobs: float | str) -> np.ndarray:
        """Play mono audio `(T,)` at `sample_rate`; knobs that are not named rest at their default.

        Returns float32 `(T,)`. Raises `UserError` for a knob or a value the amp does not have, and for audio that is not mono or not finite.
        """
        config, net = self._model
        samples_T = np.asarray(x_T, dtype=np.float32)
        if samples_T.ndim != 1 or not np.isfinite(samples_T).all():
            raise UserError(
                f"{config.name} takes mono audio of finite numbers, not an array of shape {samples_T.shape}",
                "Give one channel, an array (T,).",
            )
        if not samples_T.size:
            return samples_T
        return play(net, samples_T, config.encode(knobs))

    def __repr__(self) -> str:
        turns = ", ".join(f"{k.name} {k.legal}" for k in self.knobs.knobs)
        return f"Amp({self.name!r}, {self.sample_rate} Hz, knobs: {turns or 'none'})"


def pull(amp: str, zoo: str | None = "hub", *, tier: str = "") -> Amp:
    """Fetch an amp and give a model one can call: `zoo.pull("owner/amp")(x_T, gain=7)`.

    `amp` is `owner/amp`, `owner/amp@revision`, or a package's or run's folder. `zoo` is where to look for it, as on the command line:
    "hub" for the Hugging Face hub, a hub's URL, a shelf's folder, or None for one's own shelf. `tier` names a smaller or larger
    model of the same amp. Every byte is checked; what was pulled before is not fetched again.

    Raises `NotFound`, `IntegrityError` and other `UserError`s of `models.errors`, and what the hub's client raises.
    """
    return Amp(find_model(amp, zoo, tier))
