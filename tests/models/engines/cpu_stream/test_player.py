"""The compiled player gives the eager forward pass: every form of the family, still or moving knobs, any blocks."""

import copy
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.engines.cpu_stream import kernels
from models.engines.cpu_stream.player import CompiledPlayer
from models.network.activation import Activation
from models.network.architecture import Injection, LayerArray, WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback import stream
from models.playback.eager_player import EagerPlayer
from models.playback.render import play_blocks
from models.playback.stream import Stream
from tests.support.makers import ACTIVATIONS, FORMS, GATES, architecture, di, esr, examples, wavenet, wavenets

DI = di(2.5)
CLOSE = 1e-10


def turning(length: int, knobs: int = 2) -> np.ndarray:
    """Return levels `(K, T)` of knobs that never stand still."""
    t_T = np.arange(length)
    return np.array([np.sin(0.003 * (knob + 1) * t_T + knob) for knob in range(knobs)]).reshape(knobs, length)


def truth(net: WaveNet, x_T: np.ndarray, levels_KT: np.ndarray) -> np.ndarray:
    """Return the eager forward pass in double precision, after silence with the knobs at their first levels."""
    before = net.receptive_field - 1
    x_BT = torch.from_numpy(np.pad(x_T, (before, 0))).double()[None]
    levels_BKT = torch.from_numpy(np.pad(levels_KT, ((0, 0), (before, 0)), mode="edge")).double()[None]
    with torch.no_grad():
        return copy.deepcopy(net).double()(x_BT, levels_BKT)[0].numpy()


def in_blocks(net: WaveNet, x_T: np.ndarray, levels_KT: np.ndarray, sizes: list[int]) -> np.ndarray:
    played, parts, begin = Stream(net, list(levels_KT[:, 0])), [], 0
    while begin < len(x_T):
        end = begin + sizes[len(parts) % len(sizes)]
        parts.append(played.process(x_T[begin:end], levels_KT[:, begin:end]))
        begin = end
    return np.concatenate(parts)


@pytest.mark.parametrize(("block", "length"), [(1, 200), (7, 700), (64, 3000), (8193, len(DI))])
@pytest.mark.parametrize("form", FORMS)
def test_moving_knobs_are_exact_in_every_form_and_block(form: str, block: int, length: int):
    net, x_T, levels_KT = wavenet(architecture(form)), DI[:length], turning(length)
    assert isinstance(Stream(net, [0.0, 0.0])._player, CompiledPlayer)
    assert esr(in_blocks(net, x_T, levels_KT, [block]), truth(net, x_T, levels_KT)) < CLOSE


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "Sigmoid"])
@pytest.mark.parametrize("still", [True, False])
def test_activations_and_gates(activation: str, gating: str, still: bool):
    net, x_T, levels_KT = wavenet(architecture("mixin+film", activation, gating=gating)), 3 * DI[:1000], turning(1000)
    levels_KT = np.repeat(levels_KT[:, :1], 1000, axis=1) if still else levels_KT
    assert esr(in_blocks(net, x_T, levels_KT, [300, 50]), truth(net, x_T, levels_KT)) < CLOSE


@pytest.mark.parametrize(
    "array",
    [
        {"channels": 16, "dilations": [1, 300], "kernel_size": 3},
        {"channels": 12, "dilations": [1, 7], "kernel_size": [2, 15], "head_kernel_size": 16},
        {"channels": 11, "dilations": [1, 2], "bottleneck": 5, "head1x1": 7},
        {"channels": 12, "dilations": [1, 2], "groups": 2, "layer1x1_groups": 4, "gating": "gated"},
        {"channels": 6, "dilations": [1, 2], "groups": 6, "layer1x1": False, "head1x1": 6, "head1x1_groups": 3},
    ],
)
def test_widths_that_fill_several_tiles_or_none(array: dict):
    arrays = (
        LayerArray.model_validate(array),
        LayerArray(channels=9, dilations=(1, 5), activation=(Activation(type="PReLU"),)),
    )
    net = wavenet(WaveNetConfig(arrays=arrays, inject=Injection(input=True, mixin=True)), spread=0.1)
    levels_KT = turning(3000)
    assert esr(in_blocks(net, DI[:3000], levels_KT, [64, 1000, 3]), truth(net, DI[:3000], levels_KT)) < CLOSE


