"""A net played and trained by the compiled kernels of `models/tape_kernels.py`: one thread, the numbers of `WaveNet` itself.

Shapes: B items, T samples in, S samples out (T less the receptive field, plus 1), K knobs, P parameters, N folded weights.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.engines.base import WORKING_MEMORY, Loss
from models.engines.cpu_train.kernels import learn, play
from models.engines.cpu_train.program import Program
from models.engines.jit import LINE, aligned
from models.network.folding import Folding
from models.network.wavenet import WaveNet


class TapeEngine:
    """An `Engine` of kernels; what it plays can be differentiated with respect to the net's parameters."""

    def __init__(self, net: WaveNet) -> None:
        self.net, self.folding = net, Folding(net)
        self._runs: dict[bool, tuple[int, _Run]] = {}

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """What `net(x_BT, knobs_BK)` gives, `(B, S)`; knobs are still."""
        run = self._run(x_BT.shape[1], torch.is_grad_enabled())
        vector_P = torch.cat([parameter.reshape(-1) for parameter in self.folding.parameters])
        weights_BN = self.folding.fold(vector_P, knobs_BK)
        parts = [run(x, w) for x, w in zip(x_BT.split(run.items), weights_BN.split(run.items), strict=True)]
        return self.net.head_scale * torch.cat(parts)

    def descend(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """See `Engine`."""
        run, total, gradients = self._run(x_BT.shape[1], trains=True), 0.0, []
        weights_BN = self.folding.fold(vector_P, knobs_BK)
        for begin in range(0, len(x_BT), run.items):
            items = slice(begin, begin + run.items)
            part_BN = weights_BN[items].detach().requires_grad_()
            found = loss(self.net.head_scale * run(x_BT[items], part_BN), items)
            found.backward()
            gradients.append(part_BN.grad)
            total += found.item()
        weights_BN.backward(torch.cat(gradients))
        return total

    def _run(self, samples: int, trains: bool) -> "_Run":
        """The program and memory for inputs of this length; those for another length are let go."""
        known = self._runs.get(trains)
        if known is None or known[0] != samples:
            self._runs[trains] = known = samples, _Run(Program(self.folding, samples, trains))
        return known[1]


class _Run:
    """A program, and the memory in which it plays at most `items` items at once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.items = max(1, WORKING_MEMORY // (4 * program.size))
        size = program.size + -program.size % LINE
        self._workspaces = aligned(self.items * size).reshape(self.items, size)
        self._lanes = aligned(program.lanes)
        for s in self._workspaces:
            s[program.ones : program.ones + program.stride] = 1
        self.plays = 0

    def __call__(self, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        """`(B, S)`."""
        return _Played.apply(self, x_BT, weights_BN)

    def play(self, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        """Forwards; the memory keeps the traces."""
        assert len(x_BT) <= self.items
        p, self.plays = self.program, self.plays + 1
        y_BS = torch.empty(len(x_BT), p.outputs)
        x, weights, y = (t.detach().contiguous().numpy() for t in (x_BT, weights_BN, y_BS))
        play(p.forwards, *self._tables(), p.stride, p.stop, weights, self._lanes, p.audio, p.output, x, y)
        return y_BS

    def learn(self, weights_BN: Tensor, dy_BS: Tensor) -> Tensor:
        """The gradient of the weights, from the traces."""
        p = self.program
        gradient_BN = torch.zeros_like(weights_BN, memory_format=torch.contiguous_format)
        weights, dy, gradient = (t.detach().contiguous().numpy() for t in (weights_BN, dy_BS, gradient_BN))
        learn(p.backwards, *self._tables(), p.stride, p.stop, weights, self._lanes, p.output_gradient, dy, gradient)
        return gradient_BN

    def _tables(self) -> tuple[np.ndarray, ...]:
        return self.program.instructions, self.program.places, self.program.terms, self._workspaces


class _Played(torch.autograd.Function):
    """A play and its derivative; where the run has played something else since, it plays this again before it learns."""

    @staticmethod
    def forward(ctx: Any, run: _Run, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        y_BS = run.play(x_BT, weights_BN)
        ctx.run, ctx.play = run, run.plays
        ctx.save_for_backward(x_BT, weights_BN)
        return y_BS

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, Tensor]:
        run, (x_BT, weights_BN) = ctx.run, ctx.saved_tensors
        if run.plays != ctx.play:
            run.play(x_BT, weights_BN)
            ctx.play = run.plays
        return None, None, run.learn(weights_BN, grad_outputs[0])
