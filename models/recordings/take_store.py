"""Where takes are kept: in memory up to a stated size, past it in files that are mapped into it.

Mapped audio is read from the disk when it is used and let go when memory is needed for something else.
"""

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RESIDENT_BYTES = 1 << 32


class Keep:
    """Keeps signals as long as it lives; its files are gone after that."""

    def __init__(self) -> None:
        self._held = self._files = 0
        self._folder: Path | None = None

    def __call__(self, x_T: np.ndarray) -> Tensor:
        """The same numbers as a tensor, float32."""
        assert x_T.dtype == np.float32
        self._held += x_T.nbytes
        if self._held <= RESIDENT_BYTES:
            return torch.from_numpy(x_T)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ampzoo-takes-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / str(self._files)
        self._files += 1
        x_T.tofile(path)
        return torch.from_file(str(path), shared=False, size=len(x_T), dtype=torch.float32)
