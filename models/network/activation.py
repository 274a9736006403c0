"""The nonlinearities of a layer as data, with NAM's names. Light to import: no torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from models.core.schema import Frozen, Unstated

BENDS = ("min_val", "max_val", "min_slope", "max_slope")  # keys of LeakyHardtanh in NAM's files

ActivationName = Literal[
    "Tanh",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "SiLU",
    "Hardtanh",
    "Softsign",
    "Sigmoid",
    "Hardswish",
    "LeakyHardtanh",
    "Fasttanh",
]


class Activation(Frozen):
    """A nonlinearity: its name, or an object where it has parameters."""

    type: Annotated[ActivationName, Field(description="Name of the nonlinearity, as NAM writes it.")]
    negative_slope: Annotated[
        float, Field(description="Slope of LeakyReLU below 0; start value of the trained slopes of PReLU.")
    ] = 0.01
    bends: Annotated[
        tuple[float, float, float, float] | None,
        Unstated,
        Field(description="LeakyHardtanh only: lower bend, upper bend, slope below, slope above."),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.bends is None) == (self.type == "LeakyHardtanh"):
            raise ValueError("bends are four numbers for LeakyHardtanh, and nothing for others")
        if self.bends and self.bends[0] > self.bends[1]:
            raise ValueError(f"LeakyHardtanh bends from {self.bends[0]:g} to {self.bends[1]:g}")
        return self


def _activation_as_object(value: Any) -> Any:
    """`"Tanh"` is short for `{"type": "Tanh"}`."""
    return {"type": value} if isinstance(value, str) else value


Nonlinearity = Annotated[
    Activation, BeforeValidator(_activation_as_object, json_schema_input_type=ActivationName | Activation)
]
