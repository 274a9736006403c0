"""AMP of a command: an amp of a zoo, a model's folder, or a study, of which the best model is played or shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.studies import named_study, open_best

if TYPE_CHECKING:
    from search.study.best_so_far import StudyModel
    from zoo.registry.resolve import AmpView


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
        with open_best(*found, tier) as best:
            if for_ears:  # a model that trains still may be noisy; how loud it may be is stated
                check_model_loudness(best.folder, LOUDEST_DBFS if max_peak_dbfs is None else max_peak_dbfs)
            output.info(study_model_sentence(best))
            yield best.folder
        return
    with output.progress("fetching") as bar:
        resolve = resolve_for_ears if for_ears else resolve_model
        model = resolve(amp, FetchOptions(where, tier, bar, output.warn, max_peak_dbfs))
    yield model


@contextmanager
def view_of(amp: str, where: str | None) -> Iterator["AmpView"]:
    """Yield a view of what AMP names; of a study its best model so far, and say which that is.

    Raises as `view_amp` and `best_so_far` do.
    """
    from zoo.cli import output
    from zoo.registry.resolve import FolderView, view_amp

    if found := named_study(amp):
        with open_best(*found, "") as best:
            output.info(study_model_sentence(best))
            yield FolderView(best.folder)
        return
    yield view_amp(amp, where)


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
