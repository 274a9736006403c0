"""Update rules of gradient descent, on the parameters of K members at once.

To add a rule: write one more class with a `name` and the methods of `Optimizer`, return it from `optimizer_for`, and
add its word to `LearningConfig`. Nothing else changes: whatever `init` returns is stacked, selected, moved between
devices, saved and loaded by name (`TrainState`, `checkpoint`). A rule that needs each parameter as a matrix extends
`MatrixRule`. The learning rate comes per member and per step.

Shapes: K members, P parameters of one member as one vector, L matrices of one size, O outputs, I inputs.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from models.training.config import LearningConfig

Parameters = Sequence[tuple[str, torch.Size]]  # name and shape, in the order of the vector

OptimizerState = dict[str, Tensor]  # tensors by name, each `(K, ...)`

REFRESH = 10  # steps between two renewals of the bases; 25 are no worse and no faster
FIRST_SHIFT = 1e-3  # of the mean eigenvalue, added to the means that give the first bases
LARGEST = 256  # sides longer than this keep their own basis: decompositions would cost more than a step


class Optimizer(Protocol):
    """An update rule."""

    @property
    def name(self) -> str:
        """Prefix of its tensors in a checkpoint."""
        ...

    def init(self, vector_KP: Tensor) -> OptimizerState:
        """Return the state before the first step."""
        ...

    def update(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Move the vectors and the state of the members in `usable_K` in place; leave the others as they are.

        `rate_K` are float64 learning rates. Off the CPU it reads no number back, so that a CUDA graph can replay it.
        """
        ...


def optimizer_for(learning: LearningConfig, parameters: Parameters) -> Optimizer:
    """Return the rule that a learning config asks for, for a net with these parameters."""
    if learning.optimizer == "adam":
        return Adam()
    return Soap(parameters) if learning.optimizer == "soap" else Muon(parameters)


def replace_rows(old: Tensor, new: Tensor, usable_K: Tensor) -> None:
    """Write the rows of `new` in `usable_K` into `old`, both `(K, ...)`, in place."""
    old.copy_(torch.where(usable_K.view(-1, *(1,) * (old.dim() - 1)), new, old))


