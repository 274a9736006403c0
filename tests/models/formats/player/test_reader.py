"""`amp.bin`: what is written is read; broken files are refused by both readers, in Python and in C, alike."""

import ctypes
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.artifacts.model_config import make_config
from models.audio.calibration import AnalogLevels
from models.core.errors import IntegrityError, UserError
from models.formats.nam.reader import read_nam
from models.formats.nam.writer import write_nam
from models.formats.player.build import build_program, compilers, library
from models.formats.player.layout import COUNTS, FILE_OPERATION, HEADER, KNOB, OPERATION_FIELDS, POSITION
from models.formats.player.native import NativePlayer, load_library
from models.formats.player.reader import read_amp, read_records
from models.formats.player.writer import amp_bytes, write_amp
from models.knobs.schema import Knobs
from models.network.activation import Activation
from models.network.architecture import LayerArray, WaveNetConfig
from tests.support.makers import FORMS, architecture, wavenet
from tests.support.native import PEDAL, RATE, amp, needs_compiler

SANITIZERS = ("-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
FUZZ = int(os.environ.get("AMPZOO_FUZZ", "10000"))  # inputs for the fuzz program
ODD = (0, 1, 2, 6, 7, 64, 65, 2048, 131_072, -1, -2, 2**31 - 1, -(2**31), 0x7F800000, 0x7FC00000, 0x3F800000)


def a_file(form: str = "film", activation: str = "PReLU", gating: str = "none") -> bytes:
    """Return a file with knobs of all kinds."""
    return amp(wavenet(architecture(form, activation, gating=gating), 5), PEDAL)


def files() -> list[bytes]:
    """Return small files that have all there is in the format."""
    kinds = [(form, "Tanh", "none") for form in FORMS]
    return [a_file(*kind) for kind in [*kinds, ("film", "PReLU", "none"), ("mixin", "SiLU", "gated")]]


def encoder_with_a_past(data: bytes) -> bytes:
    """Return a file whose encoder writes into a buffer that keeps a past: no writer does so, readers allow it."""
    header = read_records(data).header
    begin = HEADER.itemsize + KNOB.itemsize * header["knobs"] + POSITION.itemsize * header["positions"]
    operations = np.frombuffer(data, FILE_OPERATION, header["operations"], begin).copy()
    operations[0]["target"] = max(o["source"] for o in operations if o["kind"] == 0 and o["taps"] > 1)
    return data[:begin] + operations.tobytes() + data[begin + operations.nbytes :]


def mutations(count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield broken files: numbers changed, most of them before the weights, and one in eight cut."""
    draw, originals = random.Random(seed), files()
    bodies = [len(data) - 4 * read_records(data).header["weights"] for data in originals]
    for _ in range(count):
        index = draw.randrange(len(originals))
        data = bytearray(originals[index])
        for _ in range(draw.randint(1, 3)):
            at = 4 * draw.randrange((bodies[index] if draw.random() < 0.9 else len(data)) // 4)
            old = struct.unpack_from("<i", data, at)[0]
            near = (old + draw.randint(-2, 2) + 2**31) % 2**32 - 2**31
            new = draw.choice(
                (draw.choice(ODD), near, old ^ (1 << draw.randrange(31)), draw.randint(-(2**31), 2**31 - 1))
            )
            struct.pack_into("<i", data, at, new)
        yield bytes(data) if draw.random() < 0.875 else bytes(data[: draw.randrange(len(data))])


def is_read(data: bytes) -> bool:
    """Whether the Python reader takes a file."""
    try:
        read_records(data)
    except IntegrityError:
        return False
    return True


def test_what_is_written_is_read():
    net, levels = wavenet(architecture("encoder"), 5), AnalogLevels(input_level_dbu=12.5)
    config = make_config("tiny-amp_1", RATE, PEDAL, net.config, levels)
    found = read_amp(amp_bytes(config, net, "someone/tiny-amp_1"))
    assert (found.name, found.sample_rate, found.receptive_field) == ("tiny-amp_1", RATE, net.receptive_field)
    assert found.knobs == PEDAL and found.levels == levels and found.encoding == "levels" and found.columns == 5
    assert found.records.header["features"] == 3


def test_the_identity_is_that_of_the_owner_and_name():
    net = wavenet(architecture("film"), 5)
    config = make_config("tiny", RATE, PEDAL, net.config)
    ours, same, theirs = (read_amp(amp_bytes(config, net, who)).identity for who in ("a/tiny", "a/tiny", "b/tiny"))
    assert ours == same != theirs


def test_the_same_model_gives_the_same_bytes(tmp_path: Path):
    net = wavenet(architecture("film"), 5)
    config = make_config("tiny", RATE, PEDAL, net.config)
    write_amp(tmp_path / "amp.bin", config, net)
    assert (tmp_path / "amp.bin").read_bytes() == amp_bytes(config, net)


def test_a_net_that_only_torch_plays_is_refused():
    array = LayerArray(channels=2, dilations=(1,), activation=(Activation(type="Hardswish"),))
    net = wavenet(WaveNetConfig(arrays=(array,)), 0)
    with pytest.raises(UserError, match="only PyTorch plays"):
        amp_bytes(make_config("tiny", RATE, Knobs(knobs=()), net.config), net)


def test_a_net_of_an_imported_file_is_written(tmp_path: Path):
    net = wavenet(architecture("mixin", gating="gated"), 0)
    write_nam(tmp_path / "stock.nam", make_config("tiny", RATE, Knobs(knobs=()), net.config), net)
    config, imported = read_nam(tmp_path / "stock.nam")
    found, ours = (read_records(amp_bytes(config, each)) for each in (imported, net))
    assert np.array_equal(found.operations, ours.operations)
    assert np.allclose(found.weights, ours.weights)


def test_a_file_that_is_cut_is_refused():
    data = a_file()
    for length in [*range(0, len(data), 97), *range(len(data) - 9, len(data))]:
        assert not is_read(data[:length])
    assert not is_read(data + b"\0")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("version", value) for value in (0, 1, 3, -1)),
        *((name, -1) for name in COUNTS),
        *((name, 2**31 - 1) for name in COUNTS),
        ("columns", 4),
        ("features", 4),
        ("encoder_operations", 3),
        ("condition", 2),
        ("encoding", 1),
    ],
)
def test_a_header_out_of_range_is_refused(field: str, value: int):
    header = np.frombuffer(a_file(), HEADER, 1).copy()
    header[field] = value
    assert not is_read(header.tobytes() + a_file()[HEADER.itemsize :])


@pytest.mark.parametrize("field", OPERATION_FIELDS)
def test_an_operation_out_of_range_is_refused(field: str):
    array = LayerArray.model_validate(
        {"channels": 2, "dilations": [1, 2], "activation": "PReLU", "gating": "gated", "gate": "LeakyReLU"}
    )
    data = amp(wavenet(WaveNetConfig(arrays=(array,), inject=FORMS["film"]), 2))
    header = read_records(data).header
    begin = HEADER.itemsize + KNOB.itemsize * header["knobs"]
    operations = np.frombuffer(data, FILE_OPERATION, header["operations"], begin)
    refused = []
    for index in range(len(operations)):  # each field is used by one operation at least
        changed = operations.copy()
        changed[index][field] = 2**31 - 1
        refused.append(not is_read(data[:begin] + changed.tobytes() + data[begin + changed.nbytes :]))
    assert any(refused)


def test_hostile_names_are_refused():
    data = a_file()
    for name in (b"<script>", b'a"b', b"", b"\xff", b"a\0b"):
        assert not is_read(data.replace(b"gain" + bytes(4), name.ljust(8, b"\0")))


@pytest.mark.parametrize("unit", [b"<b>", b"d B", b"\xff", b"d\0B", b"decibels", b"7", b"/s"])
def test_hostile_units_are_refused(unit: bytes):
    data = amp(wavenet(architecture("film"), 5), PEDAL)
    assert read_amp(data).knobs == PEDAL
    assert not is_read(data.replace(b"dB".ljust(8, b"\0"), unit.ljust(8, b"\0"), 1))


def test_a_switch_has_no_unit():
    data = amp(wavenet(architecture("film"), 5), PEDAL)
    begin = HEADER.itemsize + 2 * KNOB.itemsize
    switch = np.frombuffer(data, KNOB, 1, begin).copy()
    switch["unit"] = b"dB"
    assert not is_read(data[:begin] + switch.tobytes() + data[begin + KNOB.itemsize :])


def test_weights_that_are_not_numbers_are_refused():
    assert not is_read(a_file()[:-4] + struct.pack("<f", float("nan")))


@needs_compiler
def test_both_readers_agree_on_broken_files():
    lib, played = load_library(library()), 0
    room = ctypes.create_string_buffer(lib.player_amp_size())
    for data in mutations(10_000):
        taken = is_read(data)
        assert (lib.player_amp_read(room, data, len(data)) == 0) == taken
        played += taken
    assert 1000 < played < 9000  # the loop reaches what is behind the checks


@needs_compiler
def test_broken_files_are_refused_in_a_sentence():
    with pytest.raises(IntegrityError, match=r"amp\.bin cannot be played: it ends too early"):
        NativePlayer(b"AMPB")
    with pytest.raises(IntegrityError, match="another kind of file"):
        NativePlayer(bytes(1000))


@pytest.mark.skipif("cc" not in compilers(), reason="no cc, which has the sanitizers")
def test_broken_files_harm_nothing(tmp_path: Path):
    try:
        fuzz = build_program("fuzz.c", "cc", SANITIZERS)
    except UserError:
        pytest.skip("cc has no address sanitizer")
    paths = []
    for number, data in enumerate([*files(), encoder_with_a_past(a_file("encoder"))]):
        paths.append(tmp_path / f"{number}.bin")
        paths[-1].write_bytes(data)
    done = subprocess.run([fuzz, str(FUZZ), "1", *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{FUZZ} inputs" in done.stdout
