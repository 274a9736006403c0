"""Reads `amp.bin` with the checks of the C reader (`player/amp.c`): the bytes may come from anyone.

Shapes: R coefficients, E features.
"""

import math
import re
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from models.audio.calibration import AnalogLevels
from models.core.errors import IntegrityError
from models.engines.activation_codes import BLENDED, SIGMOID, SLOPED
from models.engines.cpu_stream.program import ACTIVATE, CONVOLVE, MODULATE, NONE
from models.formats.player import layout
from models.formats.player.layout import AMP_VERSION, FILE_OPERATION, HEADER, KNOB, MAGIC, POSITION, SWITCH
from models.knobs.schema import MAX_COLUMNS, MAX_FACEPLATE, MAX_KNOBS, MAX_POSITIONS, Encoding, Knob, Knobs, Switch

NAME_FIELD = re.compile(rb"[A-Za-z0-9 _.+-]+\0+")
UNIT_FIELD = re.compile(rb"([A-Za-z%][A-Za-z0-9%/]*)?\0+")


@dataclass(frozen=True)
class Records:
    """The records of a file whose sizes and indices are checked."""

    header: dict[str, int]
    input_level_dbu: float
    output_level_dbu: float
    identity: bytes
    name: bytes
    knobs: np.ndarray  # of KNOB
    positions: np.ndarray  # of POSITION
    operations: np.ndarray  # of FILE_OPERATION
    weights: np.ndarray
    constants_R: np.ndarray
    slopes_ER: np.ndarray


@dataclass(frozen=True)
class AmpFile:
    """What `amp.bin` says of an amp.

    `identity` distinguishes it from all others, `sample_rate` is in Hz, `receptive_field` in samples.
    """

    name: str
    identity: bytes
    sample_rate: int
    receptive_field: int
    encoding: Encoding
    knobs: Knobs
    levels: AnalogLevels
    columns: int  # K: numbers that the network takes of a setting
    records: Records


def read_amp(data: bytes) -> AmpFile:
    """Return the content of `amp.bin`. Raises `IntegrityError` saying what is wrong with it."""
    records = read_records(data)
    header = records.header
    try:
        knobs = Knobs(knobs=tuple(_parse_knobs(records)))
        levels = AnalogLevels(
            input_level_dbu=_or_none(records.input_level_dbu), output_level_dbu=_or_none(records.output_level_dbu)
        )
    except ValidationError as problem:
        raise _damaged(str(problem.errors()[0]["msg"])) from None
    return AmpFile(
        name=_decode_text(records.name),
        identity=records.identity,
        sample_rate=header["sample_rate"],
        receptive_field=header["receptive_field"],
        encoding="type_level" if header["encoding"] else "levels",
        knobs=knobs,
        levels=levels,
        columns=header["columns"],
        records=records,
    )


def read_records(data: bytes) -> Records:
    """Return the records of a file; raises `IntegrityError` where the C reader refuses the file."""
    if len(data) < HEADER.itemsize:
        raise _damaged("it ends too early")
    first = np.frombuffer(data, HEADER, 1)[0]
    header = {name: int(first[name]) for name in layout.COUNTS}
    if first["magic"] != MAGIC:
        raise _damaged("it is another kind of file")
    if header["version"] != AMP_VERSION:
        raise IntegrityError(f"amp.bin has version {header['version']}; only {AMP_VERSION} is known", "Update ampzoo.")
    if not _sizes_fit(header):
        raise _damaged("a number in its header is out of range")
    features, coefficients = header["features"], header["coefficients"]
    kinds = [
        (KNOB, header["knobs"]),
        (POSITION, header["positions"]),
        (FILE_OPERATION, header["operations"]),
        (np.dtype("<f4"), header["weights"]),
        (np.dtype("<f4"), coefficients * (1 + features)),
    ]
    total = HEADER.itemsize + sum(kind.itemsize * count for kind, count in kinds)
    if len(data) != total or header["size"] != total:
        raise _damaged(f"it has {len(data):,} bytes where its header means {total:,}")
    parts, at = [], HEADER.itemsize
    for kind, count in kinds:
        parts.append(np.frombuffer(data, kind, count, at))
        at += kind.itemsize * count
    knobs, positions, operations, weights, numbers = parts
    records = Records(
        header,
        float(first["input_level_dbu"]),
        float(first["output_level_dbu"]),
        first["identity"].tobytes(),
        first["name"].tobytes(),
        knobs,
        positions,
        operations,
        weights,
        numbers[:coefficients],
        numbers[coefficients:].reshape(features, coefficients),
    )
    _check(records)
    return records


