"""Search over a real amp and a virtual tube amp in one study, then package and render both.

Needs the recordings folder (`hrd3/`, `gxamp-6v6/`), which is not part of the project; says so and stops without it.

    python benchmarks/real_recordings.py RECORDINGS --out studies/real
"""

import argparse
import sys
from pathlib import Path

import torch

from models.artifacts.evaluation import read_evaluation
from models.artifacts.folder import load_model
from models.core.schema import check_document
from models.playback.render import render
from search.config.study import SearchConfig
from search.launch.launcher import run_search
from search.run_options import RunOptions
from search.study.board import best_runs
from search.study.lines import TrialRecord
from zoo.cli import output
from zoo.cli.views import board as board_view
from zoo.cli.views import words
from zoo.package.build import PackageRequest, package
from zoo.package.card_schema import Terms


def make_config(data: Path, trials: int, steps: int) -> SearchConfig:
    """`hrd3` has one short dry signal for all takes, so its last second is held; `gxamp-6v6` has its own held music."""
    hrd3 = {
        "name": "hrd3",
        "train": data / "hrd3" / "train.json",
        "held": data / "hrd3" / "heldout.json",
        "held_seconds": 1.0,
        "validation_settings": 2,
        "validation_seconds": 0.7,
        "align": True,
    }
    gxamp = {
        "name": "gxamp-6v6",
        "train": data / "gxamp-6v6" / "train.json",
        "held": data / "gxamp-6v6" / "heldout.json",
        "validation_settings": 4,
        "validation_seconds": 3.0,
    }
    space = {
        "depth": [8, 9, 10],
        "dilations": ["pow2", "pow2x5", "pow3"],
        "channels": [6, 8, 12],
        "learning_rate": [0.004, 0.012],
    }
    config = {
        "name": "real",
        "datasets": [hrd3, gxamp],
        "space": space,
        "learning": {"steps": steps, "report_every": 250},
        "trials": trials,
        "final": None,
    }
    return check_document(config, SearchConfig, "benchmark")


def main() -> None:
    """Run it and print the board and the held scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("studies/real"))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    if not (options.data / "hrd3").is_dir():
        sys.exit(f"skipped: {options.data} has no hrd3 recordings")

    def listener(record: TrialRecord) -> None:
        if record.has_ended:
            output.info(board_view.trial_sentence(record))

    torch.set_num_threads(1)
    config = make_config(options.data.resolve(), options.trials, options.steps)
    resume = (options.out / "study.json").exists()
    board_view.show_board(run_search(config, options.out, RunOptions(resume=resume, listener=listener)))
    for run, data in zip(best_runs(options.out), config.datasets, strict=True):
        folder = package(
            PackageRequest(run, options.out / "packages" / run.name, Terms(license="cc-by-4.0"), force=True)
        )
        output.data(f"{run.name}: {words.held_sentence(read_evaluation(folder))}")
        dry = Path(data.train).parent / ("DI.wav" if run.name == "hrd3" else "audio/di_heldout.flac")
        first = read_evaluation(folder).held.settings[0].setting
        output.data(str(render(load_model(folder), dry, options.out / f"{run.name}.wav", first).path))


if __name__ == "__main__":
    main()
