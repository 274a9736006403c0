"""`HyperWaveNet` files of NamParametricPlugin: a small network adds to the weights of a stock WaveNet.

The flat weights are those of the stock net, then the hypernetwork's: per layer of its trunk a matrix and a bias, the
matrix and bias of its readout, and the anchors. For encoded knobs p it gives `g = readout(trunk(p))`. The entries of
`hypernet.delta_map` take their share of g in turn: `full` adds it to `numel` weights from `export_offset` on;
`low_rank` adds `(U + anchor)(V + anchor)`, U of out_features x rank, V of rank x rest_features.

Shapes: K knob columns, E features of the trunk, N weights of the stock net, D numbers of the readout.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.core.errors import UserError
from models.core.schema import check_document
from models.formats.nam.knob_encoder import encoder_of_layers
from models.formats.nam.parametric import MAX_ENCODER, read_params
from models.formats.nam.parsing import HINT, Node, finite_floats
from models.knobs.schema import Knobs
from models.network.architecture import SLOTS, Film, Injection, Slot
from models.network.dense_layer import DenseLayer
from models.network.numpy_wavenet import NumpyEncoder, NumpyWaveNet, parameter_shapes

MAX_TARGETS, MAX_READOUT = 4096, 1 << 20


@dataclass(frozen=True)
class Target:
    """Weights from `offset` on that the knobs change; `rank` 0 stands for `full`."""

    offset: int
    numel: int
    rank: int
    outs: int
    rest: int
    begin: int  # in the readout

    @property
    def width(self) -> int:
        """Numbers of the readout that it takes."""
        return self.rank * (self.outs + self.rest) if self.rank else self.numel


@dataclass(frozen=True)
class Hypernet:
    """A file whose sizes are checked."""

    knobs: Knobs
    base_N: np.ndarray
    encoder: NumpyEncoder | None  # the trunk; none where it has no layer
    weight_DE: np.ndarray
    bias_D: np.ndarray
    anchor_D: np.ndarray
    targets: tuple[Target, ...]

    def weights_at(self, levels_K: list[float]) -> np.ndarray:
        """Return the stock net's weights `(N)` with the knobs at these levels."""
        p_K1 = np.array(levels_K, np.float64)[:, None]
        e_E1 = p_K1 if self.encoder is None else self.encoder.encode(p_K1)
        g_D = self.weight_DE @ e_E1[:, 0] + self.bias_D
        weights_N = self.base_N.copy()
        for target in self.targets:
            weights_N[target.offset : target.offset + target.numel] += self.change(target, g_D)
        return weights_N

    def change(self, target: Target, g_D: np.ndarray) -> np.ndarray:
        """Return what a readout adds to the weights of a target, `(numel)`."""
        part = g_D[target.begin : target.begin + target.width]
        if not target.rank:
            return part
        both = part + self.anchor_D[target.begin : target.begin + target.width]
        u, v = np.split(both, [target.outs * target.rank])
        return (u.reshape(target.outs, target.rank) @ v.reshape(target.rank, target.rest)).ravel()

    def follows_knobs(self, target: Target) -> bool:
        """Return whether the weights of a target change as knobs do."""
        return bool(self.weight_DE[target.begin : target.begin + target.width].any())


def read_hypernet(document: Node) -> Hypernet:
    """Return the hypernetwork of a `HyperWaveNet` file; raises `UserError` where its sizes do not fit."""
    shape = document.child("config")
    if shape.value.get("condition_dsp") is not None:
        raise UserError(f"{shape.where}: it has a condition network beside its knobs", HINT)
    node, knobs = shape.child("hypernet"), read_params(shape)
    targets = _read_targets(node)
    readout = sum(target.width for target in targets)
    hidden = node.value.get("hidden_sizes", [])
    if not isinstance(hidden, list) or len(hidden) > 8 or not all(type(n) is int and 1 <= n <= 64 for n in hidden):
        raise UserError(f"{node.where}: hidden_sizes is not a list of up to 8 numbers from 1 to {MAX_ENCODER}", HINT)
    activation = node.value.get("activation", "ReLU")
    layers = [check_document({"width": n, "activation": activation}, DenseLayer, node.where) for n in hidden]
    widths = [knobs.columns(), *hidden]
    sizes = [(outs, ins) for ins, outs in zip(widths, hidden, strict=False)]
    state = sum(outs * (ins + 1) for outs, ins in sizes) + readout * (widths[-1] + 2)
    numbers = finite_floats(document, "weights")
    if readout > MAX_READOUT or state >= len(numbers):
        raise UserError(f"{document.where}: it has {len(numbers)} weights, too few for its hypernet", HINT)
    base_N = np.array(numbers[: len(numbers) - state], np.float64)
    if any(target.offset + target.numel > len(base_N) for target in targets):
        raise UserError(f"{node.where}: an entry of delta_map reaches beyond the weights of the net", HINT)
    rest = np.array(numbers[len(base_N) :], np.float64)
    trunk = []
    for outs, ins in sizes:
        weight, bias, rest = np.split(rest, [outs * ins, outs * (ins + 1)])
        trunk.append((weight.reshape(outs, ins), bias))
    weight, bias, anchor = np.split(rest, [readout * widths[-1], readout * (widths[-1] + 1)])
    encoder = encoder_of_layers(trunk, layers) if layers else None
    return Hypernet(knobs, base_N, encoder, weight.reshape(readout, widths[-1]), bias, anchor, targets)


