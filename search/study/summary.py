"""The ledger -> the board: which trials are on a front, which in a tier, what was spent, which are trained again."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from models.artifacts.evaluation import read_evaluation
from models.artifacts.names import EVAL
from models.evaluation.evaluate import evaluate
from models.recordings.dataset import AmpData
from search.config.named_recipes import recipe_of
from search.config.study import ALL, SearchConfig
from search.optimizer.pareto import is_feasible
from search.study.board import Board, BoardTier, BoardTrial, Effort, Spent, read_board, read_study
from search.study.cost import UNIT, Costs, read_costs
from search.study.files import BOARD
from search.study.ledger import read_lines
from search.study.lines import (
    ENDS,
    FINISHED,
    PRUNED,
    LedgerLine,
    TrialRecord,
    TrialReport,
    TrialStart,
    latest,
    trained_seconds,
)
from search.study.objectives import constraints_of, front_names, front_of


def current_board(study: Path) -> Board:
    """Return the board of a study as it stands; only a finished study has held scores.

    Raises `NotFound` where the folder holds no study.
    """
    if (study / BOARD).exists():
        return read_board(study)
    config = read_study(study)
    return summarize(config, read_lines(study, config), read_costs(study))


def summarize(
    config: SearchConfig, lines: Sequence[LedgerLine], costs: Costs | None = None, *, finals: bool = True
) -> Board:
    """Return the board of a ledger, also while the search runs, without held scores.

    Args:
        config: the search.
        lines: its ledger.
        costs: what its costs mean; without it the board has no tiers.
        finals: whether trials that were trained again count.
    """
    records = [record for record in latest(lines) if finals or not record.is_final]
    fronts = _fronts(config, records)
    front_trials = {trial for members in fronts.values() for trial in members}
    trials = [_board_trial(config, record, front_trials) for record in records]
    by_name = {trial.trial: trial for trial in trials}
    return Board(
        complete=False,
        name=config.name,
        mode=config.mode,
        amps=[data.name for data in config.datasets],
        unit=UNIT,
        cpus=list(costs.cpus) if costs else [],
        best=min(front_trials, key=lambda name: (by_name[name].esr, name)) if front_trials else None,
        best_of={
            data.name: fronts[data.name if data.name in fronts else ALL][0] for data in config.datasets if front_trials
        },
        fronts=fronts,
        tiers=_choose_tiers(fronts, by_name, costs.tiers if costs else {}),
        spent=_spent(trials, lines, front_trials),
        trials=sorted(trials, key=lambda trial: (trial.state not in ENDS, trial.esr)),
    )


def choose(config: SearchConfig, study: Path, count: int) -> list[str]:
    """Return at most `count` trials to train again: the best of each front, of each smaller tier, then by error.

    The best of each front is always included. Those that have started to train again come before all others: the
    tiers of an older study depend on where it is continued.
    """
    lines = read_lines(study, config)
    board = summarize(config, lines, read_costs(study), finals=False)
    started = [line.of for line in lines if isinstance(line, TrialStart) and line.of is not None]
    tiers = [tier.trial for of_front in board.tiers.values() for tier in reversed(of_front.values())]
    others = [trial.trial for trial in board.trials if trial.front]
    wanted = dict.fromkeys([*started, *board.best_of.values(), *(trial for trial in tiers if trial), *others])
    return list(wanted)[: max(count, len(set(board.best_of.values())))]


def held_scores(run: Path, data: AmpData) -> dict[str, float | None]:
    """Return the held scores of a run folder; evaluate it where that was not done."""
    evaluation = read_evaluation(run) if (run / EVAL).exists() else evaluate(run, data)
    return evaluation.held.model_dump(include={"mean", "median", "worst", "baseline_mean"})


def _board_trial(config: SearchConfig, record: TrialRecord, front_trials: set[str]) -> BoardTrial:
    feasible = any(map(is_feasible, constraints_of(config, record).values()))
    recipe = recipe_of(config.space, record.point)
    return BoardTrial.from_record(record, feasible=feasible, front=record.trial in front_trials, recipe=recipe)


def _fronts(config: SearchConfig, records: Iterable[TrialRecord]) -> dict[str, list[str]]:
    """Return front -> its trials by error."""
    finished = [record for record in records if record.state == FINISHED]
    return {name: front_of(name, finished) for name in front_names(config)}


def _choose_tiers(
    fronts: Mapping[str, list[str]], by_name: Mapping[str, TrialRecord], budgets: Mapping[str, float | None]
) -> dict[str, dict[str, BoardTier]]:
    """Return front -> tier -> its budget and the best trial within it."""

    def best(members: list[str], budget: float | None) -> str | None:
        return next((trial for trial in members if budget is None or by_name[trial].cost <= budget), None)

    return {
        name: {tier: BoardTier(budget, best(members, budget)) for tier, budget in budgets.items()}
        for name, members in fronts.items()
    }


def _spent(trials: Sequence[BoardTrial], lines: Sequence[LedgerLine], front_trials: set[str]) -> Spent:
    """Return what the search took, apart from the finals."""
    seconds = trained_seconds(lines)

    def effort(some: Sequence[BoardTrial]) -> Effort:
        hours = sum(seconds.get(trial.trial, 0.0) for trial in some) / 3600
        return Effort(len(some), sum(trial.step for trial in some), round(hours, 4))

    searched = [trial for trial in trials if not trial.is_final]
    below_rung = {line.trial for line in lines if isinstance(line, TrialReport) and line.survives is False}
    survivors = [trial for trial in searched if trial.trial in below_rung and trial.state == FINISHED]
    searched_of_finals = {
        name.partition("-")[0] for name in front_trials
    }  # a final counts for the trial it trains again
    front_trials = front_trials | searched_of_finals
    return Spent(
        searched=effort(searched),
        steps_unpruned=sum(trial.steps if trial.state in (FINISHED, PRUNED) else trial.step for trial in searched),
        states={state: sum(trial.state == state for trial in searched) for state in ENDS},
        controls_doomed=len(survivors),
        controls_on_front=sum(trial.trial in front_trials for trial in survivors),
        finals=effort([trial for trial in trials if trial.is_final]),
    )
