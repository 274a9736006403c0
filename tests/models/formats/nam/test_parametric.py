"""Parametric `.nam` files of other projects, against references by plain numpy."""

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.artifacts.model_config import ModelConfig
from models.core.errors import Notice, UserError
from models.formats.nam.concat_writer import to_concat, write_concat
from models.formats.nam.reader import read_nam, read_nam_weights
from models.formats.nam.writer import to_nam
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knob, Knobs, Switch
from models.network.baking import bake
from models.network.numpy_wavenet import NumpyWaveNet
from models.playback.stream import Stream, play
from tests.support.makers import esr, model, nam_twin
from tests.support.native import needs_compiler
from tests.support.parametric_nam import FORMS, RATE, film, hyper

X_T = np.random.default_rng(5).normal(0, 0.3, 9000).astype(np.float32)
TURNS = ([0.4, 0.5], [1.0, 0.0], [0.25, 1.0])


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def read(path: Path, document: dict[str, Any]) -> tuple[ModelConfig, NumpyWaveNet]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        return read_nam_weights(written(path, document))


def dialed(config: ModelConfig, turns: list[float]) -> tuple[list[float], list[float]]:
    """Return shares of the turn as values (positions by number), and as the network takes them."""
    values, named = [], {}
    for knob, turn in zip(config.knobs.knobs, turns, strict=True):
        if isinstance(knob, Switch):
            values.append(float(round(turn * (len(knob.positions) - 1))))
            named[knob.name] = knob.positions[int(values[-1])]
        else:
            values.append(knob.min + turn * (knob.max - knob.min))
            named[knob.name] = values[-1]
    return values, config.encode(named)


def levels(config: ModelConfig, turns: list[float]) -> list[float]:
    return dialed(config, turns)[1]


@pytest.mark.parametrize("form", FORMS)
def test_a_parametric_file_plays_as_its_formulas(tmp_path: Path, form: str):
    document, reference = FORMS[form]()
    config, net = read(tmp_path / "a.nam", document)
    assert len(config.knobs.knobs) == 2 and config.audio.sample_rate == RATE
    for turns in TURNS:
        values, at = dialed(config, turns)
        wanted = reference(X_T, values)
        assert esr(play(net, X_T, at)[-len(wanted) :], wanted) < 1e-10
    different = esr(*(play(net, X_T, levels(config, turns)) for turns in TURNS[:2]))
    assert different > 1e-6  # the knobs are heard


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_is_a_model_like_ours(tmp_path: Path, form: str):
    config, net = read(tmp_path / "a.nam", FORMS[form]()[0])
    at = levels(config, TURNS[2])
    wanted = play(net, X_T, at)
    assert config.architecture.compiles
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
    assert esr(play(bake(net, at), X_T, []), wanted) < 1e-10
    again, live = read(tmp_path / "live.nam", to_nam(config, net))
    assert again.architecture == config.architecture and esr(play(live, X_T, at), wanted) < 1e-10
    assert esr(Stream(net, at).process(X_T, at), wanted) < 1e-10


@needs_compiler
@pytest.mark.parametrize("form", FORMS)
def test_the_c_player_plays_it(tmp_path: Path, form: str):
    config, net = read(tmp_path / "a.nam", FORMS[form]()[0])
    at = levels(config, TURNS[1])
    player = NativePlayer(amp_bytes(config, net))
    player.reset(at)
    assert esr(player.process(X_T, at), play(net, X_T, at)) < 1e-10


def test_a_hypernetwork_that_does_not_fold_is_read_at_its_defaults(tmp_path: Path):
    document, reference = hyper(low_rank=True)
    with pytest.warns(Notice, match="at their defaults: gain 4.0, mode crunch"):
        config, net = read_nam_weights(written(tmp_path / "a.nam", document))
    assert config.knobs.knobs == ()
    wanted = reference(X_T, [4.0, 1.0])
    assert esr(play(net, X_T, [])[-len(wanted) :], wanted) < 1e-10


def test_names_are_spelled_as_ours(tmp_path: Path):
    document, _ = FORMS["concat"]()
    switch = {"name": "Übersteuern!", "min": 0, "max": 2, "default": 2, "type": "switch"}
    document["config"]["params"] = [
        {"name": "Übersteuern!", "min": -3, "max": 4, "default": 0, "step": 0.5},
        {**switch, "enum_names": ["<b>Low</b>", "<b>Low<b>", "  "]},
    ]
    config, _ = read(tmp_path / "a.nam", document)
    knob, mode = config.knobs.knobs
    assert isinstance(knob, Knob) and isinstance(mode, Switch)
    assert (knob.name, knob.min, knob.max, knob.default, knob.step) == ("bersteuern", -3, 4, 0, 0.5)
    assert mode.name == "bersteuern-2" and mode.default == mode.positions[2] and len(set(mode.positions)) == 3


