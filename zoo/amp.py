"""An amp in Python: a function of audio, with knobs as arguments.

Shapes: T time.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.core.errors import UserError
from models.formats.open_model import open_model
from models.formats.player.offline import OfflineModel
from models.knobs.schema import Knobs
from models.network.numpy_wavenet import NumpyWaveNet
from zoo.package.card_schema import AmpSummary
from zoo.registry.filters import AmpFilter
from zoo.registry.resolve import FetchOptions, resolve_model, resolve_zoo
from zoo.studies import named_study, open_best


@dataclass(frozen=True)
class Amp:
    """A model that is called on audio, with knobs by name: `amp(x_T, gain=7)`.

    `folder` is a run's or a package's folder, or a `.nam` file; it is read once, at the first use.
    """

    folder: Path

    @cached_property
    def _model(self) -> tuple[ModelConfig, NumpyWaveNet]:
        return open_model(self.folder)

    @cached_property
    def _play(self) -> OfflineModel:
        return OfflineModel(*self._model)

    def _read(self) -> "Amp":
        """Read the model now, and return the amp itself."""
        assert self._model
        return self

    @property
    def name(self) -> str:
        """The amp's name."""
        return self._model[0].name

    @property
    def knobs(self) -> Knobs:
        """The knobs: names, ranges, defaults."""
        return self._model[0].knobs

    @property
    def sample_rate(self) -> int:
        """The sample rate in Hz."""
        return self._model[0].audio.sample_rate

    def __call__(self, x_T: np.ndarray, /, **knobs: float | str) -> np.ndarray:
        """Play mono audio `(T,)` at `sample_rate` and return float32 `(T,)`; other knobs stay at their defaults.

        Raises `UserError` for a knob or a value that the amp does not have, for audio that is not mono, not finite or
        no floating-point numbers (whole numbers are as files store them, up to 32,767), and for a result that is not
        finite.
        """
        config, _ = self._model
        samples_T = _as_samples(x_T, config.name)
        if samples_T.ndim != 1 or not np.isfinite(samples_T).all():
            raise UserError(
                f"{config.name} takes mono audio of finite numbers, not an array of shape {samples_T.shape}",
                "Give one channel, an array (T,).",
            )
        if not samples_T.size:
            return samples_T
        y_T = self._play(samples_T, config.encode(knobs))
        if not np.isfinite(y_T).all():
            raise UserError(
                f"{config.name} plays numbers that are not finite at this setting", "Do not use it; tell its maker."
            )
        return y_T

    def __repr__(self) -> str:
        knobs = ", ".join(f"{k.name} {k.legal}" for k in self.knobs.knobs)
        return f"Amp({self.name!r}, {self.sample_rate} Hz, knobs: {knobs or 'none'})"


def _as_samples(x_T: Any, name: str) -> np.ndarray:
    """Return audio as float32; raises `UserError` for what is no array of floating-point numbers."""
    try:
        found = np.asarray(x_T)
    except ValueError:  # lists of different lengths
        found = np.asarray(None)
    if found.dtype.kind != "f":
        whole = " Divide whole numbers by their full scale: x / 32768 for 16 bits." if found.dtype.kind in "iu" else ""
        raise UserError(
            f"{name} takes mono audio of floating-point numbers, full scale is 1, not {found.dtype.name} numbers",
            f"Give an array (T,), as soundfile.read returns it.{whole}",
        )
    with np.errstate(over="ignore"):  # which the caller finds
        return found.astype(np.float32)


def load(amp: str | Path, zoo: str | Path | None = None, *, tier: str = "") -> Amp:
    """Return a model to call: `zoo.load("owner/amp")(x_T, gain=7)`, `zoo.load("runs/one")`.

    Every byte of a package is checked.

    Args:
        amp: The folder of a run, a trial or a package, a `.nam` file, an amp `owner/amp`, `owner/amp@revision` of a
            zoo, or a study `STUDY`, `STUDY/AMP`: its best model so far, which is read at once.
        zoo: Where to look for a name, as `--zoo` of the commands: None for the user's own shelf, a shelf's folder,
            "hub" for the Hugging Face hub, or a hub's URL. An amp of a hub is pulled to the user's own shelf.
        tier: A smaller or larger model of the same amp, empty for the amp itself.

    Raises `NotFound`, `IntegrityError` or another `UserError` of `models.core.errors`, and errors of the hub's client.
    """
    if study := named_study(str(amp)):
        with open_best(*study, tier) as best:
            return Amp(best.folder)._read()
    return Amp(resolve_model(str(amp), FetchOptions(zoo, tier)))


def pull(amp: str, zoo: str | Path | None = None, *, tier: str = "") -> Amp:
    """Fetch an amp and return it: `zoo.pull("owner/amp", "hub")(x_T, gain=7)`.

    The same as `load`. What was pulled before is not fetched again.
    """
    return load(amp, zoo, tier=tier)


def summarize_amps(zoo: str | Path | None = None, **conditions: Any) -> list[AmpSummary]:
    """Return the amps of a zoo: `[row.name for row in zoo.list("hub", knobs=("gain",), sort="esr")]`.

    Args:
        zoo: As in `load`; None for the user's own shelf.
        conditions: The fields of `zoo.registry.filters.AmpFilter`: query, knobs, kind, tone, license, max_macs, sort.

    An amp whose card cannot be read is left out with a warning.
    """
    return AmpFilter.from_conditions(conditions).select(resolve_zoo(zoo).list(warnings.warn))
