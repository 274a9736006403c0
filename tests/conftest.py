"""Every test runs quiet and off the network; the hub client reads its environment when it is imported."""

import os
import tempfile

_HOME = tempfile.mkdtemp(prefix="ampzoo-tests-")
os.environ.update(
    HF_HOME=_HOME,
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_UPDATE_CHECK="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_XET="1",
    OMP_NUM_THREADS="1",
    RAY_USAGE_STATS_ENABLED="0",
    ZOO_HOME=os.path.join(_HOME, "shelf"),
)
os.environ.pop("HF_TOKEN", None)

from models import guards

SCANNED = guards.RANDOM_SETTINGS
guards.RANDOM_SETTINGS = 10  # every run ends with a scan; only the scan's own tests need it whole
