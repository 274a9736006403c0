"""The WaveNet family as data: NAM's layer arrays, and where the knobs enter them.

Light to import: no torch. The names and defaults are those of Neural Amp Modeler (NAM), `nam.models.wavenet`.
"""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from models.core.schema import Frozen, Unstated
from models.knobs.schema import Encoding
from models.network.activation import Activation, Nonlinearity
from models.network.dense_layer import DenseLayer

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


Gating = Literal["none", "gated", "blended"]


def _per_layer(value: Any) -> Any:
    """Return a list with one value per layer, or with one value for all of them."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values[:1] if values and all(other == values[0] for other in values) else values


class LayerArray(Frozen):
    """One stack of dilated layers, in NAM's terms.

    The head of an array is as wide as the next array requires (1 for the last array).
    """

    channels: Annotated[Width, Field(description="Channels of the residual path.")]
    bottleneck: Annotated[
        Width | None, Field(description="Channels after the activation; null means as many as `channels`.")
    ] = None
    kernel_size: Annotated[
        tuple[Kernel, ...],
        PerLayer,
        BeforeValidator(_per_layer, json_schema_input_type=Kernel | Annotated[list[Kernel], PerLayer]),
        Field(description="Taps of the convolution: one number, or one per layer."),
    ] = (3,)
    dilations: Annotated[
        tuple[Dilation, ...],
        PerLayer,
        Field(description="Dilation of each layer; the length of this list is the number of layers."),
    ]
    activation: Annotated[
        tuple[Nonlinearity, ...],
        PerLayer,
        BeforeValidator(_per_layer, json_schema_input_type=Nonlinearity | Annotated[list[Nonlinearity], PerLayer]),
        Field(description="Nonlinearity: one, or one per layer."),
    ] = (Activation(type="Tanh"),)
    gating: Annotated[
        tuple[Gating, ...],
        PerLayer,
        BeforeValidator(_per_layer, json_schema_input_type=Gating | Annotated[list[Gating], PerLayer]),
        Field(description="How the activation is gated: one value, or one per layer."),
    ] = ("none",)
    gate: Annotated[
        tuple[Nonlinearity, ...],
        PerLayer,
        BeforeValidator(_per_layer, json_schema_input_type=Nonlinearity | Annotated[list[Nonlinearity], PerLayer]),
        Field(description="Nonlinearity of the gate: one, or one per layer."),
    ] = (Activation(type="Sigmoid"),)
    groups: Annotated[int, Field(ge=1, le=64, description="Groups of the dilated convolution.")] = 1
    layer1x1: Annotated[
        bool, Field(description="Whether a 1x1 convolution follows the activation on the residual path.")
    ] = True
    layer1x1_groups: Annotated[int, Field(ge=1, le=64, description="Groups of that 1x1 convolution.")] = 1
    head1x1: Annotated[
        Width | None, Field(description="Channels of a 1x1 convolution between activation and head; null for none.")
    ] = None
    head1x1_groups: Annotated[int, Field(ge=1, le=64, description="Groups of that 1x1 convolution.")] = 1
    head_kernel_size: Annotated[Kernel, Field(description="Taps of the array's head convolution.")] = 1
    head_dilation: Annotated[
        Dilation, Field(exclude_if=lambda value: value == 1, description="Dilation of the array's head convolution.")
    ] = 1
    head_bias: Annotated[
        bool | None,
        Field(description="Whether the head has a bias; null means only in the last array, as in NAM."),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("kernel_size", "activation", "gating", "gate"):
            if len(value := getattr(self, name)) not in (1, self.depth):
                raise ValueError(f"{name} lists {len(value)} values for {self.depth} dilations")
        if not self.layer1x1 and self.width != self.channels:
            raise ValueError(f"without layer1x1 the bottleneck ({self.width}) must equal channels ({self.channels})")
        for name, groups, sizes in (
            ("groups", self.groups, (self.channels, *map(self.conv_channels, range(self.depth)))),
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
        """Kernel size of each layer."""
        return self.kernel_size if len(self.kernel_size) > 1 else self.kernel_size * self.depth

    @property
    def gatings(self) -> tuple[Gating, ...]:
        """Gating mode of each layer."""
        return self.gating if len(self.gating) > 1 else self.gating * self.depth

    @property
    def gates(self) -> tuple[Activation | None, ...]:
        """Activation of each layer's gate, None where the layer has no gate."""
        gates = self.gate if len(self.gate) > 1 else self.gate * self.depth
        return tuple(None if mode == "none" else gate for mode, gate in zip(self.gatings, gates, strict=True))

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Activation of each layer."""
        return self.activation if len(self.activation) > 1 else self.activation * self.depth

    @property
    def width(self) -> int:
        """Channels after the activation: the bottleneck."""
        return self.bottleneck or self.channels

    def conv_channels(self, layer: int) -> int:
        """Return the channels that a layer's convolution gives: twice the width where a gate takes half of them."""
        return self.width * (1 if self.gatings[layer] == "none" else 2)

    @property
    def head_width(self) -> int:
        """Channels that each layer adds to the input of the head."""
        return self.head1x1 or self.width


