"""Environment variables that Ray reads when it is imported, and whether a cluster answers."""

import os
import socket

from models.core.errors import UserError
from models.core.user_folders import expand_home

# Less output and fewer files: no usage report, no progress table, no snapshots (we resume from the ledger), no logger
# files. Interrupts come to us. Trials stay in the driver's folder, and see GPUs that Ray does not assign.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


class RayEnded(UserError):
    """A part of Ray has died. This process must end soon: Ray would end it, with words of its own."""


def set_environment(address: str | None) -> None:
    """Set what Ray reads when it is imported; for a cluster at `address` its token too."""
    os.environ.update(RAY_ENVIRONMENT)
    if address:
        send_token()


def send_token() -> None:
    """Have Ray, which is imported after this, send the cluster's token where this machine has one."""
    token = expand_home("~/.ray/auth_token")
    if token.exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def check_reachable(address: str) -> None:
    """Raise `ConnectionError` at once where nothing answers at `host:port`; Ray would try for a minute."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as problem:
            raise ConnectionError(f"no Ray cluster answers at {address} ({problem.strerror or problem})") from problem