class Adam:
    """Adam (Kingma and Ba 2015) without weight decay. Its state has the names of `torch.optim.Adam`."""

    name = "adam"
    betas = (0.9, 0.999)
    epsilon = 1e-8

    def init(self, vector_KP: Tensor) -> OptimizerState:
        """See `Optimizer`."""
        step_K = torch.zeros(len(vector_KP), dtype=torch.float32, device=vector_KP.device)
        return {"step": step_K, "exp_avg": torch.zeros_like(vector_KP), "exp_avg_sq": torch.zeros_like(vector_KP)}

    def update(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """See `Optimizer`. On a CPU torch's kernel is faster, and rounds as all runs before were rounded."""
        rule = self.update_by_kernel if vector_KP.device.type == "cpu" else self.update_batched
        rule(vector_KP, gradient_KP, state, rate_K, usable_K)

    def update_by_kernel(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Update member by member with torch's fused kernel."""
        moved = vector_KP, gradient_KP, state["exp_avg"], state["exp_avg_sq"]
        beta1, beta2 = self.betas
        for member in usable_K.nonzero().flatten().tolist():
            vector, gradient, first, second = ([tensor[member]] for tensor in moved)
            adam(
                vector, gradient, first, second, [], [state["step"][member]], fused=True, amsgrad=False, maximize=False,
                beta1=beta1, beta2=beta2, lr=rate_K[member].item(), weight_decay=0, eps=self.epsilon,
            )  # fmt: skip

    def update_batched(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """Update all members at once. The bias corrections are float64, as they are near 0 at first."""
        beta1, beta2 = self.betas
        step_K = state["step"] + 1
        first_KP = torch.lerp(state["exp_avg"], gradient_KP, 1 - beta1)
        second_KP = torch.addcmul(beta2 * state["exp_avg_sq"], gradient_KP, gradient_KP, value=1 - beta2)
        rate_K1 = (rate_K / (1 - beta1 ** step_K.double())).to(gradient_KP)[:, None]
        root_K1 = (1 - beta2 ** step_K.double()).sqrt().to(gradient_KP)[:, None]
        replace_rows(vector_KP, vector_KP - rate_K1 * first_KP / (second_KP.sqrt() / root_K1 + self.epsilon), usable_K)
        replace_rows(state["exp_avg"], first_KP, usable_K)
        replace_rows(state["exp_avg_sq"], second_KP, usable_K)
        replace_rows(state["step"], step_K, usable_K)


class MatrixRule:
    """What rules share that treat each weight as a matrix of outputs and inputs.

    A weight's bias, and a layer's mixin, are further columns. All matrices of one size and all members are updated at
    once. A rule adds `_init` and `_step`.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._groups = matrix_groups(parameters)

    def init(self, vector_KP: Tensor) -> OptimizerState:
        """See `Optimizer`."""
        state = {"step": torch.zeros(len(vector_KP), dtype=torch.float32, device=vector_KP.device)}
        for number, index_LOI in enumerate(self._groups):
            own = self._init(vector_KP.new_zeros(len(vector_KP), *index_LOI.shape))
            state |= {f"{number}.{name}": value for name, value in own.items()}
        return state

    def update(
        self, vector_KP: Tensor, gradient_KP: Tensor, state: OptimizerState, rate_K: Tensor, usable_K: Tensor
    ) -> None:
        """See `Optimizer`."""
        on_cpu = vector_KP.device.type == "cpu"
        if on_cpu and not usable_K.any():
            return
        if self._groups[0].device != vector_KP.device:  # once, and not in a captured step
            self._groups = [index_LOI.to(vector_KP.device) for index_LOI in self._groups]
        step_K = state["step"] + 1
        moved = {"step": step_K}
        change_KP = torch.zeros_like(vector_KP)
        for number, index_LOI in enumerate(self._groups):
            own = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{number}.")}
            found, change_KLOI = self._step(own, gradient_KP[:, index_LOI], step_K)
            change_KP[:, index_LOI] = change_KLOI
            moved |= {f"{number}.{name}": value for name, value in found.items()}
        replace_rows(vector_KP, vector_KP - rate_K.to(vector_KP)[:, None] * change_KP, usable_K)
        if on_cpu and usable_K.all():
            state.update({name: value.contiguous() for name, value in moved.items()})  # as a file would hold it
            return
        for name, value in moved.items():
            replace_rows(state[name], value, usable_K)

    def _init(self, zeros_KLOI: Tensor) -> OptimizerState:
        """Return the state of the matrices of one size, given zeros of their shape, which may be used."""
        raise NotImplementedError

    def _step(self, own: OptimizerState, gradient_KLOI: Tensor, step_K: Tensor) -> tuple[OptimizerState, Tensor]:
        """Return the new state of the matrices of one size, and their change `(K, L, O, I)` per learning rate.

        `step_K` counts this step, too.
        """
        raise NotImplementedError


class Soap(MatrixRule):
    """SOAP: Adam in the slowly changing eigenbasis of Shampoo's preconditioner.

    Source: Vyas et al., ICLR 2025, arXiv:2409.11321. The running means of `G G'` and `G' G` (`left`, `right`) give one
    basis for the outputs and one for the inputs, renewed every `REFRESH` steps by one step of subspace iteration: a QR
    decomposition of the mean times the basis. Off the CPU new bases are computed at every step and used when they are
    due. The second moment is in that basis, the first in the parameters' own.
    """

    name = "soap"
    betas = (0.9, 0.99)
    epsilon = 1e-8
    memory = 0.95  # of the running means that give the bases

    def _init(self, zeros_KLOI: Tensor) -> OptimizerState:
        """See `MatrixRule`."""
        own = {"exp_avg": zeros_KLOI, "exp_avg_sq": zeros_KLOI.clone()}
        for side, size in zip(("left", "right"), zeros_KLOI.shape[2:], strict=True):
            if 1 < size <= LARGEST:
                own[side] = zeros_KLOI.new_zeros(*zeros_KLOI.shape[:2], size, size)
                identity = torch.eye(size, dtype=zeros_KLOI.dtype, device=zeros_KLOI.device)
                own[f"{side}_basis"] = identity.expand_as(own[side]).clone()
        return own

    def _step(self, own: OptimizerState, gradient_KLOI: Tensor, step_K: Tensor) -> tuple[OptimizerState, Tensor]:
        """See `MatrixRule`."""
        found: OptimizerState = {}
        refresh_K = (step_K == 1) | (step_K % REFRESH == 0)
        refreshes = gradient_KLOI.device.type != "cpu" or bool(refresh_K.any())
        for side, products in (("left", gradient_KLOI @ gradient_KLOI.mT), ("right", gradient_KLOI.mT @ gradient_KLOI)):
            if side in own:
                found[side] = torch.lerp(own[side], products, 1 - self.memory)
                basis = own[f"{side}_basis"]
                if refreshes:
                    shift_K = FIRST_SHIFT * (step_K == 1).to(basis)
                    renewed = torch.linalg.qr(_shifted(found[side], shift_K) @ basis)[0]
                    basis = torch.where(refresh_K.view(-1, 1, 1, 1), renewed, basis)
                found[f"{side}_basis"] = basis
        left, right = found.get("left_basis"), found.get("right_basis")
        rotated = _rotate(gradient_KLOI, left, right)
        found |= _moments(own, gradient_KLOI, rotated, self.betas)
        first, second = _corrections(step_K, self.betas, gradient_KLOI)
        scaled = _rotate(found["exp_avg"], left, right) / ((found["exp_avg_sq"] / second).sqrt() + self.epsilon)
        return found, _rotate(scaled, None if left is None else left.mT, None if right is None else right.mT) / first


class Muon(MatrixRule):
    """Muon: momentum, made orthogonal by Newton-Schulz iterations; Adam for the numbers of single rows and columns.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. The change is scaled by
    `0.2 sqrt(max(O, I))`, so that it is as large as Adam's (Liu et al. 2025, arXiv:2502.16982).
    """

    name = "muon"
    betas = (0.9, 0.99)  # of Adam
    epsilon = 1e-8
    momentum = 0.95
    iterations = 5
    polynomial = (3.4445, -4.7750, 2.0315)  # odd, of degree 5: moves singular values to about 1

    def _init(self, zeros_KLOI: Tensor) -> OptimizerState:
        """See `MatrixRule`."""
        if zeros_KLOI.shape[2:].numel() == 1:
            return {"exp_avg": zeros_KLOI, "exp_avg_sq": zeros_KLOI.clone()}
        return {"momentum": zeros_KLOI}

    def _step(self, own: OptimizerState, gradient_KLOI: Tensor, step_K: Tensor) -> tuple[OptimizerState, Tensor]:
        """See `MatrixRule`."""
        if "momentum" not in own:
            found = _moments(own, gradient_KLOI, gradient_KLOI, self.betas)
            first, second = _corrections(step_K, self.betas, gradient_KLOI)
            return found, found["exp_avg"] / first / ((found["exp_avg_sq"] / second).sqrt() + self.epsilon)
        momentum = torch.lerp(own["momentum"], gradient_KLOI, 1 - self.momentum)
        nesterov = torch.lerp(momentum, gradient_KLOI, 1 - self.momentum)
        scale = 0.2 * math.sqrt(max(gradient_KLOI.shape[2:]))
        return {"momentum": momentum}, scale * self._orthogonalized(nesterov)

    def _orthogonalized(self, matrix_KLOI: Tensor) -> Tensor:
        """Return the matrices with all singular values near 1."""
        tall = matrix_KLOI.shape[2] > matrix_KLOI.shape[3]
        x = matrix_KLOI.mT if tall else matrix_KLOI
        x = x / (torch.linalg.matrix_norm(x, keepdim=True) + self.epsilon)
        a, b, c = self.polynomial
        for _ in range(self.iterations):
            gram = x @ x.mT
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x.mT if tall else x


def _shifted(mean_KLSS: Tensor, shift_K: Tensor) -> Tensor:
    """Return symmetric matrices with a share of their mean eigenvalue added to every eigenvalue.

    Needed where a mean has no power in many directions, as in the first step: there rounding alone would choose the
    basis, so that no two engines agree. In later steps it would keep the basis from turning to the weak directions.
    """
    diagonal_KLS = mean_KLSS.diagonal(dim1=-2, dim2=-1)
    added_KL1 = shift_K.view(-1, 1, 1) * diagonal_KLS.mean(-1, keepdim=True)
    return mean_KLSS + torch.diag_embed(added_KL1.expand_as(diagonal_KLS))


def _moments(own: OptimizerState, gradient: Tensor, rotated: Tensor, betas: tuple[float, float]) -> OptimizerState:
    """Return the running means of a gradient and of the square of the rotated one."""
    return {
        "exp_avg": torch.lerp(own["exp_avg"], gradient, 1 - betas[0]),
        "exp_avg_sq": torch.addcmul(betas[1] * own["exp_avg_sq"], rotated, rotated, value=1 - betas[1]),
    }


def _corrections(step_K: Tensor, betas: tuple[float, float], like: Tensor) -> list[Tensor]:
    """Return what Adam divides its running means by, as they begin at zero."""
    return [(1 - beta ** step_K.double()).to(like).view(-1, 1, 1, 1) for beta in betas]


def matrix_groups(parameters: Parameters) -> list[Tensor]:
    """Return the places of a net's matrices in its vector of parameters: index tensors `(L, O, I)`, one for each size.

    Parameters of one module are one matrix, and so are a layer's convolution and mixin. The numbers of a single row or
    column are matrices of one number: for them the rules are Adam.
    """
    modules: dict[str, list[Tensor]] = {}
    first = 0
    for name, shape in parameters:
        count = shape.numel()
        module, _, leaf = name.rpartition(".")
        module = module.removesuffix("mixin") + "conv" if module.endswith(".mixin") else module
        is_row = leaf not in ("weight", "bias")
        rows = 1 if is_row else shape[0]
        index_OI = torch.arange(first, first + count).view(rows, -1)
        modules.setdefault(name if is_row else module, []).append(index_OI)
        first += count
    sizes: dict[torch.Size, list[Tensor]] = {}
    for parts in modules.values():
        for matrix_OI in _join(parts):
            single = matrix_OI.reshape(-1, 1, 1) if 1 in matrix_OI.shape else matrix_OI[None]
            sizes.setdefault(single.shape[1:], []).append(single)
    return [torch.cat(matrices) for matrices in sizes.values()]


def _join(parts: Sequence[Tensor]) -> list[Tensor]:
    """Put index matrices of the same outputs side by side."""
    heights: dict[int, list[Tensor]] = {}
    for part in parts:
        heights.setdefault(len(part), []).append(part)
    return [torch.cat(alike, 1) for alike in heights.values()]


def _rotate(matrix_KLOI: Tensor, left: Tensor | None, right: Tensor | None) -> Tensor:
    """Return `left' M right`, a side that is None left out."""
    rotated = matrix_KLOI if left is None else left.mT @ matrix_KLOI
    return rotated if right is None else rotated @ right
