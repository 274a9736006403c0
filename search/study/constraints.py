"""The bounds of a search, which are known before any training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from models.core.errors import UserError
from models.network.architecture import WaveNetConfig
from models.recordings.dataset import AmpData
from models.recordings.response_length import USELESS_ESR, lengths_of, needed_field
from models.training.config import LearningConfig
from search.config.space import Point
from search.config.study import SearchConfig, identity_of
from search.optimizer.surrogate import Features, features
from search.study.cost import CostModel

# Multiply-accumulates that take as long as what does not grow with the model in a step. Measured on a CPU: 2,600 for
# each of 4 x 2,048 samples (benchmarks/results/search.md, 2026-11-23).
STEP_WORK = 2600 * 4 * 2048

MAX_MODELS = 4096  # that are remembered, some 10 kB each


@dataclass(frozen=True)
class ModelCandidate:
    """A point, the model and the learning it stands for, and its features (see `search.optimizer.surrogate`).

    `log_cost` is log10 of the multiply-accumulates per sample.
    """

    point: Point
    model: WaveNetConfig
    learning: LearningConfig
    features: Features
    log_cost: float

    @cached_property
    def identity(self) -> str:
        """Eight letters, equal for two candidates that train the same model in the same way."""
        return identity_of(self.model, self.learning)

    @property
    def work(self) -> float:
        """What a step of its training takes, in multiply-accumulates: counted, so that equal searches stay equal."""
        return self.learning.step_work(self.model.receptive_field) * 10**self.log_cost + STEP_WORK


@dataclass(frozen=True)
class Sizes:
    """The size of a model for the amp whose knobs take the most numbers (`columns`)."""

    cost: float
    macs: int
    parameters: int
    receptive_field: int
    columns: int
    rate_hz: int


class Violation(str):
    """Why a candidate may not be trained; `hint` says what helps."""

    hint: str

    def __new__(cls, reason: str, hint: str) -> Self:
        """Return the reason with its hint."""
        made = super().__new__(cls, reason)
        made.hint = hint
        return made


@dataclass(frozen=True)
class Constraints:
    """What a search demands of a candidate for its amps, and the sizes of models, at the costs of `cost_model`."""

    config: SearchConfig
    amps: Sequence[AmpData]
    cost_model: CostModel

    @cached_property
    def least_field(self) -> int:
        """The receptive field below which a model misses too much of a take, whatever its size."""
        return max((needed_field(lengths_of(data), USELESS_ESR, data.rate_hz) for data in self.amps), default=1)

    def to_candidate(self, point: Point) -> ModelCandidate:
        """Return the candidate of a point; raises pydantic's `ValidationError` where it stands for no model."""
        model, macs = self._model_of(point)
        found = features(point, macs=macs, receptive_field=model.receptive_field)
        return ModelCandidate(point, model, self.config.learning_of(point), found, math.log10(macs))

    def _model_of(self, point: Point) -> tuple[WaveNetConfig, int]:
        """Return the model of a point and its multiply-accumulates, the same object for all its learning settings."""
        space = self.config.space
        key = tuple(pair for pair in point.items() if pair[0] != "learning_rate" and pair[0] not in space.learning)
        if key not in self._models:
            model = space.model(point)
            if len(self._models) >= MAX_MODELS:
                self._models.clear()
            self._models[key] = model, model.macs_per_sample(self._columns(model))
        return self._models[key]

    @cached_property
    def _models(self) -> dict[tuple[tuple[str, Any], ...], tuple[WaveNetConfig, int]]:
        """The models that were made, by the axes of their points: a suggestion takes most of its time to make them."""
        return {}

    def sizes(self, model: WaveNetConfig) -> Sizes:
        """Return the size of a model."""
        columns, rate_hz = self._columns(model), max(data.rate_hz for data in self.amps)
        cost, macs = self.cost_model.cost(model, columns, rate_hz), model.macs_per_sample(columns)
        return Sizes(cost, macs, _count_parameters(model, columns), model.receptive_field, columns, rate_hz)

    def violation(self, candidate: ModelCandidate) -> Violation | None:
        """Return why a candidate may not be trained, or None; the cost, which may have to be measured, comes last."""
        model, bounds = candidate.model, self.config.bounds
        if not (model.inject.input or model.inject.mixin or model.inject.film):
            return Violation("the knobs enter nowhere", "Name a place in 'space.inject', such as \"mixin\".")
        if "live" in bounds.export and (reason := _not_live(model)):
            return Violation(reason, 'Add "blended" to \'space.gating\', or state "bounds": {"export": ["bake"]}.')
        if unfit := self._unfit_field(model) or self._unfit_recordings(candidate):
            return unfit
        low, high = bounds.parameters
        parameters = _count_parameters(model, self._columns(model))
        if not low <= parameters <= high:
            other = "smaller" if parameters > high else "larger"
            return Violation(
                f"it has {parameters} parameters, outside {low} to {high}",
                f"Widen 'bounds.parameters', or add {other} 'space.channels' or 'space.depth'.",
            )
        if bounds.cost is not None and (cost := self.sizes(model).cost) > bounds.cost:
            return Violation(
                f"it costs {cost:.4g}, more than {bounds.cost:g}",
                "Raise 'bounds.cost', or add smaller 'space.channels' or 'space.depth'.",
            )
        return None

    def _unfit_field(self, model: WaveNetConfig) -> Violation | None:
        """Return why the receptive field of a model is too short or too long."""
        field, (low, high) = model.receptive_field, self.config.bounds.receptive_field
        axes = "'space.depth', 'space.kernel_size' or 'space.dilations'"
        if field > high:
            hint = f"Raise the second number of 'bounds.receptive_field', or add smaller {axes}."
            return Violation(f"its receptive field is {field} samples, outside {low} to {high}", hint)
        if field < low:
            hint = f"Lower the first number of 'bounds.receptive_field', or add larger {axes}."
            return Violation(f"its receptive field is {field} samples, outside {low} to {high}", hint)
        if low == 1 and field < self.least_field:
            return Violation(
                f"its receptive field is {field} samples, below {self.least_field}: the takes play on "
                f"for so long that it would miss more than {USELESS_ESR:g} of them",
                f'Add larger {axes}. "bounds": {{"receptive_field": [2, ...]}} trains short models all the same.',
            )
        return None

    def _unfit_recordings(self, candidate: ModelCandidate) -> Violation | None:
        """Return why the recordings of an amp do not fit a candidate: its knobs, or takes that are too short."""
        inject, receptive_field = candidate.model.inject, candidate.model.receptive_field
        for data in self.amps:
            try:
                data.knobs.encode({}, inject.encoding, data.config.name)
                for piece in data.train:
                    data.training_piece(piece, receptive_field, candidate.learning.segment)
            except UserError as problem:
                return Violation(problem.message, problem.hint)
        return None

    def _columns(self, model: WaveNetConfig) -> int:
        return max(data.knobs.columns(model.inject.encoding) for data in self.amps)


def _count_parameters(model: WaveNetConfig, columns: int) -> int:
    import torch

    from models.network.wavenet import WaveNet

    with torch.random.fork_rng(devices=[]):  # not on the meta device, whose first use imports torch's compiler: 1 s
        return WaveNet(model, columns).parameter_count


def _not_live(model: WaveNetConfig) -> str | None:
    """Return why a live export would sound different: players skip FiLM after 1x1s of unblended layers."""
    for index, array in enumerate(model.arrays):
        if "layer1x1_post" in model.inject.films(index) and set(array.gating) != {"blended"}:
            return "FiLM at layer1x1_post plays live in blended layers only"
    return None
