"""The steps of `zoo quickstart`: takes of the virtual amp, search, package, shelf, sound."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from models.artifacts.evaluation import read_evaluation
from models.artifacts.folder import load_model
from models.capture.virtual_amp import LICENSE, render_takes
from models.core.schema import read_json
from models.knobs.text import format_setting
from models.playback.render import render
from zoo.cli import output
from zoo.cli.views import amps as amps_view
from zoo.cli.views import board as board_view
from zoo.cli.views import words
from zoo.package.build import PackageRequest, package
from zoo.package.card_schema import Terms
from zoo.registry.shelf import Shelf

if TYPE_CHECKING:
    from search.config.study import SearchConfig
    from search.study.board import Board


def run_quickstart(config: "SearchConfig", search: "Callable[[SearchConfig, Path], Board]") -> None:
    """Run all steps in the folder around the config's takes; a second run resumes the search of the first.

    `search(config, study)` runs the search and returns its board. Raises what the steps raise.
    """
    from search.study.board import tier_runs

    data = config.datasets[0]
    takes, name = Path(data.train).parent, f"ampzoo/{data.name}"
    folder = takes.parent
    output.info("1 of 5  recording the virtual amp")
    with output.progress("takes") as bar:
        _, held = render_takes(takes, on_take=bar)
    output.info("2 of 5  searching")
    board = search(config, folder / "study")
    board_view.show_board(board)
    output.info("3 of 5  packaging the best model")
    tiers = tier_runs(folder / "study")[data.name]
    run = list(tiers.values())[-1]
    request = PackageRequest(run, folder / "packages" / data.name, Terms(license=LICENSE), force=True, tiers=tiers)
    with output.progress("packaging") as bar:
        packaged = package(request, output.PhaseLines(bar, "packaging").stage, output.warn)
    shelf = Shelf(folder / "shelf")
    output.info(f"4 of 5  publishing {name} on the shelf {words.relative(shelf.folder)}")
    shelf.push(shelf.plan(packaged, name))
    amps_view.show_list(shelf.list(output.info))
    entry = read_json(held)["entries"][0]
    setting = format_setting(entry["knobs"])
    output.info(f"5 of 5  playing {entry['input_file']} at {setting}")
    render(load_model(shelf.folder / name), takes / entry["input_file"], folder / "played.wav", entry["knobs"])
    amps_view.show_quickstart(name, Path(words.relative(folder)), read_evaluation(run), setting)
