"""A search from config to board: launch, resume, finish."""

import os
import socket
from pathlib import Path
from typing import Any

from models.dataset import load_data
from models.errors import NotFound, UserError
from models.files import read_document, write_json
from search.ledger import read_ledger
from search.space import SearchConfig, dilations

# Tune reads these when it is imported. What each one cures: silence, a snapshot every 2 s (else a kill loses trials), no loggers of
# its own (the ledger is ours), trials that stay in the driver's folder.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "2",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
STUDY = "study.json"


class Interrupted(KeyboardInterrupt):
    """A search was stopped by hand; its finished trials are kept."""

    def __init__(self, ended: int, trials: int) -> None:
        super().__init__(f"stopped after {ended} of {trials} trials")
        self.ended, self.trials = ended, trials


def read_search(path: Path) -> SearchConfig:
    """Read a search config; raises `UserError` naming the file and the key at fault."""
    return read_document(path, SearchConfig).relative_to(path.resolve().parent)


def run_search(
    config: SearchConfig, study: Path, *, resume: bool = False, address: str | None = None, listener: Any = None
) -> dict[str, Any]:
    """Search into the folder `study` and return its board.

    `listener(line)` hears every report and end of a trial. `address` joins a running Ray cluster (its nodes must see `study` and the
    recordings), otherwise Ray starts on this machine. A study that was interrupted goes on with `resume`; a finished one only has
    its board made again. Raises `UserError` for recordings that cannot be used, a folder that holds another study, or a study where
    no trial finished; `Interrupted` on Ctrl-C.
    """
    study = study.resolve()
    _check_free(config, study, resume)
    if address:
        _reach(address)
    amps = [load_data(data) for data in config.datasets]
    for data, recipe in zip(amps, config.recipes(_widest(config)), strict=True):
        for piece in data.train:
            data.training_piece(piece, recipe.model.receptive_field, recipe.learning.segment)
    if not (study / STUDY).exists():
        write_json(study / STUDY, config.model_dump(mode="json"))
    if len(read_ledger(study)) < config.trials:
        _set_environment(address)
        from search.tuning import run_trials

        run_trials(config, study, address, listener)
    ended = read_ledger(study)
    if len(ended) < config.trials:
        raise Interrupted(len(ended), config.trials)
    if not any(line["state"] == "finished" for line in ended):
        reasons = sorted({line.get("reason", "no reason given") for line in ended})
        raise UserError(
            f"no trial of {study} finished: {reasons[0]}", f"Read {study / 'ledger.jsonl'} for every trial."
        )
    from search.board import make_board

    return make_board(config, study, amps)


def read_study(study: Path) -> SearchConfig:
    """The config a study was begun with; raises `NotFound` when the folder holds none."""
    if not (study / STUDY).exists():
        raise NotFound(f"{study} holds no study ({STUDY} is missing)", "Name the folder that zoo search wrote.")
    return read_document(study / STUDY, SearchConfig)


def _set_environment(address: str | None) -> None:
    """What Ray reads while it is imported; a driver sends the cluster's token only when told to."""
    os.environ.update(RAY_ENVIRONMENT)
    token = Path.home() / ".ray" / "auth_token"
    if address and (token.exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _reach(address: str) -> None:
    """Fail at once where nothing answers at `host:port`: Ray would try for a minute. Raises `ConnectionError` or `OSError`."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as problem:
            raise ConnectionError(f"no Ray cluster answers at {address} ({problem.strerror or problem})") from problem


def _check_free(config: SearchConfig, study: Path, resume: bool) -> None:
    if (study / STUDY).exists():
        if not resume:
            raise UserError(f"{study} already holds a study", "Add --resume to go on with it, or choose another --out.")
        begun = read_study(study)
        if begun != config:
            changed = [name for name in SearchConfig.model_fields if getattr(begun, name) != getattr(config, name)]
            raise UserError(
                f"{study} was begun with another config: {', '.join(changed)} changed",
                "Restore the config to resume, or choose another --out for the new search.",
            )
    elif study.exists() and any(study.iterdir()):
        raise UserError(f"{study} is not empty and holds no study", "Choose another --out.")
    elif resume:
        raise NotFound(f"{study} holds no study to go on with", "Check --out, or leave out --resume to begin one.")


def _widest(config: SearchConfig) -> dict[str, Any]:
    """The point of the space with the longest receptive field: if it fits the recordings, all do."""
    space = config.space
    family = max(space.dilations, key=lambda name: sum(dilations(name, max(space.depth))))
    point = {axis: max(getattr(space, axis)) for axis in ("arrays", "depth", "kernel_size", "channels")}
    fixed = {"dilations": family, "activation": space.activation[0], "inject": space.inject[0]}
    return {**point, **fixed, "learning_rate": space.learning_rate[0]}
