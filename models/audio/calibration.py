"""models/audio/calibration.py."""

from typing import Annotated

from pydantic import Field

from models.core.schema import Frozen, Unstated

Dbu = Annotated[Annotated[float, Field(ge=-60, le=60, strict=True)] | None, Unstated]


class AnalogLevels(Frozen):
    """The analog levels of a 1 kHz sine that peaks at 0 dBFS where a device was recorded, as NAM names them: at its input, and after its output."""

    input_level_dbu: Dbu = None
    output_level_dbu: Dbu = None

    @property
    def levels(self) -> "AnalogLevels":
        """These two alone."""
        return AnalogLevels(input_level_dbu=self.input_level_dbu, output_level_dbu=self.output_level_dbu)


UNSTATED = AnalogLevels()
