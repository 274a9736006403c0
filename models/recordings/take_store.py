"""Holds decoded takes: in memory up to a size, past it in memory-mapped files, which go with their tensors.

Mapped audio is read from disk when it is used, and the operating system may drop it when memory is short.
"""

import os
import weakref
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.core.scratch import Scratch

RESIDENT_BYTES = 1 << 32


class TakeStore:
    """Turns signals into tensors that stay valid as long as the store lives; then its files are deleted."""

    def __init__(self, resident_bytes: int | None = None) -> None:
        """Hold up to `resident_bytes` in memory, `RESIDENT_BYTES` where none are stated."""
        self._resident_bytes = RESIDENT_BYTES if resident_bytes is None else resident_bytes
        self._bytes = self._files = 0
        self._scratch: Scratch | None = None

    def __call__(self, x_T: np.ndarray) -> Tensor:
        """Return the same float32 samples as a tensor, in memory or mapped from a file."""
        assert x_T.dtype == np.float32
        self._bytes += x_T.nbytes
        if self._bytes <= self._resident_bytes:
            return torch.from_numpy(x_T)
        if self._scratch is None:
            self._scratch = Scratch()
            weakref.finalize(self, self._scratch.remove)
        path = self._scratch.folder / str(self._files)
        self._files += 1
        x_T.tofile(path)
        mapped_T = torch.from_file(str(path), shared=False, size=len(x_T), dtype=torch.float32)
        weakref.finalize(mapped_T, _delete_unused, path)
        return mapped_T


def _delete_unused(path: Path) -> None:
    """Delete the file of a tensor that is gone; one that a view still maps stays until the store ends, on Windows."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if os.name != "nt":
            raise
