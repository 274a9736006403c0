"""Which points may be trained: known before any training, from the shape, the knobs and the length of the recordings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from models.core.errors import UserError
from models.network.architecture import WaveNetConfig
from models.recordings.dataset import AmpData
from search.config.study import Heard, SearchConfig
from search.optimizer.pruner import log_error
from search.optimizer.surrogate import Features, Weighed, features
from search.study.cost import cost_of


@dataclass(frozen=True)
class Sizes:
    """What a model weighs before it is trained, with the knobs of the amp that has most."""

    cost: float
    macs: int
    parameters: int
    receptive_field: int
    columns: int
    rate_hz: int


def sizes(model: WaveNetConfig, amps: Sequence[AmpData], reference_s: float | None = None) -> Sizes:
    """Weigh a model for a group of amps; its cost in seconds of this machine, or of that of `reference_s` (see `search.cost`)."""
    columns, rate_hz = _columns(model, amps), max(data.rate_hz for data in amps)
    cost, macs = cost_of(model, columns, rate_hz, reference_s), model.macs_per_sample(columns)
    return Sizes(cost, macs, _parameters(model, columns), model.receptive_field, columns, rate_hz)


def weigh(config: SearchConfig, point: dict[str, Any], amps: Sequence[AmpData]) -> Weighed | None:
    """A point as `search.surrogate` takes it, or None where the family has no such model."""
    try:
        model = config.space.model(point)
    except ValidationError:
        return None
    macs = model.macs_per_sample(_columns(model, amps))
    return features(point, macs=macs, receptive_field=model.receptive_field), math.log10(macs)


def heard(trials: Sequence[Heard]) -> tuple[list[Features], list[float]]:
    """Trials of another search as `search.surrogate` takes them, with log10 of their errors."""
    known = [features(trial.point, macs=trial.macs, receptive_field=trial.receptive_field) for trial in trials]
    return known, [log_error(trial.esr) for trial in trials]


def fault(
    config: SearchConfig, point: dict[str, Any], amps: Sequence[AmpData], reference_s: float | None = None
) -> str | None:
    """Why a point may not be trained, or None."""
    try:
        model = config.space.model(point)
    except ValidationError as problem:
        return problem.errors()[0]["msg"].removeprefix("Value error, ")
    inject, bounds = model.inject, config.bounds
    if not (inject.input or inject.mixin or inject.film):
        return "the knobs enter nowhere"
    if "live" in bounds.export and (reason := _unplayable(model)):
        return reason
    low, high = bounds.receptive_field
    if not low <= model.receptive_field <= high:
        return f"its receptive field is {model.receptive_field} samples, outside {low} to {high}"
    segment = config.learning_of(point).segment
    for data in amps:
        try:
            data.knobs.encode({}, inject.encoding, data.config.name)
            for piece in data.train:
                data.training_piece(piece, model.receptive_field, segment)
        except UserError as problem:
            return problem.message
    low, high = bounds.parameters
    parameters = _parameters(model, _columns(model, amps))
    if not low <= parameters <= high:
        return f"it has {parameters} parameters, outside {low} to {high}"
    if bounds.cost is not None and (cost := sizes(model, amps, reference_s).cost) > bounds.cost:
        return f"it costs {cost:.4g}, more than {bounds.cost:g}"
    return None


def _columns(model: WaveNetConfig, amps: Sequence[AmpData]) -> int:
    return max(data.knobs.columns(model.inject.encoding) for data in amps)


def _parameters(model: WaveNetConfig, columns: int) -> int:
    import torch

    from models.network.wavenet import WaveNet

    with torch.device("meta"):  # shapes alone
        return WaveNet(model, columns).parameter_count


def _unplayable(model: WaveNetConfig) -> str | None:
    """NeuralAmpModelerCore leaves out FiLM after the layer's 1x1 unless the layer is blended, so a live file would play otherwise."""
    for index, array in enumerate(model.arrays):
        if "layer1x1_post" in model.inject.films(index) and set(array.gating) != {"blended"}:
            return "FiLM at layer1x1_post plays live in blended layers only"
    return None
