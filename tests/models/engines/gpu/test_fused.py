"""The fused layers give the outputs and gradients of the batched products.

Where there is no GPU, Triton's interpreter runs them, and they are compiled for one.
"""

import math
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given
from torch import Tensor

from models.engines.gpu import batched
from models.engines.gpu.batched import Batched, StackPlayer, player_for
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from models.recordings.loading import load_data
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer
from tests.support.makers import (
    ACTIVATIONS,
    GATES,
    architecture,
    data_config,
    di,
    examples,
    recipe,
    record,
    wavenet,
    wavenets,
)

if find_spec("triton") is None:
    pytest.skip("the fused layers need Triton, which is not installed", allow_module_level=True)
from models.engines.gpu import fused
from models.engines.gpu.fused import Fused

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def outputs_and_gradient(play: StackPlayer, weights_MN: Tensor, x_MT: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs, and the gradient of their mean square for the weights."""
    y_MS = play(weights_MN, x_MT)
    return y_MS.detach(), torch.autograd.grad(y_MS.square().mean(), weights_MN)[0]


def signals(folding: Folding, samples: int, items: int) -> tuple[Tensor, Tensor]:
    """Return weights of different knobs per item, and noise for so many samples of output."""
    torch.manual_seed(7)
    vector_P = torch.cat([parameter.detach().flatten() for parameter in folding.parameters])
    weights_MN = folding.fold(vector_P, torch.rand(items, folding.knobs) * 2 - 1).to(DEVICE).requires_grad_()
    return weights_MN, torch.randn(items, folding.stock.receptive_field - 1 + samples).to(DEVICE)


def check(net: WaveNet, samples: int = 10, items: int = 1) -> None:
    folding = Folding(net)
    batch = signals(folding, samples, items)
    for truncates in (False, True):
        fused_results, expected = (outputs_and_gradient(kind(folding, truncates), *batch) for kind in (Fused, Batched))
        for found, wanted in zip(fused_results, expected, strict=True):
            assert found.shape == wanted.shape
            assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def small(**array: object) -> WaveNet:
    config = {"channels": 3, "dilations": [1, 2], **array}
    return wavenet(WaveNetConfig.model_validate({"arrays": [config]}))


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("form", ["mixin+film", "film activation_post"])
def test_every_gating_matches(form: str, gating: str):
    check(wavenet(architecture(form, gating=gating)), items=2)


@pytest.mark.parametrize("gating", ["none", "blended"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "Sigmoid"])
def test_every_activation_matches(activation: str, gating: str):
    check(small(activation=activation, gating=gating, gate=activation))


def test_a_negative_slope_matches():
    check(small(activation={"type": "LeakyReLU", "negative_slope": -0.3}))


def test_widths_and_kernels_beyond_one_tile_match():
    for array in (
        {"channels": 17, "bottleneck": 20, "head1x1": 5, "gating": "gated"},
        {"channels": 1, "kernel_size": [1, 19], "head_kernel_size": 7, "activation": "SiLU"},
        {"channels": 4, "kernel_size": 2, "layer1x1": False, "head1x1": 33},
    ):
        check(small(**{"dilations": [1, 5], **array}), 50)


@given(case=wavenets())
@examples(5)
def test_any_net_of_the_family_matches(case: tuple[WaveNet, list[float]]):
    check(case[0].float(), 23)


def test_a_gradient_truncated_within_the_layers_matches():
    check(small(dilations=[1, 200, 90]), 130)


@pytest.mark.parametrize("programs", [1, 5, 1000])
def test_sums_over_time_can_be_split(monkeypatch: pytest.MonkeyPatch, programs: int):
    monkeypatch.setattr(fused, "PROGRAMS", programs)
    check(small(), 200)


def test_nan_stays_in_its_item_and_steps_repeat_exactly():
    folding = Folding(small(activation="ReLU"))
    weights_MN, x_MT = signals(folding, 10, items=3)
    before = outputs_and_gradient(Fused(folding), weights_MN, x_MT)
    with torch.no_grad():
        weights_MN[1, 5] = math.nan
    for found, wanted in zip(outputs_and_gradient(Fused(folding), weights_MN, x_MT), before, strict=True):
        assert found[1].isnan().any()
        assert torch.equal(found[[0, 2]], wanted[[0, 2]])


def test_a_stack_with_fused_kernels_trains_as_solo_runs(tmp_path: Path):
    data = load_data(data_config(record(tmp_path, "train", di(1.5))))
    model = WaveNetConfig.model_validate({"arrays": [{"channels": 2, "dilations": [1]}]})
    plans = [recipe(data.config, model, seed=seed, batch=1, segment=64) for seed in range(2)]
    stack, solos = (
        StackedTrainers([Trainer(plan, data) for plan in plans], DEVICE),
        [Trainer(plan, data) for plan in plans],
    )
    stack._play = Fused(stack._folding)
    assert stack.advance(3) == pytest.approx([solo.advance(3) for solo in solos], rel=1e-5)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert (member.vector_P - solo.vector_P).norm() <= 1e-5 * solo.vector_P.norm()


class Wrong(Fused):
    """Gives half of the right outputs."""

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        return 0.5 * super().__call__(weights_MN, x_MT)


class Failing(Fused):
    """Cannot be compiled."""

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        raise RuntimeError("no such instruction")


@pytest.mark.parametrize(
    ("kind", "words"), [(Fused, []), (Wrong, ["are off by 5.0e-01"]), (Failing, ["no such instruction"])]
)
def test_a_gpu_uses_fused_kernels_once_they_match(monkeypatch: pytest.MonkeyPatch, kind: type[Fused], words: list[str]):
    """The choice is made for a GPU; the comparison runs here."""
    compare = batched._compare_players
    monkeypatch.setattr(
        batched, "_compare_players", lambda found, plain, folding, device: compare(found, plain, folding, DEVICE)
    )
    monkeypatch.setattr(fused, "Fused", kind)
    folding = Folding(small())
    assert type(player_for(folding, torch.device("cpu"))) is Batched
    state = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert type(player_for(folding, torch.device("cuda"))) is (Batched if words else Fused)
    assert [warning.category for warning in caught] == [RuntimeWarning] * len(words)
    assert all(word in str(warning.message) for word, warning in zip(words, caught, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_kernels_compile_for_a_gpu_without_one(tmp_path: Path):
    """To machine code of an H200 (sm_90), with no register spilled to memory and without tf32."""
    place = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    place.pop("TRITON_INTERPRET", None)
    script = Path(__file__).parents[3] / "support" / "compile_triton.py"
    done = subprocess.run([sys.executable, script], env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, counts = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert {"affine", "layer", "layer_backward", "gradient", "transposed"} == set(names)
    assert set(counts) == {"0"}
