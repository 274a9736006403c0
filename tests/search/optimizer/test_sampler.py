"""What the sampler suggests."""

import json
import math
import random

from search.config.space import Space
from search.optimizer.sampler import Sampler
from search.optimizer.surrogate import Weighed, features
from tests.support.searches import WIDE, config_of


def proposer(queue: tuple[dict, ...] = (), space: Space = WIDE) -> Sampler:
    config = config_of().model_copy(update={"space": space})

    def weighed(point: dict) -> Weighed:
        macs = space.model(point).macs_per_sample(2)
        return features(point, macs=macs), math.log10(macs)

    return Sampler(space, 7, lambda point: None, config.identity, weighed, queue, fronts=("one", "other"))


def test_no_recipe_is_proposed_twice_and_the_queue_comes_first():
    space = Space(
        shapes=("a1-nano",),
        depth=(2,),
        channels=(2, 3),
        dilations=("pow2",),
        inject=("mixin", "film"),
        learning_rate=(0.01, 0.01),
    )
    first = space.complete({"channels": 3})
    assert first
    found = proposer((first, first), space)
    seen = []
    while (point := found.ask()) is not None:
        seen.append(json.dumps(point))
        found.begin(config_of().model_copy(update={"space": space}).identity(point), point)
    assert seen[0] == json.dumps(first) and len(seen) == len(set(seen)) == 6, "one shape or two widths, two injections"
    assert found.refused["it was trained already"] > 1


def test_the_proposer_is_what_it_was_told():
    one, two = proposer(), proposer()
    heard: list[tuple] = []
    draw = random.Random(1)
    identity = config_of().model_copy(update={"space": WIDE}).identity
    for number in range(40):
        point = one.ask()
        assert point
        name = identity(point)
        one.begin(name, point)
        heard.append(("begin", name, point))
        if number > 2:
            other = list(one.points)[number - 3]
            first = (math.nan if number % 10 == 0 else draw.random(), draw.random())
            values = {} if number % 9 == 0 else {"one": first, "other": (draw.random(), first[1])}
            limits = {front: {"runaway": draw.uniform(-1, 1)} for front in ("one", "other")}
            one.end(other, values, limits)
            heard.append(("end", other, values, limits))
    for what, *told in heard:
        two.begin(*told) if what == "begin" else two.end(*told)
    assert one.ask() == two.ask()
    for name, study in two.studies.items():
        states = [trial.state.name for trial in study.optuna.trials]
        assert states.count("RUNNING") == 3 and "FAIL" in states, (
            "trials without a result are failures, not for ever running"
        )
        for _, trial, values, limits in (told for told in heard if told[0] == "end"):
            known = study.optuna.trials[study.numbers[trial]]
            assert not known.values or (tuple(known.values), known.constraints) == (values[name], limits[name])
