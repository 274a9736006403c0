"""Builds the scheduler of a search from its config: candidates, constraints, sampler, pruner."""

from collections.abc import Sequence
from pathlib import Path

from models.core.errors import UserError
from models.recordings.dataset import AmpData
from search.config.shapes import STOCK, spread_indices
from search.config.space import Point
from search.config.study import SearchConfig
from search.optimizer.candidates import CandidatePool
from search.optimizer.pruner import HalvingPruner
from search.optimizer.sampler import SurrogateSampler, van_der_corput
from search.study.beginning import config_place
from search.study.constraints import Constraints, ModelCandidate, Violation
from search.study.cost import CostModel, MeasuredCost, read_costs
from search.study.ledger import read_lines
from search.study.lines import LedgerLine, TrialEnd
from search.study.scheduler import Listener, TrialScheduler
from search.study.time_budget import TimeBudget


def make_pool(config: SearchConfig, constraints: Constraints, stock: Sequence[Point]) -> CandidatePool[ModelCandidate]:
    """Return the candidates of a search, first its warm points and then `stock`, as far as the space can hold them."""
    whole = config.space.holding(stock)
    points = filter(None, map(whole.complete, (*config.warm, *fitting_recipes(config, stock))))
    first = [constraints.to_candidate(point) for point in points]
    return CandidatePool(config.space, constraints.to_candidate, constraints.violation, first)


def fitting_recipes(config: SearchConfig, stock: Sequence[Point]) -> list[Point]:
    """Return the recipes that fit into `trials` beside the warm points.

    The stock shapes come before other projects' recipes; where not even they fit, they are spread over their costs.
    So they are where the time is limited: nobody knows how many will be trained.
    """
    room = max(config.trials - len(config.warm), 0)
    if config.minutes is not None:
        return [*_spread(stock[: len(STOCK)]), *stock[len(STOCK) :]][:room]
    if room >= len(STOCK):
        return list(stock[:room])
    shapes = stock[: len(STOCK)]
    return [shapes[index] for index in spread_indices(len(shapes), room)]


def _spread(points: Sequence[Point]) -> list[Point]:
    """Return points in an order whose every beginning is spread over them."""
    places = (int(van_der_corput(number) * len(points)) for number in range(4 * len(points)))
    return [points[place] for place in dict.fromkeys(places)]


def make_sampler(config: SearchConfig, pool: CandidatePool[ModelCandidate]) -> SurrogateSampler[ModelCandidate]:
    """Return the sampler of a search."""
    return SurrogateSampler(pool, config.seed)


def make_pruner(config: SearchConfig) -> HalvingPruner | None:
    """Return the pruner of a search; None where its config has none."""
    if config.pruning is None:
        return None
    return HalvingPruner(config.pruning.calibrate, config.pruning.grace or max(1, config.learning.steps // 20))


def make_scheduler(
    config: SearchConfig,
    study: Path,
    amps: Sequence[AmpData],
    stock: Sequence[Point] = (),
    *,
    pruner: HalvingPruner | None = None,
    cost_model: CostModel | None = None,
    listener: Listener | None = None,
    copy: Listener | None = None,
) -> TrialScheduler:
    """Return the scheduler of a search, as it stands in a study folder.

    Args:
        config: the search.
        study: the study folder.
        amps: the recordings of the config's datasets.
        stock: points with which the search begins, after its warm ones, and which always train to the end.
        pruner: the config's own where it is None.
        cost_model: measured costs where it is None; in seconds of the machine on which the study began, if that is
            known.
        listener: called with a trial's record after each line of the ledger.
        copy: as `listener`, before it; a `UserError` that it raises stops the search.

    Raises `UserError` naming the file and the line where the ledger is damaged.
    """
    lines = read_lines(study, config)
    costs, cost_model = read_costs(study), cost_model or MeasuredCost()
    constraints = Constraints(config, amps, cost_model.scaled_to(costs.reference_s) if costs else cost_model)
    pool = make_pool(config, constraints, stock)
    return TrialScheduler(
        config,
        study,
        pool,
        make_sampler(config, pool),
        pruner or make_pruner(config),
        sizes=constraints.sizes,
        stock={candidate.identity for candidate in pool.first[len(config.warm) :]},
        listener=listener,
        copy=copy,
        time_budget=make_time_budget(config, lines),
    )


def make_time_budget(config: SearchConfig, lines: Sequence[LedgerLine]) -> TimeBudget | None:
    """Return the time of a search that states minutes, less what a ledger says was spent; None for any other search."""
    if config.minutes is None:
        return None
    return TimeBudget(config, max((line.at or 0.0 for line in lines if isinstance(line, TrialEnd)), default=0.0))


def check_space(
    config: SearchConfig,
    amps: Sequence[AmpData],
    stock: Sequence[Point] = (),
    cost_model: CostModel | None = None,
    file: Path | None = None,
) -> None:
    """Raise `UserError` where no point may be trained; `file` is that of the config, if there is one."""
    constraints = Constraints(config, amps, cost_model or MeasuredCost())
    pool = make_pool(config, constraints, stock)
    if (pool.next_first() or make_sampler(config, pool).suggest()) is None:
        reason, _ = pool.refused.most_common(1)[0]
        raise UserError(
            f"{config_place(config, file)}: no point of the space may be trained: {reason}",
            reason.hint if isinstance(reason, Violation) else "Correct 'space': its points stand for no model.",
        )
