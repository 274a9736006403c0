"""The choice of device and engine: compiled kernels where they support the net, else the eager engine."""

import torch

from models.engines.base import Engine
from models.engines.eager import EagerEngine
from models.engines.jit import can_compile
from models.network.wavenet import WaveNet


def device_for(gpus: float) -> torch.device:
    """Return the device for a training that was given so many GPUs (0.5 is half of one): a GPU if torch sees one.

    With less than one GPU, this process's share of its memory is limited from now on.
    """
    if gpus <= 0 or not torch.cuda.is_available():
        return torch.device("cpu")
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")


def engine_for(net: WaveNet, truncates: bool = False) -> Engine:
    """Return the fastest engine for a net on the device where it is; `truncates`: see `gradient_reach`."""
    parameter = next(net.parameters())
    is_supported = parameter.device.type == "cpu" and parameter.dtype == torch.float32 and net.config.compiles
    if is_supported and can_compile():
        from models.engines.cpu_train.engine import CompiledEngine

        return CompiledEngine(net, truncates)
    return EagerEngine(net, truncates)
