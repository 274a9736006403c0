"""Scores what a person names: an amp of a zoo, a folder or a `.nam` file."""

import warnings
from collections.abc import Callable
from pathlib import Path

from models.core.user_folders import expand_home
from models.evaluation.take_scores import TakeScores, score_takes
from zoo.registry.protocol import TransferProgress, no_progress
from zoo.registry.resolve import FetchOptions, resolve_model


def score_model(
    model: str | Path,
    manifest: str | Path,
    zoo: str | Path | None = None,
    tier: str = "",
    *,
    align: bool | None = None,
    clips: bool = False,
    on_fetch: TransferProgress = no_progress,
    on_take: Callable[[int, int], None] = lambda done, total: None,
    on_warning: Callable[[str], None] = warnings.warn,
) -> TakeScores:
    """Score the takes of a manifest; see `score_takes`.

    Args:
        model: An amp `owner/amp[@revision]`, the folder of a package or run, a `.nam` file, or a folder of renderings.
        manifest: The takes.
        zoo: Where to look for a name, as `--zoo` of the commands.
        tier: The tier of an amp, empty for the amp itself.
        align: Align the takes with their dry signals first; None does what the run was trained with.
        clips: Keep some seconds of sound.
        on_fetch: Called with the bytes done and the bytes in all.
        on_take: Called with the takes done and the takes in all.
        on_warning: Called when a copy is used because the hub cannot be reached.

    Raises as `resolve_model` and `score_takes` do.
    """
    named, manifest = expand_home(str(model)), expand_home(str(manifest))
    is_file = named.is_file() or named.suffix.lower() == ".nam"
    source = named if is_file else resolve_model(str(model), FetchOptions(zoo, tier, on_fetch, on_warning))
    return score_takes(source, manifest, align=align, clips=clips, on_take=on_take)
