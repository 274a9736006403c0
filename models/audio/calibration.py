"""models/audio/calibration.py."""

from typing import Annotated

from pydantic import Field

from models.core.schema import Frozen, Unstated

Dbu = Annotated[Annotated[float, Field(ge=-60, le=60, strict=True)] | None, Unstated]


class AnalogLevels(Frozen):
    """The analog levels at which a device was recorded, as NAM names them."""

    input_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, at the device's input, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None
    output_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, after the device's output, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None

    @property
    def levels(self) -> "AnalogLevels":
        """These two alone."""
        return AnalogLevels(input_level_dbu=self.input_level_dbu, output_level_dbu=self.output_level_dbu)


UNSTATED = AnalogLevels()
