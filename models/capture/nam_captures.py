"""Takes from a folder of `.nam` captures at one setting each, whose file names state the knobs."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.audio.calibration import AnalogLevels
from models.audio.io import create_audio, read_audio, read_length
from models.capture.session import entry, manifest_top, new_folder
from models.capture.sheet import TRAIN_MANIFEST, name_take
from models.capture.take_names import NamePattern, compile_pattern, positions_of, refuse_twins
from models.core.errors import Notice, UserError
from models.core.files import staged_folder, write_json
from models.core.schema import check_document
from models.formats.nam.reader import read_nam
from models.knobs.schema import Knobs, Setting
from models.network.wavenet import WaveNet
from models.playback.render import render


def read_capture_names(folder: Path, pattern: str, schema: Knobs | None = None) -> tuple[Knobs, dict[Path, Setting]]:
    """Return the knobs, and the setting of each `.nam` file of a folder, read from its name by `pattern`.

    `{gain}` in the pattern stands for a number, or for a position where `schema` has a switch of that name. All else
    stands for itself, with no letter or digit next to it. Without a schema, the range of a knob is 0 to 1, or, where
    numbers lie outside, from the lowest to the highest number. Raises `UserError` for a pattern without knobs, a file
    that does not match, and two files at one setting.
    """
    wanted = compile_pattern(pattern, positions_of(schema) if schema else {})
    for name in wanted.names:
        if schema and name not in schema.names:
            raise UserError(f"'{pattern}': no knob is called '{name}'", f"The knobs are: {', '.join(schema.names)}.")
    files = sorted(path for path in folder.glob("*") if is_capture(path))
    if not files:
        raise UserError(f"{folder} has no .nam file", "Name the folder that holds the captures.")
    found: dict[Path, Setting] = {}
    for path in files:
        matches = wanted.find(path)
        if len(matches) != 1:
            how = "does not hold" if not matches else "holds more than once"
            raise UserError(
                f"{path.name} {how} the pattern '{pattern}'", "Change the pattern, or move that file out of the folder."
            )
        found[path] = matches[0]
    knobs = schema or _infer_knobs(wanted, list(found.values()), str(folder))
    full = {path: knobs.complete(setting, path.name) for path, setting in found.items()}
    refuse_twins(full)
    return knobs, full


def is_capture(path: Path) -> bool:
    """Return whether a file is a capture by its name; names that begin with a dot are notes of other systems."""
    return path.suffix.lower() == ".nam" and not path.name.startswith(".") and path.is_file()


def render_captures(
    folder: Path,
    pattern: str,
    signal: Path,
    out: Path,
    *,
    schema: Knobs | None = None,
    device: str = "",
    license_id: str = "",
    on_take: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Play `signal` through every capture of a folder, and return the path of the manifest of these takes.

    Takes are 32-bit float, in the new folder `out`. `on_take(done, total)` is called after each. Where all captures
    state the analog level of full scale, the manifest states that of the first, and the others are played at it: the
    same signal is the same voltage in all of them. With a `Notice` where only some state it.

    Raises `UserError` as `read_capture_names` does, and for a capture with knobs of its own or at another rate than the
    signal.
    """
    knobs, settings = read_capture_names(folder, pattern, schema)
    new_folder(out)
    rate_hz, entries = read_length(signal)[1], []
    levels = {path: _read_capture(path, rate_hz, signal)[0].audio.levels for path in settings}
    common = _common_levels(levels)
    with staged_folder(out) as staged:
        dry = staged / f"di{signal.suffix.lower()}"
        dry.write_bytes(signal.read_bytes())
        for number, (path, setting) in enumerate(settings.items(), 1):
            wet = staged / name_take("", number, setting)
            capture = _read_capture(path, rate_hz, signal)
            _render_at(capture, signal, wet, _gains_of(levels[path], common))
            entries.append(entry(dry.name, wet.name, setting))
            on_take(number, len(settings))
        top = manifest_top(knobs, device or folder.resolve().name, license_id, rate_hz, common)
        write_json(staged / TRAIN_MANIFEST, {**top, "entries": entries})
    return out / TRAIN_MANIFEST


def _common_levels(levels: dict[Path, AnalogLevels]) -> AnalogLevels:
    """Return the levels of the first capture, those that all captures state; a `Notice` where only some do."""
    found = {}
    for name in AnalogLevels.model_fields:
        stated = {path: level for path, one in levels.items() if (level := getattr(one, name)) is not None}
        if len(stated) == len(levels):
            found[name] = next(iter(stated.values()))
        elif stated:
            silent = next(path.name for path in levels if path not in stated)
            warnings.warn(f"{silent} states no {name}, others do: all are played as they are", Notice, stacklevel=3)
    return AnalogLevels(**found)


def _gains_of(own: AnalogLevels, common: AnalogLevels) -> tuple[float, float]:
    """Return by what input and output of a capture are multiplied, so that full scale is the common level in both."""

    def ratio(a_dbu: float | None, b_dbu: float | None) -> float:
        return 1.0 if a_dbu is None or b_dbu is None else 10 ** ((a_dbu - b_dbu) / 20)

    into = ratio(common.input_level_dbu, own.input_level_dbu)
    return into, ratio(own.output_level_dbu if common.output_level_dbu is not None else None, common.output_level_dbu)


def _render_at(capture: "tuple[ModelConfig, WaveNet]", signal: Path, wet: Path, gains: tuple[float, float]) -> None:
    """Play a signal through a capture into a float file, with a gain before and behind it."""
    if gains == (1.0, 1.0):
        render(capture, signal, wet, {}, subtype="FLOAT")
        return
    scaled = wet.with_name(f"scaled-{wet.name}")
    x_T, rate_hz = read_audio(signal)
    _write_float(scaled, gains[0] * x_T, rate_hz)
    render(capture, scaled, wet, {}, subtype="FLOAT")
    scaled.unlink()
    _write_float(wet, gains[1] * read_audio(wet)[0], rate_hz)


def _write_float(path: Path, x_T: np.ndarray, rate_hz: int) -> None:
    with create_audio(path, rate_hz, "FLOAT") as file:
        file.write(x_T)


def _read_capture(path: Path, rate_hz: int, signal: Path) -> tuple[ModelConfig, WaveNet]:
    """Return a capture that has no knobs and plays at the signal's rate; else raise `UserError`."""
    config, net = read_nam(path)
    if config.knobs.names:
        raise UserError(
            f"{path.name} has knobs of its own: {', '.join(config.knobs.names)}",
            "Render takes of captures at one setting each.",
        )
    if config.audio.sample_rate != rate_hz:
        raise UserError(
            f"{path.name} plays at {config.audio.sample_rate} Hz, {signal} is at {rate_hz} Hz",
            f"Use a signal at {config.audio.sample_rate} Hz, and one folder per rate.",
        )
    return config, net


def _infer_knobs(wanted: NamePattern, settings: list[Setting], where: str) -> Knobs:
    """Return the knobs that the settings show."""
    described = []
    for name in wanted.names:
        numbers = wanted.numbers(name, settings, where)
        low, high = min(0.0, *numbers), max(1.0, *numbers)
        if (low, high) != (0, 1):
            low, high = min(numbers), max(numbers)
        described.append({"name": name, "min": low, "max": high})
    return check_document({"knobs": described}, Knobs, where)
