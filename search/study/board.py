"""The ledger -> the board: every trial, the Pareto fronts of ESR against cost, tiers, what was spent; held scores for the front alone."""

from pathlib import Path
from typing import Any

from models.artifacts.evaluation import read_evaluation
from models.artifacts.names import EVAL
from models.core.errors import NotFound
from models.core.schema import read_document, read_json
from models.evaluation.evaluate import report
from models.recordings.dataset import AmpData
from search.config.named_recipes import recipe_of
from search.config.study import ALL, SearchConfig
from search.optimizer.pareto import front, is_kept
from search.study.cost import UNIT, Costs, read_costs
from search.study.files import BOARD, STUDY
from search.study.ledger import ENDS, FINISHED, PRUNED, Line, by_amp, latest, read_lines
from search.study.objectives import error_of, front_names, limits_of, limits_on


def read_study(study: Path) -> SearchConfig:
    """The config a study was begun with; raises `NotFound` when the folder holds none."""
    if not (study / STUDY).exists():
        raise NotFound(f"{study} holds no study ({STUDY} is missing)", "Name the folder that zoo search wrote.")
    return read_document(study / STUDY, SearchConfig)


def read_board(study: Path) -> dict[str, Any]:
    """The board of a finished study; raises `NotFound` when it has none yet."""
    if not (study / BOARD).exists():
        raise NotFound(f"{study} has no board yet", "Finish the search first: zoo search CONFIG --resume.")
    board = read_json(study / BOARD)
    return {**board, "trials": list(map(by_amp, board["trials"]))}


def current_board(study: Path) -> dict[str, Any]:
    """The board of a study as it stands, with held scores where it is finished; raises `NotFound` when there is no study."""
    if (study / BOARD).exists():
        return read_board(study)
    return summarise(read_study(study), read_lines(study), read_costs(study))


def best_runs(study: Path) -> list[Path]:
    """The run folders of the best trial for each amp."""
    return [study / "trials" / trial / amp for amp, trial in read_board(study)["best_of"].items()]


def tier_runs(study: Path) -> dict[str, dict[str, Path]]:
    """Amp -> tier -> run folder, from the cheapest to the best trial; one that is best in several tiers is in the smallest."""
    board, found = read_board(study), {}
    for amp in board["best_of"]:
        tiers = board["tiers"][amp if amp in board["tiers"] else ALL]
        smallest = {tier["trial"]: name for name, tier in reversed(tiers.items()) if tier["trial"]}
        found[amp] = {name: study / "trials" / trial / amp for trial, name in reversed(smallest.items())}
    return found


def summarise(
    config: SearchConfig, lines: list[Line], costs: Costs | None = None, *, finals: bool = True
) -> dict[str, Any]:
    """The board as far as the ledger tells it, also while the search runs; without held scores, and perhaps without the finals.

    It has tiers where the study says what its costs mean.
    """
    known = [line for line in latest(lines) if finals or "of" not in line]
    trials: list[Line] = [{**line, "feasible": any(map(is_kept, limits_of(config, line).values()))} for line in known]
    fronts = _fronts(config, trials)
    ahead = {trial for members in fronts.values() for trial in members}
    for line in trials:
        line["front"] = line["trial"] in ahead
        if recipe := recipe_of(config.space, line["point"]):
            line["recipe"] = recipe
    by_name = {line["trial"]: line for line in trials}
    best_of = {data.name: fronts[data.name if data.name in fronts else ALL][0] for data in config.datasets if ahead}
    return {
        "schema": "zoo.board/1",
        "complete": False,
        "name": config.name,
        "mode": config.mode,
        "amps": [data.name for data in config.datasets],
        "unit": UNIT,
        "cpus": list(costs.cpus) if costs else [],
        "best": min(ahead, key=lambda name: (by_name[name]["esr"], name)) if ahead else None,
        "best_of": best_of,
        "fronts": fronts,
        "tiers": _tiers(fronts, by_name, costs.tiers if costs else {}),
        "spent": _spent(trials, lines, ahead),
        "trials": sorted(trials, key=lambda line: (line["state"] not in ENDS, line.get("esr", float("inf")))),
    }


