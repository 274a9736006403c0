"""A step captured as a CUDA graph and replayed: nets this small are bound by kernel launches, not by arithmetic."""

import warnings
from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the capture, in which libraries choose kernels and allocate workspaces


Work = Callable[[], None]  # one step


def capture_cuda(work: Work) -> Work:
    """Capture the kernels that a function launches, without running them; the result launches all of them at once.

    The function must work in place on tensors that stay, read nothing back from the device, and have run before. Raises
    `RuntimeError` where it cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class GraphReplay:
    """Calls a function as it is for `WARM_UP` calls, then what `capture` returns for it.

    Where the capture fails (`RuntimeError`) or `capture` is None, the function is always called as it is; a failure
    gives one `RuntimeWarning`.
    """

    def __init__(self, work: Work, capture: Callable[[Work], Work] | None) -> None:
        self._plain, self._capture = work, capture
        self.renew()

    def renew(self) -> None:
        """Warm up and capture again; needed once the function works on other tensors."""
        self._work, self._calls = self._plain, 0

    def __call__(self) -> None:
        """Run the step."""
        if self._calls == WARM_UP and self._capture is not None:
            try:
                self._work = self._capture(self._plain)
            except RuntimeError as problem:
                self._capture = None
                warnings.warn(f"training without a CUDA graph, so slower: {problem}", RuntimeWarning, stacklevel=2)
        self._calls += 1
        self._work()
