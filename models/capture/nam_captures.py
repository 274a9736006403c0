"""Takes from a folder of `.nam` captures at one setting each, whose file names state the knobs."""

import re
from collections.abc import Callable
from pathlib import Path

from models.artifacts.model_config import ModelConfig
from models.audio.io import read_length
from models.capture.session import entry, manifest_top, new_folder
from models.capture.sheet import TRAIN_MANIFEST, name_take
from models.core.errors import UserError
from models.core.files import staged_folder, write_json
from models.core.schema import check_document
from models.formats.nam.reader import read_nam
from models.knobs.schema import Knobs, Setting, Switch
from models.knobs.text import format_setting
from models.network.wavenet import WaveNet
from models.playback.render import render

NUMBER_PATTERN = r"[+-]?\d+(?:[.,]\d+)?"


def read_capture_names(folder: Path, pattern: str, schema: Knobs | None = None) -> tuple[Knobs, dict[Path, Setting]]:
    """Return the knobs, and the setting of each `.nam` file of a folder, read from its name by `pattern`.

    `{gain}` in the pattern stands for a number, or for a position where `schema` has a switch of that name. All else
    stands for itself, with no letter or digit next to it. Without a schema, the range of a knob is 0 to 1, or, where
    numbers lie outside, from the lowest to the highest number. Raises `UserError` for a pattern without knobs, a file
    that does not match, and two files at one setting.
    """
    wanted, names = _compile_pattern(pattern, schema)
    files = sorted(path for path in folder.glob("*") if is_capture(path))
    if not files:
        raise UserError(f"{folder} has no .nam file", "Name the folder that holds the captures.")
    found: dict[Path, Setting] = {}
    for path in files:
        matches = [match.groupdict() for match in wanted.finditer(path.stem)]
        if len(matches) != 1:
            how = "does not hold" if not matches else "holds more than once"
            raise UserError(
                f"{path.name} {how} the pattern '{pattern}'", "Change the pattern, or move that file out of the folder."
            )
        found[path] = {name: _parse_value(matches[0][name], schema, name) for name in names}
    knobs = schema or _infer_knobs(names, list(found.values()), str(folder))
    full = {path: knobs.complete(setting, path.name) for path, setting in found.items()}
    for path, setting in full.items():
        twin = next(other for other in full if full[other] == setting)
        if twin != path:
            raise UserError(
                f"{twin.name} and {path.name} are both at {format_setting(setting)}",
                "Move one of them out of the folder.",
            )
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

    Takes are 32-bit float, in the new folder `out`. `on_take(done, total)` is called after each. Raises `UserError` as
    `read_capture_names` does, and for a capture with knobs of its own or at another rate than the signal.
    """
    knobs, settings = read_capture_names(folder, pattern, schema)
    new_folder(out)
    rate_hz, entries = read_length(signal)[1], []
    with staged_folder(out) as staged:
        dry = staged / f"di{signal.suffix.lower()}"
        dry.write_bytes(signal.read_bytes())
        for number, (path, setting) in enumerate(settings.items(), 1):
            wet = staged / name_take("", number, setting)
            render(_read_capture(path, rate_hz, signal), signal, wet, {}, subtype="FLOAT")
            entries.append(entry(dry.name, wet.name, setting))
            on_take(number, len(settings))
        write_json(
            staged / TRAIN_MANIFEST,
            {**manifest_top(knobs, device or folder.resolve().name, license_id, rate_hz), "entries": entries},
        )
    return out / TRAIN_MANIFEST


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


def _compile_pattern(pattern: str, schema: Knobs | None) -> tuple[re.Pattern[str], list[str]]:
    """Return the pattern as a regular expression with one group per knob, and the names of the knobs."""
    parts = re.split(r"\{([a-z][a-z0-9_-]*)\}", pattern)
    names = parts[1::2]
    if not names or len(set(names)) < len(names) or re.search(r"[{}]", "".join(parts[::2])):
        raise UserError(
            f"'{pattern}' is not a pattern of knobs",
            "Write each knob once, in lower case: 'G{gain}' finds 'JCM900 G4.nam'.",
        )
    for name in names:
        if schema and name not in schema.names:
            raise UserError(f"'{pattern}': no knob is called '{name}'", f"The knobs are: {', '.join(schema.names)}.")
    groups = [f"(?P<{name.replace('-', '__')}>{_value_pattern(name, schema)})" for name in names]
    body = re.escape(parts[0]) + "".join(g + re.escape(text) for g, text in zip(groups, parts[2::2], strict=True))
    return re.compile(rf"(?<![A-Za-z0-9]){body}(?![A-Za-z0-9])"), names


def _value_pattern(name: str, schema: Knobs | None) -> str:
    knob = schema.find(name) if schema else None
    if not isinstance(knob, Switch):
        return NUMBER_PATTERN
    return "|".join(map(re.escape, sorted(knob.positions, key=len, reverse=True)))  # "1.5" before "1"


def _parse_value(text: str, schema: Knobs | None, name: str) -> float | str:
    knob = schema.find(name) if schema else None
    return text if isinstance(knob, Switch) else float(text.replace(",", "."))


def _infer_knobs(names: list[str], settings: list[Setting], where: str) -> Knobs:
    """Return the knobs that the settings show."""
    described = []
    for name in names:
        numbers = [float(setting[name]) for setting in settings]
        low, high = min(0.0, *numbers), max(1.0, *numbers)
        if (low, high) != (0, 1):
            low, high = min(numbers), max(numbers)
        if low == high:
            raise UserError(
                f"{where}: '{name}' is {low:g} in every name", "Leave it out of the pattern: it does not turn."
            )
        described.append({"name": name, "min": low, "max": high})
    return check_document({"knobs": described}, Knobs, where)
