"""Settings as text, and back."""

from collections.abc import Iterable, Mapping

from models.core.errors import UserError
from models.knobs.schema import Setting, Value

MAX_GRID = 1000


def format_value(value: Value) -> str:
    """Return a number in few digits, a position by its name."""
    return value if isinstance(value, str) else f"{value:g}"


def format_setting(setting: Mapping[str, Value]) -> str:
    """Return `gain=7 tone=3`."""
    return " ".join(f"{name}={format_value(value)}" for name, value in setting.items())


def parse_setting(pairs: Iterable[str]) -> Setting:
    """Return the setting of `["gain=7", "channel=lead"]`, its values as written; `Knobs.complete` reads them.

    Raises `UserError` for what is not `name=value`.
    """
    setting: Setting = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if not name or "=" in text or not text.strip():
            raise UserError(f"'{pair}' does not set a knob", "Write name=number, for example gain=7.")
        if name in setting:
            raise UserError(f"knob '{name}' is set twice", "Set each knob once.")
        setting[name] = text
    return setting


def parse_grid(axes: Iterable[str]) -> list[Setting]:
    """Return every combination of `["gain=2,5,8", "tone=3"]`.

    Raises `UserError` for what is not `name=value,value,...` and for more than `MAX_GRID` combinations.
    """
    settings: list[Setting] = [{}]
    for axis in axes:
        name, _, values = axis.partition("=")
        choices = [parse_setting([f"{name}={value}"]) for value in values.split(",")]
        if name in settings[0]:
            raise UserError(f"knob '{name}' has two lists", "Give each knob one list of values.")
        settings = [{**setting, **choice} for setting in settings for choice in choices]
        if len(settings) > MAX_GRID:
            raise UserError(
                f"the grid has {len(settings):,} settings, at most {MAX_GRID:,} are written", "Use fewer values."
            )
    return settings