def _check(records: Records) -> None:
    if not (_header_fits(records.header) and NAME_FIELD.fullmatch(records.name)):
        raise _damaged("a number in its header is out of range")
    if not _knobs_fit(records):
        raise _damaged("a knob is out of range")
    if not _Buffers(records).operations_fit():
        raise _damaged("an operation is out of range")
    if not all(np.isfinite(part).all() for part in (records.weights, records.constants_R, records.slopes_ER)):
        raise _damaged("a weight is not a finite number")


def _sizes_fit(header: dict[str, int]) -> bool:
    limits = {
        "knobs": (0, MAX_KNOBS),
        "positions": (0, MAX_COLUMNS),
        "columns": (0, MAX_COLUMNS),
        "features": (0, MAX_COLUMNS),
        "buffers": (1, layout.MAX_BUFFERS),
        "operations": (1, layout.MAX_OPERATIONS),
        "weights": (0, layout.MAX_WEIGHTS),
        "coefficients": (0, layout.MAX_WEIGHTS),
    }
    inside = all(low <= header[name] <= high for name, (low, high) in limits.items())
    return inside and header["coefficients"] * (header["features"] + 1) <= layout.MAX_WEIGHTS


def _header_fits(header: dict[str, int]) -> bool:
    limits = {
        "sample_rate": (8000, 192_000),
        "receptive_field": (1, layout.MAX_HISTORY),
        "encoding": (0, len(layout.ENCODINGS) - 1),
        "levels_per_sample": (0, 1),
        "encoder_operations": (0, header["operations"] - 1),
        **dict.fromkeys(("input", "condition", "output", "level_rows", "feature_rows"), (0, header["buffers"] - 1)),
    }
    views, whole = {header["level_rows"], header["feature_rows"]}, {header[n] for n in ("input", "condition", "output")}
    encodes = header["encoder_operations"] > 0
    same = header["features"] == header["columns"] and header["condition"] == header["input"]
    return (
        all(low <= header[name] <= high for name, (low, high) in limits.items())
        and len(views) == 2
        and not views & whole
        and (encodes or same)
    )


def _knobs_fit(records: Records) -> bool:
    type_level = records.header["encoding"] == layout.ENCODINGS.index("type_level")
    columns = type_level + sum(int(knob["positions"]) if knob["kind"] == SWITCH else 1 for knob in records.knobs)
    return (
        all(_knob_fits(knob, type_level) for knob in records.knobs)
        and sum(int(knob["positions"]) for knob in records.knobs) == records.header["positions"]
        and columns == records.header["columns"]
        and all(NAME_FIELD.fullmatch(position["name"].tobytes()) for position in records.positions)
    )


def _knob_fits(knob: np.void, type_level: bool) -> bool:
    kind, flags, positions = (int(knob[name]) for name in ("kind", "flags", "positions"))
    low, high, default, step = (float(knob[name]) for name in ("min", "max", "default", "step"))
    if not (NAME_FIELD.fullmatch(knob["name"].tobytes()) and 0 <= kind <= SWITCH and 0 <= flags <= 3):
        return False
    if not (-MAX_FACEPLATE <= low < high <= MAX_FACEPLATE and low <= default <= high and 0 <= step <= high - low):
        return False
    unit = knob["unit"].tobytes()
    if kind != SWITCH:
        return positions == 0 and UNIT_FIELD.fullmatch(unit) is not None
    is_whole = (low, high, step) == (0, positions - 1, 1) and default == int(default)
    return 2 <= positions <= MAX_POSITIONS and not type_level and is_whole and not unit.strip(b"\0")


