"""The analog levels that digital full scale stands for where a device was recorded."""

from typing import Annotated

from pydantic import Field

from models.core.schema import Frozen, Unstated

Dbu = Annotated[Annotated[float, Field(ge=-60, le=60, strict=True)] | None, Unstated]


class AnalogLevels(Frozen):
    """Levels in dBu of a 1 kHz sine that peaks at 0 dBFS: at the device's input, and behind its output.

    None is unknown. The names are those of NAM files.
    """

    input_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, at the device's input, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None
    output_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, after the device's output, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None

    @property
    def levels(self) -> "AnalogLevels":
        """The levels alone, of a subclass with more fields."""
        return AnalogLevels(input_level_dbu=self.input_level_dbu, output_level_dbu=self.output_level_dbu)


UNSTATED = AnalogLevels()
