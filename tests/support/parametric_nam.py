"""Small parametric `.nam` files by the layouts of other projects, with what they must sound like, by plain numpy.

Every reference walks the flat weights in the file's order and is written for clarity; nothing of the reader is used.
Shapes: T time, C channels, O and I outputs and inputs, E features.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

RATE = 48000
GAIN = {"name": "Gain", "min": 0.0, "max": 10.0, "default": 4.0, "type": "continuous", "enum_names": None, "step": None}
MODE = {"name": "Mode", "min": 0, "max": 2, "default": 1, "type": "switch", "enum_names": ["clean", "crunch", "lead"]}
OFF = {"active": False, "shift": True, "groups": 1}
SLOTS = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post"),
    *("activation_pre", "activation_post", "layer1x1_post", "head1x1_post"),
)
A2 = list(zip([6] * 14 + [15] * 2 + [6] * 7, [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]))

Reference = Callable[[np.ndarray, list[float]], np.ndarray]  # of audio and faceplate values (positions by number)


class Flat:
    """Draws weights while a file is made, or hands them out again while it is played."""

    def __init__(self, numbers: list[float] | None = None, seed: int = 0, spread: float = 0.4) -> None:
        self.numbers: list[float] = [] if numbers is None else list(numbers)
        self._spread = spread
        self._random, self._at, self._draws = np.random.default_rng(seed), 0, numbers is None

    def take(self, *shape: int, mean: float = 0.0) -> np.ndarray:
        size = int(np.prod(shape))
        if self._draws:
            self.numbers += (mean + self._spread * self._random.normal(size=size)).astype(np.float32).tolist()
        part = np.array(self.numbers[self._at : self._at + size], np.float64)
        assert len(part) == size
        self._at += size
        return part.reshape(shape)


def convolve(weight_OIT: np.ndarray, bias_O: np.ndarray, x_CT: np.ndarray, dilation: int = 1) -> np.ndarray:
    """Convolve without padding."""
    taps = weight_OIT.shape[2]
    length = x_CT.shape[1] - (taps - 1) * dilation
    parts = [weight_OIT[:, :, t] @ x_CT[:, t * dilation : t * dilation + length] for t in range(taps)]
    return sum(parts) + bias_O[:, None]


class Net:
    """A WaveNet that is played while its weights are taken from a flat list."""

    def __init__(self, flat: Flat, layers: list[dict[str, Any]], c_CT: np.ndarray, e_ET: np.ndarray) -> None:
        """`c` is what mixins take, `e` what FiLM takes: `(E, 1)` or `(E, T)`."""
        self.flat, self.layers, self.c_CT, self.e_ET = flat, layers, c_CT, e_ET

    def play(self, x_CT: np.ndarray) -> np.ndarray:
        h, head = x_CT, x_CT[:0]
        for array in self.layers:
            h = self.flat.take(array["channels"], array["input_size"]) @ h
            for kernel, dilation in zip(array["kernel_sizes"], array["dilations"], strict=True):
                to_head, to_next = self._layer(array, h, kernel, dilation)
                head = to_head if not head.size else head[:, -to_head.shape[1] :] + to_head
                h = h[:, -to_next.shape[1] :] + to_next
            width = array["head"]["out_channels"], head.shape[0], array["head"]["kernel_size"]
            weight, bias = self.flat.take(*width), np.zeros(width[0])
            head = convolve(weight, self.flat.take(width[0]) if array["head"]["bias"] else bias, head)
            h = h[:, -head.shape[1] :]
        return self.flat.take(1)[0] * head[0]

    def _layer(self, array: dict[str, Any], h: np.ndarray, kernel: int, dilation: int) -> tuple[np.ndarray, np.ndarray]:
        channels, take = array["channels"], self.flat.take
        conv, bias = take(channels, channels, kernel), take(channels)
        mixin = take(channels, len(self.c_CT))
        one, one_bias = take(channels, channels), take(channels)
        outs = array["head1x1"]["out_channels"] if array["head1x1"]["active"] else 0
        to_head, head_bias = (take(outs, channels), take(outs)) if outs else (np.eye(channels), np.zeros(channels))
        sizes = {"input_mixin_pre": len(self.c_CT), "head1x1_post": outs}
        films = {}
        for slot in SLOTS:
            film = array[f"{slot}_film"]
            if film["active"]:
                size = sizes.get(slot, channels)
                matrix = take((1 + film["shift"]) * size, len(self.e_ET))
                scale = take(size, mean=1.0)
                films[slot] = matrix, np.concatenate([scale, take(size)]) if film["shift"] else scale, size

        def modulate(slot: str, z: np.ndarray) -> np.ndarray:
            if slot not in films:
                return z
            matrix, offset, size = films[slot]
            rows = matrix @ self.e_ET[:, -z.shape[1] :] + offset[:, None]
            return rows[:size] * z + (rows[size:] if len(rows) > size else 0)

        z = modulate("conv_post", convolve(conv, bias, modulate("conv_pre", h), dilation))
        z = z + modulate("input_mixin_post", mixin @ modulate("input_mixin_pre", self.c_CT[:, -z.shape[1] :]))
        z = modulate("activation_pre", z)
        a = np.tanh(z) if array["activation"] == "Tanh" else np.where(z < 0, 0.01 * z, z)
        a = modulate("activation_post", a)
        head = modulate("head1x1_post", to_head @ a + head_bias[:, None]) if outs else a
        return head, modulate("layer1x1_post", one @ a + one_bias[:, None])


def arrays(inputs: int, condition: int, films: dict[str, bool] | None = None) -> list[dict[str, Any]]:
    """Return two layer arrays; `films` has the active slots, and whether they shift."""
    slots = {f"{slot}_film": {**OFF, "active": slot in (films or {})} for slot in SLOTS}
    for slot, shift in (films or {}).items():
        slots[f"{slot}_film"]["shift"] = shift
    common = {
        "condition_size": condition,
        "activation": "Tanh",
        "head1x1": {"active": "head1x1_post" in (films or {}), "out_channels": 2, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        **slots,
    }
    heads = [{"out_channels": 2, "kernel_size": 1, "bias": True}, {"out_channels": 1, "kernel_size": 2, "bias": True}]
    first = {"input_size": inputs, "channels": 3, "kernel_sizes": [2, 3], "dilations": [1, 4], "head": heads[0]}
    second = {"input_size": 3, "channels": 2, "kernel_sizes": [2], "dilations": [2], "head": heads[1]}
    return [{**common, **first}, {**common, **second}]


def encoded(values: list[float]) -> np.ndarray:
    """Return GAIN from -1 to 1, then MODE as one number per position, `(4, 1)`."""
    return np.array([[values[0] / 5 - 1], *([float(values[1] == n)] for n in range(3))])


def dense(flat: Flat, e_E1: np.ndarray, widths: list[int], activations: list[Callable]) -> np.ndarray:
    """Run layers whose matrix and bias come next in the weights."""
    for width, activation in zip(widths, activations, strict=True):
        weight = flat.take(width, len(e_E1))
        e_E1 = activation(weight @ e_E1 + flat.take(width)[:, None])
    return e_E1


def _identity(z: np.ndarray) -> np.ndarray:
    return z


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def _made(
    architecture: str,
    version: str,
    config: dict[str, Any],
    play: Callable[[Flat, np.ndarray, list[float]], np.ndarray],
    spread: float = 0.4,
) -> tuple[dict[str, Any], Reference]:
    """Return a document whose weights are drawn by playing it once, and its reference."""
    flat = Flat(spread=spread)
    play(flat, np.zeros(7000), [4.0, 1.0])
    document = {"version": version, "architecture": architecture, "config": config, "weights": flat.numbers}
    whole = {**document, "sample_rate": float(RATE), "metadata": {"loudness": -20.0, "gain": 1.0}}
    return whole, lambda x_T, values: play(Flat(flat.numbers), x_T, values)


def concat() -> tuple[dict[str, Any], Reference]:
    """ConcatWaveNet: knobs are inputs and condition."""
    layers = arrays(5, 5)

    def play(flat: Flat, x_T: np.ndarray, values: list[float]) -> np.ndarray:
        both = np.concatenate([x_T[None], np.repeat(encoded(values), len(x_T), 1)])
        return Net(flat, layers, both, both).play(both)

    return _made("ConcatWaveNet", "1.0.0", {"layers": layers, "head_scale": 0.02, "params": [GAIN, MODE]}, play)


FILMS = {"conv_pre": True, "input_mixin_pre": True, "activation_post": True, "layer1x1_post": False}
OTHER_FILMS = {"conv_post": False, "input_mixin_post": True, "activation_pre": True, "head1x1_post": True}


def film(films: dict[str, bool], hidden: list[int] | None) -> tuple[dict[str, Any], Reference]:
    """FiLMWaveNet; `hidden` are the sizes of an encoder of ReLU that gives 3 features, None is for no encoder."""
    features = 4 if hidden is None else 3
    layers = [{**array, "film_condition_size": features} for array in arrays(1, 1, films)]
    encoder = None if hidden is None else {"hidden_sizes": hidden, "out_features": 3, "activation": "ReLU"}

    def play(flat: Flat, x_T: np.ndarray, values: list[float]) -> np.ndarray:
        e = encoded(values)
        if hidden is not None:
            e = dense(flat, e, [*hidden, 3], [*[_relu] * len(hidden), _identity])
        return Net(flat, layers, x_T[None], e).play(x_T[None])

    config = {"layers": layers, "head_scale": 0.02, "param_encoder": encoder, "params": [GAIN, MODE]}
    return _made("FiLMWaveNet", "1.0.0", config, play)


def with_param_encoder() -> tuple[dict[str, Any], Reference]:
    """ParametricWaveNet whose mixins and FiLM take two layers of tanh alone; arrays are in the older words."""
    layers = arrays(1, 4, {"conv_pre": True, "activation_pre": True})
    params = [{"name": "OD1", "minimum": 2.0, "maximum": 10.0}, {"name": "OD 2", "minimum": 0.0, "maximum": 1.0}]
    encoder = {"num_params": 2, "hidden_size": 5, "condition_size": 4, "activation": "Tanh", "params": params}

    def play(flat: Flat, x_T: np.ndarray, values: list[float]) -> np.ndarray:
        e = dense(flat, np.array([[(values[0] - 2) / 8], [values[1]]]), [5, 4], [np.tanh, np.tanh])
        return Net(flat, layers, np.repeat(e, len(x_T), 1), e).play(x_T[None])

    older = []
    for array in layers:
        head, rest = array["head"], {key: value for key, value in array.items() if key not in ("head", "head1x1")}
        sizes = {"head_size": head["out_channels"], "head_bias": head["bias"], "head_kernel_size": head["kernel_size"]}
        older.append(rest | sizes)
    config = {"param_encoder": encoder, "layers": older, "head": None, "head_scale": 0.02}
    return _made("ParametricWaveNet", "0.6.0", config, play)


def a2_with_film(channels: int = 2) -> tuple[dict[str, Any], Reference]:
    """ParametricWaveNet with config.parametric, the larger of two models in a container; FiLM takes raw values."""
    array = arrays(1, 1, {"activation_pre": True})[0]
    kernels, dilations = (list(part) for part in zip(*A2, strict=True))
    array |= {"channels": channels, "kernel_sizes": kernels, "dilations": dilations, "activation": "LeakyReLU"}
    array["head"] = {"out_channels": 1, "kernel_size": 16, "bias": True}
    voice = {"name": "Voice", "min": 1, "max": 5, "steps": 3}
    params = [{"name": "Drive", "min": 0.0, "max": 1.0, "default": 0.5}, voice]
    film = {"type": "film", "schema_version": 1, "condition_size": 2, "head_mode": "skip", "parameters": params}

    def play(flat: Flat, x_T: np.ndarray, values: list[float]) -> np.ndarray:
        return Net(flat, [array], x_T[None], np.array(values)[:, None]).play(x_T[None])

    config = {"layers": channels, "head_scale": 1.0, "parametric": film}
    document, reference = _made("ParametricWaveNet", "0.7.0", config, play, spread=0.15)  # 23 layers grow
    models = [{"max_value": value, "model": document} for value in (0.5, 1.0)]
    container = {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": models}}
    return {**container, "weights": [], "sample_rate": RATE, "metadata": {}}, reference


def hyper(low_rank: bool) -> tuple[dict[str, Any], Reference]:
    """HyperWaveNet: all weights but convolutions move, with 1x1s of rank 1; or biases and mixins alone."""
    layers = arrays(1, 1)
    flat = Flat(seed=1)
    silence = np.zeros((1, 50))
    Net(flat, layers, silence, silence).play(silence)
    base, targets, at = np.array(flat.numbers), [], 0

    def part(size: int, moves: bool, outs: int = 0) -> None:
        nonlocal at
        if moves and outs and low_rank:
            sizes = {"rank": 1, "out_features": outs, "rest_features": size // outs}
            targets.append({"mode": "low_rank", "numel": size, "export_offset": at, **sizes})
        elif moves and not (outs and not low_rank):
            targets.append({"mode": "full", "numel": size, "export_offset": at})
        at += size

    for array in layers:
        channels = array["channels"]
        part(channels * array["input_size"], low_rank)
        for kernel in array["kernel_sizes"]:
            part(channels * channels * kernel, False)
            part(channels, True)
            part(channels, True)
            part(channels * channels, True, channels)
            part(channels, True)
        at += array["head"]["out_channels"] * (channels * array["head"]["kernel_size"] + 1)
    widths = [t["rank"] * (t["out_features"] + t["rest_features"]) if "rank" in t else t["numel"] for t in targets]
    own = Flat(seed=2)
    dense(own, np.zeros((4, 1)), [3], [np.tanh])
    for shape in ((sum(widths), 3), (sum(widths),), (sum(widths),)):
        own.take(*shape)
    numbers = [*flat.numbers, *own.numbers]
    node = {"hidden_sizes": [3], "activation": "Tanh", "mode": "low_rank" if low_rank else "full", "rank": 1}
    config = {"layers": layers, "head_scale": 0.02, "hypernet": {**node, "delta_map": targets}, "params": [GAIN, MODE]}

    def play(x_T: np.ndarray, values: list[float]) -> np.ndarray:
        state = Flat(own.numbers)
        e = dense(state, encoded(values), [3], [np.tanh])
        g = (state.take(sum(widths), 3) @ e)[:, 0] + state.take(sum(widths))
        anchors, weights, begin = state.take(sum(widths)), base.copy(), 0
        for target, width in zip(targets, widths, strict=True):
            share, anchor = (part[begin : begin + width] for part in (g, anchors))
            if "rank" in target:
                both, size = share + anchor, target["out_features"]
                share = np.outer(both[:size], both[size:]).ravel()
            weights[target["export_offset"] :][: target["numel"]] += share
            begin += width
        return Net(Flat(weights.tolist()), layers, x_T[None], x_T[None]).play(x_T[None])

    document = {"version": "1.0.0", "architecture": "HyperWaveNet", "config": config, "weights": numbers}
    return {**document, "sample_rate": float(RATE), "metadata": {}}, play


FORMS: dict[str, Callable[[], tuple[dict[str, Any], Reference]]] = {
    "concat": concat,
    "film": lambda: film(FILMS, None),
    "film-encoder": lambda: film(OTHER_FILMS, [5]),
    "param-encoder": with_param_encoder,
    "a2-film": a2_with_film,
    "hyper": lambda: hyper(False),
}
