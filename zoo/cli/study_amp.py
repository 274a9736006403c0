"""AMP of the commands that play: an amp of a zoo, a model's folder, or a study, of which the best model is played."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.core.user_folders import expand_home

if TYPE_CHECKING:
    from search.study.best_so_far import StudyModel


def named_study(amp: str) -> tuple[Path, str] | None:
    """Return the study folder that AMP names, and which of its amps: `STUDY` or `STUDY/NAME`; None for other words.

    A study that still reads its recordings is one, too.
    """
    from search.study.files import STUDY
    from search.study.lock import is_starting

    folder = expand_home(amp)
    if (folder / STUDY).is_file() or is_starting(folder):
        return folder, ""
    return (folder.parent, folder.name) if (folder.parent / STUDY).is_file() and not folder.exists() else None


@contextmanager
def model_to_play(
    amp: str, where: str | None, tier: str, *, for_ears: bool = True, max_peak_dbfs: float | None = None
) -> Iterator[Path]:
    """Yield the model that AMP names, as `open_model` takes it; of a study its best so far, and say which that is.

    Args:
        amp: what a person names.
        where: the zoo of the amp.
        tier: the tier; empty for the model itself.
        for_ears: whether it is played at once, or leaves for other players (see `resolve_for_ears`).
        max_peak_dbfs: as in `check_loudness`; only `for_ears`.

    Raises as `resolve_model`, `resolve_for_ears` and `best_so_far` do.
    """
    from zoo.cli import output
    from zoo.package.loudness import LOUDEST_DBFS, check_model_loudness
    from zoo.registry.resolve import FetchOptions, resolve_for_ears, resolve_model

    if found := named_study(amp):
        from search.study.best_so_far import best_so_far

        with best_so_far(*found, tier) as best:
            if for_ears:  # a model that trains still may be noisy; how loud it may be is stated
                check_model_loudness(best.folder, LOUDEST_DBFS if max_peak_dbfs is None else max_peak_dbfs)
            output.info(study_model_sentence(best))
            yield best.folder
        return
    with output.progress("fetching") as bar:
        resolve = resolve_for_ears if for_ears else resolve_model
        model = resolve(amp, FetchOptions(where, tier, bar, output.warn, max_peak_dbfs))
    yield model


def study_model_sentence(best: "StudyModel") -> str:
    """Return which trial of a study is played, and how good it is."""
    from models.artifacts.evaluation import quality_words

    trial = best.trial
    what = f"trial {trial.trial} ({trial.form}, {trial.label})"
    error = f"validation ESR {best.esr:.4f}, {quality_words(best.esr)}"
    if best.complete:
        held = trial.held.get(best.amp, {}).get("mean")
        return f"{what}, the best of {best.ended}: {error}" + (f"; held ESR {held:.4f}" if held else "")
    now = "it trains still" if best.driven else "its training was interrupted"
    stage = "" if trial.has_ended else f"; {now}, step {trial.step:,} of {trial.steps:,}"
    return f"{what}, the best so far, {best.ended} ended: {error}{stage}"
