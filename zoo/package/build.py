"""A finished run folder becomes a package folder: all that others need to list, verify, play and compare a model."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.artifacts.folder import save_model
from models.artifacts.names import EVAL, TRAINING
from models.audio.guitar import guitar
from models.core.errors import UserError
from models.core.files import staged_folder, write_json, write_text
from models.formats.nam.writer import write_nam
from models.knobs.schema import Knob
from models.network.baking import bake
from models.recordings.knob_filters import FILTERS_KEY, parse_knob_filters
from zoo.package.card import make_card
from zoo.package.card_page import CardContent
from zoo.package.card_schema import Terms
from zoo.package.charts import draw_knobs, draw_scores, read_picture
from zoo.package.demo_clips import DEMO_SECONDS, DEMO_SEED, write_demo_clips, write_held_take
from zoo.package.finished_run import FinishedRun
from zoo.package.layout import CARD, FRONT_CHART, LICENSE_FILE, LIVE, PRESETS
from zoo.package.licenses import check_license, license_text
from zoo.package.manifest import check_target, write_manifest
from zoo.package.presets import Preset, Presets
from zoo.package.privacy import check_private
from zoo.package.provenance import parse_recorded_ranges
from zoo.package.signing import sign
from zoo.package.verify import verify
from zoo.version import __version__

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

STAGES = 5  # of the progress bar


@dataclass(frozen=True)
class PackageRequest:
    """What to package, where to, and under which terms.

    Attributes:
        run: A finished run folder, or a package that is packaged again.
        out: The package's folder; an earlier package there is replaced whole.
        terms: License, kind, tone and data sets, as the owner states them.
        force: Package a model that is worse than playing the nearest recording; the card states it.
        tiers: Smaller and larger models of the same amp, name -> run folder, `run` among them. None keeps the tiers
            of a package that is packaged again.
        take: Add one held take beside the model's clip; the license of the recordings must allow it.
        key: The key that signs the package, None for an unsigned one.
        max_peak_dbfs: The highest peak that the model may play, None for what its scores claim and some dB.
    """

    run: Path
    out: Path
    terms: Terms
    force: bool = False
    tiers: Mapping[str, Path] | None = None
    take: bool = False
    key: "Ed25519PrivateKey | None" = None
    max_peak_dbfs: float | None = None


def package(
    request: PackageRequest,
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None,
    on_warning: Callable[[str], None] = warnings.warn,
) -> Path:
    """Package a finished run and return the package's folder; the same run gives the same bytes.

    `on_warning` is called once for each tier that is left out, and for each of `Evaluation.warnings`. Raises
    `UserError` when the run is not finished, `out` holds something else, a text file contains a token or a private
    path, the model is unstable at the corners of the knobs, or it is worse than playing the nearest recording and
    `force` is not given.
    """
    terms = request.terms
    check_license(terms.license, terms.license_name, terms.license_link)
    on_progress(0, STAGES, "reading")
    run = FinishedRun.load(request.run)
    front = read_picture(run.front_chart) if run.front_chart else None
    check_target(request.out)
    _check_quality(run, request.force)
    for warning in run.evaluation.warnings:
        on_warning(f"{run.config.name}: {warning}")
    tiers = _select_tiers(request, run, on_warning)
    with staged_folder(request.out) as folder:
        on_progress(1, STAGES, "playing")
        dry_T = guitar(DEMO_SECONDS, run.config.audio.sample_rate, DEMO_SEED)
        presets = write_demo_clips(folder, run, dry_T)
        if request.take:
            presets = (*presets, write_held_take(folder, run))
        write_json(folder / PRESETS, Presets(presets=presets).model_dump(mode="json"))
        on_progress(2, STAGES, "baking")
        _write_models(folder, run, tiers, presets)
        on_progress(3, STAGES, "drawing")
        draw_scores(folder / "images" / "scores.png", run.evaluation)
        if any(isinstance(knob, Knob) for knob in run.config.knobs.knobs):
            draw_knobs(folder / "images" / "knobs.png", run.config, run.net, dry_T)
        if front is not None:
            (folder / FRONT_CHART).write_bytes(front)
        _write_texts(folder, run, terms, tiers, presets)
        on_progress(4, STAGES, "checking")
        verify(folder, whole=True, max_peak_dbfs=request.max_peak_dbfs)
        check_private(folder)
        if request.key is not None:
            sign(folder, request.key)
    return request.out


def _check_quality(run: FinishedRun, force: bool) -> None:
    """Raise `UserError` for a model that must not be published, or that should not be and is not forced."""
    if unstable := run.evaluation.corners.fault:
        raise UserError(f"{run.config.name} must not be published: {unstable}", "Train it further, or on more corners.")
    if run.fault and not force:
        raise UserError(f"{run.config.name} should not be published: {run.fault}", "Train it further, or add --force.")


def _select_tiers(
    request: PackageRequest, run: FinishedRun, on_warning: Callable[[str], None]
) -> dict[str, FinishedRun]:
    """Load the tiers that are good enough to publish, the cheapest first; empty where `run` would be the only one."""
    paths = run.tiers if request.tiers is None else request.tiers
    loaded = {tier: run if path == run.folder else FinishedRun.load(path) for tier, path in paths.items()}
    for tier, other in list(loaded.items()):
        fault = other.evaluation.corners.fault or (None if request.force else other.fault)
        if fault and other is not run:
            on_warning(f"tier {tier} is left out: {fault}")
            del loaded[tier]
    ordered = sorted(loaded.items(), key=lambda item: item[1].evaluation.macs_per_sample)
    return dict(ordered) if len(ordered) > 1 else {}


def _write_models(
    folder: Path, run: FinishedRun, tiers: Mapping[str, FinishedRun], presets: tuple[Preset, ...]
) -> None:
    """Write the amp's own model, each of its tiers, and one baked file per preset."""
    _write_model(folder, run)
    for tier, other in tiers.items():
        if other is not run:
            _write_model(folder / "tiers" / tier, other)
    for preset in presets:
        baked = bake(run.net, run.config.encode(preset.knobs))
        write_nam(folder / "baked" / f"{preset.id}.nam", run.config, baked, dict(preset.knobs))


def _write_model(folder: Path, run: FinishedRun) -> None:
    """Write the files that the amp itself and each of its tiers have."""
    save_model(folder, run.config, run.net)
    write_json(folder / EVAL, run.evaluation.model_dump(mode="json", by_alias=True))
    if run.provenance is not None:
        write_json(folder / TRAINING, run.provenance)
    write_nam(folder / LIVE, run.config, run.net)


def _write_texts(
    folder: Path, run: FinishedRun, terms: Terms, tiers: Mapping[str, FinishedRun], presets: tuple[Preset, ...]
) -> None:
    """Write the card, the license and, over all files, the manifest."""
    content = CardContent(
        config=run.config,
        evaluation=run.evaluation,
        terms=terms,
        presets=presets,
        fault=run.fault,
        tiers={tier: other.evaluation for tier, other in tiers.items()},
        searched=run.front_chart is not None,
        filters=parse_knob_filters((run.provenance or {}).get(FILTERS_KEY), TRAINING),
        recorded=parse_recorded_ranges(run.provenance),
    )
    write_text(folder / CARD, make_card(content))
    text = license_text(run.config.name, terms.license, terms.license_name, terms.license_link)
    write_text(folder / LICENSE_FILE, text)
    own_tier = next((tier for tier, other in tiers.items() if other is run), "")
    write_manifest(folder, run.config.name, f"ampzoo {__version__}", own_tier)
