"""What a model costs to play, the second objective of a search, and what costs mean in a study."""

from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from models.core.files import write_json
from models.core.hardware import cpu_name
from models.core.schema import Frozen, read_document
from models.network.architecture import WaveNetConfig
from search.config.shapes import SHAPES
from search.config.space import injection
from search.study.files import COSTS

UNIT = "seconds of one core per second"

# The tiers of a board end at the cost of NAM's own A1 shapes with FiLM for as many columns; the last one has no end.
TIERS = {"nano": "a1-nano", "lite": "a1-lite", "standard": "a1-standard", "hifi": None}


class CostModel(Protocol):
    """Gives every model a cost before it is trained."""

    def cost(self, model: WaveNetConfig, columns: int, rate_hz: int) -> float:
        """Return the cost of a model whose knobs are `columns` numbers, at a sample rate."""
        ...

    def reference_s(self) -> float:
        """Return the seconds that a block of the reference model takes on this machine."""
        ...

    def scaled_to(self, reference_s: float) -> "CostModel":
        """Return the cost model of a machine on which a block of the reference model takes `reference_s`."""
        ...


class MeasuredCost:
    """Costs in `UNIT`, measured on this machine with the compiled player.

    With `reference_s` they are seconds of the machine on which a block of the reference model takes so long: what is
    measured here is the ratio to that model (see `models.playback.realtime_cost`).
    """

    def __init__(self, reference_s: float | None = None) -> None:
        self._reference_s = reference_s
        self._known: dict[tuple[WaveNetConfig, int, int], float] = {}

    def cost(self, model: WaveNetConfig, columns: int, rate_hz: int) -> float:
        """Return the cost of a model; it is measured once."""
        from models.playback import realtime_cost

        key = model, columns, rate_hz
        if key not in self._known:
            self._known[key] = realtime_cost.cost(model, columns, rate_hz, self._reference_s)
        return self._known[key]

    def reference_s(self) -> float:
        """Return the seconds that a block of the reference model takes on this machine."""
        from models.playback import realtime_cost

        return realtime_cost.reference_seconds()

    def scaled_to(self, reference_s: float) -> "MeasuredCost":
        """Return the cost model of a machine on which a block of the reference model takes `reference_s`."""
        return MeasuredCost(reference_s)


class CountedCost:
    """Multiply-accumulates per sample: the same on every machine, for simulations and tests."""

    def cost(self, model: WaveNetConfig, columns: int, rate_hz: int) -> float:
        """Return the multiply-accumulates of a model per sample."""
        return model.macs_per_sample(columns)

    def reference_s(self) -> float:
        """Return 1: counts have no machine."""
        return 1.0

    def scaled_to(self, reference_s: float) -> "CountedCost":
        """Return the same: counts have no machine."""
        return self


class Costs(Frozen):
    """`costs.json`: what costs mean in a study, written when it begins.

    `cpus` are the machines on which costs were measured. All costs are in seconds of the first, on which a block of the
    reference model takes `reference_s`. `tiers` gives the largest cost of each tier, None for no limit.
    """

    cpus: tuple[str, ...]
    reference_s: Annotated[float, Field(gt=0)]
    tiers: dict[str, Annotated[float, Field(gt=0)] | None]


def tier_budgets(columns: int, rate_hz: int, cost_model: CostModel) -> dict[str, float | None]:
    """Return the largest cost of each tier, None for no limit."""
    film = injection(["film"])
    budgets: dict[str, float | None] = {}
    for tier, shape in TIERS.items():
        model = WaveNetConfig(arrays=SHAPES[shape], inject=film) if shape else None
        budgets[tier] = cost_model.cost(model, columns, rate_hz) if model else None
    return budgets


def settle_costs(study: Path, columns: int, rate_hz: int, cost_model: CostModel) -> Costs:
    """Return what costs mean in a study, and write it where the study begins or continues on another machine.

    `columns` are the numbers that the knobs take as levels; the tiers depend on them.
    """
    costs, cpu = read_costs(study), cpu_name()
    if costs is None:
        reference_s = cost_model.reference_s()
        tiers = tier_budgets(columns, rate_hz, cost_model.scaled_to(reference_s))
        costs = Costs(cpus=(cpu,), reference_s=reference_s, tiers=tiers)
    elif cpu in costs.cpus:
        return costs
    else:
        costs = costs.model_copy(update={"cpus": (*costs.cpus, cpu)})
    write_json(study / COSTS, costs.model_dump(mode="json"))
    return costs


def read_costs(study: Path) -> Costs | None:
    """Return what costs mean in a study; None for a study from before this was written."""
    return read_document(study / COSTS, Costs, follow=False) if (study / COSTS).exists() else None
