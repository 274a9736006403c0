"""Which points may be trained: known before any training, from the shape, the knobs and the length of the recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from models.architecture import WaveNetConfig
from models.dataset import AmpData
from models.errors import UserError
from search.config import SearchConfig
from search.cost import cost_of


@dataclass(frozen=True)
class Sizes:
    """What a model weighs before it is trained, with the knobs of the amp that has most."""

    cost: float
    macs: int
    parameters: int
    receptive_field: int
    columns: int
    rate_hz: int


def sizes(model: WaveNetConfig, amps: Sequence[AmpData]) -> Sizes:
    """Weigh a model for a group of amps."""
    import torch

    from models.wavenet import WaveNet

    columns = max(data.knobs.columns(model.inject.encoding) for data in amps)
    rate_hz = max(data.rate_hz for data in amps)
    with torch.device("meta"):  # shapes alone
        parameters = WaveNet(model, columns).parameter_count
    cost, macs = cost_of(model, columns, rate_hz), model.macs_per_sample(columns)
    return Sizes(cost, macs, parameters, model.receptive_field, columns, rate_hz)


def fault(config: SearchConfig, point: dict[str, Any], amps: Sequence[AmpData]) -> str | None:
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
            for piece in data.train:
                data.training_piece(piece, model.receptive_field, segment)
        except UserError as problem:
            return problem.message
    found = sizes(model, amps)
    low, high = bounds.parameters
    if not low <= found.parameters <= high:
        return f"it has {found.parameters} parameters, outside {low} to {high}"
    if bounds.cost is not None and found.cost > bounds.cost:
        return f"it costs {found.cost:.4g}, more than {bounds.cost:g}"
    return None


def _unplayable(model: WaveNetConfig) -> str | None:
    """NeuralAmpModelerCore leaves out FiLM after the layer's 1x1 unless the layer is blended, so a live file would play otherwise."""
    for index, array in enumerate(model.arrays):
        if "layer1x1_post" in model.inject.films(index) and array.gating != "blended":
            return "FiLM at layer1x1_post plays live in blended layers only"
    return None
