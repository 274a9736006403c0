"""Ended trials -> the board: every trial, the Pareto front of ESR against cost, the held scores of the front, a picture."""

from pathlib import Path
from typing import Any

from models.dataset import AmpData
from models.documents import EVAL, read_evaluation
from models.errors import NotFound
from models.files import read_json, staged_file, write_json
from models.train import report
from search.ledger import read_ledger
from search.pareto import front
from search.space import SearchConfig

BOARD, PICTURE = "board.json", "board.png"


def make_board(config: SearchConfig, study: Path, amps: list[AmpData]) -> dict[str, Any]:
    """Write `board.json` and `board.png` and return the board.

    Front and best are chosen by validation alone; only then is the front scored on held settings and audio, once.
    """
    ended = read_ledger(study)
    finished = [line for line in ended if line["state"] == "finished"]
    ahead = [finished[index] for index in front([(line["esr"], line["cost"]) for line in finished])]
    for line in finished:
        line["front"] = line in ahead
    for line in ahead:
        line["held"] = {
            data.config.name: _held(study / "trials" / line["trial"] / data.config.name, data) for data in amps
        }
    board = {
        "schema": "zoo.board/1",
        "name": config.name,
        "amps": [data.config.name for data in amps],
        "best": ahead[0]["trial"],
        "trials": sorted(ended, key=lambda line: line.get("esr", float("inf"))),
    }
    write_json(study / BOARD, board)
    _draw(board, study / PICTURE)
    return board


def read_board(study: Path) -> dict[str, Any]:
    """The board of a finished study; raises `NotFound` when it has none yet."""
    if not (study / BOARD).exists():
        raise NotFound(f"{study} has no board yet", "Finish the search first: zoo search CONFIG --resume.")
    return read_json(study / BOARD)


def best_runs(study: Path) -> list[Path]:
    """The run folders of the best trial, one per amp."""
    board = read_board(study)
    return [study / "trials" / board["best"] / amp for amp in board["amps"]]


def _held(run: Path, data: AmpData) -> dict[str, Any]:
    evaluation = read_evaluation(run) if (run / EVAL).exists() else report(run, data)
    return evaluation.held.model_dump(include={"mean", "median", "worst", "baseline_mean"})


def _draw(board: dict[str, Any], path: Path) -> None:
    """ESR on validation settings against cost, both logarithmic; colour and shape tell where the knobs enter."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=130, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    trials = [trial for trial in board["trials"] if trial["state"] == "finished"]
    for form, marker in (("mixin", "o"), ("film", "^"), ("mixin+film", "s")):
        of_form = [trial for trial in trials if trial["point"]["inject"] == form]
        axes.scatter([t["cost"] for t in of_form], [t["esr"] for t in of_form], marker=marker, label=form, zorder=3)
    line = sorted((trial["cost"], trial["esr"]) for trial in trials if trial["front"])
    axes.plot(*zip(*line, strict=True), color="0.6", linewidth=1, zorder=2, label="Pareto front")
    best = next(trial for trial in trials if trial["trial"] == board["best"])
    axes.annotate("best", (best["cost"], best["esr"]), xytext=(-6, 8), textcoords="offset points", ha="right")
    axes.set(xscale="log", yscale="log", xlabel="cost (multiply-accumulates per sample)", ylabel="validation ESR")
    axes.set_title(f"{board['name']}: {len(trials)} trials on {', '.join(board['amps'])}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
        axis.set_tick_params(which="minor", labelsize="small")
    axes.grid(alpha=0.3, which="both")
    axes.legend(title="knobs enter at")
    with staged_file(path) as staged:
        figure.savefig(staged, format="png")
