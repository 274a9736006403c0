"""Compiles every kernel that a step launches for sm_90, without a GPU; prints a line for each: its name, and the bytes it spills.

A program of its own: Triton either interprets or compiles in a process.
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

from models.engines.gpu import fused
from models.engines.gpu import triton_kernels as fused_kernels
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet

PTXAS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
ARRAY = {"channels": 16, "dilations": [1, 2], "gating": "blended", "activation": "PReLU", "head1x1": 4}


class Compiled:
    """Stands for a kernel: a launch compiles it, once for each set of sizes."""

    def __init__(self, name: str, kernel: Any) -> None:
        self.name, self.kernel, self.seen = name, kernel, set()

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return self.compile

    def compile(self, *values: Any, **named: Any) -> None:
        values_of = dict(zip(self.kernel.arg_names, values, strict=False)) | named
        fixed = {one.name: values_of[one.name] for one in self.kernel.params if one.is_constexpr}
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
            told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        print(self.name, *re.findall(r"(\d+) bytes spill stores", told))


def main() -> None:
    """Launch a step."""
    for name in ("affine", "layer", "derive", "gradient", "transposed"):
        setattr(fused_kernels, name, Compiled(name, getattr(fused_kernels, name)))
    net = WaveNet(WaveNetConfig.model_validate({"arrays": [ARRAY]}), 0)
    folding = Folding(net)
    weights_MN = torch.zeros(1, sum(block.size for block in folding.blocks))
    step = fused._Pass(fused.Fused(folding), weights_MN, torch.zeros(1, net.receptive_field + 9))
    step.backwards(step.forwards())


if __name__ == "__main__":
    main()
