"""What a search refuses before any audio or heavy library is read. Light to import."""

from pathlib import Path

from models.core.errors import NotFound, UserError
from models.core.system_files import is_empty
from search.config.study import SearchConfig
from search.study.files import STUDY


def config_place(config: SearchConfig, file: Path | None) -> str:
    """Return how errors name a search config: by its file, or by its name where it has none."""
    return str(file or f"the search '{config.name}'")


def check_beginning(config: SearchConfig, study: Path, resume: bool, file: Path | None = None) -> None:
    """Raise `UserError` where a search can neither begin in a study folder nor, with `resume`, continue there.

    `file` is that of the config, if there is one.
    """
    if (study / STUDY).exists():
        if not resume:
            raise UserError(f"{study} already holds a study", "Add --resume to continue it, or choose another --out.")
        return
    if config.final and config.final_steps <= config.learning.steps:
        raise UserError(
            f"{config_place(config, file)}: final.steps is {config.final_steps}; it must be more than learning.steps, "
            f"which is {config.learning.steps}",
            "Raise final.steps, or leave it out: finals then train twice as long as trials.",
        )
    if study.exists() and not is_empty(study):
        raise UserError(f"{study} is not empty and holds no study", "Choose another --out.")
    if resume:
        raise NotFound(f"{study} holds no study to continue", "Check --out, or leave out --resume to begin one.")


def check_manifests(config: SearchConfig) -> None:
    """Raise `NotFound` for the first manifest on this machine that is missing."""
    for place in (place for data in config.datasets for place in (data.train, data.held)):
        if isinstance(place, Path) and not place.exists():
            raise NotFound(f"{place} does not exist", "Correct 'train' or 'held' in 'datasets', or record the takes.")
