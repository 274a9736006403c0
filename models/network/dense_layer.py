"""A layer of a knob encoder that other projects write, as data. Light to import: no torch."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from models.core.schema import Frozen
from models.network.activation import Nonlinearity


class DenseLayer(Frozen):
    """One layer of a knob encoder: a matrix with a bias, and a nonlinearity after it."""

    width: Annotated[int, Field(ge=1, le=64, description="Numbers that it gives.")]
    activation: Annotated[
        Nonlinearity | None, Field(description="Nonlinearity after the matrix, not PReLU; null for none.")
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.activation and self.activation.type == "PReLU":
            raise ValueError("activation is PReLU, which has no place for its slopes here; use LeakyReLU")
        return self
