"""Figures and report of a board: each amp's own numbers, recipes by name, what was spent, how trials differ."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.text import Annotation

from models.core.schema import read_document
from models.network.architecture import WaveNetConfig
from search.config.named_recipes import recipe_of
from search.config.shapes import named_points
from search.config.space import Space
from search.config.study import SearchConfig
from search.report.charts import curves_figure, front_figure
from search.report.page import cost_sentences, write_report
from search.study.board import Board, Effort, Held, read_board
from search.study.cost import Costs
from search.study.files import BOARD
from search.study.ledger import ledger_path, read_lines
from search.study.lines import LedgerLine, TrialEnd, TrialReport, TrialStart, to_json
from search.study.summary import summarize
from tests.support.searches import CONFIGS, WIDE, config_of, sample, start_line
from zoo.cli.views import board as board_view

AMPS = ("clean", "fuzz")
COSTS = Costs(cpus=("a", "b"), reference_s=1.0, tiers={"nano": 1.5, "lite": 10.0, "hifi": None})
FREE_POINT = Space(learning_rate=(0.003, 0.015)).complete({}) or {}
# trial -> cost, and the error on each amp: what is best for one is not for the other, nor over both
TRIALS = {"both": (2.0, 0.04, 0.1), "clean1": (1.0, 0.05, 0.4), "fuzz1": (4.0, 0.6, 0.03), "poor": (9.0, 0.9, 0.8)}


def search_of(mode: str = "per_amp") -> SearchConfig:
    (data,) = config_of().datasets
    datasets = tuple(data.model_copy(update={"name": name}) for name in AMPS)
    return config_of().model_copy(update={"datasets": datasets, "mode": mode})


def ledger_of(points: dict[str, dict[str, Any]] | None = None, steps: int = 10) -> list[LedgerLine]:
    """Two reports of each trial of `TRIALS`, of an hour in all."""
    lines: list[LedgerLine] = []
    for number, (trial, (cost, *errors)) in enumerate(TRIALS.items()):
        point = (points or {}).get(trial, FREE_POINT)
        facts = {"number": number, "point": point, "label": "1x2", "form": "mixin", "steps": steps, "cost": cost}
        lines.append(start_line(trial, parameters=5, **facts))
        for step in (steps // 2, steps):
            amps = {amp: error * steps / step for amp, error in zip(AMPS, errors, strict=True)}
            esr = (amps["clean"] * amps["fuzz"]) ** 0.5
            worst = {amp: 1.5 * error for amp, error in amps.items()}
            lines.append(TrialReport(trial=trial, step=step, esr=esr, amps=amps, worst=worst, seconds=1800.0))
        lines.append(TrialEnd(trial=trial, state="finished"))
    return lines


def board_of(mode: str = "per_amp", lines: list[LedgerLine] | None = None) -> Board:
    return summarize(search_of(mode), lines or ledger_of(), COSTS)


def page_of(board: Board, lines: list[LedgerLine], folder: Path) -> tuple[list[str], list[list[list[str]]]]:
    """The paragraphs and the tables of a report."""
    write_report(folder / "report.html", search_of(board.mode), board, lines, None)
    page = (folder / "report.html").read_text()
    tables = re.findall("<table>(.*?)</table>", page, re.DOTALL)
    cells = [[re.findall("<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row) for row in table.splitlines()] for table in tables]
    return re.findall("<p>(.*?)</p>", page), cells


def places(dots: Collection) -> list[tuple[float, float]]:
    """Where the dots of a picture are."""
    return [tuple(point) for point in np.asarray(dots.get_offsets()).tolist()]


def test_each_amp_has_a_figure_of_its_own_front():
    board = board_of()
    figure = front_figure(board)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert list(panels) == list(AMPS)
    for amp, axes in panels.items():
        (line,) = [line for line in axes.get_lines() if line.get_label() == "Pareto front"]
        members = [board.by_name[trial] for trial in board.fronts[amp]]
        assert len(members) > 1
        assert [tuple(point) for point in np.asarray(line.get_xydata()).tolist()] == [
            (t.cost, t.amps[amp]) for t in members
        ]
        dots = [point for dots in axes.collections for point in places(dots)]
        assert sorted(dots) == sorted((t.cost, t.amps[amp]) for t in board.trials)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["mixin", "Pareto front"]
    (whole,) = front_figure(board_of("universal")).axes
    dots = [esr for dots in whole.collections for _, esr in places(dots)]
    assert sorted(dots) == pytest.approx(sorted((a * b) ** 0.5 for _, a, b in TRIALS.values()))


def test_a_broken_limit_removes_a_trial_from_one_front_alone(tmp_path: Path):
    lines = ledger_of()
    broken = {"clean": {"runaway": -3.0}, "fuzz": {"runaway": 2.0}}
    lines = [
        replace(line, limits=broken) if isinstance(line, TrialReport) and line.trial == "clean1" else line
        for line in lines
    ]
    board = board_of(lines=lines)
    shown = {
        axes.get_title(): [cost for dots in axes.collections for cost, _ in places(dots)]
        for axes in front_figure(board).axes
    }
    assert sorted(shown["clean"]) == [1.0, 2.0, 4.0, 9.0] and sorted(shown["fuzz"]) == [2.0, 4.0, 9.0]
    _, (_, trials) = page_of(board, lines, tmp_path)
    states = {row[0].rstrip("*"): row[1] for row in trials[1:]}
    assert states == {**dict.fromkeys(TRIALS, "finished"), "clean1": "finished, breaks a limit on fuzz"}
    _, (_, trials) = page_of(board_of("universal", lines), lines, tmp_path)
    assert {row[1] for row in trials if row[0] == "clean1"} == {"finished, breaks a limit"}


def test_a_ledger_with_limits_of_no_amp_is_read(tmp_path: Path):
    older = [
        {**to_json(line), "limits": {"runaway": 2.0 if line.trial == "clean1" else -1.0}}
        if isinstance(line, TrialReport)
        else to_json(line)
        for line in ledger_of()
    ]
    ledger_path(tmp_path).write_text("".join(json.dumps(line) + "\n" for line in older))
    lines = read_lines(tmp_path)
    for mode in ("universal", "per_amp"):
        board = board_of(mode, lines)
        assert [trial.trial for trial in board.trials if not trial.feasible] == ["clean1"]
        assert not any("clean1" in members for members in board.fronts.values())
    whole = board_of("universal", lines).to_json()
    flat = [{**trial, "limits": {"runaway": -1.0}} for trial in whole["trials"]]
    (tmp_path / BOARD).write_text(json.dumps({**whole, "trials": flat}))
    for trial in read_board(tmp_path).trials:
        assert trial.limits == {amp: {"runaway": -1.0} for amp in trial.amps}


@pytest.mark.parametrize("finals", [{"trials": 1, "steps": 20, "trial_hours": 0.5, "later": 1}, None])
def test_what_a_later_version_adds_to_a_board_is_left_out(finals: dict[str, Any] | None, tmp_path: Path):
    whole = board_of("universal", ledger_of()).to_json()
    tiers = {front: {name: {**tier, "later": 1} for name, tier in of.items()} for front, of in whole["tiers"].items()}
    spent = {**whole["spent"], "later": 1, "finals": finals}
    (tmp_path / BOARD).write_text(json.dumps({**whole, "later": 1, "tiers": tiers, "spent": spent}))
    board = read_board(tmp_path)
    assert board.spent.finals == (Effort(1, 20, 0.5) if finals else Effort())
    assert board.tiers == board_of("universal", ledger_of()).tiers


def test_each_amp_has_its_own_learning_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = {}
    monkeypatch.setattr(
        "search.report.page.pictures.curves_figure", lambda *args: drawn.update(args[1]) or curves_figure(*args)
    )
    page_of(board_of(), ledger_of(), tmp_path)
    assert drawn["clean"]["fuzz1"] == {5: 1.2, 10: 0.6} and drawn["fuzz"]["fuzz1"] == {5: 0.06, 10: 0.03}
    first, second = curves_figure(board_of(), drawn, ()).axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("validation ESR of clean", "validation ESR of fuzz")


def test_every_number_of_an_amp_is_its_own(tmp_path: Path):
    lines = ledger_of()
    board = board_of(lines=lines)
    held: Held = {"clean": {"mean": 0.51}, "fuzz": {"mean": 0.52}}
    board = replace(board, trials=[trial.scored(held) if trial.front else trial for trial in board.trials])
    (headline, *_), (tiers, trials) = page_of(board, lines, tmp_path)
    assert "Best by validation for clean: 1x2, knobs at mixin, ESR 0.0400." in headline
    assert "Best by validation for fuzz: 1x2, knobs at mixin, ESR 0.0300." in headline
    assert tiers[0] == ["amp", "tier", f"cost up to ({board.unit})", "trial", "layers", "knobs at", "ESR", "held ESR"]
    assert [(row[0], row[1], row[3], *row[6:]) for row in tiers[1:]] == [
        ("clean", "nano", "clean1", "0.0500", "0.5100"),
        ("clean", "lite, hifi", "both", "0.0400", "0.5100"),
        ("fuzz", "nano", "clean1", "0.4000", "0.5200"),
        ("fuzz", "lite, hifi", "fuzz1", "0.0300", "0.5200"),
    ], "tiers with one model are one"
    assert "clean: the held ESR 0.5100 is 12.8 times the validation ESR 0.0400" in headline
    assert trials[0][2:4] == ["ESR clean", "ESR fuzz"]
    assert {row[0].rstrip("*"): tuple(row[2:4]) for row in trials[1:]} == {
        trial: (f"{clean:.4f}", f"{fuzz:.4f}") for trial, (_, clean, fuzz) in TRIALS.items()
    }
    header, rows, _ = board_view.board_table(board)
    assert header[:5] == ("TRIAL", "ESR clean", "ESR fuzz", "COST", "HELD ESR clean")
    assert ("both*", "0.0400", "0.1000") in [row[:3] for row in rows]
    (headline, *_), (tiers, trials) = page_of(board_of("universal"), lines, tmp_path)
    assert "ESR 0.0632" in headline and "worst amp fuzz at 0.1000" in headline
    assert tiers[0][-3:] == ["ESR", "held ESR clean", "held ESR fuzz"] and trials[0][2:5] == ["ESR", *trials[0][3:5]]


def test_finals_are_counted_apart(tmp_path: Path):
    again = [replace(line, trial=line.trial + "-0") for line in ledger_of(steps=40)][:4]
    assert isinstance(again[0], TrialStart)
    again[0] = replace(again[0], of="both")
    lines = [*ledger_of(), *again]
    board = board_of("universal", lines)
    spent = board.spent
    assert spent.searched == Effort(trials=4, steps=40, trial_hours=4.0)
    assert spent.finals == Effort(trials=1, steps=40, trial_hours=1.0)
    hours = sum(line.seconds or 0 for line in lines if isinstance(line, TrialReport)) / 3600
    assert spent.searched.trial_hours + spent.finals.trial_hours == hours, "the whole time is counted"
    text = " ".join(cost_sentences(board, None))
    assert "4 trials took 40 steps in 4.0 h of training (4 finished)" in text
    assert "Training the best again took 40 steps more in 60 min (1 trials)" in text
    assert "Costs are those on a. It was resumed on b" in text
    (headline, *_), _ = page_of(board, lines, tmp_path)
    assert headline.startswith("4 trials on clean, fuzz; 1 more trained the best again.")
    title = front_figure(board).get_suptitle()
    assert title == "s: 4 trials on clean, fuzz; 1 more trained the best again"


def texts_of(axes: Axes) -> dict[str, tuple[float, float]]:
    """What is written in a chart at which place."""
    return {text.get_text(): text.xy for text in axes.texts if isinstance(text, Annotation)}


def test_the_picture_names_tiers_and_the_nearest_setting():
    lines = [replace(line, relative=line.esr / 0.25) if isinstance(line, TrialReport) else line for line in ledger_of()]
    board = board_of("universal", lines)
    (axes,) = front_figure(board).axes
    texts = texts_of(axes)
    clean, both = board.by_name["clean1"], board.by_name["both"]
    assert texts["nano"] == (clean.cost, clean.esr)
    assert texts["best: lite, hifi"] == (both.cost, both.esr), "one model is the best of both tiers"
    assert texts["nano up to here"][0] == 1.5 and texts["lite up to here"][0] == 10.0
    assert texts["nearest recorded setting: 0.25"] == (1, pytest.approx(0.25))
    dotted = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert [np.asarray(line.get_ydata())[0] for line in dotted] == [pytest.approx(0.25)]
    low, high = axes.get_ylim()
    assert low < 0.25 < high


def test_no_line_where_the_nearest_setting_is_not_known():
    lines = [replace(line, relative=line.esr) if isinstance(line, TrialReport) else line for line in ledger_of()]
    board = board_of("universal", lines)
    held: Held = {amp: {"mean": 0.5, "baseline_mean": None} for amp in AMPS}
    board = replace(board, trials=[trial.scored(held) if trial.front else trial for trial in board.trials])
    for shown in (board, board_of("universal"), board_of("per_amp", lines)):
        for axes in front_figure(shown).axes:
            assert not any(text.startswith("nearest") for text in texts_of(axes))


@pytest.mark.parametrize("knobs", [1, 2, 3, 4, 5])
def test_recipes_have_the_names_of_their_presets(knobs: int):
    points = named_points(knobs)
    space = Space().holding(points)
    found = {}
    for point in filter(None, map(space.complete, points)):
        name = recipe_of(space, point)
        assert name, point
        found[name] = point
        assert read_document(CONFIGS / f"{name}.json", WaveNetConfig) == space.model(point)
    assert len(found) == len(points) and {"a1-nano-film", "peer-a1-knob-bias", "peer-a2-concat"} <= found.keys()


def test_only_trials_that_are_a_recipe_are_marked_as_one():
    space = Space(inject=("film", "mixin", "input+mixin"), encoder=(None, 4))
    film = {"shape": "a1-standard", "inject": "film"}
    peers = {"shape": "a1-standard", "inject": "mixin"}, {"shape": "a2-full", "inject": "input+mixin"}
    wanted = film, *peers, {**film, "encoder": 4}
    points = [space.complete(point) or {} for point in wanted]
    board = board_of("universal", ledger_of(dict(zip(TRIALS, points, strict=True))))
    recipes = {trial.trial: trial.recipe for trial in board.trials}
    assert recipes == dict(zip(TRIALS, ["a1-standard-film", "peer-a1-knob-bias", "peer-a2-concat", None], strict=True))
    figure = front_figure(board)
    (axes,) = figure.axes
    rings = {dots.get_label(): sorted(cost for cost, _ in places(dots)) for dots in axes.collections}
    assert (rings["stock shape, FiLM"], rings["another project's recipe"]) == ([2.0], [1.0, 4.0])
    texts = {text.get_text(): text.xy[0] for text in axes.texts if hasattr(text, "xy")}
    assert {"a1-standard": 2.0, "a1-knob-bias": 1.0, "a2-concat": 4.0}.items() <= texts.items()
    (plain,) = front_figure(board_of("universal")).axes
    assert not {"stock shape, FiLM", "another project's recipe"} & {dots.get_label() for dots in plain.collections}


def test_trials_that_differ_look_different(tmp_path: Path):
    config = config_of().model_copy(update={"space": WIDE})
    _, report, _, end = ledger_of()[:4]
    lines: list[LedgerLine] = []
    for seed in range(120):
        point = sample(WIDE, seed % 60)
        if seed >= 60:  # the same but for one axis of learning
            point |= {"batch": 6 - point["batch"]}
        trial = config.identity(point)
        facts = {"point": point, "label": WIDE.label(point), "form": WIDE.model(point).inject.label}
        lines += [start_line(trial, **facts), replace(report, trial=trial), replace(end, trial=trial)]
    board = summarize(config, lines, COSTS)
    write_report(tmp_path / "report.html", config, board, lines, None)
    page = (tmp_path / "report.html").read_text()
    header, *rows = re.findall("<tr>(.*?)</tr>", page.partition("<h2>All trials</h2>")[2])
    names = re.findall("<th(?: [^>]*)?>(.*?)</th>", header)
    what = [names.index(name) for name in ("layers", "knobs at", "rate", "also")]
    cells = [re.findall("<td(?: [^>]*)?>(.*?)</td>", row) for row in rows]
    assert len(cells) > 100 and len({tuple(row[place] for place in what) for row in cells}) == len(cells)
    assert "Where a trial does not say otherwise: " in page
