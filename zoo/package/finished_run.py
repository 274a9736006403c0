"""A finished run folder, loaded once: everything that packaging needs of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.folder import load_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import RECIPE
from models.core.schema import check_document, read_object
from models.network.wavenet import WaveNet
from models.training.config import Recipe, upgrade_stored
from zoo.package.layout import FRONT_CHART, MANIFEST, tier_names
from zoo.package.manifest import package_files, read_package_manifest
from zoo.package.provenance import find_study, read_provenance

BOARD_CHART = "board.png"  # of a study


@dataclass(frozen=True)
class FinishedRun:
    """A run folder, or a package that is packaged again.

    `recipe` is the content of `recipe.json` (None in a package), `provenance` that of `training.json`, `study` the
    folder of the study that the run belongs to. `tiers`, name -> folder, are the tiers of a package, its own model
    among them; a run has none.
    """

    folder: Path
    config: ModelConfig
    net: WaveNet
    evaluation: Evaluation
    recipe: dict[str, Any] | None
    provenance: dict[str, Any] | None
    study: Path | None
    tiers: Mapping[str, Path]

    @classmethod
    def load(cls, folder: Path) -> "FinishedRun":
        """Read a run folder or a package. Raises `UserError` for one that is not finished or is damaged."""
        config, net = load_model(folder)
        evaluation = read_evaluation(folder)
        recipe = read_object(folder / RECIPE, follow=False) if (folder / RECIPE).exists() else None
        if recipe is not None:
            check_document(upgrade_stored(recipe), Recipe, str(folder / RECIPE))
        provenance = read_provenance(folder, recipe, evaluation.seconds)
        return cls(folder, config, net, evaluation, recipe, provenance, find_study(folder), _tiers_inside(folder))

    @property
    def front_chart(self) -> Path | None:
        """The chart of the search's front, from the study or from the package; None where there was no search."""
        chart = self.study / BOARD_CHART if self.study else self.folder / FRONT_CHART
        return chart if chart.exists() else None

    @property
    def fault(self) -> str | None:
        """Why this model is worse than playing the nearest recording, None for one that is better."""
        return _baseline_fault(self.evaluation)


def publishing_fault(evaluation: Evaluation) -> str | None:
    """Return why a model is not packaged unless that is forced, or not at all; None for one that is."""
    return evaluation.corners.fault or _baseline_fault(evaluation)


def _baseline_fault(evaluation: Evaluation) -> str | None:
    held = evaluation.held
    if held.baseline_mean is None or held.mean < held.baseline_mean:
        return None
    baseline = f"playing the nearest recorded setting would give {held.baseline_mean:.4f}"
    return f"its mean ESR at held settings is {held.mean:.4f}, while {baseline}"


def _tiers_inside(folder: Path) -> dict[str, Path]:
    """Return the folder of each tier of a package; a run folder has none."""
    if not (folder / MANIFEST).exists():
        return {}
    own = read_package_manifest(folder).tier
    return {tier: folder / "tiers" / tier for tier in tier_names(package_files(folder))} | (
        {own: folder} if own else {}
    )
