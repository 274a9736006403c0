"""A search from config to board: launch, resume, finish."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.core.errors import NotFound, UserError
from models.core.files import write_json
from models.core.locations import is_uri
from models.core.schema import read_document, read_json
from models.recordings.dataset import AmpData
from search.backends.environment import _reach, _set_environment
from search.config.shapes import named_points
from search.config.study import SearchConfig
from search.report.write import make_board
from search.storage.recordings import load_heard
from search.study.board import choose, read_study
from search.study.cost import settle_costs
from search.study.files import RECORDINGS, STUDY
from search.study.ledger import FINISHED, Line, read_ledger
from search.study.lock import sole_driver
from search.study.scheduler import Conductor, Listener

if TYPE_CHECKING:
    from search.study.mirror import Mirror


class Interrupted(KeyboardInterrupt):
    """A search was stopped by hand; its finished trials are kept."""

    def __init__(self, ended: int, trials: int) -> None:
        super().__init__(f"stopped after {ended} of {trials} trials")
        self.ended, self.trials = ended, trials


def read_search(path: Path) -> SearchConfig:
    """Read a search config; raises `UserError` naming the file and the key at fault."""
    return read_document(path, SearchConfig).relative_to(path.resolve().parent)


def run_study(
    config: SearchConfig,
    study: Path,
    *,
    resume: bool = False,
    local: bool = False,
    address: str | None = None,
    storage: str | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Drive a search from this process and return its board; arguments and errors as in `search.launch.launcher.run_search`."""
    study = study.resolve()
    with sole_driver(study):
        return _drive(config, study, resume, local, address, storage, listener)


def _drive(
    config: SearchConfig,
    study: Path,
    resume: bool,
    local: bool,
    address: str | None,
    storage: str | None,
    listener: Listener | None,
) -> dict[str, Any]:
    mirror = _mirror(study, storage, resume)
    config = _check_free(config, study, resume)
    if address:
        _reach(address)
    amps, heard = load_heard(config.datasets)
    _check_recordings(study, heard)
    stock = named_points(max(len(data.knobs.knobs) for data in amps)) if config.space.shapes else []

    def hear(line: Line) -> None:
        if mirror:
            try:
                mirror(line)
            except UserError as problem:
                conductor.stopped = problem.message
        if listener:
            listener(line)

    conductor = Conductor(config, study, amps, stock, hear)
    if not (study / STUDY).exists():
        conductor.check()
        write_json(study / STUDY, config.model_dump(mode="json"))
    columns = max(data.knobs.columns() for data in amps)
    conductor.reference_s = settle_costs(study, columns, max(data.rate_hz for data in amps)).reference_s
    if not (study / RECORDINGS).exists():  # also of a study that began before they were kept
        write_json(study / RECORDINGS, heard)
    if mirror:
        mirror.sync()
    checkpoints = mirror.checkpoints if mirror else storage or str(study / "ray")

    def train() -> None:
        if conductor.open:
            _train(conductor, amps, local, address, checkpoints)
        if conductor.stopped:
            raise UserError(
                f"the search in {study} stopped: {conductor.stopped}",
                "Its finished trials are kept. Mend the cause, then go on with --resume.",
            )
        if conductor.open or conductor.running:
            raise Interrupted(conductor.ended, config.trials)

    train()
    ended = read_ledger(study)
    if not any(line["state"] == FINISHED for line in ended):
        reasons = sorted({line.get("reason", "no reason given") for line in ended})
        raise UserError(
            f"no trial of {study} finished: {reasons[0]}", f"Read {study / 'ledger.jsonl'} for every trial."
        )
    if config.final:
        conductor.begin_finals(choose(config, study, config.finals))
        train()
    board = make_board(config, study, amps, conductor.plan)
    if mirror:
        mirror.sync()
    return board


def _mirror(study: Path, storage: str | None, resume: bool) -> "Mirror | None":
    """What keeps the study at its URI, where it has one; its folder is then as it is there."""
    if not is_uri(storage):
        return None
    from search.study.mirror import Mirror

    mirror = Mirror(study, storage)
    mirror.begin(resume)
    return mirror


def _train(conductor: Conductor, amps: list[AmpData], local: bool, address: str | None, storage: str) -> None:
    """Have an engine train all that the conductor proposes."""
    if local:
        from search.backends.local import run_local

        run_local(conductor, amps)
    else:
        _set_environment(address)
        from search.backends.ray_tune import run_trials

        run_trials(conductor, amps, storage, address)


def _check_free(config: SearchConfig, study: Path, resume: bool) -> SearchConfig:
    """The config with which the study in this folder begins or goes on; raises `UserError` where neither can be."""
    if (study / STUDY).exists():
        if not resume:
            raise UserError(f"{study} already holds a study", "Add --resume to go on with it, or choose another --out.")
        begun = read_study(study)
        kept: dict[str, Any] = {"warm": begun.warm, "prior": begun.prior}
        if begun.final is None and "final" not in config.model_fields_set:  # begun before there was a default
            kept["final"] = None
        config = config.model_copy(update=kept)
        if begun != config:
            changed = [name for name in SearchConfig.model_fields if getattr(begun, name) != getattr(config, name)]
            raise UserError(
                f"{study} was begun with another config: {', '.join(changed)} changed",
                "Restore the config to resume, or choose another --out for the new search.",
            )
    elif config.final and config.final_steps <= config.learning.steps:
        raise UserError(
            f"final.steps is {config.final_steps}, and learning.steps {config.learning.steps}",
            "What is trained again is trained longer: raise final.steps, or leave it out.",
        )
    elif study.exists() and any(study.iterdir()):
        raise UserError(f"{study} is not empty and holds no study", "Choose another --out.")
    elif resume:
        raise NotFound(f"{study} holds no study to go on with", "Check --out, or leave out --resume to begin one.")
    return config


def _check_recordings(study: Path, heard: dict[str, str]) -> None:
    """Raise `UserError` where the recordings are others than those that the study in this folder began with."""
    begun = read_json(study / RECORDINGS) if (study / RECORDINGS).exists() else heard
    if changed := [name for name in heard if begun.get(name) != heard[name]]:
        raise UserError(
            f"{study} was begun with other recordings: takes, settings or audio of {', '.join(changed)} changed",
            "Restore them to resume, or choose another --out for a new search.",
        )