class Film(Frozen):
    """FiLM (Perez et al. 2018, arXiv:1709.07871): the knobs scale, and may shift, a signal inside every layer."""

    slot: Annotated[Slot, Field(description="Where in the layer the modulation applies, by NAM's name.")]
    shift: Annotated[bool, Field(description="Whether the knobs also add an offset; otherwise they only scale.")] = True
    arrays: Annotated[
        tuple[Annotated[int, Field(ge=0, le=3)], ...] | None,
        Field(description="Indexes of the layer arrays that have it (0 is the first); null for all."),
    ] = None
    audio: Annotated[
        bool, Unstated, Field(description="Whether the audio modulates too; occurs in imported files.")
    ] = False


def _film_as_object(value: Any) -> Any:
    """`"conv_pre"` is short for `{"slot": "conv_pre"}`."""
    return {"slot": value} if isinstance(value, str) else value


class Injection(Frozen):
    """Where the knobs enter: any combination of the input, every mixin, and FiLM at any of NAM's slots.

    `encoding` says which numbers the knobs become. Mixin and FiLM may receive them through a learned curve per knob
    (`warp`) and as learned features (`encoder`). The input always receives the numbers themselves.
    """

    encoding: Annotated[Encoding, Field(description="Numbers that a setting becomes: `levels` or `type_level`.")] = (
        "levels"
    )
    input: Annotated[bool, Field(description="Whether the knobs are extra inputs of the first array's rechannel.")] = (
        False
    )
    mixin: Annotated[bool, Field(description="Whether the knobs are extra inputs of every layer's input mixin.")] = (
        False
    )
    film: Annotated[
        tuple[Annotated[Film, BeforeValidator(_film_as_object, json_schema_input_type=Slot | Film)], ...],
        Field(max_length=32, description="FiLM modulations: slot names, or objects with more keys."),
    ] = ()
    warp: Annotated[
        Annotated[int, Field(ge=2, le=16)] | None,
        Field(description="Knots of a learned curve per knob in front of mixin and FiLM; null for none."),
    ] = None
    encoder: Annotated[
        Width | None,
        Field(description="Learned features that mixin and FiLM receive in place of the knobs; null for none."),
    ] = None
    encoder_layers: Annotated[
        tuple[DenseLayer, ...],
        Field(max_length=8, exclude_if=lambda value: not value, description="Encoder of an imported file: its layers."),
    ] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        places = [(f.slot, array) for f in self.film for array in (range(4) if f.arrays is None else f.arrays)]
        if len(set(places)) < len(places):
            raise ValueError("a FiLM slot is listed twice for one array")
        if self.encodes and not (self.mixin or self.film):
            raise ValueError("an encoder or a warp feeds the mixin or FiLM; the input takes the knobs themselves")
        if self.encoder_layers and (self.encoder or self.warp):
            raise ValueError("the layers of an imported encoder take the place of encoder and warp")
        return self

    @property
    def encodes(self) -> bool:
        """Whether mixin and FiLM receive something else than the knobs themselves."""
        return bool(self.encoder or self.warp or self.encoder_layers)

    @property
    def label(self) -> str:
        """Short name: the places in use (`input`, `mixin`, `film`, `warp`, ...) joined by `+`, or `none`."""
        used = (
            ("input", self.input),
            ("mixin", self.mixin),
            ("film", bool(self.film)),
            ("warp", bool(self.warp)),
            ("encoder", bool(self.encoder or self.encoder_layers)),
            ("type_level", self.encoding == "type_level"),
        )
        return "+".join(name for name, is_used in used if is_used) or "none"

    def films(self, array: int) -> dict[Slot, Film]:
        """Return the FiLM slots of one array, in NAM's order."""
        of_array = {film.slot: film for film in self.film if film.arrays is None or array in film.arrays}
        return {slot: of_array[slot] for slot in SLOTS if slot in of_array}


