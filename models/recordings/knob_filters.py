"""What was found about knobs that filter after the distortion, as data: in `split.json`, in reports and on cards."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from models.core.schema import Frozen, check_document, read_json
from models.knobs.schema import KnobName, Setting, Value
from models.knobs.text import format_setting, format_value

FILTERS_KEY = "linear_knobs"  # in `split.json` and `training.json`


class KnobFilter(Frozen):
    """What takes tell about one knob: errors (ESR) by recorded position.

    `positions` are those between which the knob filters after the distortion, around the `reference`; if it is the only
    one, the knob is no filter. `residuals` are at the settings where the filters were fitted; `joint` the largest at
    other settings of the other knobs; `between` those of filters interpolated from the other positions, by
    `interpolation`. The filters are valid where other knobs have the values in `fixed`. `stated`: a person says that
    the knob is a filter.
    """

    knob: KnobName
    stated: bool = False
    reference: Value
    positions: Annotated[tuple[Value, ...], Field(min_length=1)]
    fixed: Setting = Field(default_factory=dict)
    interpolation: Literal["pchip", "rational"] = "pchip"
    residuals: dict[str, float] = Field(default_factory=dict)
    joint: dict[str, float] = Field(default_factory=dict)
    between: dict[str, float] = Field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        """Whether the knob filters after the distortion, at least in a part of its range."""
        return len(self.positions) > 1

    @property
    def span(self) -> str:
        """The accepted range, as `0 to 10`."""
        return f"{format_value(self.positions[0])} to {format_value(self.positions[-1])}"

    @property
    def worst(self) -> float:
        """The largest error at an accepted position; where none is accepted, at the position that is missed least."""
        errors = {position: max(esr, self.joint.get(position, 0.0)) for position, esr in self.residuals.items()}
        accepted = [errors[key] for key in map(format_value, self.positions) if key in errors]
        return max(accepted) if accepted else min(errors.values(), default=0.0)

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        if not self.is_accepted:
            return f"{self.knob} does not only filter after the distortion (ESR {self.worst:.2g} at best)"
        where = f", with {format_setting(self.fixed)}" if self.fixed else ""
        between = f", {max(self.between.values()):.2g} between positions" if self.between else ""
        return f"{self.knob} filters after the distortion from {self.span}{where} (ESR up to {self.worst:.2g}{between})"


def read_knob_filters(path: Path) -> tuple[KnobFilter, ...]:
    """Read the knobs by which a run composed takes from its `split.json`; none where it composed none.

    Raises `UserError` for a file that cannot be read or that holds something else.
    """
    document = read_json(path) if path.exists() else {}
    return parse_knob_filters(document.get(FILTERS_KEY) if isinstance(document, dict) else None, str(path))


def parse_knob_filters(value: Any, where: str) -> tuple[KnobFilter, ...]:
    """Return the knobs of a list in a document, none for None; raises `UserError`, which begins with `where`."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(check_document(one, KnobFilter, f"{where}: {FILTERS_KEY}") for one in listed)
