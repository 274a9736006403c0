"""A finished run folder -> a package folder: everything a stranger needs to list, trust, hear and play a model.

Shapes: T time.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.folder import load_model, save_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import EVAL
from models.audio.guitar import guitar
from models.core.errors import UserError
from models.core.files import staged_folder, write_json, write_text
from models.formats.nam.writer import write_nam
from models.knobs.schema import Knob
from models.network.baking import bake
from models.network.wavenet import WaveNet
from zoo.package.card import make_card
from zoo.package.card_schema import Terms
from zoo.package.charts import draw_knobs, draw_scores
from zoo.package.demo_clips import DEMO_SECONDS, DEMO_SEED, _demo, _demo_take
from zoo.package.layout import CARD, LICENSE_FILE, LIVE, MANIFEST, PRESETS, TRAINING, tier_names
from zoo.package.licenses import check_license, license_text
from zoo.package.manifest import check_target, package_files, read_package_manifest, write_manifest
from zoo.package.presets import Presets
from zoo.package.privacy import check_private
from zoo.package.provenance import _provenance, _study
from zoo.package.verify import verify
from zoo.version import __version__

FRONT = "images/front.png"

STAGES = 5


def package(
    run: Path,
    out: Path,
    terms: Terms | str,
    force: bool = False,
    tiers: Mapping[str, Path] | None = None,
    take: bool = False,
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None,
    on_warning: Callable[[str], None] = warnings.warn,
) -> Path:
    """Package a finished run into the folder `out` and return it; the same run gives the same bytes.

    `terms` is what its owner says of it, or a licence alone. `tiers`, name -> run, are smaller and larger models of the same amp, `run`
    among them (unless given, those of a package that is packaged again); those that nobody should play are left out. With `take`, which
    the licence of the recordings must allow, one held take is there beside what the model makes of it. An earlier package of the same
    name there is replaced whole. Raises `UserError` when the run is not finished, has no held scores, `out` holds something else, or a
    path or token of the maker's is in it; for one whose corners run away; and for one worse than playing the nearest recording, unless by
    `force`, which its card tells.
    """
    terms = Terms(license=terms) if isinstance(terms, str) else terms
    check_license(terms.license, terms.license_name, terms.license_link)
    on_progress(0, STAGES, "reading")
    config, net = load_model(run)
    check_target(out)
    evaluation = read_evaluation(run)
    fault = _fault(evaluation)
    if evaluation.corners.fault:
        raise UserError(
            f"{config.name} must not be published: {evaluation.corners.fault}", "Train it further, or on more corners."
        )
    if fault and not force:
        raise UserError(f"{config.name} should not be published: {fault}", "Train it further, or say --force.")
    levels = _levels(_tiers_inside(run) if tiers is None else tiers, run, force, on_warning)
    own = next((tier for tier, (place, _) in levels.items() if place == run), "")
    with staged_folder(out) as folder:
        on_progress(1, STAGES, "playing")
        dry_T = guitar(DEMO_SECONDS, config.audio.sample_rate, DEMO_SEED)
        presets = (*_demo(folder, config, net, dry_T), *([_demo_take(folder, run, config, net)] if take else []))
        _write_model(folder, run, config, net, evaluation)
        for tier, (place, scores) in levels.items():
            if tier != own:
                _write_model(folder / "tiers" / tier, place, *load_model(place), scores)
        write_json(folder / PRESETS, Presets(presets=presets).model_dump(mode="json"))
        on_progress(2, STAGES, "baking")
        for preset in presets:
            still = bake(net, config.encode(preset.knobs))
            write_nam(folder / "baked" / f"{preset.id}.nam", config, still, dict(preset.knobs))
        on_progress(3, STAGES, "drawing")
        draw_scores(folder / "images" / "scores.png", evaluation)
        if any(isinstance(knob, Knob) for knob in config.knobs.knobs):
            draw_knobs(folder / "images" / "knobs.png", config, net, dry_T)
        if front := _front_picture(run):
            (folder / FRONT).write_bytes(front.read_bytes())
        scores_of = {tier: scores for tier, (_, scores) in levels.items()}
        write_text(folder / CARD, make_card(config, evaluation, terms, presets, fault, scores_of, front is not None))
        text = license_text(config.name, terms.license, terms.license_name, terms.license_link)
        write_text(folder / LICENSE_FILE, text)
        write_manifest(folder, config.name, f"ampzoo {__version__}", own)
        on_progress(4, STAGES, "checking")
        verify(folder, whole=True)
        check_private(folder)
    return out


def _levels(
    tiers: Mapping[str, Path], run: Path, force: bool, on_warning: Callable[[str], None]
) -> dict[str, tuple[Path, Evaluation]]:
    """The tiers worth packaging, the cheapest first; empty where the run would be alone."""
    found = {tier: (place, read_evaluation(place)) for tier, place in tiers.items()}
    for tier, (place, scores) in list(found.items()):
        fault = scores.corners.fault or (None if force else _fault(scores))
        if place != run and fault:
            on_warning(f"tier {tier} is left out: {fault}")
            del found[tier]
    return dict(sorted(found.items(), key=lambda item: item[1][1].macs_per_sample)) if len(found) > 1 else {}


def _tiers_inside(run: Path) -> dict[str, Path]:
    """The tiers of a package that is packaged again; a run folder has none."""
    if not (run / MANIFEST).exists():
        return {}
    own = read_package_manifest(run).tier
    return {tier: run / "tiers" / tier for tier in tier_names(package_files(run))} | ({own: run} if own else {})


def _write_model(folder: Path, run: Path, config: ModelConfig, net: WaveNet, evaluation: Evaluation) -> None:
    """What the amp itself and each of its tiers have."""
    save_model(folder, config, net)
    write_json(folder / EVAL, evaluation.model_dump(mode="json", by_alias=True))
    if (provenance := _provenance(run)) is not None:
        write_json(folder / TRAINING, provenance)
    write_nam(folder / LIVE, config, net)


def _front_picture(run: Path) -> Path | None:
    """The picture of the search's front, of a study or of a package that is packaged again; None where there was no search."""
    study = _study(run)
    picture = study / "board.png" if study else run / FRONT
    return picture if picture.exists() else None


def _fault(evaluation: Evaluation) -> str | None:
    """Why this model is not worth playing, in a sentence; None for one that is."""
    held = evaluation.held
    if held.baseline_mean is None or held.mean < held.baseline_mean:
        return None
    near = f"playing the nearest recorded setting would give {held.baseline_mean:.4f}"
    return f"its mean ESR at held settings is {held.mean:.4f}, while {near}"
