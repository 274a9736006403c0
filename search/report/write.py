"""search/report/write.py."""

from pathlib import Path
from typing import Any

from models.core.files import write_json
from models.recordings.dataset import AmpData
from search.config.study import SearchConfig
from search.optimizer.pruner import Plan
from search.study.board import _held, summarise
from search.study.cost import read_costs
from search.study.files import BOARD, PICTURE, REPORT
from search.study.ledger import read_lines


def make_board(config: SearchConfig, study: Path, amps: list[AmpData], plan: Plan | None) -> dict[str, Any]:
    """Write `board.json`, `board.png`, `report.html` and `optuna.journal`, and return the board.

    Fronts and best are chosen by validation alone; only then are the fronts scored on held settings and audio, once.
    """
    from search.report.charts import draw_front
    from search.report.optuna_export import write_journal
    from search.report.page import write_report

    lines = read_lines(study)
    board: dict[str, Any] = {**summarise(config, lines, read_costs(study)), "complete": True}
    for trial in board["trials"]:
        if trial["front"]:
            folder = study / "trials" / trial["trial"]
            trial["held"] = {data.config.name: _held(folder / data.config.name, data) for data in amps}
    write_json(study / BOARD, board)
    draw_front(board, study / PICTURE)
    write_report(study / REPORT, config, board, lines, plan)
    write_journal(config, lines, study)
    return board
