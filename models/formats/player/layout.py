"""The records of `amp.bin`, version 2, little-endian and without gaps; docs/reference/amp-bin.md explains the fields.

`player/amp.h` has the same fields in the same order, and the same limits. The codes of operations are those of
`models.engines.cpu_stream.program`, those of activations are in `models.engines.activation_codes`. `MAX_KNOBS` and
`MAX_POSITIONS` of `models.knobs.schema` are limits here too, and `MAX_COLUMNS`, also of what the network takes of all
knobs or of its encoder.
"""

import numpy as np

MAGIC = b"AMPB"
AMP_VERSION = 2  # of the format
NAME_BYTES = 68  # of the amp's name, with one NUL at least
TEXT_BYTES = 36  # of the name of a knob or a position, with one NUL at least
UNIT_BYTES = 8  # of the unit of a knob, with one NUL at least; all NUL where there is none
IDENTITY_BYTES = 16

MAX_BUFFERS = 1024
MAX_OPERATIONS = 8192
MAX_ROWS = 2048  # of a buffer
MAX_TAPS = 64
MAX_HISTORY = 1 << 17  # samples
MAX_WEIGHTS = 1 << 24
HEIGHTS = (1, 2, 3, 4, 6)  # rows of a tile

LINEAR, LOG, SWITCH = range(3)  # kind of a knob
IS_GAIN, AVOIDS_ZERO = 1, 2  # flags of a knob
ENCODINGS = ("levels", "type_level")

COUNTS = (
    *("version", "size", "sample_rate", "receptive_field", "encoding", "knobs", "positions", "columns", "features"),
    *("buffers", "operations", "encoder_operations", "weights", "coefficients"),
    *("input", "condition", "level_rows", "feature_rows", "output", "levels_per_sample"),
)

OPERATION_FIELDS = (
    *("kind", "source", "target", "addend", "extra", "rows"),
    *("height", "groups", "chunks", "rows_per_group", "taps", "dilation", "weights", "bias"),
    *("follows_features", "extra_rows", "scale", "shift"),
    *("activation", "slopes", "gating", "gate", "gate_slopes"),
)

HEADER = np.dtype(
    [
        ("magic", "S4"),
        *((name, "<i4") for name in COUNTS),
        ("input_level_dbu", "<f4"),
        ("output_level_dbu", "<f4"),
        ("identity", f"V{IDENTITY_BYTES}"),
        ("name", f"V{NAME_BYTES}"),
    ]
)

KNOB = np.dtype(
    [
        ("name", f"V{TEXT_BYTES}"),
        *((name, "<i4") for name in ("kind", "flags", "positions")),
        *((name, "<f8") for name in ("min", "max", "default", "step")),
        ("unit", f"V{UNIT_BYTES}"),
    ]
)

POSITION = np.dtype([("name", f"V{TEXT_BYTES}")])

FILE_OPERATION = np.dtype([(name, "<i4") for name in OPERATION_FIELDS])
