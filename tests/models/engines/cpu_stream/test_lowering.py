"""A program is valid for every kind of processor that it is lowered for, not only for this one."""

import numpy as np
import pytest

from models.engines.cpu_stream.lowering import choose_height, lower
from models.engines.cpu_stream.player import CompiledPlayer
from models.engines.cpu_stream.program import (
    CONVOLVE,
    MODULATE,
    NONE,
    PlayerProgram,
    film_height,
    tile_heights,
    tile_samples,
)
from models.engines.simd import REGISTERS, WIDTH
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.stream import Stream
from tests.support.makers import FORMS, architecture, di, wavenet

TARGETS = [(width, registers) for width in (4, 8, 16) for registers in (16, 32)]
DI = di(0.5)
WIDE = WaveNetConfig.model_validate(
    {"arrays": [{"channels": 12, "dilations": [1, 300], "groups": 2, "gating": "gated", "head1x1": 7}], "inject": {}}
)


def check_buffers(program: PlayerProgram, width: int) -> None:
    """Every row lies inside the state, begins and ends at whole vectors of time, and has room for a block."""
    net, buffers = program.net[0], program.buffers
    assert net["coefficients"] % width == 0
    for buffer in buffers:
        assert buffer["history"] % width == 0
        assert buffer["stride"] % width == 0
        assert buffer["position"] == buffer["history"]
        assert buffer["position"] + net["block"] + tile_samples(width) <= buffer["stride"]
    for op in program.operations:
        for name in ("source", "target", "addend", "extra"):
            if op[name] != NONE:
                buffer = buffers[op[name]]
                assert net["coefficients"] <= buffer["base"]
                assert buffer["base"] + op["rows"] * buffer["stride"] <= program.state_size
    ends = sorted((buffer["base"], index) for index, buffer in enumerate(buffers))
    assert ends[0][0] == net["coefficients"]


def check_operations(program: PlayerProgram, registers: int) -> None:
    """Tiles have heights that the registers hold; weights and coefficients exist; history reaches the oldest tap."""
    net, coefficients = program.net[0], int(program.net[0]["coefficients"])
    assert net["slopes"] + coefficients * net["features"] == len(program.weights)
    for op in program.operations:
        if op["kind"] == CONVOLVE:
            source = program.buffers[op["source"]]
            assert op["height"] in tile_heights(registers)
            assert op["rows"] == op["groups"] * op["chunks"] * op["height"]
            assert (op["taps"] - 1) * op["dilation"] <= source["history"]
            numbers = op["taps"] * op["rows_per_group"] + op["extra_rows"]
            assert op["weights"] + op["rows"] * numbers <= net["slopes"] - coefficients
            assert op["bias"] + op["rows"] <= coefficients
        elif op["kind"] == MODULATE:
            assert op["rows"] % film_height(registers) == 0
            assert max(op["scale"], op["shift"]) + op["rows"] <= coefficients


@pytest.mark.parametrize(("width", "registers"), TARGETS)
@pytest.mark.parametrize("net", [*map(wavenet, map(architecture, FORMS)), wavenet(WIDE)])
def test_a_program_for_any_processor_is_valid(net: WaveNet, width: int, registers: int):
    program = lower(net, width=width, registers=registers)
    assert program.width == width
    check_buffers(program, width)
    check_operations(program, registers)


@pytest.mark.parametrize("block", [WIDTH, 64, 1024])
def test_the_block_of_a_program_does_not_change_its_sound(block: int):
    net, levels_K = wavenet(architecture("mixin+film")), [0.3, -0.8]
    player = CompiledPlayer(lower(net, block=block))
    player.play(np.zeros(net.receptive_field, np.float32), levels_K)
    assert np.array_equal(player.play(DI, levels_K), Stream(net, levels_K).process(DI, levels_K))


@pytest.mark.parametrize("registers", [16, 32])
def test_fewer_registers_play_the_same(registers: int):
    """A CPU with 32 registers has the tiles for 16 too, but for those of FiLM."""
    if registers > REGISTERS:
        pytest.skip("this CPU has no kernels for these tiles")
    net, levels_K = wavenet(architecture("input+mixin")), [0.3, -0.8]
    player = CompiledPlayer(lower(net, registers=registers))
    player.play(np.zeros(net.receptive_field, np.float32), levels_K)
    assert np.array_equal(player.play(DI, levels_K), Stream(net, levels_K).process(DI, levels_K))


def test_defaults_are_those_of_this_machine():
    net = wavenet(architecture())
    plain, stated = lower(net), lower(net, width=WIDTH, registers=REGISTERS, block=256)
    assert plain.state_size == stated.state_size
    for name in ("weights", "operations", "buffers", "net"):
        assert np.array_equal(getattr(plain, name), getattr(stated, name))


def test_a_program_for_another_processor_is_not_played_here():
    program = lower(wavenet(architecture()), width=4 if WIDTH != 4 else 8)
    with pytest.raises(AssertionError, match="vectors of"):
        CompiledPlayer(program)


@pytest.mark.parametrize("changed", [{"width": 5}, {"registers": 8}, {"block": 0}, {"width": 16, "block": 24}])
def test_impossible_processors_raise(changed: dict[str, int]):
    with pytest.raises(AssertionError):
        lower(wavenet(architecture()), **changed)


def test_tile_heights_waste_few_rows():
    for outputs in range(1, 65):
        assert -outputs % choose_height(outputs, 1, REGISTERS) < 4
        for groups in range(1, outputs + 1):
            if groups > 1 and outputs % groups == 0:
                assert outputs // groups % choose_height(outputs, groups, REGISTERS) == 0
