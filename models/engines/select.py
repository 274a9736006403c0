"""What plays and trains a net: compiled kernels where there are any for its device and type, else the net as it is.

Shapes: B items, T samples in, S samples out, K knobs, P parameters.
"""

from importlib.util import find_spec

import torch

from models.engines.base import Engine
from models.engines.eager import Plain
from models.network.wavenet import WaveNet


def device_for(gpus: float) -> torch.device:
    """Where a training takes place that was promised so many GPUs: on one if it sees any, else on the CPU.

    Promised a part of one, the process keeps to that part of its memory from now on.
    """
    if gpus <= 0 or not torch.cuda.is_available():
        return torch.device("cpu")
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")


def engine_for(net: WaveNet) -> Engine:
    """The fastest engine for a net where it lies."""
    parameter = next(net.parameters())
    plain = parameter.device.type != "cpu" or parameter.dtype != torch.float32 or not net.config.compiles
    if not plain and find_spec("numba"):
        from models.engines.cpu_train.engine import TapeEngine

        return TapeEngine(net)
    return Plain(net)
