"""A search from config to board: launch, resume, finish."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.dataset import AmpData
from models.errors import NotFound, UserError
from models.files import read_document, read_json, write_json
from models.recipe import is_uri
from search.board import STUDY, choose, make_board, read_study
from search.conductor import Conductor, Listener
from search.config import SearchConfig
from search.cost import settle_costs
from search.driver import sole_driver
from search.ledger import FINISHED, Line, read_ledger
from search.recordings import RECORDINGS, load_heard
from search.shapes import named_points

if TYPE_CHECKING:
    from search.mirror import Mirror

# Ray reads these when it is imported. What each one cures: silence, Tune's snapshots (the ledger is what we resume from) and loggers,
# trials that stay in the driver's folder.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}


CLIENT = "ray://"


class Interrupted(KeyboardInterrupt):
    """A search was stopped by hand; its finished trials are kept."""

    def __init__(self, ended: int, trials: int) -> None:
        super().__init__(f"stopped after {ended} of {trials} trials")
        self.ended, self.trials = ended, trials


def read_search(path: Path) -> SearchConfig:
    """Read a search config; raises `UserError` naming the file and the key at fault."""
    return read_document(path, SearchConfig).relative_to(path.resolve().parent)


def run_search(
    config: SearchConfig,
    study: Path,
    *,
    resume: bool = False,
    local: bool = False,
    address: str | None = None,
    storage: str | None = None,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Search into the folder `study` and return its board.

    `listener(line)` hears every start, report and end of a trial. Trials run on Ray, started on this machine or joined at `address`, or one
    after the other in this process (`local`). Their checkpoints go to `storage`, a folder that all nodes see (default: inside the study), or a
    URI, where the study itself is then kept too. A study that was interrupted goes on with `resume`, from its folder or, where that is lost, from
    the URI, with the `warm` points and the `prior` that it began with; a finished one only has its board made again. Raises `UserError` for
    recordings that cannot be used or are others than it began with, a place that holds another study, a study that another process drives, a
    search that cannot go on, or one where no trial finished; `Interrupted` on Ctrl-C.
    """
    study = study.resolve()
    if address and address.startswith(CLIENT):
        _set_environment(address)
        from search.client import run_remotely

        return run_remotely(config, study, RAY_ENVIRONMENT, address, resume=resume, storage=storage, listener=listener)
    with sole_driver(study):
        return _run_here(config, study, resume, local, address, storage, listener)


def _run_here(
    config: SearchConfig,
    study: Path,
    resume: bool,
    local: bool,
    address: str | None,
    storage: str | None,
    listener: Listener | None,
) -> dict[str, Any]:
    """`run_search`, driven from this process, which alone drives this study."""
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
    from search.mirror import Mirror

    mirror = Mirror(study, storage)
    mirror.begin(resume)
    return mirror


def _train(conductor: Conductor, amps: list[AmpData], local: bool, address: str | None, storage: str) -> None:
    """Have an engine train all that the conductor proposes."""
    if local:
        from search.local import run_local

        run_local(conductor, amps)
    else:
        _set_environment(address)
        from search.tuning import run_trials

        run_trials(conductor, amps, storage, address)


def _set_environment(address: str | None) -> None:
    """What Ray reads while it is imported."""
    os.environ.update(RAY_ENVIRONMENT)
    if address:
        send_token()


def send_token() -> None:
    """Have Ray, which is imported after this, send the cluster's token where there is one; it does so only when told to."""
    token = Path.home() / ".ray" / "auth_token"
    if token.exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _reach(address: str) -> None:
    """Fail at once where nothing answers at `host:port`: Ray would try for a minute. Raises `ConnectionError` or `OSError`."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as problem:
            raise ConnectionError(f"no Ray cluster answers at {address} ({problem.strerror or problem})") from problem


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