class Head(Frozen):
    """Convolutions behind the last array's head, as NAM allows: an activation before each convolution.

    Each convolution gives `channels` channels, except the last, which gives the output of the network.
    """

    inputs: Annotated[Width, Field(description="Channels that the last array gives to this head.")]
    channels: Annotated[Width, Field(description="Channels between the convolutions of this head.")]
    kernel_sizes: Annotated[
        tuple[Kernel, ...], Field(min_length=1, max_length=16, description="Taps of each convolution.")
    ]
    activation: Annotated[Nonlinearity, Field(description="Nonlinearity before each convolution.")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.activation.type == "PReLU":
            raise ValueError("activation is PReLU, but a .nam file has no place for its slopes here; use LeakyReLU")
        return self


class Condition(Frozen):
    """A network that receives audio and knobs; mixin and FiLM receive its outputs in their place."""

    outputs: Annotated[Width, Field(description="Number of output signals.")]
    net: Annotated["WaveNetConfig", Field(description="The network that computes them from audio and knobs.")]


class WaveNetConfig(Frozen):
    """M: the knob-conditioned WaveNet.

    `head` and `condition` occur in imported files. Such a network is played and trained by PyTorch.
    """

    arrays: Annotated[
        tuple[LayerArray, ...],
        Field(min_length=1, max_length=4, description="Layer arrays, in the order in which the signal passes them."),
    ]
    inject: Annotated[Injection, Field(description="Where and how the knobs enter.")] = Injection(mixin=True)
    head: Annotated[
        Head | None, Unstated, Field(description="Convolutions behind the last array; occurs in imported files.")
    ] = None
    condition: Annotated[
        Condition | None,
        Unstated,
        Field(description="Network whose outputs feed mixin and FiLM; occurs in imported files."),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.condition and self.inject.encodes:
            raise ValueError("mixin and FiLM take either a condition net or an encoder and a warp")
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
        """Samples of input that one output sample depends on: 1 + the sum of (kernel - 1) * dilation."""
        history = self.condition.net.receptive_field - 1 if self.condition else 0
        history += sum(kernel - 1 for kernel in self.head.kernel_sizes) if self.head else 0
        for array in self.arrays:
            history += sum((k - 1) * d for k, d in zip(array.kernel_sizes, array.dilations, strict=True))
            history += (array.head_kernel_size - 1) * array.head_dilation
        return 1 + history

    @property
    def compiles(self) -> bool:
        """Whether the compiled engines support the net; the eager engine supports all that imported files may have."""
        activations = {activation.type for array in self.arrays for activation in (*array.activation, *array.gate)}
        activations |= {layer.activation.type for layer in self.inject.encoder_layers if layer.activation}
        unsupported = activations & {"Hardswish", "LeakyHardtanh", "Fasttanh"}
        dilated = any(array.head_dilation > 1 for array in self.arrays)
        return self.folds and not (unsupported or dilated or self.head)

    @property
    def folds(self) -> bool:
        """Whether still knobs can be folded into the weights: no FiLM and no condition net takes the audio too."""
        return self.condition is None and not any(film.audio for film in self.inject.film)

    def head_outputs(self, array: int, outputs: int = 1) -> int:
        """Return the output channels of an array's head: those the next array, the post-head or the output takes."""
        if array + 1 < len(self.arrays):
            return self.arrays[array + 1].head_width
        return self.head.inputs if self.head else outputs

    def head_bias(self, array: int) -> bool:
        """Return whether an array's head has a bias."""
        stated = self.arrays[array].head_bias
        return array == len(self.arrays) - 1 if stated is None else stated

    def macs_per_sample(self, knobs: int, outputs: int = 1) -> int:
        """Return the multiply-accumulates per output sample with still knobs, for so many knob columns and outputs.

        Per layer: the convolution, the part of its mixin that follows the audio, the 1x1s and one product per channel
        of each FiLM; plus rechannels, heads and the condition net. Products with still knobs are computed once per knob
        move and do not count.
        """
        total, inputs, condition = 0, 1, self.condition
        audio = condition.outputs if condition else 1  # inputs of mixin and FiLM that change with every sample
        if condition:
            total += condition.net.macs_per_sample(knobs, condition.outputs)
        for index, array in enumerate(self.arrays):
            total += inputs * array.channels
            kinds = list(zip(array.kernel_sizes, array.gatings, strict=True))  # layers of one kind cost the same
            total += sum(
                kinds.count(kind) * self._layer_macs(index, kinds.index(kind), audio, knobs) for kind in set(kinds)
            )
            total += array.head_width * self.head_outputs(index, outputs) * array.head_kernel_size
            inputs = array.channels
        if self.head:
            widths = [self.head.inputs, *[self.head.channels] * (len(self.head.kernel_sizes) - 1), outputs]
            total += sum(i * o * k for i, o, k in zip(widths, widths[1:], self.head.kernel_sizes, strict=False))
        return total

    def _layer_macs(self, index: int, layer: int, audio: int, knobs: int) -> int:
        """Return the multiply-accumulates of one layer of array `index`."""
        array = self.arrays[index]
        channels, width, conv_channels = array.channels, array.width, array.conv_channels(layer)
        total = array.kernel_sizes[layer] * channels * conv_channels // array.groups
        total += conv_channels * (audio if self.inject.mixin else 1)
        total += width * channels // array.layer1x1_groups if array.layer1x1 else 0
        total += width * (array.head1x1 or 0) // array.head1x1_groups
        return total + self._film_macs(index, conv_channels, audio, knobs)

    def _film_macs(self, index: int, conv_channels: int, audio: int, knobs: int) -> int:
        """Return those of one layer's FiLM: one per channel, plus its coefficients where the audio moves them."""
        array, total = self.arrays[index], 0
        sizes = {
            "conv_pre": array.channels,
            "input_mixin_pre": audio,
            "activation_post": array.width,
            "layer1x1_post": array.channels,
            "head1x1_post": array.head1x1 or 0,
        }
        for slot, film in self.inject.films(index).items():
            moves = film.audio or audio > 1
            total += sizes.get(slot, conv_channels) * (bool(knobs or moves) + moves * audio * (1 + film.shift))
        return total
