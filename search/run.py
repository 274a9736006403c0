"""One search on this machine, from config to board: start or resume, train, finish."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.core.errors import UserError, shell_words
from models.core.files import STAGED, write_json
from models.core.locations import is_uri
from models.core.schema import read_object
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData
from models.recordings.loading import read_outline
from models.training.config import as_begun, data_as_begun
from search.backends.environment import check_reachable, set_environment
from search.config.shapes import named_points
from search.config.space import Point
from search.config.study import SearchConfig
from search.report.optuna_export import StudyJournal
from search.report.write import make_board
from search.run_options import DEFAULT_OPTIONS, Interrupted, RunOptions
from search.storage.recordings import load_with_fingerprints
from search.study.beginning import check_beginning
from search.study.board import Board, read_study
from search.study.build import check_space, fitting_recipes, make_pruner, make_scheduler
from search.study.cost import settle_costs
from search.study.files import RECORDINGS, STUDY
from search.study.ledger import check_in_place, ledger_path, read_ledger, read_lines
from search.study.lines import FINISHED, TrialRecord
from search.study.lock import study_lock
from search.study.scheduler import TrialScheduler
from search.study.summary import choose

if TYPE_CHECKING:
    from search.study.remote_copy import RemoteCopy


def run_study(config: SearchConfig, study: Path, options: RunOptions = DEFAULT_OPTIONS) -> Board:
    """Run a search from this process and return its board; errors as in `search.launch.launcher.run_search`."""
    study = study.resolve()
    with study_lock(study):
        return _drive(config, study, options)


def _drive(config: SearchConfig, study: Path, options: RunOptions) -> Board:
    """Run a search whose lock is held."""
    _sweep_unfinished(study)
    copy = _begin_copy(study, options)
    config = _settle_config(config, study, options)
    if options.address:
        check_reachable(options.address)
    if not (study / STUDY).exists():
        _check_before_reading(config, options)
    amps, fingerprints = load_with_fingerprints(config.datasets, options.on_phase)
    _check_recordings(study, fingerprints)
    stock = _first_recipes(config, amps)
    _begin_study(config, study, amps, stock, options)
    if not (study / RECORDINGS).exists():  # also of a study from before they were written
        write_json(study / RECORDINGS, fingerprints)
    if copy:
        copy.sync()
    pruner, journal = make_pruner(config), StudyJournal(config, study, read_lines(study), stock)

    def listener(record: TrialRecord) -> None:
        journal.update(record)
        if options.listener:
            options.listener(record)

    scheduler = make_scheduler(
        config,
        study,
        amps,
        stock,
        pruner=pruner,
        cost_model=options.cost_model,
        listener=listener,
        copy=copy.update if copy else None,
    )
    if scheduler.started > config.trials:
        options.on_notice(f"the study has {scheduler.started} trials already; trials: {config.trials} adds none")
    checkpoints = copy.checkpoints if copy else options.storage or str(study / "ray")
    with _backend(scheduler, amps, checkpoints, options) as begin:
        _train(scheduler, begin, lambda: options.on_phase("training", scheduler.ended, config.known_trials or 0))
        _check_finished(study)
        if config.final:
            scheduler.begin_finals(choose(config, study, config.finals))
            _train(scheduler, begin, lambda: options.on_phase("training the best again"))
    plan = pruner.plan if pruner else None
    board = make_board(config, study, amps, plan, options.on_phase, untried=scheduler.untried)
    if copy:
        copy.sync()
    return board


def _sweep_unfinished(study: Path) -> None:
    """Remove what a killed search was writing, but nothing that could be the only copy: a folder moved aside."""
    for folder in (study, study / "trials"):
        for path in folder.glob(f"{STAGED}*"):
            if path.is_dir() and not path.name.endswith("-old"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink(missing_ok=True)


def _check_before_reading(config: SearchConfig, options: RunOptions) -> None:
    """Raise `UserError` for what is wrong without a look at any audio; say how many recipes come first."""
    outlines = [read_outline(data) for data in config.datasets if not is_uri(data.train) and not is_uri(data.held)]
    if len(outlines) < len(config.datasets):
        return
    stock = _first_recipes(config, outlines)
    check_space(config, outlines, stock, options.cost_model, options.config_file)
    if (kept := len(fitting_recipes(config, stock))) < len(stock):
        options.on_notice(f"trials is {config.trials}: the search begins with {kept} of {len(stock)} known recipes")


def _first_recipes(config: SearchConfig, amps: Sequence[AmpData]) -> list[Point]:
    """Return the points of known recipes with which a search begins."""
    return named_points(max(len(data.knobs.knobs) for data in amps)) if config.space.shapes else []


def _begin_study(
    config: SearchConfig, study: Path, amps: Sequence[AmpData], stock: Sequence[Point], options: RunOptions
) -> None:
    """Write the config of a study that begins, and what costs mean; raises `UserError` for a space without a point."""
    cost_model = options.cost_model
    if not (study / STUDY).exists():
        options.on_phase("measuring what models cost")
        check_space(config, amps, stock, cost_model, options.config_file)
        write_json(study / STUDY, config.model_dump(mode="json"))
    columns = max(data.knobs.columns() for data in amps)
    settle_costs(study, columns, max(data.rate_hz for data in amps), cost_model)


def _begin_copy(study: Path, options: RunOptions) -> "RemoteCopy | None":
    """Return the copy of the study at a URI, if it has one, with the study folder brought up to date."""
    if options.storage is None or not is_uri(options.storage):
        return None
    from search.study.remote_copy import RemoteCopy

    options.on_phase("reading the copy of the study")
    copy = RemoteCopy(study, options.storage)
    copy.begin(options.resume)
    return copy


@contextmanager
def _backend(
    scheduler: TrialScheduler, amps: list[AmpData], checkpoints: str, options: RunOptions
) -> Iterator[Callable[[], Callable[[], None]]]:
    """Yield what gets ready to train and returns what trains all that the scheduler suggests; Ray lives as long."""
    if options.local:
        from search.backends.local import run_local

        yield lambda: partial(run_local, scheduler, amps)
        return
    options.on_phase("loading Ray")
    set_environment(options.address)
    from search.backends.ray_tune import RayTrials

    with RayTrials(scheduler, amps, checkpoints, options) as trials:
        yield trials.begin


def _train(scheduler: TrialScheduler, begin: Callable[[], Callable[[], None]], on_begin: Callable[[], object]) -> None:
    """Train all that is suggested; `on_begin` is called when the backend is ready; neither where nothing is left.

    Raises `UserError` where the search cannot continue, `Interrupted` on Ctrl-C.
    """
    try:
        if scheduler.open:
            run = begin()
            on_begin()
            run()
    except KeyboardInterrupt:
        raise Interrupted(scheduler.ended, scheduler.config.known_trials) from None
    if scheduler.started:
        check_in_place(scheduler.study)
    unended = "its trials did not end" if scheduler.open or scheduler.running else None
    if reason := scheduler.stopped or unended:
        raise UserError(
            f"the search in {scheduler.study} stopped: {reason}",
            "Its finished trials are kept. Remove the cause, then continue with --resume.",
        )


def _check_finished(study: Path) -> None:
    """Raise `UserError` where no trial has finished."""
    ended = read_ledger(study)
    if not any(record.state == FINISHED for record in ended):
        reasons = sorted({record.reason or "no reason given" for record in ended})
        raise UserError(f"no trial of {study} finished: {reasons[0]}", f"Read {ledger_path(study)} for every trial.")


def _settle_config(config: SearchConfig, study: Path, options: RunOptions) -> SearchConfig:
    """Return the config with which the study begins or continues; raises `UserError` where it can do neither."""
    check_beginning(config, study, options.resume, options.config_file)
    return _check_same(config, study) if (study / STUDY).exists() else config


# What may change while a study goes on: how many trials there are and what they run on, not what they mean.
MAY_CHANGE = ("trials", "minutes", "concurrent", "cpus_per_trial", "gpus_per_trial", "stacked_trials")


def _check_same(config: SearchConfig, study: Path) -> SearchConfig:
    """Return the config of a resumed study; raises `UserError` where `config` changes what finished trials mean.

    Recordings may be at other places, where the study knows their fingerprints: these are compared later.
    """
    begun = read_study(study)
    begun = begun.model_copy(update={name: getattr(config, name) for name in MAY_CHANGE})
    if (study / RECORDINGS).exists() and _without_places(begun) == _without_places(config):
        begun = begun.model_copy(update={"datasets": config.datasets})
    kept: dict[str, Any] = {"warm": begun.warm}
    if begun.final is None and "final" not in config.model_fields_set:  # from before finals were the default
        kept["final"] = None
    kept["learning"] = as_begun(config.learning, study / STUDY)
    kept["datasets"] = data_as_begun(config.datasets, study / STUDY)
    if kept["learning"] != config.learning and "learning_rate" not in config.space.model_fields_set:
        kept["space"] = config.space.model_copy(update={"learning_rate": begun.space.learning_rate})
    config = config.model_copy(update=kept)
    if begun != config:
        changed = [name for name in SearchConfig.model_fields if getattr(begun, name) != getattr(config, name)]
        raise UserError(
            f"{study} was begun with another config: {', '.join(changed)} changed",
            f"Restore the config to resume, or {_begin_anew(study)}",
        )
    return config


def _begin_anew(study: Path) -> str:
    return f"begin a new search with its results: --out NEW --from {shell_words(study)}."


def _without_places(config: SearchConfig) -> list[DataConfig]:
    """Return the datasets of a search without the places of their manifests."""
    return [data.model_copy(update={"train": "", "held": data.held and ""}) for data in config.datasets]


def _check_recordings(study: Path, fingerprints: dict[str, str]) -> None:
    """Raise `UserError` where the recordings differ from those with which the study began."""
    begun = read_object(study / RECORDINGS, follow=False) if (study / RECORDINGS).exists() else fingerprints
    if changed := [name for name in fingerprints if begun.get(name) != fingerprints[name]]:
        raise UserError(
            f"{study} was begun with other recordings: takes, settings or audio of {', '.join(changed)} changed",
            f"Restore them to resume, or {_begin_anew(study)}",
        )
