"""A finished run folder -> a package folder: everything a stranger needs to list, trust, hear and play a model.

Shapes: T time.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.audio import write_audio
from models.bake import bake
from models.dataset import load_data
from models.documents import EVAL, MACHINE, RECIPE, SPLIT, Evaluation, ModelConfig, read_evaluation
from models.errors import UserError
from models.files import read_document, read_json, staged_folder, write_json, write_text
from models.knobs import Knob, Setting, format_setting
from models.nam import write_nam
from models.recipe import Recipe, is_uri
from models.run import load_model, save_model
from models.signal import guitar
from models.stream import play
from models.wavenet import WaveNet
from zoo import __version__, output
from zoo.card import Terms, make_card
from zoo.layout import (
    CARD,
    LICENSE_FILE,
    LIVE,
    MANIFEST,
    PRESETS,
    TRAINING,
    Preset,
    Presets,
    check_target,
    entry_of,
    package_files,
    read_package_manifest,
    write_manifest,
)
from zoo.layout import tiers as tiers_of
from zoo.licences import KNOWN, check_license, license_text
from zoo.pictures import draw_knobs, draw_scores
from zoo.publish import check_private
from zoo.verify import verify

FRONT = "images/front.png"
STAGES = 5
DEMO_SECONDS, DEMO_SEED = 6.0, 2000
LOUDNESS_DBFS = -20.0  # RMS that every clip is brought to
HEADROOM = 0.95  # or less, where it would pass this peak


def package(
    run: Path,
    out: Path,
    terms: Terms | str,
    force: bool = False,
    tiers: Mapping[str, Path] | None = None,
    take: bool = False,
    on_progress: Callable[[float, float, str], None] = lambda done, total, text: None,
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
    levels = _levels(_tiers_inside(run) if tiers is None else tiers, run, force)
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


def _levels(tiers: Mapping[str, Path], run: Path, force: bool) -> dict[str, tuple[Path, Evaluation]]:
    """The tiers worth packaging, the cheapest first; empty where the run would be alone."""
    found = {tier: (place, read_evaluation(place)) for tier, place in tiers.items()}
    for tier, (place, scores) in list(found.items()):
        fault = scores.corners.fault or (None if force else _fault(scores))
        if place != run and fault:
            output.say(f"warning: tier {tier} is left out: {fault}")
            del found[tier]
    return dict(sorted(found.items(), key=lambda item: item[1][1].macs_per_sample)) if len(found) > 1 else {}


def _tiers_inside(run: Path) -> dict[str, Path]:
    """The tiers of a package that is packaged again; a run folder has none."""
    if not (run / MANIFEST).exists():
        return {}
    own = read_package_manifest(run).tier
    return {tier: run / "tiers" / tier for tier in tiers_of(package_files(run))} | ({own: run} if own else {})


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


def _study(run: Path) -> Path | None:
    """The study a run is of, if any."""
    trial = run.resolve().parent
    found = trial.parent.name == "trials" and (trial.parents[1] / "study.json").exists()
    return trial.parents[1] if found else None


def _fault(evaluation: Evaluation) -> str | None:
    """Why this model is not worth playing, in a sentence; None for one that is."""
    held = evaluation.held
    if held.baseline_mean is None or held.mean < held.baseline_mean:
        return None
    near = f"playing the nearest recorded setting would give {held.baseline_mean:.4f}"
    return f"its mean ESR at held settings is {held.mean:.4f}, while {near}"


def _provenance(run: Path) -> dict[str, Any] | None:
    """Where a run came from: recipe without paths, takes by hash, study, trial, time, machine; None for one that says nothing of it."""
    if (run / TRAINING).exists():
        return read_json(run / TRAINING)  # a package that is packaged again
    if not (run / RECIPE).exists() or not (run / SPLIT).exists():
        return None
    recipe, split = read_json(run / RECIPE), read_json(run / SPLIT)
    data = {key: value for key, value in recipe["data"].items() if key not in ("train", "held")}
    heard = {"dry_sha256": split["dry_sha256"], "pieces": split["pieces"]}
    document: dict[str, Any] = {
        "schema": "ampzoo.training/1",
        "data": {
            **data,
            "sha256": entry_of(json.dumps(heard, sort_keys=True).encode()).sha256,
            "dry_sha256": split["dry_sha256"],
        },
        "takes": {group: len(pieces) for group, pieces in split["pieces"].items()},
        "model": recipe["model"],
        "learning": recipe["learning"],
        "seconds": read_evaluation(run).seconds,
        **(read_json(run / MACHINE) if (run / MACHINE).exists() else {}),
    }
    if study := _study(run):
        document["search"] = {"study": read_json(study / "study.json").get("name"), "trial": run.resolve().parent.name}
    return document


def _demo(folder: Path, config: ModelConfig, net: WaveNet, dry_T: np.ndarray) -> tuple[Preset, ...]:
    """The dry clip and the model playing it: at rest, and with the first knob low and high."""
    rate = config.audio.sample_rate
    write_audio(folder / "audio" / "di.flac", dry_T, rate)
    turns: dict[str, Setting] = {"default": {}}
    first = next((knob for knob in config.knobs.knobs if isinstance(knob, Knob)), None)
    if first is not None:
        for name, turn in (("low", 0.1), ("high", 0.9)):
            turns[f"{first.name}-{name}"] = {first.name: round(first.min + turn * (first.max - first.min), 6)}
    presets = []
    for name, moved in turns.items():
        setting = config.knobs.complete(moved)
        wet_T = play(net, dry_T, config.encode(setting))
        gain_db, audio = _gain_db(wet_T), f"audio/{name}.flac"
        if gain_db is None:
            raise UserError(f"{config.name} at {format_setting(setting)} plays no sound", "Train it further.")
        write_audio(folder / audio, wet_T * 10 ** (gain_db / 20), rate)
        presets.append(Preset(id=name, knobs=setting, audio=audio, gain_db=gain_db))
    return tuple(presets)


def _demo_take(folder: Path, run: Path, config: ModelConfig, net: WaveNet) -> Preset:
    """The held take of median error: dry, by the model, and by the amp. Raises `UserError` where the takes are gone."""
    if not (run / RECIPE).exists():
        raise UserError(f"{run} does not say where its takes are ({RECIPE} is missing)", "Leave out --with-take.")
    if (given := read_evaluation(run).recordings_license.lower()) not in KNOWN:
        raise UserError(
            f"the recordings' licence is '{given}', which no hub knows as one that lets them be given on",
            'Leave out --with-take, or state the licence in the manifest ("license": "cc-by-4.0").',
        )
    recipe = read_document(run / RECIPE, Recipe)
    if any(map(is_uri, (recipe.data.train, recipe.data.held))):
        raise UserError(f"the takes of {run} are not on this machine, but at a URI", "Leave out --with-take.")
    data, scores = load_data(recipe.data), read_evaluation(run).held.settings
    setting = sorted(scores, key=lambda score: score.esr)[len(scores) // 2].setting
    piece = next(piece for piece in data.held if piece.setting == setting)
    heard = slice(piece.start, min(piece.stop, piece.start + round(DEMO_SECONDS * data.rate_hz)))
    dry_T, wet_T = data.dry_T[piece.dry][heard].numpy(), piece.wet_T[heard].numpy()
    played_T = play(net, dry_T, config.encode(setting))
    names = {"dry": "audio/held-di.flac", "audio": "audio/held.flac", "target": "audio/held.target.flac"}
    gains = {"dry": 0.0, "audio": _gain_db(played_T), "target": _gain_db(wet_T)}
    for part, clip_T in (("dry", dry_T), ("audio", played_T), ("target", wet_T)):
        if (gain_db := gains[part]) is None:
            raise UserError(f"the take at {format_setting(setting)} plays no sound", "Leave out --with-take.")
        write_audio(folder / names[part], clip_T * 10 ** (gain_db / 20), data.rate_hz)
    return Preset(id="held", knobs=setting, gain_db=gains["audio"] or 0.0, **names)


def _gain_db(wet_T: np.ndarray) -> float | None:
    """What brings a clip to the loudness of the others, to a hundredth of a dB; None for what cannot be heard."""
    peak, rms = float(np.abs(wet_T).max()), float(np.sqrt(np.mean(np.square(wet_T, dtype=np.float64))))
    if not (0 < rms and peak < math.inf):
        return None
    gain = min(10 ** (LOUDNESS_DBFS / 20) / rms, HEADROOM / peak)
    return math.floor(2000 * math.log10(gain)) / 100
