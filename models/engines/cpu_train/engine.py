"""The compiled engine: a net played and trained by numba kernels on one thread, with the numbers of `WaveNet` itself.

Knobs are folded into weights by torch, so that autograd gives the gradient of parameters, encoders and FiLM; the folded
nets are played and differentiated by `cpu_train.kernels`.

Shapes: B items, T samples in, S samples out (T - R + 1), K knob columns, P parameters, N folded weights.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.engines.base import WORKING_MEMORY, Loss
from models.engines.cpu_train.kernels import backward, forward
from models.engines.cpu_train.program import TrainingProgram
from models.engines.jit import CACHE_LINE, aligned_zeros
from models.network.folding import Folding
from models.network.wavenet import WaveNet


class CompiledEngine:
    """An `Engine` of compiled kernels, for float32 nets on the CPU that `WaveNetConfig.compiles`."""

    def __init__(self, net: WaveNet, truncates: bool = False) -> None:
        self.net, self.folding, self._truncates = net, Folding(net), truncates
        self._executors: dict[bool, tuple[int, _Executor]] = {}

    def __call__(self, x_BT: Tensor, knobs_BK: Tensor) -> Tensor:
        """See `Engine`; the result can be differentiated with respect to the net's parameters."""
        executor = self._executor(x_BT.shape[1], torch.is_grad_enabled())
        vector_P = torch.cat([parameter.reshape(-1) for parameter in self.folding.parameters])
        weights_BN = self.folding.fold(vector_P, knobs_BK)
        parts = zip(x_BT.split(executor.items), weights_BN.split(executor.items), strict=True)
        return self.net.head_scale * torch.cat([executor(x, weights) for x, weights in parts])

    def accumulate_gradient(self, vector_P: Tensor, x_BT: Tensor, knobs_BK: Tensor, loss: Loss) -> float:
        """See `Engine`; `vector_P` must be `as_vector` of the folding's parameters."""
        executor, total, gradients = self._executor(x_BT.shape[1], trains=True), 0.0, []
        weights_BN = self.folding.fold(vector_P, knobs_BK)
        for begin in range(0, len(x_BT), executor.items):
            items = slice(begin, begin + executor.items)
            part_BN = weights_BN[items].detach().requires_grad_()
            part_loss = loss(self.net.head_scale * executor(x_BT[items], part_BN), items)
            part_loss.backward()
            gradients.append(part_BN.grad)
            total += part_loss.item()
        # Not `backward(gradient)`: the first such call imports sympy, for more than a second.
        (weights_BN * torch.cat(gradients)).sum().backward()
        return total

    def _executor(self, samples: int, trains: bool) -> "_Executor":
        """Return the program and memory for inputs of this length; only those for the last length stay."""
        known = self._executors.get(trains)
        if known is None or known[0] != samples:
            program = TrainingProgram(self.folding, samples, trains, self._truncates)
            self._executors[trains] = known = samples, _Executor(program)
        return known[1]


class _Executor:
    """A program, and the memory in which it computes at most `items` items at once."""

    def __init__(self, program: TrainingProgram) -> None:
        self.program = program
        self.items = max(1, WORKING_MEMORY // (4 * program.size))
        size = program.size + -program.size % CACHE_LINE
        self._workspaces = aligned_zeros(self.items * size).reshape(self.items, size)
        self._lanes = aligned_zeros(program.lanes)
        for workspace in self._workspaces:
            workspace[program.ones : program.ones + program.stride] = 1
        self.forward_count = 0  # identifies the forward pass whose signals are in the workspaces

    def __call__(self, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        """Return the outputs `(B, S)`, differentiable with respect to the weights."""
        return _ProgramFunction.apply(self, x_BT, weights_BN)

    def forward(self, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        """Compute the outputs `(B, S)`; the signals on the way stay in the workspaces for `backward`."""
        assert len(x_BT) <= self.items
        p, self.forward_count = self.program, self.forward_count + 1
        y_BS = torch.empty(len(x_BT), p.outputs)
        x, weights, y = (t.detach().contiguous().numpy() for t in (x_BT, weights_BN, y_BS))
        forward(p.forward, *self._arrays(), p.stride, p.stop, weights, self._lanes, p.audio, p.output, x, y)
        return y_BS

    def backward(self, weights_BN: Tensor, dy_BS: Tensor) -> Tensor:
        """Compute the gradient of the weights `(B, N)` of the last forward pass."""
        p = self.program
        gradient_BN = torch.zeros_like(weights_BN, memory_format=torch.contiguous_format)
        weights, dy, gradient = (t.detach().contiguous().numpy() for t in (weights_BN, dy_BS, gradient_BN))
        backward(p.backward, *self._arrays(), p.stride, p.stop, weights, self._lanes, p.output_gradient, dy, gradient)
        return gradient_BN

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.program.instructions, self.program.offsets, self.program.terms, self._workspaces


class _ProgramFunction(torch.autograd.Function):
    """An executor's forward and backward pass; where it computed something else in between, forward runs again."""

    @staticmethod
    def forward(ctx: Any, executor: _Executor, x_BT: Tensor, weights_BN: Tensor) -> Tensor:
        y_BS = executor.forward(x_BT, weights_BN)
        ctx.executor, ctx.forward_count = executor, executor.forward_count
        ctx.save_for_backward(x_BT, weights_BN)
        return y_BS

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, Tensor]:
        executor, (x_BT, weights_BN) = ctx.executor, ctx.saved_tensors
        if executor.forward_count != ctx.forward_count:
            executor.forward(x_BT, weights_BN)
            ctx.forward_count = executor.forward_count
        return None, None, executor.backward(weights_BN, grad_outputs[0])
