"""The compiled engine gives the outputs and gradients of the eager net, for every form of the family."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from models.engines import eager, select
from models.engines.base import Engine, as_vector, gradient_reach
from models.engines.cpu_train import engine as compiled
from models.engines.cpu_train.engine import CompiledEngine
from models.engines.eager import EagerEngine
from models.engines.select import engine_for
from models.network.activation import Activation
from models.network.architecture import Injection, LayerArray, WaveNetConfig
from models.network.folding import Folding
from models.network.wavenet import WaveNet
from tests.support.makers import ACTIVATIONS, FORMS, GATES, architecture, examples, wavenet, wavenets

Play = Callable[[Tensor, Tensor], Tensor]


def outputs_and_gradient(
    play: Play, net: nn.Module, x_BT: Tensor, knobs_BK: Tensor, target_BS: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the outputs, and the gradient of a squared error for all parameters as one vector; in float64."""
    net.zero_grad()
    dtype = next(net.parameters()).dtype
    y_BS = play(x_BT.to(dtype), knobs_BK.to(dtype))
    (y_BS - target_BS.to(dtype)).square().mean().backward()
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]
    return y_BS.detach().double(), torch.cat([gradient.reshape(-1) for gradient in gradients]).double()


def signals(net: WaveNet, samples: int, items: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return audio, knobs and targets for so many samples of output."""
    torch.manual_seed(7)
    x_BT, knobs_BK = torch.randn(items, net.receptive_field - 1 + samples), torch.rand(items, net.knobs) * 2 - 1
    return x_BT, knobs_BK, torch.randn(items, samples)


def check(net: WaveNet, samples: int = 200) -> None:
    """Compare the compiled engine in float32 with autograd in float64, with the whole and with a truncated gradient."""
    truth, batch = copy.deepcopy(net).double(), signals(net, samples)
    for truncates, reach in ((False, None), (True, gradient_reach(samples))):
        compiled = outputs_and_gradient(CompiledEngine(net, truncates), net, *batch)
        expected = outputs_and_gradient(partial(truth, reach=reach), truth, *batch)
        for found, wanted in zip(compiled, expected, strict=True):
            assert found.shape == wanted.shape
            assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def test_a_truncated_gradient_takes_what_was_before_as_given():
    """The gradient of each tap: the sum over a segment of its output's gradient times its input, as it was played."""
    array = LayerArray(channels=2, kernel_size=(2,), dilations=(300,))
    net = wavenet(WaveNetConfig(arrays=(array, array)))
    batch = signals(net, 128)
    whole, truncated = (outputs_and_gradient(CompiledEngine(net, cut), net, *batch)[1] for cut in (False, True))
    names = [name for name, p in net.named_parameters() for _ in range(p.numel())]
    last = torch.tensor([name.startswith(("arrays.1.layers", "arrays.1.head")) for name in names])
    first = torch.tensor([name.startswith("arrays.0.layers.0.conv") for name in names])
    torch.testing.assert_close(truncated[last], whole[last])
    assert (truncated[first] - whole[first]).norm() > 0.01 * whole[first].norm()


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("form", FORMS)
def test_every_place_of_knobs_has_exact_gradients(form: str, gating: str):
    check(wavenet(architecture(form, gating=gating)))


@pytest.mark.parametrize("gating", GATES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_exact_gradients(activation: str, gating: str):
    check(wavenet(architecture("mixin+film", activation, gating=gating)))


@pytest.mark.parametrize("gate", ["PReLU", "LeakyReLU", "SiLU"])
def test_every_kind_of_gate_has_exact_gradients(gate: str):
    array = {"channels": 3, "dilations": [1, 2], "gating": "gated", "gate": gate, "activation": "SiLU"}
    check(wavenet(WaveNetConfig.model_validate({"arrays": [array]})))


@pytest.mark.parametrize("name", ["PReLU", "LeakyReLU"])
def test_negative_slopes_have_exact_gradients(name: str):
    activation = Activation.model_validate({"type": name, "negative_slope": -0.3})
    array = LayerArray(channels=3, dilations=(1, 2), activation=(activation,))
    check(wavenet(WaveNetConfig(arrays=(array,)), spread=0.05))


@given(case=wavenets())
@examples(60)
def test_any_net_of_the_family_has_exact_gradients(case: tuple[WaveNet, list[float]]):
    check(case[0].float(), 133)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 22])
def test_every_width_has_exact_gradients(channels: int):
    array = {"channels": channels, "bottleneck": channels + 1, "dilations": [1, 40], "head1x1": 5}
    check(wavenet(WaveNetConfig.model_validate({"arrays": [array, array]}), spread=0.05))


@pytest.mark.parametrize("samples", [1, 2, 100, 108, 109, 110, 511, 512, 1500])
def test_every_length_has_exact_gradients(samples: int):
    check(wavenet(architecture("mixin+film")), samples)


@pytest.mark.parametrize("kernel", [1, 64])
def test_any_head_kernel_has_exact_gradients(kernel: int):
    array = LayerArray(channels=2, kernel_size=(1,), dilations=(1,), head_kernel_size=kernel)
    check(wavenet(WaveNetConfig(arrays=(array, array), inject=Injection(input=True))))


