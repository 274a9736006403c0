"""A search submitted to a Ray cluster as a job: the head node drives it, and this machine may be switched off."""

import logging
import shlex
import shutil
from pathlib import Path
from typing import Any

import models
import search
from models.core.errors import UserError, first_line
from models.core.files import write_json
from models.core.locations import is_uri, refuse_userinfo
from models.core.scratch import scratch_folder, temporary_files_in
from search.backends.environment import send_token
from search.config.study import SearchConfig

ENTRY = "from zoo.cli.main import main; main()"

SEARCH = "search.json"


def submit_job(url: str, config: SearchConfig, study: Path, *, resume: bool = False, storage: str | None = None) -> str:
    """Submit a search to the dashboard at `url` and return the job's name.

    The job's working folder holds the code and the config, never audio: manifests and study are paths that the head
    node sees. Raises `UserError` where Ray was installed without its job client, where the cluster asks for a token
    that is not here, or for a user name or a password in a URI, which everybody could read there;
    `ConnectionError` where no dashboard answers.
    """
    refuse_userinfo(
        url, "the address of a cluster", "A proxy before the cluster takes its headers from RAY_JOB_HEADERS."
    )
    if storage and is_uri(storage):
        refuse_userinfo(storage, "--storage")
    send_token()
    from ray.exceptions import AuthenticationError

    try:
        from ray.job_submission import JobSubmissionClient

        logging.getLogger("ray").setLevel(logging.WARNING)
        client: Any = JobSubmissionClient(url)
    except AuthenticationError as problem:
        raise UserError(
            f"{url} asks for the cluster's token", "Put it into ~/.ray/auth_token, or into RAY_AUTH_TOKEN."
        ) from problem
    except (ImportError, RuntimeError) as problem:
        raise UserError(f"Ray cannot submit jobs from here: {problem}", "pip install 'ray[default]'") from None
    with scratch_folder() as folder, temporary_files_in(folder):
        stage(config, folder / "job")
        try:
            return client.submit_job(
                entrypoint=entrypoint(study, resume=resume, storage=storage),
                runtime_env={"working_dir": str(folder / "job")},
                metadata={"search": config.name},
            )
        except ConnectionError:
            raise
        except (RuntimeError, ValueError, OSError) as problem:  # what the cluster answers, or how its answer ends
            raise UserError(
                f"the cluster at {url} does not take the job: {first_line(problem)}",
                "See its state with 'ray status' on its head, then run the same command again.",
            ) from problem


def stage(config: SearchConfig, folder: Path) -> None:
    """Copy into a folder what a job needs: the three packages, and the config with absolute paths."""
    root = Path(models.__path__[0]).parent
    assert Path(search.__path__[0]).parent == root, "the packages are in one folder"
    for package in ("models", "search", "zoo"):
        shutil.copytree(root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_json(folder / SEARCH, config.model_dump(mode="json"))


def entrypoint(study: Path, *, resume: bool, storage: str | None) -> str:
    """Return the command that the head node runs in the job's working folder."""
    words = ["python", "-c", ENTRY, "search", SEARCH, "--out", str(study.absolute()), "--address", "auto"]
    words += ["--resume"] if resume else []
    words += ["--storage", storage] if storage else []
    return shlex.join(words)
