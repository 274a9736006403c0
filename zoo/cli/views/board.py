"""Trials as tables and sentences: the board of a study, its progress."""

from typing import Any

from zoo.cli import output

BoardRow = dict[str, Any]

ENDED = ("finished", "pruned", "diverged", "failed")


def show_board(board: dict[str, Any]) -> None:
    """Print the board as a table, with a legend on stderr."""
    output.data_table(*board_table(board))
    output.info()
    over = ", geometric mean over amps" if board["mode"] == "universal" else " on each amp"
    output.info(f"ESR: on validation takes{over}; COST: {board['unit']};")
    output.info(
        "HELD: ESR on settings and audio that no trial used; only for the Pareto front (*), after the choice was made."
    )
    if any("of" in trial for trial in board["trials"]):
        output.info("NAME-0, NAME-1: NAME trained again with more steps and other seeds; only these make the front.")


def board_table(board: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and the rows of a board."""
    amps, universal = board["amps"], board["mode"] == "universal"
    errors = ["ESR"] if universal else [f"ESR {amp}" for amp in amps]
    header = ("TRIAL", *errors, "COST", *(f"HELD {amp}" for amp in amps), "KNOBS AT", "STATE", "LAYERS", "RATE")
    return header, [_board_row(trial, amps, universal) for trial in board["trials"]]


def _board_row(trial: BoardRow, amps: list[str], universal: bool) -> tuple[str, ...]:
    errors = [trial.get("esr")] if universal else [trial.get("amps", {}).get(amp) for amp in amps]
    held = trial.get("held", {})
    return (
        trial["trial"] + ("*" if trial["front"] else ""),
        *("-" if error is None else f"{error:.4f}" for error in errors),
        f"{trial['cost']:.4g}" if trial["cost"] < 1 else f"{trial['cost']:.0f}",
        *(f"{held[amp]['mean']:.4f}" if amp in held else "" for amp in amps),
        trial["form"],
        _state(trial),
        trial["label"],
        f"{trial['point']['learning_rate']:.4f}",
    )


def _state(trial: BoardRow) -> str:
    if trial["state"] not in ENDED:
        return f"running, step {trial.get('step', 0)} of {trial['steps']}"
    if "reason" in trial:
        return f"{trial['state']}: {trial['reason']}"
    if trial["state"] == "pruned":
        return f"pruned at step {trial['step']}"
    return trial["state"] + _broken(trial)


def _broken(trial: BoardRow) -> str:
    """Return the limits that a trial breaks, with the amp if there are several."""
    limits = trial.get("limits", {})
    broken = ((name, amp) for amp, found in limits.items() for name, excess in found.items() if excess > 0)
    return "".join(f", breaks {name}" + (f" on {amp}" if len(limits) > 1 else "") for name, amp in broken)


def trial_sentence(line: BoardRow) -> str:
    """Return one line about an ended trial."""
    what = f"{line['form']}, {line['label']}"
    if line["state"] == "finished":
        return f"trial {line['trial']} ESR {line['esr']:.4f} cost {line['cost']:>6.4g} ({what}{_broken(line)})"
    if line["state"] == "pruned":
        return f"trial {line['trial']} ESR {line['esr']:.4f} pruned at step {line['step']} ({what})"
    return f"trial {line['trial']} {line['state']}: {line.get('reason', 'no reason given')} ({what})"


def search_sentence(config: Any) -> str:
    """Return one line about what a search will train."""
    amps, count = len(config.datasets), sum(count for count, _ in config.trainings)
    where = f"each of {amps} amps" if amps > 1 else "one amp"
    text = f"at most {count:,} trainings on {where}: {config.trials:,} trials of {config.learning.steps:,} steps"
    if not config.final:
        return text
    return f"{text}, then the best {config.finals} again, {config.final.seeds} seeds of {config.final_steps:,} steps"


def search_progress(config: Any, trials: list[BoardRow]) -> tuple[float, float, str]:
    """Return the steps done, the steps in total, and a summary of the trials.

    An ended trial counts as done with all of its steps, so that pruning moves the bar on.
    """
    over = [trial for trial in trials if trial["state"] in ENDED and "of" not in trial]
    done = sum(trial["steps"] if trial["state"] in ENDED else trial.get("step", 0) for trial in trials)
    errors = [trial["esr"] for trial in over if trial["state"] in ("finished", "pruned")]
    best = f", best ESR {min(errors):.4f}" if errors else ""
    whole = sum(count * steps for count, steps in config.trainings)
    return done, max(whole, done), f"{len(over)} of {config.trials} trials{best}"
