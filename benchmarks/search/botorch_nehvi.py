"""BoTorch's qLogNEHVI as a method: Gaussian processes of both objectives, the acquisition maximized over rows."""

import warnings
from random import Random

import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import SumMarginalLogLikelihood

from benchmarks.search.clock import Task
from benchmarks.search.table import Row, Table

ROWS, SAMPLES = 512, 64  # rows drawn for every suggestion; of the posterior
KW = {"dtype": torch.double}


class NoisyHypervolume:
    """qLogNEHVI (Daulton et al. 2021, Ament et al. 2023), asynchronous: running trials are pending points.

    Args:
        table: what is searched.
        seed: of the first design and of the draws.
    """

    def __init__(self, table: Table, seed: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        warnings.filterwarnings("ignore")
        self._table, self._random, self._seed = table, Random(seed), seed
        self._rows: list[Row] = []
        self._found: dict[int, tuple[float, float]] = {}  # place in `_rows` -> values
        self._last: dict[str, tuple[float, float]] = {}
        self._design = 2 * (len(table.axes) + 1)

    def suggest(self) -> Task | None:
        """Return a random row for the first design, then the row of the highest acquisition of some random ones."""
        known = {row.training for row in self._rows}
        drawn = self._random.sample(self._table.rows, min(ROWS, len(self._table.rows)))
        new = [row for row in drawn if row.training not in known] or [
            row for row in self._table.rows if row.training not in known
        ]
        if not new:
            return None
        row = new[0] if len(self._rows) < self._design or len(self._found) < 2 else self._best(new)
        self._rows.append(row)
        return Task(str(len(self._rows) - 1), row.point, len(self._table.steps))

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        """Train on."""
        self._last[trial] = values
        return True

    def on_end(self, trial: str) -> None:
        """Take note."""
        self._found[int(trial)] = self._last[trial]

    def _encode(self, rows: list[Row]) -> torch.Tensor:
        """Return rows as numbers in [0, 1], an axis of words as one number for each word."""
        encoded = []
        for row in rows:
            numbers: list[float] = []
            for axis, values in self._table.axes.items():
                if axis in self._table.numbers:
                    numbers.append(values.index(row.point[axis]) / max(1, len(values) - 1))
                else:
                    numbers += [float(value == row.point[axis]) for value in values]
            encoded.append(numbers)
        return torch.tensor(encoded, **KW)

    def _best(self, rows: list[Row]) -> Row:
        x_ND = self._encode([self._rows[place] for place in self._found])
        y_N2 = -torch.tensor(list(self._found.values()), **KW)  # BoTorch maximizes
        models = [SingleTaskGP(x_ND, y_N2[:, [i]], outcome_transform=Standardize(1)) for i in range(2)]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        running = [row for place, row in enumerate(self._rows) if place not in self._found]
        front = y_N2[is_non_dominated(y_N2)]
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            ref_point=infer_reference_point(front),
            X_baseline=x_ND,
            X_pending=self._encode(running) if running else None,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=self._seed + len(self._rows)),
            prune_baseline=True,
        )
        with torch.no_grad():
            found = torch.cat([acquisition(part) for part in self._encode(rows)[:, None].split(64)])
        return rows[int(found.argmax())]