def _read_targets(node: Node) -> tuple[Target, ...]:
    targets, begin = [], 0
    for entry in node.children("delta_map", MAX_TARGETS):
        low_rank = entry.get("mode", str, node.get("mode", str, "low_rank")) == "low_rank"
        keys = ("rank", "out_features", "rest_features") if low_rank else ()
        offset, numel, *sizes = (_count(entry, key) for key in ("export_offset", "numel", *keys))
        rank, outs, rest = sizes or (0, 0, 0)
        if low_rank and (outs * rest != numel or not 1 <= rank <= numel):
            raise UserError(f"{entry.where}: its rank and features do not fit numel {numel}", HINT)
        targets.append(Target(offset, numel, rank, outs, rest, begin))
        begin += targets[-1].width
    return tuple(targets)


def _count(entry: Node, key: str) -> int:
    value = entry.get(key, int, -1)
    if not 0 <= value <= MAX_READOUT:
        raise UserError(f"{entry.where}: '{key}' is {value!r:.20}, legal are 0 to {MAX_READOUT:,}", HINT)
    return value


# Live.


def live_net(hyper: Hypernet, stock: Callable[[np.ndarray], NumpyWaveNet]) -> NumpyWaveNet | None:
    """Return the net with live knobs, None where they change weights that FiLM does not reach.

    FiLM reaches the weights of the mixin and the biases of convolutions and 1x1s: scale and shift after the mixin, and
    shifts after the 1x1s. `stock` makes a net of N weights.
    """
    constant, moving = hyper.base_N.copy(), [target for target in hyper.targets if hyper.follows_knobs(target)]
    for target in hyper.targets:
        constant[target.offset : target.offset + target.numel] += hyper.change(target, hyper.bias_D)
    row_N = np.full(len(constant) + 1, -1)  # of the readout, for each weight that moves; the last one is of no weight
    for target in moving:
        at = slice(target.offset, target.offset + target.numel)
        if target.rank or (row_N[at] >= 0).any():
            return None
        row_N[at] = np.arange(target.begin, target.begin + target.numel)
    plain = stock(constant)
    if not moving or plain.config.inject.film:
        return None
    return _with_film(hyper, plain, _Places(stock(np.arange(1, len(constant) + 1)), row_N, hyper.weight_DE))


class _Places:
    """Which rows of the readout move the weights of a part of the net; `numbers` has each weight's number, from 1."""

    def __init__(self, numbers: NumpyWaveNet, row_N: np.ndarray, weight_DE: np.ndarray) -> None:
        self._numbers, self._row_N, self._weight_DE = numbers, row_N, weight_DE
        self.left = set(row_N[row_N >= 0].tolist())  # rows that no FiLM takes so far

    def take(self, name: str) -> np.ndarray:
        """Return by how much the features move each weight of a part, `(O, E)`."""
        found = self._numbers.weights.get(name)
        rows = self._row_N[found.ravel().astype(np.int64) - 1] if found is not None else np.zeros(0, np.int64)
        self.left -= set(rows[rows >= 0].tolist())
        return np.where(rows[:, None] >= 0, self._weight_DE[rows], 0)


def _with_film(hyper: Hypernet, plain: NumpyWaveNet, places: _Places) -> NumpyWaveNet | None:
    """Return the net with FiLM in place of the weights that move; None where some are of other places."""
    weights, films = dict(plain.weights), {}

    def film(place: str, slot: Slot, scale_O: np.ndarray, scale_OE: np.ndarray, shift_OE: np.ndarray) -> None:
        films[f"{place}.films.{slot}.weight"] = np.concatenate([scale_OE, shift_OE])[..., None]
        films[f"{place}.films.{slot}.bias"] = np.concatenate([scale_O, np.zeros(len(shift_OE))])

    for a, array in enumerate(plain.arrays):
        for index, layer in enumerate(array.layers):
            place = f"arrays.{a}.layers.{index}"
            mixin, bias = f"{place}.mixin.weight", places.take(f"{place}.conv.bias")
            film(place, "input_mixin_post", weights[mixin][:, 0, 0], places.take(mixin), bias)
            weights[mixin] = np.ones_like(weights[mixin])
            for slot, conv in (("layer1x1_post", layer.layer1x1), ("head1x1_post", layer.head1x1)):
                if conv is not None:
                    moves = places.take(f"{place}.{slot.removesuffix('_post')}.bias")
                    film(place, slot, np.ones(len(moves)), np.zeros_like(moves), moves)
    if places.left:
        return None
    return _lean(hyper, plain, weights | films)


def _lean(hyper: Hypernet, plain: NumpyWaveNet, weights: dict[str, np.ndarray]) -> NumpyWaveNet:
    """Return the net of these weights without the FiLM after 1x1s that does nothing in any layer of an array."""
    used, count = [], len(plain.arrays)
    for slot in SLOTS:
        at = []
        for a in range(count):
            own = [w for n, w in weights.items() if n.startswith(f"arrays.{a}.") and f".films.{slot}.weight" in n]
            if own and (slot == "input_mixin_post" or any(weight.any() for weight in own)):
                at.append(a)
        if at:
            used.append(Film(slot=slot, arrays=None if len(at) == count else tuple(at)))
    layers, columns = hyper.encoder.layers if hyper.encoder else (), hyper.knobs.columns()
    dense = tuple(DenseLayer(width=len(conv.weight), activation=activation) for conv, activation in layers)
    config = plain.config.model_copy(update={"inject": Injection(film=tuple(used), encoder_layers=dense)})
    named = weights | (hyper.encoder.named_weights if hyper.encoder else {})
    kept = {name: np.asarray(named[name], np.float32) for name in parameter_shapes(config, columns)}
    return NumpyWaveNet(config, columns, kept)
