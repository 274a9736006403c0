"""A step without arguments, replayed as one CUDA graph: on a GPU these nets are bound by kernel launches, not by arithmetic."""

import warnings
from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the capture, in which libraries choose kernels and make their workspaces


Work = Callable[[], None]


def capture_cuda(work: Work) -> Work:
    """Record what a function launches, without running it; what comes back launches it again, all at once.

    The function must work in place on tensors that stay, read nothing back from the device, and have run on it before.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Replayed:
    """Calls a function as it is, and after `WARM_UP` calls what `capture` makes of it; for good as it is, with one warning, where that fails."""

    def __init__(self, work: Work, capture: Callable[[Work], Work] | None) -> None:
        self._plain, self._capture = work, capture
        self.renew()

    def renew(self) -> None:
        """Warm up and capture again: the function works on other tensors now."""
        self._work, self._calls = self._plain, 0

    def __call__(self) -> None:
        """Do the work once."""
        if self._calls == WARM_UP and self._capture is not None:
            try:
                self._work = self._capture(self._plain)
            except RuntimeError as problem:
                self._capture = None
                warnings.warn(f"training without a CUDA graph, so slower: {problem}", RuntimeWarning, stacklevel=2)
        self._calls += 1
        self._work()
