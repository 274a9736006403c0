"""One search on this machine, from config to board: start or resume, train, finish."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.core.errors import NotFound, UserError
from models.core.files import write_json
from models.core.locations import is_uri
from models.core.schema import read_document, read_json
from models.recordings.dataset import AmpData
from models.training.config import as_begun, data_as_begun
from search.backends.environment import check_reachable, set_environment
from search.config.shapes import named_points
from search.config.space import Point
from search.config.study import SearchConfig
from search.report.write import make_board
from search.storage.recordings import load_with_fingerprints
from search.study.board import Board, read_study
from search.study.build import check_space, make_pruner, make_scheduler
from search.study.cost import CostModel, MeasuredCost, settle_costs
from search.study.files import RECORDINGS, STUDY
from search.study.ledger import ledger_path, read_ledger
from search.study.lines import FINISHED
from search.study.lock import study_lock
from search.study.scheduler import Listener, TrialScheduler
from search.study.summary import choose

if TYPE_CHECKING:
    from search.study.remote_copy import RemoteCopy


@dataclass(frozen=True)
class RunOptions:
    """How a search is run.

    Args:
        resume: continue a study that was interrupted.
        local: train one trial after another in this process, without Ray.
        address: join the Ray cluster there; None starts Ray on this machine.
        storage: where checkpoints go: a folder that all nodes see (None: inside the study), or a URI, where the
            study is copied to as well.
        listener: called with a trial's record after each start, report and end.
        cost_model: what a model costs.
    """

    resume: bool = False
    local: bool = False
    address: str | None = None
    storage: str | None = None
    listener: Listener | None = None
    cost_model: CostModel = field(default_factory=MeasuredCost)


DEFAULT_OPTIONS = RunOptions()


class Interrupted(KeyboardInterrupt):
    """A person stopped a search; its finished trials are kept."""

    def __init__(self, ended: int, trials: int) -> None:
        super().__init__(f"stopped after {ended} of {trials} trials")
        self.ended, self.trials = ended, trials


def read_search(path: Path) -> SearchConfig:
    """Read a search config; raises `UserError` naming the file and the key that is wrong."""
    return read_document(path, SearchConfig).relative_to(path.resolve().parent)


def run_study(config: SearchConfig, study: Path, options: RunOptions = DEFAULT_OPTIONS) -> Board:
    """Run a search from this process and return its board; errors as in `search.launch.launcher.run_search`."""
    study = study.resolve()
    with study_lock(study):
        return _drive(config, study, options)


def _drive(config: SearchConfig, study: Path, options: RunOptions) -> Board:
    """Run a search whose lock is held."""
    copy = _begin_copy(study, options)
    config = _settle_config(config, study, options.resume)
    if options.address:
        check_reachable(options.address)
    amps, fingerprints = load_with_fingerprints(config.datasets)
    _check_recordings(study, fingerprints)
    stock = named_points(max(len(data.knobs.knobs) for data in amps)) if config.space.shapes else []
    _begin_study(config, study, amps, stock, options.cost_model)
    if not (study / RECORDINGS).exists():  # also of a study from before they were written
        write_json(study / RECORDINGS, fingerprints)
    if copy:
        copy.sync()
    pruner = make_pruner(config)
    scheduler = make_scheduler(
        config,
        study,
        amps,
        stock,
        pruner=pruner,
        cost_model=options.cost_model,
        listener=options.listener,
        copy=copy.update if copy else None,
    )
    checkpoints = copy.checkpoints if copy else options.storage or str(study / "ray")
    _train(scheduler, amps, checkpoints, options)
    _check_finished(study)
    if config.final:
        scheduler.begin_finals(choose(config, study, config.finals))
        _train(scheduler, amps, checkpoints, options)
    board = make_board(config, study, amps, pruner.plan if pruner else None)
    if copy:
        copy.sync()
    return board


def _begin_study(
    config: SearchConfig, study: Path, amps: Sequence[AmpData], stock: Sequence[Point], cost_model: CostModel
) -> None:
    """Write the config of a study that begins, and what costs mean; raises `UserError` for a space without a point."""
    if not (study / STUDY).exists():
        check_space(config, amps, stock, cost_model)
        write_json(study / STUDY, config.model_dump(mode="json"))
    columns = max(data.knobs.columns() for data in amps)
    settle_costs(study, columns, max(data.rate_hz for data in amps), cost_model)


def _begin_copy(study: Path, options: RunOptions) -> "RemoteCopy | None":
    """Return the copy of the study at a URI, if it has one, with the study folder brought up to date."""
    if options.storage is None or not is_uri(options.storage):
        return None
    from search.study.remote_copy import RemoteCopy

    copy = RemoteCopy(study, options.storage)
    copy.begin(options.resume)
    return copy


def _train(scheduler: TrialScheduler, amps: list[AmpData], checkpoints: str, options: RunOptions) -> None:
    """Train all that is suggested; raises `UserError` where the search cannot continue, `Interrupted` on Ctrl-C."""
    if scheduler.open:
        _run_backend(scheduler, amps, checkpoints, options)
    if scheduler.stopped:
        raise UserError(
            f"the search in {scheduler.study} stopped: {scheduler.stopped}",
            "Its finished trials are kept. Remove the cause, then continue with --resume.",
        )
    if scheduler.open or scheduler.running:
        raise Interrupted(scheduler.ended, scheduler.config.trials)


def _run_backend(scheduler: TrialScheduler, amps: list[AmpData], checkpoints: str, options: RunOptions) -> None:
    if options.local:
        from search.backends.local import run_local

        run_local(scheduler, amps)
    else:
        set_environment(options.address)
        from search.backends.ray_tune import run_trials

        run_trials(scheduler, amps, checkpoints, options.address)


def _check_finished(study: Path) -> None:
    """Raise `UserError` where no trial has finished."""
    ended = read_ledger(study)
    if not any(record.state == FINISHED for record in ended):
        reasons = sorted({record.reason or "no reason given" for record in ended})
        raise UserError(f"no trial of {study} finished: {reasons[0]}", f"Read {ledger_path(study)} for every trial.")


def _settle_config(config: SearchConfig, study: Path, resume: bool) -> SearchConfig:
    """Return the config with which the study begins or continues; raises `UserError` where it can do neither."""
    if (study / STUDY).exists():
        if not resume:
            raise UserError(f"{study} already holds a study", "Add --resume to continue it, or choose another --out.")
        return _check_same(config, study)
    if config.final and config.final_steps <= config.learning.steps:
        raise UserError(
            f"final.steps is {config.final_steps}, and learning.steps {config.learning.steps}",
            "Finals train longer than trials: raise final.steps, or leave it out.",
        )
    if study.exists() and any(study.iterdir()):
        raise UserError(f"{study} is not empty and holds no study", "Choose another --out.")
    if resume:
        raise NotFound(f"{study} holds no study to continue", "Check --out, or leave out --resume to begin one.")
    return config


def _check_same(config: SearchConfig, study: Path) -> SearchConfig:
    """Return the config of a resumed study; raises `UserError` where `config` differs in more than warm start."""
    begun = read_study(study)
    kept: dict[str, Any] = {"warm": begun.warm, "prior": begun.prior}
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
            "Restore the config to resume, or choose another --out for the new search.",
        )
    return config


def _check_recordings(study: Path, fingerprints: dict[str, str]) -> None:
    """Raise `UserError` where the recordings differ from those with which the study began."""
    begun = read_json(study / RECORDINGS) if (study / RECORDINGS).exists() else fingerprints
    if changed := [name for name in fingerprints if begun.get(name) != fingerprints[name]]:
        raise UserError(
            f"{study} was begun with other recordings: takes, settings or audio of {', '.join(changed)} changed",
            "Restore them to resume, or choose another --out for a new search.",
        )
