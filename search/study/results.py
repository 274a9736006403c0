"""Results of a trial from a backend: a report, or the fault that ended its training."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from models.core.errors import UserError
from models.core.userinfo import without_userinfo
from search.study.lines import TrialReport, to_json

# No other trial could continue either.
STOPS_ALL = {errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ESTALE, errno.EROFS}


@dataclass(frozen=True)
class TrialFault:
    """The training of a trial ended early.

    `kind` is `diverged` (at `step`, its numbers are no longer finite), `failed` (a fault of this trial), or
    `stopped` (a fault that no other trial would survive either: recordings that are gone, a full disk).
    """

    trial: str
    kind: Literal["diverged", "failed", "stopped"]
    reason: str
    step: int | None = None


Result = TrialReport | TrialFault


def fault_of(trial: str, problem: BaseException) -> TrialFault:
    """Return the fault that an exception means for a trial."""
    if isinstance(problem, UserError):
        return TrialFault(trial, "stopped", problem.message)
    if isinstance(problem, OSError) and problem.errno in STOPS_ALL:
        return TrialFault(trial, "stopped", f"{problem.filename or 'a file'}: {problem.strerror}")
    return TrialFault(trial, "failed", reason_of(problem))


def reason_of(problem: BaseException) -> str:
    """Return the last line of an exception's message."""
    return without_userinfo((str(problem).strip().splitlines() or [type(problem).__name__])[-1])


def result_to_json(result: Result) -> dict[str, Any]:
    """Return a result as a JSON object."""
    return vars(result) if isinstance(result, TrialFault) else to_json(result)


def parse_result(document: Mapping[str, Any]) -> Result:
    """Read a result from the JSON object of `result_to_json`."""
    kind = TrialFault if "kind" in document else TrialReport
    return kind(**{one.name: document[one.name] for one in fields(kind) if one.name in document})
