"""The fused layers of a GPU play and learn what the batched products do: run by Triton's interpreter where there is no GPU, and compiled for one."""

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
from models.engines.gpu.batched import Batched, Player, player_for
from models.network.architecture import WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from models.recordings.loading import load_data
from models.training.stacked import Stack
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


def learned(play: Player, weights_MN: Tensor, x_MT: Tensor) -> tuple[Tensor, Tensor]:
    """What comes out, and the gradient of the weights for a squared error against nothing."""
    y_MS = play(weights_MN, x_MT)
    return y_MS.detach(), torch.autograd.grad(y_MS.square().mean(), weights_MN)[0]


def signals(folding: Folding, samples: int, items: int) -> tuple[Tensor, Tensor]:
    """Weights of other knobs in each item, and noise for so many samples of output."""
    torch.manual_seed(7)
    vector_P = torch.cat([parameter.detach().flatten() for parameter in folding.parameters])
    weights_MN = folding.fold(vector_P, torch.rand(items, folding.knobs) * 2 - 1).to(DEVICE).requires_grad_()
    return weights_MN, torch.randn(items, folding.stock.receptive_field - 1 + samples).to(DEVICE)


def check(net: WaveNet, samples: int = 10, items: int = 1) -> None:
    folding = Folding(net)
    heard = signals(folding, samples, items)
    for found, wanted in zip(learned(Fused(folding), *heard), learned(Batched(folding), *heard), strict=True):
        assert found.shape == wanted.shape and (found - wanted).norm() <= 1e-5 * wanted.norm()


def small(**array: object) -> WaveNet:
    config = {"channels": 3, "dilations": [1, 2], **array}
    return wavenet(WaveNetConfig.model_validate({"arrays": [config]}))


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("form", ["mixin+film", "film activation_post"])
def test_every_gating_is_learned(form: str, gating: str):
    check(wavenet(architecture(form, gating=gating)), items=2)


@pytest.mark.parametrize("gating", ["none", "blended"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "Sigmoid"])
def test_every_activation_is_learned(activation: str, gating: str):
    check(small(activation=activation, gating=gating, gate=activation))


def test_slope_below_zero_is_learned():
    check(small(activation={"type": "LeakyReLU", "negative_slope": -0.3}))


def test_widths_and_kernels_that_fill_several_tiles_or_none_are_learned():
    for array in (
        {"channels": 17, "bottleneck": 20, "head1x1": 5, "gating": "gated"},
        {"channels": 1, "kernel_size": [1, 19], "head_kernel_size": 7, "activation": "SiLU"},
        {"channels": 4, "kernel_size": 2, "layer1x1": False, "head1x1": 33},
    ):
        check(small(**{"dilations": [1, 5], **array}), 50)


@given(case=wavenets())
@examples(5)
def test_any_net_of_the_family_is_learned(case: tuple[WaveNet, list[float]]):
    check(case[0].float(), 23)


@pytest.mark.parametrize("programs", [1, 5, 1000])
def test_sums_over_time_may_be_shared_out(monkeypatch: pytest.MonkeyPatch, programs: int):
    monkeypatch.setattr(fused, "PROGRAMS", programs)
    check(small(), 200)


def test_item_that_is_not_finite_touches_no_other_and_the_same_step_gives_the_same_bits():
    folding = Folding(small(activation="ReLU"))
    weights_MN, x_MT = signals(folding, 10, items=3)
    before = learned(Fused(folding), weights_MN, x_MT)
    with torch.no_grad():
        weights_MN[1, 5] = math.nan
    for found, wanted in zip(learned(Fused(folding), weights_MN, x_MT), before, strict=True):
        assert found[1].isnan().any() and torch.equal(found[[0, 2]], wanted[[0, 2]])


def test_stack_trains_by_them_as_alone(tmp_path: Path):
    data = load_data(data_config(record(tmp_path, "train", di(1.5))))
    model = WaveNetConfig.model_validate({"arrays": [{"channels": 2, "dilations": [1]}]})
    plans = [recipe(data.config, model, seed=seed, batch=1, segment=64) for seed in range(2)]
    stack, solos = Stack([Trainer(plan, data) for plan in plans], DEVICE), [Trainer(plan, data) for plan in plans]
    stack._play = Fused(stack._folding)
    assert stack.advance(3) == pytest.approx([solo.advance(3) for solo in solos], rel=1e-5)
    for member, solo in zip(stack.trainers, solos, strict=True):
        assert (member.vector_P - solo.vector_P).norm() <= 1e-5 * solo.vector_P.norm()


class Lying(Fused):
    """Gives half of what it should."""

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        return 0.5 * super().__call__(weights_MN, x_MT)


class Missing(Fused):
    """Cannot be compiled."""

    def __call__(self, weights_MN: Tensor, x_MT: Tensor) -> Tensor:
        raise RuntimeError("no such instruction")


@pytest.mark.parametrize(
    ("kind", "told"), [(Fused, []), (Lying, ["are off by 5.0e-01"]), (Missing, ["no such instruction"])]
)
def test_they_play_on_a_gpu_once_they_prove_right(monkeypatch: pytest.MonkeyPatch, kind: type[Fused], told: list[str]):
    """The choice is made for a GPU; the proof is run here."""
    compare = batched._compare
    monkeypatch.setattr(
        batched, "_compare", lambda found, plain, folding, device: compare(found, plain, folding, DEVICE)
    )
    monkeypatch.setattr(fused, "Fused", kind)
    folding = Folding(small())
    assert type(player_for(folding, torch.device("cpu"))) is Batched
    state = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert type(player_for(folding, torch.device("cuda"))) is (Batched if told else Fused)
    assert [one.category for one in heard] == [RuntimeWarning] * len(told)
    assert all(word in str(one.message) for word, one in zip(told, heard, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_they_are_compiled_for_a_gpu_without_one(tmp_path: Path):
    """To machine code of an H200 (sm_90), with no number kept outside of registers, and without tf32."""
    place = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    place.pop("TRITON_INTERPRET", None)
    script = Path(__file__).parents[3] / "support" / "compile_triton.py"
    done = subprocess.run([sys.executable, script], env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names, counts = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert {"affine", "layer", "derive", "gradient", "transposed"} == set(names) and set(counts) == {"0"}
