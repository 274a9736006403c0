"""What another hour of a search would probably bring, from the errors of its trials."""

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean

from pydantic import ValidationError

from models.recordings.dataset import AmpData
from search.config.study import ALL, SearchConfig
from search.optimizer.calibration import log_error
from search.optimizer.sampler import outlook_points
from search.optimizer.surrogate import Encoded, FrontResults
from search.study.constraints import Constraints, ModelCandidate
from search.study.cost import CountedCost
from search.study.lines import ENDS, FINISHED, LedgerLine, TrialEnd, TrialRecord, TrialStart, latest, trained_seconds
from search.study.objectives import error_of, front_names

OUTLOOK_NEEDS = 8  # finished trials: with fewer, nothing is predicted

HOUR_S = 3600

SMALL_GAIN = 0.02  # of the error: less is called nothing


def outlook_sentences(config: SearchConfig, lines: Sequence[LedgerLine], amps: Sequence[AmpData]) -> list[str]:
    """Return a sentence or two for each front; empty where too few trials have finished or no point is left."""
    finished = [record for record in latest(lines) if record.state == FINISHED and not record.is_final]
    more = _trials_in(HOUR_S, lines)
    if len(finished) < OUTLOOK_NEEDS or not more:
        return []
    constraints = Constraints(config, amps, CountedCost())
    queries = _new_points(constraints, finished)
    if not queries:
        return ["Another hour would bring nothing: no point of the space is left that may be trained."]
    sentences = [f"Another hour would train about {more:,} more trials like these."]
    for name in front_names(config):
        results = FrontResults()
        for record in finished:
            known = _encoded_candidate(constraints.to_candidate(record.point))
            results.ended[record.trial] = known, log_error(error_of(record, name))
        best = min(error_of(record, name) for record in finished)
        low, middle, high = (10**value for value in results.outlook(queries, more))
        whose = "" if name == ALL else f" for {name}"
        if middle > best * (1 - SMALL_GAIN):
            sentences.append(
                f"Predicted from their errors, none of them would be much better{whose} than the best so far "
                f"({best:.4f} before the final; {low:.4f} with luck)."
            )
        else:
            sentences.append(
                f"Predicted from their errors, the best of them{whose} would have a validation ESR of about "
                f"{middle:.4f} ({low:.4f} to {high:.4f}), before the final; the best so far has {best:.4f}."
            )
    return sentences


def _trials_in(seconds: float, lines: Sequence[LedgerLine]) -> int:
    """Return how many trials of the search end in some time, with as many at once as there were."""
    again = {line.trial for line in lines if isinstance(line, TrialStart) and line.of is not None}
    spent = {trial: took for trial, took in trained_seconds(lines).items() if trial not in again and took}
    if not spent:
        return 0
    running, most = set[str](), 1
    for line in lines:
        if isinstance(line, TrialStart):
            running.add(line.trial)
        elif isinstance(line, TrialEnd) and line.state in ENDS:
            running.discard(line.trial)
        most = max(most, len(running))
    return int(seconds * most / fmean(spent.values()))


def _encoded_candidate(candidate: ModelCandidate) -> Encoded:
    return candidate.features, candidate.log_cost


def _new_points(constraints: Constraints, finished: Sequence[TrialRecord]) -> list[Encoded]:
    """Return points that may be trained and were not."""
    config, order = constraints.config, sorted(finished, key=lambda record: record.esr)
    best = [record.point for record in order[: math.isqrt(len(order))] if config.space.complete(record.point)]
    known, found = {constraints.to_candidate(record.point).identity for record in finished}, list[Encoded]()
    for point in outlook_points(config.space, Random(config.seed), best):
        try:
            candidate = constraints.to_candidate(point)
        except ValidationError:  # the point stands for no model
            continue
        if candidate.identity not in known and constraints.violation(candidate) is None:
            known.add(candidate.identity)
            found.append(_encoded_candidate(candidate))
    return found
