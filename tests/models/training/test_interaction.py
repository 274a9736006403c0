"""What two knobs do together beyond what each does alone is measured, and training keeps it small."""

import math
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from models.engines.base import as_vector, named_parameters
from models.engines.select import engine_for
from models.knobs.schema import Knobs
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.recordings.dataset import AmpData, Piece
from models.training.config import LearningConfig
from models.training.interaction import (
    INTERACTION_EVERY,
    INTERACTION_SAMPLES,
    InteractionLoss,
    draw_input,
    draw_rectangle,
    interaction_of,
    interaction_weight,
    interacts,
)
from models.training.windows import WindowSampler
from tests.support.makers import KNOBS

NOISE_T = torch.randn(4096, generator=torch.Generator().manual_seed(0))
SWITCHED = Knobs.model_validate(
    {"knobs": [{"name": "gain"}, {"name": "tone", "max": 1}, {"name": "mode", "positions": ["a", "b", "c"]}]}
)


def filtered(x_T: torch.Tensor, smooth: float) -> torch.Tensor:
    """A sound, softened by the mean with its neighbor."""
    return (1 - smooth) * x_T + smooth * torch.roll(x_T, 1)


def test_gains_and_filters_do_not_interact():
    four = [gain * filtered(NOISE_T, smooth) for gain in (0.1, 3.0) for smooth in (0.0, 0.3)]
    assert interaction_of(torch.stack(four)[None]).item() < 1e-3
    assert interaction_of(torch.zeros(1, 4, 512)).item() == 0


def test_interaction_is_that_of_the_levels():
    """At the fourth setting twice as loud as what the two knobs do alone."""
    four = torch.stack([NOISE_T, 2 * NOISE_T, 3 * NOISE_T, 12 * NOISE_T])
    found_K = interaction_of(torch.stack([four, 100 * four]))
    assert found_K.tolist() == pytest.approx([math.log(2) ** 2] * 2, rel=1e-2)


def test_two_knobs_turn_and_the_others_stand_still():
    rectangles = [draw_rectangle(SWITCHED, 3, step) for step in range(20)]
    assert torch.equal(rectangles[7], draw_rectangle(SWITCHED, 3, 7))
    assert not torch.equal(rectangles[7], draw_rectangle(SWITCHED, 4, 7))
    for start, second, first, both in rectangles:
        assert torch.allclose(first + second - start, both)
        assert ((first != start) & (second != start)).sum() == 0 and both.abs().max() <= 1
    assert len({tuple((both != start).tolist()) for start, _, _, both in rectangles}) > 3


def windows_of(
    knobs: Knobs, interaction: float, bases: Sequence[object] = (), stops: Sequence[int] = (4096,), context: int = 26
) -> WindowSampler:
    """Windows of one dry signal, as far as the interaction asks for them, with a piece up to each of `stops`."""
    data = SimpleNamespace(knobs=knobs, dry_T=[NOISE_T])
    data.dry = partial(AmpData.dry, cast(AmpData, data))
    pieces = [Piece(0, NOISE_T, 0, stop, {}, NOISE_T[:0]) for stop in stops]
    learning, composer = LearningConfig(interaction=interaction), SimpleNamespace(bases=bases)
    return cast(
        WindowSampler,
        SimpleNamespace(data=data, learning=learning, composer=composer, pieces=pieces, context=context),
    )


def test_interaction_counts_where_it_can_and_nothing_is_composed():
    one = Knobs.model_validate({"knobs": [{"name": "gain"}]})
    assert interaction_weight(windows_of(SWITCHED, 0.3), "levels") == 0.3
    assert interaction_weight(windows_of(SWITCHED, 0.3), "type_level") == 0
    assert interaction_weight(windows_of(SWITCHED, 0.3, ["a base"]), "levels") == 0
    assert interaction_weight(windows_of(one, 0.3), "levels") == 0
    assert [interacts(step, 0.3) for step in range(4)] == [True, False, True, False]
    assert not interacts(0, 0.0)


def test_inputs_are_loud_and_long_enough_for_low_bands_whatever_the_takes():
    """They begin in silence where a take is shorter."""
    windows = windows_of(SWITCHED, 1.0, stops=(4096, 3000, 100))
    drawn = [draw_input(windows, step) for step in range(40)]
    assert {len(x_T) for x_T in drawn} == {26 + INTERACTION_SAMPLES}
    assert torch.equal(drawn[7], draw_input(windows, 7)) and not torch.equal(drawn[7], drawn[8])
    usual = NOISE_T.square().mean()
    assert torch.stack([x_T[26:].square().mean() for x_T in drawn]).mean() > usual
    (short, *_), stop = [draw_input(windows_of(SWITCHED, 1.0, stops=(100,)), step) for step in range(3)], 100
    assert not short[:-stop].any() and torch.equal(short[-stop:], NOISE_T[:stop])


def interaction_at(net: WaveNet, x_T: torch.Tensor, step: int) -> float:
    with torch.no_grad():
        return interaction_of(net(x_T.expand(4, -1), draw_rectangle(KNOBS, 9, step))[None]).item()


def test_following_the_gradient_makes_the_interaction_small():
    """At settings that were not drawn."""
    torch.manual_seed(0)
    model = {"arrays": [{"channels": 4, "dilations": [1, 3, 9]}], "inject": {"film": ["activation_pre"]}}
    net = WaveNet(WaveNetConfig.model_validate(model), 2)
    for layer in next(iter(net.arrays)).layers:
        film = layer.film("activation_pre")
        assert film is not None
        film.weight.data *= 5
    x_T = NOISE_T[: 1000 + net.receptive_field - 1]
    before = [interaction_at(net, x_T, step) for step in range(1000, 1020)]
    vector_P = as_vector(list(named_parameters(net).values()))
    loss = InteractionLoss(engine_for(net), windows_of(KNOBS, 1.0, context=net.receptive_field - 1))
    rule = torch.optim.Adam([vector_P], lr=0.003)
    for step in range(200):
        assert vector_P.grad is not None
        vector_P.grad.zero_()
        loss.accumulate_gradient(vector_P, step)
        assert bool(vector_P.grad.any()) == (step % INTERACTION_EVERY == 0)
        if step % INTERACTION_EVERY == 0:
            rule.step()
    after = [interaction_at(net, x_T, step) for step in range(1000, 1020)]
    assert sum(after) < 0.3 * sum(before), (sum(before), sum(after))
