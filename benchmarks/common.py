"""What several benchmarks share: nets, batches, synthetic recordings, and the training step of neural-amp-modeler.

Shapes: B items of a batch, T samples in, S samples out, K knob columns.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.artifacts.model_config import make_config
from models.core.schema import read_document
from models.formats.nam.writer import to_nam
from models.knobs.schema import Knob, Knobs, Setting
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.recordings.config import DataConfig
from models.recordings.dataset import AmpData, Piece

CONFIGS = Path(__file__).parent.parent / "configs" / "models"
RATE_HZ = 48_000
LEARNING_RATE = 0.004

Step = Callable[[Tensor, Tensor, Tensor], float]  # from x_BT, target_BS, knobs_BK to the loss


def load_architecture(name: str) -> WaveNetConfig:
    """Read a named architecture of `configs/models`."""
    return read_document(CONFIGS / f"{name}.json", WaveNetConfig)


def fresh_net(config: WaveNetConfig, knobs: int) -> WaveNet:
    """Return a net as training begins with it, the same one each time."""
    torch.manual_seed(0)
    net = WaveNet(config, knobs)
    net.head_scale.fill_(0.1)
    return net


def trained_net(config: WaveNetConfig, knobs: int) -> WaveNet:
    """Return a net in which no weight has a special value, as training would leave it."""
    torch.manual_seed(0)
    net = WaveNet(config, knobs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return net.eval()


def without_knobs(config: WaveNetConfig) -> WaveNetConfig:
    """Return the same architecture without knobs."""
    return config.model_copy(update={"inject": config.inject.model_copy(update={"film": (), "mixin": False})})


def noise_batches(field: int, items: int, samples: int, count: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return `count` batches `(x_BT, target_BS, knobs_BK)`: noise, what a clipping amp makes of it, two idle knobs.

    `field` is the receptive field, `samples` the samples of target per item.
    """
    draw = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(count):
        x_BT = 0.1 * torch.randn(items, field - 1 + samples, generator=draw)
        knobs_BK = torch.rand(items, 2, generator=draw) * 2 - 1
        batches.append((x_BT, 0.3 * torch.tanh(3 * x_BT[:, field - 1 :]), knobs_BK))
    return batches


def synthetic_recordings() -> AmpData:
    """Return noise through a gain and a clipper at nine settings, ten seconds each."""
    knobs = Knobs(knobs=(Knob(name="gain", default=0.5), Knob(name="level", default=0.5)))
    config = DataConfig(name="bench", train=Path("none.json"), held=Path("none.json"))
    x_T = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 10 * RATE_HZ).astype(np.float32))
    pieces = []
    for gain in (0.0, 0.5, 1.0):
        for level in (0.1, 0.5, 1.0):
            setting: Setting = {"gain": gain, "level": level}
            levels_K = torch.tensor(knobs.encode(setting))
            wet_T = level * torch.tanh((1 + 5 * gain) * x_T)
            pieces.append(Piece(0, wet_T, 0, len(x_T), setting, levels_K))
    return AmpData(config, knobs, RATE_HZ, "", "", dry_T=(x_T,), train=tuple(pieces))


def nam_step(config: WaveNetConfig, net: WaveNet, device: str = "cpu") -> Step:
    """Return the training step of neural-amp-modeler on a net without knobs, beginning with our weights.

    Its `LightningModule.training_step` with its mean squared error, `backward`, and its Adam.
    """
    from nam.train.lightning_module import LightningModule

    arrays = [
        {
            "input_size": config.arrays[index - 1].channels if index else 1,
            "condition_size": 1,
            "channels": array.channels,
            "kernel_sizes": list(array.kernel_sizes),
            "dilations": list(array.dilations),
            "activation": array.activations[0].type,
            "head": {
                "out_channels": config.head_outputs(index),
                "kernel_size": array.head_kernel_size,
                "bias": config.head_bias(index),
            },
        }
        for index, array in enumerate(config.arrays)
    ]
    shape = {"layers_configs": arrays, "head_scale": net.head_scale.item()}
    net_config = {"name": "WaveNet", "config": shape}
    module: Any = LightningModule.init_from_config(
        {"net": net_config, "loss": {}, "optimizer": {"lr": LEARNING_RATE}, "lr_scheduler": None}
    )
    document = to_nam(make_config("bench", RATE_HZ, Knobs(knobs=()), config), net)
    module.net.import_weights(torch.tensor(document["weights"]))
    module.to(device)
    optimizer = module.configure_optimizers()

    def step(x_BT: Tensor, target_BS: Tensor, knobs_BK: Tensor) -> float:
        optimizer.zero_grad()
        loss = module.training_step((x_BT, target_BS), 0)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def nam_training(model: WaveNetConfig, batch: int, segment: int, device: str) -> Callable[[int], None]:
    """Return a function that runs so many steps of neural-amp-modeler on a model's shape without knobs.

    Each step waits for its loss, as the trainer's own loop does to show it.
    """
    shape = without_knobs(model)
    step = nam_step(shape, fresh_net(shape, 0), device)
    x_BT, target_BS, knobs_BK = (
        tensor.to(device) for tensor in noise_batches(shape.receptive_field, batch, segment, 1)[0]
    )

    def run(steps: int) -> None:
        for _ in range(steps):
            step(x_BT, target_BS, knobs_BK)

    return run
