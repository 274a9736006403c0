"""The WaveNet family as data: NAM's layer arrays, and where the knobs enter them. Light to import."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from models.files import Frozen
from models.knobs import Encoding

MAX_RECEPTIVE_FIELD = 1 << 17

Width = Annotated[int, Field(ge=1, le=64)]
Kernel = Annotated[int, Field(ge=1, le=64)]
Dilation = Annotated[int, Field(ge=1, le=1 << 14)]
PerLayer = Field(min_length=1, max_length=64)
Slot = Literal[
    "conv_pre",
    "conv_post",
    "input_mixin_pre",
    "input_mixin_post",
    "activation_pre",
    "activation_post",
    "layer1x1_post",
    "head1x1_post",
]
SLOTS: tuple[Slot, ...] = get_args(Slot)


ActivationName = Literal["Tanh", "ReLU", "LeakyReLU", "PReLU", "SiLU", "Hardtanh", "Softsign", "Sigmoid"]


class Activation(Frozen):
    """A nonlinearity; `negative_slope` is LeakyReLU's, and where PReLU's (one per channel, trained) start."""

    type: ActivationName
    negative_slope: float = 0.01


def _spell_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One value for all layers is written alone; equal values for all are the same as one."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values[:1] if values and all(other == values[0] for other in values) else values


Nonlinearity = Annotated[Activation, BeforeValidator(_spell_out, json_schema_input_type=ActivationName | Activation)]


class LayerArray(Frozen):
    """One stack of dilated layers, in NAM's words.

    `kernel_size` and `activation` are one for all layers or one per layer. `bottleneck` is the width after the activation (default:
    `channels`). `head1x1` is the width of a 1x1 between activation and head, None for none. The head is as wide as the next
    array takes it (1 for the last array); `head_bias` defaults to true in the last array alone, as in NAM.
    """

    channels: Width
    bottleneck: Width | None = None
    kernel_size: Annotated[
        tuple[Kernel, ...],
        PerLayer,
        BeforeValidator(_listed, json_schema_input_type=Kernel | Annotated[list[Kernel], PerLayer]),
    ] = (3,)
    dilations: Annotated[tuple[Dilation, ...], PerLayer]
    activation: Annotated[
        tuple[Nonlinearity, ...],
        PerLayer,
        BeforeValidator(_listed, json_schema_input_type=Nonlinearity | Annotated[list[Nonlinearity], PerLayer]),
    ] = (Activation(type="Tanh"),)
    gating: Literal["none", "gated", "blended"] = "none"
    gate: Nonlinearity = Activation(type="Sigmoid")
    groups: Annotated[int, Field(ge=1, le=64)] = 1
    layer1x1: bool = True
    layer1x1_groups: Annotated[int, Field(ge=1, le=64)] = 1
    head1x1: Width | None = None
    head1x1_groups: Annotated[int, Field(ge=1, le=64)] = 1
    head_kernel_size: Kernel = 1
    head_bias: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, value in (("kernel_size", self.kernel_size), ("activation", self.activation)):
            if len(value) not in (1, self.depth):
                raise ValueError(f"{name} lists {len(value)} values for {self.depth} dilations")
        if not self.layer1x1 and self.width != self.channels:
            raise ValueError(f"without layer1x1 the bottleneck ({self.width}) must equal channels ({self.channels})")
        for name, groups, sizes in (
            ("groups", self.groups, (self.channels, self.inner)),
            ("layer1x1_groups", self.layer1x1_groups, (self.width, self.channels)),
            ("head1x1_groups", self.head1x1_groups, (self.width, self.head1x1 or self.head1x1_groups)),
        ):
            if any(size % groups for size in sizes):
                raise ValueError(f"{name} is {groups}, which does not divide {' and '.join(map(str, sizes))}")
        return self

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.dilations)

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        """One kernel size per layer."""
        return self.kernel_size if len(self.kernel_size) > 1 else self.kernel_size * self.depth

    @property
    def activations(self) -> tuple[Activation, ...]:
        """One activation per layer."""
        return self.activation if len(self.activation) > 1 else self.activation * self.depth

    @property
    def width(self) -> int:
        """Channels after the activation."""
        return self.bottleneck or self.channels

    @property
    def inner(self) -> int:
        """Channels before the activation: twice the width where a gate halves them."""
        return self.width * (1 if self.gating == "none" else 2)

    @property
    def head_width(self) -> int:
        """Channels that each layer gives to the head."""
        return self.head1x1 or self.width


class Film(Frozen):
    """Knobs scale (and shift) a signal inside every layer, in all arrays or in those listed (0 is the first)."""

    slot: Slot
    shift: bool = True
    arrays: tuple[Annotated[int, Field(ge=0, le=3)], ...] | None = None


def _spell_out_slot(value: Any) -> Any:
    return {"slot": value} if isinstance(value, str) else value


class Injection(Frozen):
    """Where the knobs enter: the rechannel of the first array, every layer's input mixin, FiLM at any of NAM's slots; any subset.

    `encoding` says which columns the knobs become. Mixin and FiLM may see them through a learned taper each (`warp`, straight between
    that many knots), and as that many learned features (`encoder`); the input always takes the columns themselves.
    """

    encoding: Encoding = "levels"
    input: bool = False
    mixin: bool = False
    film: Annotated[
        tuple[Annotated[Film, BeforeValidator(_spell_out_slot, json_schema_input_type=Slot | Film)], ...],
        Field(max_length=8),
    ] = ()
    warp: Annotated[int, Field(ge=2, le=16)] | None = None
    encoder: Width | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        slots = [film.slot for film in self.film]
        if len(set(slots)) < len(slots):
            raise ValueError("a FiLM slot is listed twice; name all its arrays in one entry")
        if (self.encoder or self.warp) and not (self.mixin or self.film):
            raise ValueError("an encoder or a warp feeds the mixin or FiLM; the input takes the knobs themselves")
        return self

    @property
    def label(self) -> str:
        """`input`, `mixin`, `film`, or several joined by `+`."""
        used = (
            ("input", self.input),
            ("mixin", self.mixin),
            ("film", bool(self.film)),
            ("warp", bool(self.warp)),
            ("encoder", bool(self.encoder)),
            ("type_level", self.encoding == "type_level"),
        )
        return "+".join(word for word, here in used if here) or "none"

    def films(self, array: int) -> dict[Slot, Film]:
        """The FiLM slots of one array, in NAM's order."""
        here = {film.slot: film for film in self.film if film.arrays is None or array in film.arrays}
        return {slot: here[slot] for slot in SLOTS if slot in here}


