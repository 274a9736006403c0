"""A learned taper starts as the identity and rises; an encoder is written as a condition network and read back."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.core.errors import UserError
from models.formats.nam.knob_encoder import read_encoder, write_encoder
from models.network.architecture import Film, Injection
from models.network.knob_encoder import Encoder, Warp
from models.network.numpy_wavenet import NumpyConv, NumpyEncoder, NumpyWarp
from tests.support.makers import examples


@st.composite
def encoders(draw: st.DrawFn) -> tuple[Encoder, int]:
    """Draw an encoder of any form with random parameters, and its columns."""
    columns, seed = draw(st.integers(1, 3)), draw(st.integers(0, 99))
    warp, dense = draw(st.sampled_from([(3, None), (None, 4), (5, 2)]))
    torch.manual_seed(seed)
    encoder = Encoder(columns, Injection(film=(Film(slot="activation_pre"),), warp=warp, encoder=dense))
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    return encoder, columns


def plain(encoder: Encoder) -> NumpyEncoder:
    state = {name: tensor.detach().numpy() for name, tensor in encoder.state_dict().items()}
    warp = NumpyWarp(state["warp.log_slopes"]) if encoder.warp else None
    dense = NumpyConv(state["dense.weight"], state["dense.bias"]) if encoder.dense else None
    return NumpyEncoder(warp, dense, encoder.features)


def test_warp_starts_as_the_identity():
    x_BKT = torch.linspace(-1, 1, 101).expand(1, 2, -1)
    torch.testing.assert_close(Warp(2, 5)(x_BKT), x_BKT)


@given(case=encoders())
@examples(30)
def test_warp_rises_and_begins_at_its_low_end(case: tuple[Encoder, int]):
    encoder, columns = case
    if encoder.warp is not None:
        y_KT = encoder.warp(torch.linspace(-1, 1, 50).expand(1, columns, -1))[0]
        assert (torch.diff(y_KT) > 0).all() and torch.allclose(y_KT[:, 0], torch.tensor(-1.0))


@given(case=encoders())
@examples(30)
def test_condition_network_round_trip_is_exact(case: tuple[Encoder, int]):
    encoder, columns = case
    document = write_encoder(plain(encoder), columns, "0.7.0", 48000)
    again = read_encoder(document, columns, "x.nam")
    assert write_encoder(again, columns, "0.7.0", 48000) == document
    x_BKT = torch.rand(1, columns, 20) * 2 - 1
    torch.testing.assert_close(torch.from_numpy(again.encode(x_BKT[0].numpy())), encoder(x_BKT)[0].detach())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(metadata={}),
        lambda d: d.update(metadata={"ampzoo_encoder": {"warp.log_slopes": [[1, "x"]]}}),
        lambda d: d["metadata"]["ampzoo_encoder"].update({"dense.bias": [[[]]]}),
        lambda d: d["metadata"]["ampzoo_encoder"].pop("dense.weight"),
        lambda d: d["weights"].__setitem__(-2, 9.0),
        lambda d: d.update(weights="many"),
        lambda d: d["config"]["layers"][0].update(activation="Tanh"),
        lambda d: d.update(config=3),
    ],
)
def test_any_other_condition_network_is_refused(spoil, tmp_path: Path):
    torch.manual_seed(0)
    document = write_encoder(plain(Encoder(2, Injection(mixin=True, warp=3, encoder=2))), 2, "0.7.0", 48000)
    spoil(document)
    with pytest.raises(UserError, match="x.nam is not a knob encoder of the family"):
        read_encoder(document, 2, "x.nam")
