"""What a model costs to play: the second thing a search minimises."""

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

from models.architecture import WaveNetConfig
from search.shapes import SHAPES
from search.space import injection

MEASURED = find_spec("models.cost") is not None  # the streaming engine comes with a measure of itself
UNIT = "seconds of one core per second" if MEASURED else "multiply-accumulates per sample"
# The tiers of a board end at the cost of NAM's own A1 shapes with FiLM on as many columns; the last one has no end.
TIERS = {"nano": "a1-nano", "lite": "a1-lite", "standard": "a1-standard", "hifi": None}


@lru_cache(maxsize=65536)
def cost_of(model: WaveNetConfig, columns: int, rate_hz: int) -> float:
    """The cost of a model whose knobs are `columns` numbers: measured where the engine can measure itself, else counted; in `UNIT`."""
    if MEASURED:
        return import_module("models.cost").cost(model, columns, rate_hz)
    return model.macs_per_sample(columns)


def budgets(columns: int, rate_hz: int) -> dict[str, float | None]:
    """Each tier's largest cost."""
    film = injection(["film"])
    return {
        tier: None if shape is None else cost_of(WaveNetConfig(arrays=SHAPES[shape], inject=film), columns, rate_hz)
        for tier, shape in TIERS.items()
    }