class _Buffers:
    """What the operations ask of the buffers: rows, and samples of the past."""

    def __init__(self, records: Records) -> None:
        self._records = records
        count = records.header["buffers"]
        self.rows, self.history = [0] * count, [0] * count

    def operations_fit(self) -> bool:
        """Check all operations and what they ask of the rows of levels and features."""
        header = self._records.header
        for index, record in enumerate(self._records.operations):
            operation = {name: int(record[name]) for name in layout.OPERATION_FIELDS}
            if not self._operation_fits(operation, index < header["encoder_operations"]):
                return False
        for whole, view, count in (("input", "level_rows", "columns"), ("condition", "feature_rows", "features")):
            if header[count] and not self._touch(header[view], header[count]):
                return False
            if not self._touch(header[whole], self.rows[header[view]] + 1):
                return False
            if self.history[header[view]] or self.history[header[whole]]:
                return False
        return self._touch(header["output"], 1)

    def _touch(self, buffer: int, rows: int) -> bool:
        """Note that an operation touches so many rows of a buffer; returns whether there may be so many."""
        if not (0 <= buffer < len(self.rows) and 1 <= rows <= layout.MAX_ROWS):
            return False
        self.rows[buffer] = max(self.rows[buffer], rows)
        return True

    def _operation_fits(self, o: dict[str, int], in_encoder: bool) -> bool:
        if not self._touch(o["target"], o["rows"]) or not (o["addend"] == NONE or self._touch(o["addend"], o["rows"])):
            return False
        if o["kind"] == CONVOLVE:
            return self._convolution_fits(o, in_encoder)
        if o["kind"] == MODULATE:
            last = self._records.header["coefficients"] - o["rows"]
            ends = 0 <= o["scale"] <= last and 0 <= o["shift"] <= last
            return o["rows"] % 2 == 0 and ends and self._touch(o["source"], o["rows"])
        return o["kind"] == ACTIVATE and self._activation_fits(o)

    def _convolution_fits(self, o: dict[str, int], in_encoder: bool) -> bool:
        header = self._records.header
        limits = {
            **dict.fromkeys(("groups", "chunks", "rows_per_group"), (1, layout.MAX_ROWS)),
            "taps": (1, 1 if in_encoder else layout.MAX_TAPS),
            "dilation": (1, layout.MAX_HISTORY),
            "follows_features": (0, 1),
            "extra_rows": (0, layout.MAX_ROWS),
        }
        if o["height"] not in layout.HEIGHTS or not all(low <= o[name] <= high for name, (low, high) in limits.items()):
            return False
        history, sources = (o["taps"] - 1) * o["dilation"], o["groups"] * o["rows_per_group"]
        products = o["rows"] * (o["taps"] * o["rows_per_group"] + o["extra_rows"])
        fits = (
            o["rows"] == o["groups"] * o["chunks"] * o["height"]
            and history < layout.MAX_HISTORY
            and self._touch(o["source"], sources)
            and (not o["extra_rows"] or self._touch(o["extra"], o["extra_rows"]))
            and 0 <= o["weights"] <= header["weights"] - products
            and 0 <= o["bias"] <= header["coefficients"] - o["rows"]
        )
        if fits:
            self.history[o["source"]] = max(self.history[o["source"]], history)
        return fits

    def _activation_fits(self, o: dict[str, int]) -> bool:
        last = self._records.header["weights"] - o["rows"]
        return (
            0 <= o["activation"] <= SIGMOID
            and 0 <= o["gating"] <= BLENDED
            and 0 <= o["gate"] <= SIGMOID
            and (o["activation"] != SLOPED or 0 <= o["slopes"] <= last)
            and (not o["gating"] or o["gate"] != SLOPED or 0 <= o["gate_slopes"] <= last)
            and self._touch(o["source"], o["rows"] * (2 if o["gating"] else 1))
            and (o["extra"] == NONE or self._touch(o["extra"], o["rows"]))
        )


def _parse_knobs(records: Records) -> list[Knob | Switch]:
    positions, begin, knobs = [_decode_text(position["name"].tobytes()) for position in records.positions], 0, []
    for knob in records.knobs:
        name, kind, flags, count, low, high, default, step, unit = knob.tolist()
        if kind == SWITCH:
            named = tuple(positions[begin : begin + count])
            knobs.append(Switch(name=_decode_text(name), positions=named, default=named[int(default)]))
            begin += count
            continue
        knobs.append(
            Knob(
                name=_decode_text(name),
                min=low,
                max=high,
                default=default,
                taper="log" if kind == layout.LOG else "linear",
                step=step or None,
                unit=_decode_text(unit) or None,
                avoid_zero=bool(flags & layout.AVOIDS_ZERO),
                gain=bool(flags & layout.IS_GAIN),
            )
        )
    return knobs


def _decode_text(name: bytes) -> str:
    return name.rstrip(b"\0").decode("ascii")


def _or_none(level: float) -> float | None:
    return None if math.isnan(level) else level


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"amp.bin cannot be played: {what}", "Write it again, or get the package again.")
