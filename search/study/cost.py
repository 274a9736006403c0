"""What a model costs to play: the second thing a search minimises; and what costs mean in a study."""

from functools import lru_cache
from importlib import import_module
from pathlib import Path

from models.core.files import write_json
from models.core.hardware import cpu_name
from models.core.schema import Frozen, read_document
from models.network.architecture import WaveNetConfig
from search.config.shapes import SHAPES
from search.config.space import injection
from search.study.files import COSTS

MEASURED: bool = True  # else multiply-accumulates are counted, the same on every machine

UNIT = "seconds of one core per second"

# The tiers of a board end at the cost of NAM's own A1 shapes with FiLM on as many columns; the last one has no end.
TIERS = {"nano": "a1-nano", "lite": "a1-lite", "standard": "a1-standard", "hifi": None}


class Costs(Frozen):
    """`costs.json`: the machine whose seconds the costs of a study are, and each tier's largest cost; measured once, when the study begins.

    `cpus` are those on which costs were measured. All costs are told in seconds of the first, where a block of the reference model of
    `models.cost` takes `reference_s`: on another the ratio to that model is measured.
    """

    cpus: tuple[str, ...]
    reference_s: float
    tiers: dict[str, float | None]


@lru_cache(maxsize=65536)
def cost_of(model: WaveNetConfig, columns: int, rate_hz: int, reference_s: float | None = None) -> float:
    """The cost of a model whose knobs are `columns` numbers, in `UNIT` of this machine, or of that on which the reference takes `reference_s`."""
    if MEASURED:
        return import_module("models.playback.realtime_cost").cost(model, columns, rate_hz, reference_s)
    return model.macs_per_sample(columns)


def budgets(columns: int, rate_hz: int, reference_s: float) -> dict[str, float | None]:
    """Each tier's largest cost."""
    film = injection(["film"])
    return {
        tier: None
        if shape is None
        else cost_of(WaveNetConfig(arrays=SHAPES[shape], inject=film), columns, rate_hz, reference_s)
        for tier, shape in TIERS.items()
    }


def settle_costs(study: Path, columns: int, rate_hz: int) -> Costs:
    """Write down what costs mean in a study that begins on this machine, with the knobs as so many levels; or that it goes on here."""
    costs, cpu = read_costs(study), cpu_name()
    if costs is None:
        reference_s = import_module("models.playback.realtime_cost").reference_seconds() if MEASURED else 1.0
        costs = Costs(cpus=(cpu,), reference_s=reference_s, tiers=budgets(columns, rate_hz, reference_s))
    elif cpu in costs.cpus:
        return costs
    else:
        costs = costs.model_copy(update={"cpus": (*costs.cpus, cpu)})
    write_json(study / COSTS, costs.model_dump(mode="json"))
    return costs


def read_costs(study: Path) -> Costs | None:
    """What costs mean in a study; None where it began before that was written down."""
    return read_document(study / COSTS, Costs) if (study / COSTS).exists() else None
