"""The machine of a training run, for its provenance: processor, GPU and versions, nothing about its owner."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def cpu_name() -> str:
    """Return the model name of the CPU, as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else f"{platform.system()} {platform.machine()} {platform.processor()}"


def describe_machine() -> dict[str, Any]:
    """Return `{"hardware": {"cpu", "cores", "gpu"}, "versions": {name: version}}`; `gpu` is None without one."""
    import torch  # here, so that the name of a CPU costs nothing

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    versions = {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy", "ampzoo")}}
    return {"hardware": {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu}, "versions": versions}