def loss_and_gradient(engine_of: Callable[[WaveNet], Engine], net: WaveNet) -> tuple[float, Tensor]:
    """Return loss and gradient of one batch, by `accumulate_gradient`."""
    net = copy.deepcopy(net)
    vector_P, (x_BT, knobs_BK, target_BS) = as_vector(Folding(net).parameters), signals(net, 300, items=5)

    def loss(predicted_BS: Tensor, items: slice) -> Tensor:
        return (predicted_BS - target_BS[items]).square().mean(1).sum() / 5

    found = engine_of(net).accumulate_gradient(vector_P, x_BT, knobs_BK, loss)
    assert vector_P.grad is not None
    return found, vector_P.grad


@pytest.mark.parametrize("memory", [1, 200_000, 1 << 24])
@pytest.mark.parametrize("kind", [EagerEngine, CompiledEngine])
def test_a_batch_computed_in_parts_gives_the_same_gradient(monkeypatch: pytest.MonkeyPatch, kind: type, memory: int):
    net = wavenet(architecture("mixin+film"))
    wanted, wanted_P = loss_and_gradient(EagerEngine, net)
    for module in (eager, compiled):
        monkeypatch.setattr(module, "WORKING_MEMORY", memory)
    found, found_P = loss_and_gradient(kind, net)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert (found_P - wanted_P).norm() <= 1e-5 * wanted_P.norm()


def test_same_inputs_give_the_same_bytes():
    net, results = wavenet(architecture("encoder", "SiLU")), []
    for _ in range(3):
        results.append(outputs_and_gradient(CompiledEngine(net), net, *signals(net, 700)))
        torch.rand(5)
    for y_BS, gradient in results[1:]:
        assert torch.equal(y_BS, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_another_forward_pass_in_between_changes_no_gradient():
    net = wavenet(architecture("mixin+film"))
    (x_BT, knobs_BK, target_BS), play = signals(net, 200), CompiledEngine(net)
    _, wanted = outputs_and_gradient(play, net, x_BT, knobs_BK, target_BS)
    net.zero_grad()
    y_BS = play(x_BT, knobs_BK)
    play(x_BT.flip(0), -knobs_BK)
    error = (y_BS - target_BS).square().mean()
    error.backward(retain_graph=True)
    once = torch.cat([p.grad.reshape(-1) for p in net.parameters() if p.grad is not None])
    error.backward()
    twice = torch.cat([p.grad.reshape(-1) for p in net.parameters() if p.grad is not None])
    assert torch.equal(once.double(), wanted)
    assert torch.equal(twice, 2 * once)


def test_nan_comes_out_and_leaves_no_trace_in_the_workspace():
    net = wavenet(architecture("mixin+film"))
    batch, play = signals(net, 200), CompiledEngine(net)
    wanted = outputs_and_gradient(play, net, *batch)
    parameter = next(net.parameters())
    original = parameter.detach().clone()
    with torch.no_grad():
        parameter.view(-1)[0] = float("nan")
    results = outputs_and_gradient(play, net, *batch)
    assert not torch.cat([result.reshape(-1) for result in results]).isfinite().all()
    assert not play(*batch[:2]).isfinite().any()
    with torch.no_grad():
        parameter.copy_(original)
    for found, before in zip(outputs_and_gradient(play, net, *batch), wanted, strict=True):
        assert torch.equal(found, before)


def test_forward_without_gradients_gives_the_same_bytes():
    net = wavenet(architecture("film conv_pre", "SiLU", gating="gated"))
    x_BT, knobs_BK, _ = signals(net, 3000)
    play = CompiledEngine(net)
    with torch.no_grad():
        y_BS = play(x_BT, knobs_BK)
    assert torch.equal(y_BS, play(x_BT, knobs_BK))


def test_unsupported_nets_use_the_eager_engine(monkeypatch: pytest.MonkeyPatch):
    net = wavenet(architecture())
    assert isinstance(engine_for(net), CompiledEngine)
    assert isinstance(engine_for(copy.deepcopy(net).double()), EagerEngine)
    monkeypatch.setattr(select, "can_compile", lambda: False)
    assert isinstance(engine_for(net), EagerEngine)
    x_BT, knobs_BK, _ = signals(net, 50)
    assert torch.equal(engine_for(net)(x_BT, knobs_BK), net(x_BT, knobs_BK))


def test_as_vector_shares_memory_with_the_parameters():
    net = wavenet(architecture("encoder"))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    parameters = Folding(net).parameters
    assert {id(p) for p in parameters} == {id(p) for p in net.parameters()} and len(parameters) == len(before) - 1
    vector_P = as_vector(parameters)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with torch.no_grad():
        vector_P.add_(1)
    assert all(torch.equal(p, before[name] + 1) for name, p in net.named_parameters())
    net(torch.randn(1, 60), torch.zeros(1, 2)).sum().backward()
    assert vector_P.grad is not None and vector_P.grad.norm() > 0


@pytest.mark.parametrize("kind", [EagerEngine, CompiledEngine])
def test_training_takes_denormals_as_zero(kind: type):
    net = WaveNet(architecture(), 0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    engine, size = kind(net), net.receptive_field + 63
    none = torch.zeros(1, 0)
    assert not engine(torch.full((1, size), 1e-40), none).any() and engine(torch.full((1, size), 1e-30), none).any()
    folded = engine.folding.parameters if isinstance(engine, CompiledEngine) else list(net.parameters())
    vector_P = as_vector(folded)
    engine.accumulate_gradient(vector_P, torch.full((1, size), 1e-40), none, lambda y_BS, items: y_BS.sum())
    assert vector_P.grad is not None and vector_P.grad.isfinite().all()
    assert (torch.tensor([1e-40]) * 1).item() > 0  # the mode of the thread is as it was
