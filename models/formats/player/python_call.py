"""A block of the C player as a function of CPython; `player/python.c` says why, and is the other half.

Shapes: T time (one block), K columns: what the network takes of the knobs.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

FUNCTIONS = (
    *("PyObject_GetBuffer", "PyBuffer_Release", "PyErr_Clear"),
    *("PyEval_SaveThread", "PyEval_RestoreThread", "PyLong_FromLongLong", "PyLong_AsVoidPtr"),
)

NOT_TAKEN = -1

PythonCall = Callable[[Any, Any, Any], int]


class BoundCall(ctypes.Structure):
    """What a function is bound to: `Call` of `player/python.c`."""

    _fields_ = (("player", ctypes.c_void_p), ("columns", ctypes.c_int32))


def bind_process(library: Any, player: int, columns: int) -> tuple[PythonCall, object] | None:
    """Return a function `process(x_T, levels, out_T)` that plays a block, and what must live as long as it.

    It returns how many samples were not finite and played as silence; `NOT_TAKEN`, where it has played nothing because
    an argument is no contiguous float32 array of the right shape. None on a Python that is not CPython.
    """
    if sys.implementation.name != "cpython":
        return None
    api = ctypes.pythonapi
    pointers = (ctypes.cast(getattr(api, name), ctypes.c_void_p) for name in FUNCTIONS)
    table = (ctypes.c_void_p * len(FUNCTIONS))(*pointers)
    library.player_python_method.restype = ctypes.c_void_p
    create = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
        ("PyCFunction_NewEx", api)
    )
    bound = BoundCall(player, columns)
    return create(library.player_python_method(table), ctypes.addressof(bound), None), bound
