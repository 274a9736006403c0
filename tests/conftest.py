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

import pytest  # noqa: E402 (after the environment)

from models import guards  # noqa: E402


@pytest.fixture(autouse=True)
def _short_scan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end with a scan of a thousand settings; only the scan's own tests need them all."""
    if request.module.__name__ != "tests.test_guards":
        monkeypatch.setattr(guards, "RANDOM_SETTINGS", 10)