class WaveNetConfig(Frozen):
    """M: the knob-conditioned WaveNet."""

    arrays: Annotated[tuple[LayerArray, ...], Field(min_length=1, max_length=4)]
    inject: Injection = Injection(mixin=True)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.receptive_field > MAX_RECEPTIVE_FIELD:
            raise ValueError(
                f"receptive field is {self.receptive_field:,} samples; at most {MAX_RECEPTIVE_FIELD:,} is allowed"
            )
        for film in self.inject.film:
            for index in film.arrays or ():
                if index >= len(self.arrays):
                    raise ValueError(f"FiLM at {film.slot} names array {index}; there are {len(self.arrays)}")
        for index, array in enumerate(self.arrays):
            films = self.inject.films(index)
            if "layer1x1_post" in films and not array.layer1x1:
                raise ValueError(f"array {index} has FiLM at layer1x1_post but no layer1x1")
            if "head1x1_post" in films and not array.head1x1:
                raise ValueError(f"array {index} has FiLM at head1x1_post but no head1x1")
        return self

    @property
    def receptive_field(self) -> int:
        """Samples of input one output sample sees: 1 + sum of (kernel - 1) * dilation over all layers and heads."""
        return 1 + sum(
            array.head_kernel_size
            - 1
            + sum((k - 1) * d for k, d in zip(array.kernel_sizes, array.dilations, strict=True))
            for array in self.arrays
        )

    def head_outputs(self, array: int) -> int:
        """Channels that an array's head gives on: what the next array's layers give, or the one output."""
        return self.arrays[array + 1].head_width if array + 1 < len(self.arrays) else 1

    def head_bias(self, array: int) -> bool:
        """Whether an array's head has a bias."""
        stated = self.arrays[array].head_bias
        return array == len(self.arrays) - 1 if stated is None else stated

    def macs_per_sample(self, knobs: int) -> int:
        """Multiply-accumulates per output sample with still knobs: what the model costs to run.

        Per layer the convolution, the audio's part of the mixin, the 1x1s and one product per channel of each FiLM; plus
        rechannels and heads. Knob products are folded once per knob move and cost nothing per sample.
        """
        total, inputs = 0, 1
        for index, array in enumerate(self.arrays):
            c, w, inner = array.channels, array.width, array.inner
            sizes = {
                "conv_pre": c,
                "input_mixin_pre": 1,
                "activation_post": w,
                "layer1x1_post": c,
                "head1x1_post": array.head1x1 or 0,
            }
            film = sum(sizes.get(slot, inner) for slot in self.inject.films(index)) if knobs else 0
            ones = (w * c // array.layer1x1_groups if array.layer1x1 else 0) + w * (
                array.head1x1 or 0
            ) // array.head1x1_groups
            total += inputs * c + sum(k * c * inner // array.groups + inner + ones + film for k in array.kernel_sizes)
            total += array.head_width * self.head_outputs(index) * array.head_kernel_size
            inputs = c
        return total
