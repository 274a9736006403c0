"""Writes the board of a finished study and all that shows it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.core.files import write_json
from models.core.progress import PhaseListener, ignore_phase
from models.recordings.dataset import AmpData
from search.config.study import SearchConfig
from search.optimizer.calibration import RungPlan
from search.study.board import Board, BoardTrial
from search.study.cost import read_costs
from search.study.files import BOARD, PICTURE, REPORT_PAGE
from search.study.ledger import read_lines
from search.study.summary import held_scores, summarize


def make_board(
    config: SearchConfig,
    study: Path,
    amps: Sequence[AmpData],
    plan: RungPlan | None,
    on_phase: PhaseListener = ignore_phase,
    *,
    untried: int = 0,
) -> Board:
    """Write `board.json`, `board.png` and `report.html`, and return the board.

    Fronts and best are chosen by validation alone; only then are trials on a front scored on held settings and
    audio, once. `on_phase` is told of each; `untried` as in `Board`.
    """
    from search.report.charts import draw_front
    from search.report.clips import held_clips
    from search.report.outlook import outlook_sentences
    from search.report.page import write_report

    lines = read_lines(study)
    board = summarize(config, lines, read_costs(study))
    ahead, trials = sum(trial.front for trial in board.trials), list[BoardTrial]()
    for trial in board.trials:
        if trial.front:
            on_phase("scoring", sum(scored.front for scored in trials), ahead)
        trials.append(_scored(trial, study, amps) if trial.front else trial)
    on_phase("writing the report")
    board = replace(board, complete=True, trials=trials, untried=untried)
    write_json(study / BOARD, board.to_json())
    draw_front(board, study / PICTURE)
    by_name = {data.config.name: data for data in amps}
    clips = {
        amp: held_clips(study / "trials" / trial / amp, by_name[amp])
        for amp, trial in board.best_of.items()
        if amp in by_name
    }
    write_report(study / REPORT_PAGE, config, board, lines, plan, clips, outlook_sentences(config, lines, amps))
    return board


def _scored(trial: BoardTrial, study: Path, amps: Sequence[AmpData]) -> BoardTrial:
    """Return a trial with its held scores."""
    folder = study / "trials" / trial.trial
    return trial.scored({data.config.name: held_scores(folder / data.config.name, data) for data in amps})
