"""Compile every kernel that a training step launches for sm_90, without a GPU.

Prints a line per kernel: its name, and the bytes of registers that it spills to memory. A program of its own, as Triton
either interprets or compiles within one process.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from models.engines.gpu import fused, triton_kernels
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet

PTXAS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
ARRAY = {"channels": 16, "dilations": [1, 2], "gating": "blended", "activation": "PReLU", "head1x1": 4}


class CompiledKernel:
    """Stands in for a kernel: a launch compiles it, once for each set of constants."""

    def __init__(self, name: str, kernel: Any) -> None:
        self.name, self.kernel, self.seen = name, kernel, set()

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return self.compile

    def compile(self, *values: Any, **named: Any) -> None:
        values_of = dict(zip(self.kernel.arg_names, values, strict=False)) | named
        fixed = {param.name: values_of[param.name] for param in self.kernel.params if param.is_constexpr}
        kinds = {torch.Tensor: "*fp32", int: "i32", float: "fp32"}
        kinds_of = {name: "constexpr" if name in fixed else kinds[type(value)] for name, value in values_of.items()}
        if str(fixed) in self.seen:
            return
        self.seen.add(str(fixed))
        signature = {name: kinds_of[name] for name in self.kernel.arg_names}
        source = ASTSource(fn=self.kernel, signature=signature, constexprs=fixed)
        code = triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]
        assert "tf32" not in code
        with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
            file.write(code)
            file.flush()
            command = [PTXAS, "-v", "-arch=sm_90a", file.name, "-o", "/dev/null"]
            report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        print(self.name, *re.findall(r"(\d+) bytes spill stores", report))


def main() -> None:
    """Launch one step with kernels that compile in place of running."""
    for name in ("affine", "layer", "layer_backward", "gradient", "transposed"):
        setattr(triton_kernels, name, CompiledKernel(name, getattr(triton_kernels, name)))
    net = WaveNet(WaveNetConfig.model_validate({"arrays": [ARRAY]}), 0)
    folding = Folding(net)
    weights_MN = torch.zeros(1, sum(block.size for block in folding.blocks))
    step = fused.Pass(fused.Fused(folding), weights_MN, torch.zeros(1, net.receptive_field + 9))
    step.backward(step.forward())


if __name__ == "__main__":
    main()
