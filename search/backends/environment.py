"""search/backends/environment.py."""

import os
import socket
from pathlib import Path

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
