"""The WaveNet family as data: NAM's layer arrays, and where the knobs enter them. Light to import."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from models.core.schema import Frozen, Unstated
from models.knobs.schema import Encoding

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

Gating = Literal["none", "gated", "blended"]


class Activation(Frozen):
    """A nonlinearity; `negative_slope` is LeakyReLU's, and where PReLU's (one per channel, trained) start.

    `bends` are LeakyHardtanh's: the input below which it is bent, that above which it is, and its slopes there.
    """

    type: ActivationName
    negative_slope: float = 0.01
    bends: Annotated[tuple[float, float, float, float] | None, Unstated] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.bends is None) == (self.type == "LeakyHardtanh"):
            raise ValueError("bends are four numbers for LeakyHardtanh, and nothing for others")
        if self.bends and self.bends[0] > self.bends[1]:
            raise ValueError(f"LeakyHardtanh bends from {self.bends[0]:g} to {self.bends[1]:g}")
        return self


def _spell_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One value for all layers is written alone; equal values for all are the same as one."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values[:1] if values and all(other == values[0] for other in values) else values


Nonlinearity = Annotated[Activation, BeforeValidator(_spell_out, json_schema_input_type=ActivationName | Activation)]


class LayerArray(Frozen):
    """One stack of dilated layers, in NAM's words.

    `kernel_size`, `activation`, `gating` and `gate` are one for all layers or one per layer. `bottleneck` is the width after the activation (default:
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
    gating: Annotated[
        tuple[Gating, ...],
        PerLayer,
        BeforeValidator(_listed, json_schema_input_type=Gating | Annotated[list[Gating], PerLayer]),
    ] = ("none",)
    gate: Annotated[
        tuple[Nonlinearity, ...],
        PerLayer,
        BeforeValidator(_listed, json_schema_input_type=Nonlinearity | Annotated[list[Nonlinearity], PerLayer]),
    ] = (Activation(type="Sigmoid"),)
    groups: Annotated[int, Field(ge=1, le=64)] = 1
    layer1x1: bool = True
    layer1x1_groups: Annotated[int, Field(ge=1, le=64)] = 1
    head1x1: Width | None = None
    head1x1_groups: Annotated[int, Field(ge=1, le=64)] = 1
    head_kernel_size: Kernel = 1
    head_dilation: Annotated[Dilation, Field(exclude_if=lambda value: value == 1)] = 1
    head_bias: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("kernel_size", "activation", "gating", "gate"):
            if len(value := getattr(self, name)) not in (1, self.depth):
                raise ValueError(f"{name} lists {len(value)} values for {self.depth} dilations")
        if not self.layer1x1 and self.width != self.channels:
            raise ValueError(f"without layer1x1 the bottleneck ({self.width}) must equal channels ({self.channels})")
        for name, groups, sizes in (
            ("groups", self.groups, (self.channels, *map(self.inner, range(self.depth)))),
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
    def gatings(self) -> tuple[Gating, ...]:
        """How each layer is gated."""
        return self.gating if len(self.gating) > 1 else self.gating * self.depth

    @property
    def gates(self) -> tuple[Activation | None, ...]:
        """The nonlinearity of each layer's gate, None where it has none."""
        gates = self.gate if len(self.gate) > 1 else self.gate * self.depth
        return tuple(None if mode == "none" else gate for mode, gate in zip(self.gatings, gates, strict=True))

    @property
    def activations(self) -> tuple[Activation, ...]:
        """One activation per layer."""
        return self.activation if len(self.activation) > 1 else self.activation * self.depth

    @property
    def width(self) -> int:
        """Channels after the activation."""
        return self.bottleneck or self.channels

    def inner(self, layer: int) -> int:
        """Channels before a layer's activation: twice the width where a gate halves them."""
        return self.width * (1 if self.gatings[layer] == "none" else 2)

    @property
    def head_width(self) -> int:
        """Channels that each layer gives to the head."""
        return self.head1x1 or self.width


class Film(Frozen):
    """Knobs scale (and shift) a signal inside every layer, in all arrays or in those listed (0 is the first).

    `audio`: so does the audio; imported files may have that.
    """

    slot: Slot
    shift: bool = True
    arrays: tuple[Annotated[int, Field(ge=0, le=3)], ...] | None = None
    audio: Annotated[bool, Unstated] = False


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
        Field(max_length=32),
    ] = ()
    warp: Annotated[int, Field(ge=2, le=16)] | None = None
    encoder: Width | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        places = [(f.slot, array) for f in self.film for array in (range(4) if f.arrays is None else f.arrays)]
        if len(set(places)) < len(places):
            raise ValueError("a FiLM slot is listed twice for one array")
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


class Head(Frozen):
    """What NAM may put behind the last array's head, of `inputs` channels: per kernel the activation, then a convolution.

    All of them give `channels` but the last, which gives what the net does.
    """

    inputs: Width
    channels: Width
    kernel_sizes: Annotated[tuple[Kernel, ...], Field(min_length=1, max_length=16)]
    activation: Nonlinearity

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.activation.type == "PReLU":
            raise ValueError("activation is PReLU, but a .nam file has no place for its slopes here; use LeakyReLU")
        return self


class Condition(Frozen):
    """A net that hears audio and knobs, and whose `outputs` mixin and FiLM hear in their place."""

    outputs: Width
    net: "WaveNetConfig"


class WaveNetConfig(Frozen):
    """M: the knob-conditioned WaveNet. `head` and `condition` are there for imported files; the plain net plays and trains them."""

    arrays: Annotated[tuple[LayerArray, ...], Field(min_length=1, max_length=4)]
    inject: Injection = Injection(mixin=True)
    head: Annotated[Head | None, Unstated] = None
    condition: Annotated[Condition | None, Unstated] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.condition and (self.inject.encoder or self.inject.warp):
            raise ValueError("mixin and FiLM hear either a condition net or an encoder and a warp")
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
        """Samples of input one output sample sees: 1 + sum of (kernel - 1) * dilation over all layers and heads, one after another."""
        history = self.condition.net.receptive_field - 1 if self.condition else 0
        history += sum(kernel - 1 for kernel in self.head.kernel_sizes) if self.head else 0
        for array in self.arrays:
            history += sum((k - 1) * d for k, d in zip(array.kernel_sizes, array.dilations, strict=True))
            history += (array.head_kernel_size - 1) * array.head_dilation
        return 1 + history

    @property
    def compiles(self) -> bool:
        """Whether the compiled engines know all of it; what imported files may have beyond that is played and trained by the plain net."""
        activations = {activation.type for array in self.arrays for activation in (*array.activation, *array.gate)}
        strange = activations & {"Hardswish", "LeakyHardtanh", "Fasttanh"}
        dilated = any(array.head_dilation > 1 for array in self.arrays)
        return self.folds and not (strange or dilated or self.head)

    @property
    def folds(self) -> bool:
        """Whether still knobs fold into its weights: nothing hears audio and knobs together."""
        return self.condition is None and not any(film.audio for film in self.inject.film)

    def head_outputs(self, array: int, outputs: int = 1) -> int:
        """Channels that an array's head gives on: what the next array's layers give, what the head hears, or the net's outputs."""
        if array + 1 < len(self.arrays):
            return self.arrays[array + 1].head_width
        return self.head.inputs if self.head else outputs

    def head_bias(self, array: int) -> bool:
        """Whether an array's head has a bias."""
        stated = self.arrays[array].head_bias
        return array == len(self.arrays) - 1 if stated is None else stated

    def macs_per_sample(self, knobs: int, outputs: int = 1) -> int:
        """Multiply-accumulates per output sample with still knobs: what the model costs to run.

        Per layer the convolution, what of its mixin moves with the audio, the 1x1s and one product per channel of each FiLM; plus
        rechannels, heads and the condition net. Knob products are folded once per knob move and cost nothing per sample.
        """
        total, inputs, condition = 0, 1, self.condition
        heard = condition.outputs if condition else 1
        if condition:
            total += condition.net.macs_per_sample(knobs, condition.outputs)
        for index, array in enumerate(self.arrays):
            c, w = array.channels, array.width
            ones = (w * c // array.layer1x1_groups if array.layer1x1 else 0) + w * (
                array.head1x1 or 0
            ) // array.head1x1_groups
            total += inputs * c
            for layer, kernel in enumerate(array.kernel_sizes):
                inner = array.inner(layer)
                total += kernel * c * inner // array.groups + inner * (heard if self.inject.mixin else 1) + ones
                total += self._film_macs(index, inner, heard, knobs)
            total += array.head_width * self.head_outputs(index, outputs) * array.head_kernel_size
            inputs = c
        if self.head:
            widths = [self.head.inputs, *[self.head.channels] * (len(self.head.kernel_sizes) - 1), outputs]
            total += sum(i * o * k for i, o, k in zip(widths, widths[1:], self.head.kernel_sizes, strict=False))
        return total

    def _film_macs(self, index: int, inner: int, heard: int, knobs: int) -> int:
        """Of one layer's FiLM: a product per channel, and where it moves with the audio those that make its coefficients."""
        array, total = self.arrays[index], 0
        sizes = {
            "conv_pre": array.channels,
            "input_mixin_pre": heard,
            "activation_post": array.width,
            "layer1x1_post": array.channels,
            "head1x1_post": array.head1x1 or 0,
        }
        for slot, film in self.inject.films(index).items():
            moves = film.audio or heard > 1
            total += sizes.get(slot, inner) * (bool(knobs or moves) + moves * heard * (1 + film.shift))
        return total
