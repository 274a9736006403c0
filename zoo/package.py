"""A finished run folder -> a package folder: everything a stranger needs to list, trust, hear and play a model.

Shapes: T time.
"""

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.audio import write_audio
from models.bake import bake
from models.documents import EVAL, RECIPE, SPLIT, Evaluation, ModelConfig, read_evaluation
from models.errors import UserError
from models.files import read_json, staged_folder, write_json, write_text
from models.knobs import Knob, Setting, format_setting
from models.nam import write_nam
from models.run import load_model, save_model
from models.signal import guitar
from models.stream import play
from models.wavenet import WaveNet
from zoo import __version__
from zoo.card import Terms, make_card
from zoo.layout import (
    CARD,
    LICENSE_FILE,
    LIVE,
    PRESETS,
    TRAINING,
    Preset,
    Presets,
    check_target,
    entry_of,
    write_manifest,
)
from zoo.licences import check_license, license_text
from zoo.pictures import draw_knobs, draw_scores
from zoo.publish import check_private
from zoo.verify import verify

DEMO_SECONDS, DEMO_SEED = 6.0, 2000
LOUDNESS_DBFS = -20.0  # RMS that every clip is brought to
HEADROOM = 0.95  # or less, where it would pass this peak


def package(run: Path, out: Path, terms: Terms | str, force: bool = False) -> Path:
    """Package a finished run into the folder `out` and return it; the same run gives the same bytes.

    `terms` is what its owner says of it, or a licence alone. An earlier package of the same name there is replaced whole. Raises
    `UserError` when the run is not finished, has no held scores, `out` holds something else, or a path or token of the maker's is in it;
    and for a model that nobody should play, unless by `force`, which its card tells.
    """
    terms = Terms(license=terms) if isinstance(terms, str) else terms
    check_license(terms.license, terms.license_name, terms.license_link)
    config, net = load_model(run)
    check_target(out)
    evaluation = read_evaluation(run)
    faults = _faults(evaluation)
    if faults and not force:
        raise UserError(f"{config.name} should not be published: {faults[0]}", "Train it further, or say --force.")
    with staged_folder(out) as folder:
        save_model(folder, config, net)
        write_json(folder / EVAL, evaluation.model_dump(mode="json", by_alias=True))
        if (provenance := _provenance(run)) is not None:
            write_json(folder / TRAINING, provenance)
        dry_T = guitar(DEMO_SECONDS, config.audio.sample_rate, DEMO_SEED)
        presets = _demo(folder, config, net, dry_T)
        draw_scores(folder / "images" / "scores.png", evaluation)
        if any(isinstance(knob, Knob) for knob in config.knobs.knobs):
            draw_knobs(folder / "images" / "knobs.png", config, net, dry_T)
        write_json(folder / PRESETS, Presets(presets=presets).model_dump(mode="json"))
        write_nam(folder / LIVE, config, net)
        for preset in presets:
            still = bake(net, config.encode(preset.knobs))
            write_nam(folder / "baked" / f"{preset.id}.nam", config, still, dict(preset.knobs))
        write_text(folder / CARD, make_card(config, evaluation, terms, presets, faults))
        text = license_text(config.name, terms.license, terms.license_name, terms.license_link)
        write_text(folder / LICENSE_FILE, text)
        write_manifest(folder, config.name, f"ampzoo {__version__}")
        verify(folder, whole=True)
        check_private(folder)
    return out


def _faults(evaluation: Evaluation) -> list[str]:
    """Why nobody should play this model, in sentences; empty for a sound one."""
    held, found = evaluation.held, []
    if evaluation.corners.fault:
        found.append(evaluation.corners.fault)
    if held.baseline_mean is not None and held.mean >= held.baseline_mean:
        near = f"playing the nearest recorded setting would give {held.baseline_mean:.4f}"
        found.append(f"its mean ESR at held settings is {held.mean:.4f}, while {near}")
    return found


def _provenance(run: Path) -> dict[str, Any] | None:
    """Where a run came from: recipe without paths, takes by hash, study and trial, versions; None for a run that says nothing of it."""
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
        "versions": {name: version(name) for name in ("torch", "numpy")} | {"ampzoo": __version__},
    }
    trial = run.resolve().parent
    if trial.parent.name == "trials" and (trial.parents[1] / "study.json").exists():
        study = read_json(trial.parents[1] / "study.json")
        document["search"] = {"study": study.get("name"), "trial": trial.name}
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


def _gain_db(wet_T: np.ndarray) -> float | None:
    """What brings a clip to the loudness of the others, to a hundredth of a dB; None for what cannot be heard."""
    peak, rms = float(np.abs(wet_T).max()), float(np.sqrt(np.mean(np.square(wet_T, dtype=np.float64))))
    if not (0 < rms and peak < math.inf):
        return None
    gain = min(10 ** (LOUDNESS_DBFS / 20) / rms, HEADROOM / peak)
    return math.floor(2000 * math.log10(gain)) / 100
