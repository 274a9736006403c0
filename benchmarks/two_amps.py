"""One search over two amps against other projects' fixed recipes, each side with as many training steps in all.

The search tries recipes briefly, stops the poor ones, and trains the best of its front again, longer; the four
fixed recipes share as many steps. Everybody has the same split, batches, loss and schedule. Held settings on held
audio, which neither side chose by. Interrupted, it continues where it stopped. Needs the recordings folders
`gxamp-6v6/` and `ts808/`; says so and stops without them.

    python benchmarks/two_amps.py RECORDINGS --out studies/two-amps
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from models.artifacts.evaluation import read_evaluation
from models.artifacts.names import EVAL
from models.core.schema import check_document, read_document
from models.evaluation.evaluate import evaluate
from models.network.architecture import WaveNetConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from models.reporting.plots import COLORS, make_figure, plain_ticks, save_png, styled
from models.training.config import Recipe
from models.training.fit import fit
from search.config.study import SearchConfig
from search.launch.launcher import run_search
from search.run_options import RunOptions
from search.study.board import read_board
from search.study.lines import TrialRecord
from zoo.cli import output
from zoo.cli.views import board as board_view

FOLDER = Path(__file__).parents[1] / "configs" / "models"
# As published: knobs at the input and in every mixin of an A2, of one width or of one that grows with the knobs; FiLM;
# a bias per knob in A1.
PEERS = {
    "A2, concat": "peer-a2-concat",
    "A2, wide concat": "peer-a2-concat-{knobs}-knobs",
    "A2, FiLM": "a2-full-film",
    "A1, knob bias": "peer-a1-knob-bias",
}
KNOBS = {"gxamp-6v6": 4, "ts808": 3}


def make_config(data: Path, trials: int, steps: int, final_steps: int) -> SearchConfig:
    """The search: free recipes of at most 16 channels, after the stock and other projects' recipes."""
    gxamp: dict[str, Any] = {"validation_settings": 4, "validation_seconds": 3.0}
    ts808: dict[str, Any] = {
        "validation_settings": [{"drive": 0.25, "tone": 0.5, "level": 0.7}, {"drive": 0.5, "tone": 0.25, "level": 0.7}],
        "validation_seconds": 2.0,
    }
    amps = {"gxamp-6v6": gxamp, "ts808": ts808}
    config = {
        "name": "two-amps",
        "datasets": [
            {"name": name, "train": data / name / "train.json", "held": data / name / "heldout.json", **split}
            for name, split in amps.items()
        ],
        "space": {
            "depth": [8, 9, 10],
            "dilations": ["pow2", "pow2x5", "pow3"],
            "channels": [6, 8, 12, 16],
            "inject": ["mixin", "film", "mixin+film"],
            "learning_rate": [0.004, 0.012],
        },
        "learning": {"steps": steps, "report_every": steps // 4},
        "trials": trials,
        "final": {"steps": final_steps, "seeds": 1, "top": 2},
    }
    return check_document(config, SearchConfig, "benchmark")


def train_peers(config: SearchConfig, out: Path, steps: int) -> None:
    """Every fixed recipe on every amp."""
    learning = config.learning.model_copy(update={"steps": steps, "learning_rate": 0.006, "report_every": 500})
    for name, preset in PEERS.items():
        for data in config.datasets:
            path = FOLDER / f"{preset.format(knobs=KNOBS[data.name])}.json"
            model = read_document(path, WaveNetConfig)
            held = fit(Recipe(data=data, model=model, learning=learning), peer_run(out, name, data.name)).held
            output.info(f"{name} on {data.name}: held ESR {held.mean:.4f}")


def peer_run(out: Path, name: str, amp: str) -> Path:
    """The run folder of one fixed recipe."""
    return out / "peers" / name.replace(", ", "-").replace(" ", "-").lower() / amp


def rows(out: Path, data: AmpData) -> list[tuple[str, str, int, float, float, float]]:
    """`(side, what, MACs, held mean, median, worst)` of all finals and other projects' recipes, the cheapest first."""
    found, amp = [], data.config.name
    finals = [trial for trial in read_board(out / "search").trials if trial.is_final and trial.state == "finished"]
    runs = [("ours", f"{t.label}, {t.form}", out / "search" / "trials" / t.trial / amp) for t in finals]
    runs += [("peers", name, peer_run(out, name, amp)) for name in PEERS]
    for side, what, run in runs:
        if (run / "model.safetensors").exists():
            evaluation = read_evaluation(run) if (run / EVAL).exists() else evaluate(run, data)
            held = evaluation.held
            found.append((side, what, evaluation.macs_per_sample, held.mean, held.median, held.worst))
    return sorted(found, key=lambda row: row[2])


@styled
def draw(tables: dict[str, list[tuple]], path: Path) -> None:
    """Held ESR against cost, one panel per amp."""
    figure, panels = make_figure(len(tables), 8.6, 3.6)
    for axes, (amp, found) in zip(panels, tables.items(), strict=True):
        for side, color, marker in (("ours", COLORS[0], "o"), ("peers", COLORS[1], "s")):
            points = [(macs, esr) for one, _, macs, esr, _, _ in found if one == side]
            axes.plot(*zip(*points, strict=True), marker, color=color, label=side)
        last = max(macs for _, _, macs, _, _, _ in found)
        for what, macs, esr in ((what, macs, esr) for _, what, macs, esr, _, _ in found):
            across, side = (-6, "right") if macs == last else (6, "left")
            up = 4 if what.startswith("A1") or macs == last else -4
            axes.annotate(
                what, (macs, esr), xytext=(across, up), textcoords="offset points", size=7, ha=side, va="center"
            )
        axes.set(xscale="log", yscale="log", xlabel="multiply-accumulates per sample", ylabel="held ESR")
        axes.set_title(amp, size=10)
        plain_ticks(axes)
        axes.set_xticks([1000, 3000, 10_000, 30_000], ["1,000", "3,000", "10,000", "30,000"])
        axes.minorticks_off()
        axes.set_yticks(ticks := [0.01, 0.02, 0.05, 0.1, 0.2], [f"{tick:g}" for tick in ticks])
        axes.margins(0.15, 0.12)
        axes.legend(fontsize=8)
    save_png(figure, path)


def main() -> None:
    """Train both sides, or one, and print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("studies/two-amps"))
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--final-steps", type=int, default=4800)
    parser.add_argument("--peer-steps", type=int, default=4000)
    parser.add_argument("--only", choices=("search", "peers"), help="one side, for another process to train the other")
    options = parser.parse_args()
    if not all((options.data / amp).is_dir() for amp in KNOBS):
        sys.exit(f"skipped: {options.data} lacks recordings of {' or '.join(KNOBS)}")
    torch.set_num_threads(1)
    config = make_config(options.data.resolve(), options.trials, options.steps, options.final_steps)
    study = options.out / "search"

    def listener(record: TrialRecord) -> None:
        if record.has_ended:
            output.info(board_view.trial_sentence(record))

    if options.only != "peers":
        run_search(config, study, RunOptions(resume=(study / "study.json").exists(), local=True, listener=listener))
    if options.only != "search":
        train_peers(config, options.out, options.peer_steps)
    if options.only:
        return
    spent = read_board(study).spent
    steps = spent.searched.steps + spent.finals.steps
    output.data(f"steps per amp: ours {steps}, peers {len(PEERS) * options.peer_steps}")
    tables = {data.name: rows(options.out, load_data(data)) for data in config.datasets}
    for amp, found in tables.items():
        output.data(amp)
        numbers = [(*row[:2], f"{row[2]:,}", *(f"{value:.4f}" for value in row[3:])) for row in found]
        output.data_table(("SIDE", "RECIPE", "MACS", "HELD", "MEDIAN", "WORST"), numbers)
    draw(tables, options.out / "two-amps.png")


if __name__ == "__main__":
    main()
