"""`report.html`: what a search found and what it cost, in one file that needs no other."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import optuna
from matplotlib.figure import Figure

from models.artifacts.evaluation import gap_warning, read_evaluation
from models.artifacts.names import EVAL
from models.core.files import write_text
from models.reporting.html import beside, drawing, heading, page, paragraph
from models.reporting.plots import plot_setting_errors, to_svg
from search.config.study import ALL, SearchConfig
from search.optimizer.calibration import RungPlan
from search.optimizer.pareto import is_feasible
from search.report import charts as pictures
from search.report.clips import HeldClip
from search.report.optuna_export import to_optuna
from search.report.tables import tier_table, trial_table
from search.study.board import Board, BoardTrial, Effort
from search.study.lines import FINISHED, LedgerLine, curves
from search.study.objectives import error_of, limits_on

IMPORTANCE_NEEDS = 8  # trials: with fewer, importances mean nothing

IMPORTANT = 0.005  # axes that explain less are left out


def write_report(
    path: Path,
    config: SearchConfig,
    board: Board,
    lines: Sequence[LedgerLine],
    plan: RungPlan | None,
    clips: Mapping[str, Sequence[HeldClip]] | None = None,
    outlook: Sequence[str] = (),
) -> None:
    """Write the report of a study beside its board.

    `clips` are the sound of each amp's best model; `outlook` are sentences on what more time would bring.
    """
    curves = pictures.curves_figure(board, _curves(board, lines), plan.rungs if plan else ())
    charts = [
        _picture(pictures.front_figure(board), "The front"),
        _picture(curves, "Learning curves"),
        *_held_maps(board, path.parent),
        *_what_mattered(config, board, lines),
    ]
    parts = [
        paragraph(_headline(board)),
        tier_table(board),
        *_held_clips(clips or {}),
        beside(charts),
        heading("What it cost"),
        *map(paragraph, cost_sentences(board, plan)),
        *([heading("What another hour would bring"), paragraph(" ".join(outlook))] if outlook else []),
        heading("All trials"),
        trial_table(board),
    ]
    write_text(path, page(board.name, parts))


def _held_clips(clips: Mapping[str, Sequence[HeldClip]]) -> list[str]:
    """Return players of held takes beside the best model of each amp."""
    parts = []
    for amp, found in clips.items():
        if found:
            parts += [heading(f"Listen: {amp}"), *(clip.to_html() for clip in found)]
    return parts


def cost_sentences(board: Board, plan: RungPlan | None) -> list[str]:
    """Return what was trained, what pruning saved, and what it may have missed."""
    spent = board.spent
    searched, again = spent.searched, spent.finals
    states = ", ".join(f"{count} {state}" for state, count in spent.states.items() if count)
    sentences = [
        f"{searched.trials} trials took {searched.steps:,} steps in {_training_time(searched)} of training ({states})."
    ]
    if again.trials:
        sentences.append(
            f"Training the best again took {again.steps:,} steps more in {_training_time(again)} "
            f"({again.trials} trials)."
        )
    if len(board.cpus) > 1:
        first, *others = board.cpus
        sentences.append(
            f"Costs are those on {first}. It was resumed on {', '.join(others)}: what was first measured there was "
            "measured in turns with a reference model, and converted by that ratio to seconds of the former."
        )
    return [*sentences, *_pruning_sentences(board, plan)]


def _training_time(effort: Effort) -> str:
    """Return the time of all trainings together, in the unit that reads best."""
    minutes = 60 * effort.trial_hours
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 100 else f"{effort.trial_hours:.1f} h"


def _pruning_sentences(board: Board, plan: RungPlan | None) -> list[str]:
    """Return where trials were pruned, what that saved, and what it may have missed."""
    if plan is None:
        return ["No trial was pruned: too few have trained to the end to say where that is safe."]
    spent = board.spent
    found = ", ".join(f"{correlation:.2f} at step {step}" for step, correlation in list(plan.correlations.items())[:6])
    sentences = [
        f"Rank correlation of the error with that at the end, on the first trials that trained to the end: {found}."
    ]
    if not plan.rungs:
        return [*sentences, "No step predicts the final error well enough to prune at."]
    share = 1 - spent.searched.steps / max(spent.steps_unpruned, 1)
    sentences.append(
        f"So the rungs are at steps {', '.join(map(str, plan.rungs))}, and one trial in {plan.reduction:g} survives "
        f"each. Pruning saved {share:.0%} of the steps that training all to the end would have taken."
    )
    below_rung, missed = spent.controls_doomed, spent.controls_on_front
    if below_rung:
        sentences.append(
            f"What it may have cost: of {below_rung} trials that a rung would have stopped, but that continued "
            f"training as controls, {missed} ended on the front."
        )
    else:
        sentences.append("What it may have cost is not known: no control was below a rung.")
    return sentences


def _headline(board: Board) -> str:
    by_name = board.by_name
    best = (_best(by_name[members[0]], front) for front, members in board.fronts.items())
    return " ".join([f"{pictures.count_trials(board)}.", *best])


def _best(best: BoardTrial, front: str) -> str:
    """Return a sentence about the best trial of a front."""
    whose, error = "" if front == ALL else f" for {front}", error_of(best, front)
    text = f"Best by validation{whose}: {best.label}, knobs at {best.form}, ESR {error:.4f}"
    if best.relative is not None and (front == ALL or len(best.amps) == 1):
        text += f" ({best.relative:.2f} times what the nearest recorded setting gives)"
    if front == ALL and len(best.amps) > 1:
        worst = max(best.amps, key=best.amps.__getitem__)
        text += f"; worst amp {worst} at {best.amps[worst]:.4f}"
    for amp, held in best.held.items():
        known, mean = best.amps.get(amp), held["mean"]
        if front in (ALL, amp) and known and mean and (warning := gap_warning(known, mean)):
            text += f". {amp}: {warning}"
    return text + ("." if is_feasible(limits_on(best, front)) else ". It breaks a limit, as all finished trials do.")


def _held_maps(board: Board, study: Path) -> list[str]:
    """Return the errors of the best trial at every held setting, one figure per amp."""
    maps = []
    for amp, trial in board.best_of.items():
        run = study / "trials" / trial / amp
        if (run / EVAL).exists():
            maps.append(
                _picture(
                    plot_setting_errors(read_evaluation(run).held, "ESR at each setting", f"{amp}: {trial}"),
                    f"{amp}: held settings, on audio that no trial used",
                )
            )
    return maps


def _what_mattered(config: SearchConfig, board: Board, lines: Sequence[LedgerLine]) -> list[str]:
    """Return figures of what the error depended on: importances, places of the knobs, dilations."""
    over = " over all amps" if len(board.amps) > 1 else ""
    parts = []
    if found := importances(config, lines):
        bars = pictures.bars_figure(found, f"share of the difference in ESR{over} (PED-ANOVA)")
        parts.append(_picture(bars, "What mattered"))
    finished = [trial for trial in board.trials if trial.state == FINISHED and not trial.is_final]
    free = [trial for trial in finished if trial.point["shape"] == "free"]
    for front in board.fronts:
        whose, of = ("", over) if front == ALL else (f": {front}", f" of {front}")
        for title, label, groups in (
            ("Where the knobs enter", "knobs at", _grouped(finished, front, lambda trial: trial.form)),
            ("Dilations", "family", _grouped(free, front, lambda trial: trial.point["dilations"])),
        ):
            if len(groups) > 1:
                parts.append(_picture(pictures.strips_figure(groups, label, f"validation ESR{of}"), title + whose))
    return parts


def _curves(board: Board, lines: Sequence[LedgerLine]) -> dict[str, dict[str, dict[int, float]]]:
    """Return front -> trial -> step -> the error that counts there."""
    return {front: curves(lines, None if front == ALL else front) for front in board.fronts}


def importances(config: SearchConfig, lines: Sequence[LedgerLine]) -> dict[str, float]:
    """Return how much of the difference in error each axis explains; empty for too few trials.

    The method is PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv 2304.10255).
    """
    study = to_optuna(config, lines)
    complete = [trial for trial in study.get_trials(deepcopy=False) if trial.state == optuna.trial.TrialState.COMPLETE]
    if len(complete) < IMPORTANCE_NEEDS:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns that low values count as good, which is right
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, target=lambda trial: (trial.values or [0.0])[0]
        )
    return {axis: share for axis, share in found.items() if share >= IMPORTANT}


def _grouped(trials: Sequence[BoardTrial], front: str, key: Callable[[BoardTrial], str]) -> dict[str, list[float]]:
    """Return the errors of trials on a front, grouped by a key."""
    groups: dict[str, list[float]] = {}
    for trial in trials:
        groups.setdefault(key(trial), []).append(error_of(trial, front))
    return groups


def _picture(chart: Figure, title: str) -> str:
    return f"{heading(title)}\n{drawing(to_svg(chart), title)}"
