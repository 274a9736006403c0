"""The leaderboard of a benchmark as a table."""

from collections.abc import Sequence
from typing import Any

from zoo.cli import output
from zoo.cli.views.words import count


def show_bench(plan: Any, rows: Sequence[Any]) -> None:
    """Print a row for each recipe, the best first."""
    header = ("RECIPE", "ESR", *(name.upper() for name in plan.devices), "WORST", "MACS", "SECONDS")
    output.data_table(
        header,
        [
            (
                row.recipe,
                f"{row.esr:.4f}",
                *(f"{one.mean:.4f}" for one in row.devices),
                f"{max(one.worst for one in row.devices):.4f}",
                f"{row.macs:,}",
                f"{row.seconds:.0f}",
            )
            for row in rows
        ],
    )
    output.info()
    output.info(
        f"held ESR after {plan.steps:,} steps, {count(plan.seeds, 'seed')}: mean per device, geometric mean over them "
        "(ESR), and the worst setting. MACS: multiply-accumulates per sample. SECONDS: of training, all devices."
    )