def choose(config: SearchConfig, study: Path, count: int) -> list[str]:
    """The trials worth training again, at most `count`: of each front the best, all of these, then that of each smaller tier, then by error.

    Those that already train again come before all others: the tiers of an older study lie where it goes on.
    """
    lines = read_lines(study)
    board = summarise(config, lines, read_costs(study), finals=False)
    begun = [line["of"] for line in lines if "of" in line]
    tiers = [tier["trial"] for of_front in board["tiers"].values() for tier in reversed(of_front.values())]
    others = [trial["trial"] for trial in board["trials"] if trial["front"]]
    wanted = dict.fromkeys([*begun, *board["best_of"].values(), *(trial for trial in tiers if trial), *others])
    return list(wanted)[: max(count, len(set(board["best_of"].values())))]


def _fronts(config: SearchConfig, trials: list[Line]) -> dict[str, list[str]]:
    """Trials by error, for each front of the search."""
    finished = [line for line in trials if line["state"] == FINISHED]
    return {name: _front(name, finished) for name in front_names(config)}


def _front(name: str, finished: list[Line]) -> list[str]:
    """One front, by the errors and limits that count on it, of trials that keep the limits; of others where none does: something must be shown.

    Where trials were trained again at the end, of each the best seed stands on the front and nothing else; where no seed keeps the limits, the
    trial itself, if it does.
    """
    errors = {line["trial"]: error_of(line, name) for line in finished}
    kept = {line["trial"] for line in finished if is_kept(limits_on(line, name))}

    def order(line: Line) -> tuple[bool, bool, float]:
        return line["trial"] not in kept, "of" not in line, errors[line["trial"]]

    again, standing = {line["of"] for line in finished if "of" in line}, dict[str, Line]()
    for line in sorted(finished, key=order):
        if (searched := line.get("of", line["trial"])) in again:
            standing.setdefault(searched, line)
    pool = list(standing.values()) or finished
    keeping = ([line for line in among if line["trial"] in kept] for among in (pool, finished))
    pool = next(filter(None, keeping), pool)
    return [pool[index]["trial"] for index in front([(errors[line["trial"]], line["cost"]) for line in pool])]


def _tiers(
    fronts: dict[str, list[str]], by_name: dict[str, Line], limits: dict[str, float | None]
) -> dict[str, dict[str, Any]]:
    """For each front, tier -> its budget and the best trial inside it, if any."""
    found = {}
    for name, members in fronts.items():
        inside = {
            tier: next((t for t in members if limit is None or by_name[t]["cost"] <= limit), None)
            for tier, limit in limits.items()
        }
        found[name] = {tier: {"budget": limit, "trial": inside[tier]} for tier, limit in limits.items()}
    return found


def _spent(trials: list[Line], lines: list[Line], ahead: set[str]) -> dict[str, Any]:
    """What the search cost, what pruning saved, and what the trials that it would have stopped, but for being controls, became.

    What training the best again took is told apart, as `finals`.
    """
    seconds: dict[str, float] = {}
    for line in lines:
        seconds[line["trial"]] = seconds.get(line["trial"], 0.0) + line.get("seconds", 0.0)
    searched, finals = ([line for line in trials if ("of" in line) == again] for again in (False, True))

    def spent(some: list[Line]) -> dict[str, Any]:
        hours = sum(seconds[line["trial"]] for line in some) / 3600
        steps = sum(line.get("step", 0) for line in some)
        return {"trials": len(some), "steps": steps, "trial_hours": round(hours, 4)}

    doomed = {line["trial"] for line in lines if line.get("survives") is False}
    spared = [line for line in searched if line["trial"] in doomed and line["state"] == FINISHED]
    ahead = ahead | {
        name.partition("-")[0] for name in ahead
    }  # a trial that was trained again stands for the first one
    return {
        **spent(searched),
        "steps_unpruned": sum(
            line["steps"] if line["state"] in (FINISHED, PRUNED) else line.get("step", 0) for line in searched
        ),
        "states": {state: sum(line["state"] == state for line in searched) for state in ENDS},
        "controls_doomed": len(spared),
        "controls_on_front": sum(line["trial"] in ahead for line in spared),
        "finals": spent(finals),
    }


def _held(run: Path, data: AmpData) -> dict[str, Any]:
    evaluation = read_evaluation(run) if (run / EVAL).exists() else report(run, data)
    return evaluation.held.model_dump(include={"mean", "median", "worst", "baseline_mean"})