def damaged(form: str, *path: Any, value: Any) -> dict[str, Any]:
    """Return a document with one value changed; `...` stands for the larger model of a container."""
    document = copy.deepcopy(FORMS[form]()[0] if form in FORMS else hyper(True)[0])
    node = document["config"]["submodels"][1]["model"] if form == "a2-film" else document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("form", "path", "value", "words"),
    [
        ("concat", ("version",), "2.0.0", "version is '2.0.0'; 1.0.x can be read"),
        ("concat", ("config", "params"), [], "'params' is not a list"),
        ("concat", ("config", "params", 1, "enum_names"), "abc", "'enum_names' is not a list"),
        ("concat", ("config", "params", 1, "default"), 1.5, "not the number of a position"),
        ("concat", ("config", "params", 0, "max"), -1.0, "must be below max"),
        ("concat", ("config", "params", 0, "min"), None, "'min'"),
        ("concat", ("config", "layers", 0, "input_size"), 4, "input_size is 4, expected 5"),
        ("concat", ("config", "layers", 0, "packing"), {}, "packed"),
        ("concat", ("config", "condition_dsp"), {}, "condition network"),
        ("concat", ("weights",), [0.5] * 9, "too few"),
        ("film", ("config", "layers", 1, "film_condition_size"), 9, "film_condition_size is 9, expected 4"),
        ("film", ("config", "layers", 0, "condition_size"), 4, "condition_size is 4, expected 1"),
        ("film-encoder", ("config", "param_encoder", "hidden_sizes"), [0], "a size is 0, legal are 1 to 64"),
        ("film-encoder", ("config", "param_encoder", "hidden_sizes"), [64] * 7, "too few"),
        ("film-encoder", ("config", "param_encoder", "activation"), "PReLU", "PReLU"),
        ("param-encoder", ("config", "param_encoder", "num_params"), 3, "num_params is 3"),
        ("param-encoder", ("config", "layers", 0, "input_mixin_pre_film"), {"active": True}, "input_mixin_pre"),
        ("param-encoder", ("config", "layers", 0, "input_mixin_pre_film"), -1, "input_mixin_pre_film is not an object"),
        ("param-encoder", ("config", "layers", 0, "input_mixin_pre_film"), {"active": 3}, "'active' is 3"),
        ("a2-film", ("config", "parametric", "head_mode"), "residual", "only film, 1 and skip"),
        ("a2-film", ("config", "parametric", "schema_version"), 2, "schema_version 2"),
        ("a2-film", ("config", "layers"), 65, "channels is 65"),
        ("hyper", ("config", "hypernet", "delta_map", 0, "export_offset"), 10**9, "export_offset"),
        ("hyper", ("config", "hypernet", "delta_map", 0, "numel"), 10**6, "too few weights|too few for its hypernet"),
        ("hyper", ("config", "hypernet", "hidden_sizes"), [True], "hidden_sizes"),
        ("low-rank", ("config", "hypernet", "delta_map", 3, "rank"), 0, "do not fit"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, form: str, path: tuple, value: Any, words: str):
    document = damaged(form, *path, value=value)
    with pytest.raises(UserError, match=words):
        read_nam(written(tmp_path / "a.nam", document))


def test_other_kinds_of_parametric_wavenet_are_told_apart(tmp_path: Path):
    document, _ = FORMS["param-encoder"]()
    del document["config"]["param_encoder"]
    with pytest.raises(UserError, match="of an unknown kind; those with config.parametric or config.param_encoder"):
        read_nam(written(tmp_path / "a.nam", document))
    document["config"]["param_names"] = ["gain"]
    with pytest.raises(UserError, match="of an early kind"):
        read_nam(written(tmp_path / "a.nam", document))


def test_film_that_is_nowhere_active_is_refused(tmp_path: Path):
    document, _ = film({}, None)
    with pytest.raises(UserError, match="its knobs reach nothing"):
        read_nam(written(tmp_path / "a.nam", document))


@pytest.mark.parametrize("form", ["input", "mixin", "film", "mixin+film"])
def test_a_file_for_the_parametric_plugin_reads_back(tmp_path: Path, form: str):
    config, net = model(form)
    write_concat(tmp_path / "concat.nam", config, net)
    document = json.loads((tmp_path / "concat.nam").read_text())
    assert (document["architecture"], document["version"]) == ("ConcatWaveNet", "1.0.0")
    again, same = read_nam(tmp_path / "concat.nam")
    assert again.knobs == config.knobs and again.architecture == config.architecture
    at = config.encode(config.knobs.defaults)
    assert esr(play(same, X_T, at), play(net, X_T, at)) < 1e-10


def test_the_parametric_plugin_takes_its_inputs_as_stock_core_does(tmp_path: Path):
    config, net = model("mixin+film")
    document = to_concat(config, net)
    columns = 1 + config.columns
    assert [layer["condition_size"] for layer in document["config"]["layers"]] == [columns] * len(net.config.arrays)
    assert document["config"]["layers"][0]["input_size"] == columns
    assert nam_twin({**document, "version": "0.7.0", "architecture": "WaveNet"})  # NAM's own trainer builds it


def test_a_log_taper_is_said_and_a_switch_is_numbered(tmp_path: Path):
    config, net = model("mixin")
    gain = Knob(name="gain", max=10, default=5, taper="log")
    knobs = Knobs(knobs=(gain, *config.knobs.knobs[1:]))
    with pytest.warns(Notice, match="no log taper, so it shows gain from -1 to 1"):
        write_concat(tmp_path / "a.nam", config.model_copy(update={"knobs": knobs}), net)
    param = json.loads((tmp_path / "a.nam").read_text())["config"]["params"][0]
    assert (param["min"], param["max"]) == (-1, 1) and param["default"] == pytest.approx(gain.level(5))


def test_what_the_parametric_plugin_cannot_express_is_refused():
    config, net = model("mixin")
    encoder = config.architecture.model_copy(
        update={"inject": config.architecture.inject.model_copy(update={"encoder": 4})}
    )
    with pytest.raises(UserError, match="a knob encoder or a warp"):
        to_concat(config.model_copy(update={"architecture": encoder}), net)