@given(case=wavenets(), sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5), still=st.booleans())
@examples(80)
def test_any_net_plays_in_any_blocks(case: tuple[WaveNet, list[float]], sizes: list[int], still: bool):
    net, length = case[0].float(), 2 * sum(sizes)
    levels_KT = turning(length, net.knobs)
    if still:
        levels_KT = np.repeat(np.array(case[1])[:, None], length, axis=1)
    played, edges = Stream(net, list(levels_KT[:, 0])), np.cumsum([0, *sizes, *sizes])
    parts = [played.process(DI[a:b], list(levels_KT[:, a]) if still else levels_KT[:, a:b]) for a, b in pairwise(edges)]
    assert esr(np.concatenate(parts), truth(net, DI[:length], levels_KT)) < CLOSE


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("size", [10, 300, 4001])
def test_rendering_in_blocks_equals_the_stream(size: int, still: bool):
    net, levels_KT = wavenet(architecture("encoder", head=5)), turning(len(DI))
    blocks = [DI[begin : begin + size] for begin in range(0, len(DI), size)]

    def levels(begin: int, length: int) -> list[float] | np.ndarray:
        return [0.3, -0.8] if still else levels_KT[:, np.maximum(0, np.arange(begin, begin + length))]

    whole_T = Stream(net, list(np.ravel(levels(0, 1)))).process(DI, levels(0, len(DI)))
    parts = list(play_blocks(net, blocks, levels))
    assert [len(part) for part in parts] == [len(block) for block in blocks]
    assert np.array_equal(np.concatenate(parts), whole_T)


def test_a_stream_writes_to_out_and_does_not_grow():
    played, x_T, levels_K1 = Stream(wavenet(architecture()), [0.0, 0.0]), DI[:64].copy(), np.zeros((2, 1), np.float32)
    expected_T, out_T = Stream(played.net, [0.0, 0.0]).process(x_T, [0.0, 0.0]), np.empty(64, np.float32)
    assert played.process(x_T, levels_K1, out_T) is out_T
    assert np.array_equal(out_T, expected_T)

    def play(blocks: int) -> int:
        for _ in range(blocks):
            played.process(x_T, levels_K1, out_T)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = play(100)
        assert play(3000) - before < 1000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("moves", [False, True])
def test_a_block_is_played_without_a_new_array(moves: bool):
    """A block takes 16 kB; neither it nor its levels are copied, not even for a moment."""
    played, x_T, out_T = (
        Stream(wavenet(architecture("warp+encoder")), [0.0, 0.0]),
        np.resize(DI, 4096),
        np.empty(4096, np.float32),
    )
    levels_KT = np.zeros((2, 4096 if moves else 1), np.float32)
    played.process(x_T, levels_KT, out_T)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10):
            tracemalloc.reset_peak()
            played.process(x_T, levels_KT, out_T)
            assert tracemalloc.get_traced_memory()[1] - before < 4000
        played.process(x_T, levels_KT)  # an allocation would be noticed
        assert tracemalloc.get_traced_memory()[1] - before > 16000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_weight_of_nan_gives_nan(activation: str):
    net = wavenet(architecture("mixin", activation))
    with torch.no_grad():
        net.get_parameter("arrays.0.layers.0.conv.weight")[1, 1, 1] = float("nan")
    assert np.isnan(Stream(net, [0.0, 0.0]).process(DI[:100], [0.0, 0.0])).any()


@pytest.mark.parametrize("levels", [[0.0], [0.0, 0.0, 0.0], np.zeros((2, 5)), np.zeros((1, 64))])
def test_levels_of_a_wrong_shape_raise(levels: list[float] | np.ndarray):
    with pytest.raises(AssertionError):
        Stream(wavenet(architecture()), [0.0, 0.0]).process(DI[:64], levels)


def test_without_numba_torch_plays(monkeypatch: pytest.MonkeyPatch):
    net, levels_K = wavenet(architecture()), [0.3, -0.8]
    compiled_T = Stream(net, levels_K).process(DI, levels_K)
    monkeypatch.setattr(stream, "can_compile", lambda: False)
    plain = Stream(net, levels_K)
    assert isinstance(plain._player, EagerPlayer)
    assert esr(plain.process(DI, levels_K, np.empty_like(DI)), compiled_T) < CLOSE


def test_kernels_are_compiled_once_for_all_nets():
    x_T = DI[::3].astype(np.float64)
    x_T.setflags(write=False)
    for net in (wavenet(architecture()), wavenet(architecture("encoder", "PReLU", 3, "gated"))):
        y_T = Stream(net, [0.0, 0.0]).process(x_T, np.zeros((2, len(x_T)))[:, ::-1])
        assert esr(y_T, truth(net, x_T, np.zeros((2, len(x_T))))) < CLOSE
    assert len(kernels.play_program.signatures) == 1


@pytest.mark.parametrize("compiled", [True, False])
def test_input_near_zero_is_silence_and_the_threads_mode_stays(compiled: bool):
    """Denormals cost several times as much as other numbers; they are taken as zero while a block plays."""
    net, tiny = WaveNet(architecture(), 0).eval(), np.float32(1e-40)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    player = stream.player_factory(net)() if compiled else EagerPlayer(net)
    assert not player.play(np.full(256, tiny), []).any()
    assert player.play(np.full(256, np.float32(1e-30)), []).any()
    assert np.array([tiny])[0] * np.float32(1) == tiny  # as it was
    assert (torch.tensor([1e-40]) * 1).item() > 0


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import made
print(made.double(21.0), sum(made.double.stats.cache_hits.values()))
"""


def run(folder: Path, count: int = 1) -> list[list[str]]:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    begun = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) for _ in range(count)]
    return [process.communicate(timeout=120)[0].split() for process in begun]


def test_compiled_code_is_cached_for_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    part, whole = tmp_path / "part.py", tmp_path / "made.py"
    part.write_text("FACTOR = 2.0\n")
    whole.write_text(
        "from pathlib import Path\nimport part\nfrom models.engines.jit import cached_njit\n"
        "def double(x):\n    return part.FACTOR * x\n"
        "double = cached_njit(double, Path(__file__).parent)\n"
    )
    assert [found[0] for found in run(tmp_path, 2)] == ["42.0", "42.0"]  # at once, both on an empty cache
    assert run(tmp_path) == [["42.0", "1"]]
    part.write_text("FACTOR = 3.0\n")
    assert run(tmp_path) == [["63.0", "0"]]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.fixture(scope="module")
def double_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small kernel, in module `made`."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "made.py").write_text(
        "from pathlib import Path\nfrom models.engines.jit import cached_njit\n"
        "def double(x):\n    return 2.0 * x\n"
        "double = cached_njit(double, Path(__file__).parent)\n"
    )
    return folder


@pytest.mark.parametrize("damage", [cut, empty, flip, zero])
def test_damaged_file_in_the_cache_is_made_anew(
    double_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    assert run(double_once) == [["42.0", "0"]]
    (file,) = (tmp_path / "cache").rglob("double-*.kernel")
    damage(file)
    assert run(double_once) == [["42.0", "0"]]  # compiled, and written again
    assert run(double_once) == [["42.0", "1"]]
    assert list((tmp_path / "cache").rglob("*.kernel")) == [file]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_code_that_another_user_wrote_is_not_run(double_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    assert run(double_once) == [["42.0", "0"]]
    (file,) = (tmp_path / "cache").rglob("double-*.kernel")
    os.chown(file, 1234, 1234)
    assert run(double_once) == [["42.0", "0"]]


def test_cache_that_cannot_be_a_folder_costs_time_alone(
    double_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("AMPZOO_CACHE", str(tmp_path / "cache"))
    assert run(double_once) == [["42.0", "0"]]


def test_full_disk_below_the_cache_costs_time_alone(
    double_once: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AMPZOO_CACHE", str(full_disk))
    assert run(double_once) == [["42.0", "0"]]
    assert not [path for path in full_disk.rglob("*") if path.is_file() and path.name != "filler"]


def test_numba_switched_off_lets_torch_play(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    program = (
        "import numpy as np\nfrom tests.support.makers import architecture, wavenet\n"
        "from models.playback.stream import Stream\nfrom models.engines.select import engine_for\n"
        "net = wavenet(architecture())\nplayed = Stream(net, [0.0, 0.0])\n"
        "y_T = played.process(np.ones(9), [0.0, 0.0])\n"
        "print(type(played._player).__name__, type(engine_for(net)).__name__, len(y_T))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["EagerPlayer", "EagerEngine", "9"], done.stderr
