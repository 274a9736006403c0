"""How a search is run, and what is raised when a person stops it. It imports nothing heavy: commands need it early."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from models.core.errors import UserError
from models.core.locations import is_uri, refuse_userinfo
from models.core.progress import PhaseListener, ignore_phase
from models.core.user_folders import expand_home
from search.study.cost import CostModel, MeasuredCost

if TYPE_CHECKING:
    from search.study.lines import TrialRecord


@dataclass(frozen=True)
class RunOptions:
    """How a search is run.

    Args:
        resume: continue a study that was interrupted.
        local: train one trial after another in this process, without Ray.
        address: join the Ray cluster there; None starts Ray on this machine.
        storage: where checkpoints go: a folder that all nodes see (None: inside the study), or a URI, where the
            study is copied to as well.
        listener: called with a trial's record after each start, report and end.
        on_phase: told of reading, aligning, Ray's start, training, the final and scoring.
        on_notice: called with each sentence that a person should read.
        on_ray_ended: called, on another thread, with the error that cannot be raised: a part of Ray has died, and Ray
            keeps this thread until it ends the process, in words of its own.
        cost_model: what a model costs.
        config_file: the file of the search config, which errors name.
    """

    resume: bool = False
    local: bool = False
    address: str | None = None
    storage: str | None = None
    listener: "Callable[[TrialRecord], None] | None" = None
    on_phase: PhaseListener = ignore_phase
    on_notice: Callable[[str], None] = lambda sentence: None
    on_ray_ended: Callable[[UserError], None] = lambda problem: None
    cost_model: CostModel = field(default_factory=MeasuredCost)
    config_file: Path | None = None

    def __post_init__(self) -> None:
        """Raise `UserError` for a user name or a password in an address."""
        if self.address:
            refuse_userinfo(self.address, "the address of a cluster", "Its token comes from ~/.ray/auth_token.")
        if self.storage and is_uri(self.storage):
            refuse_userinfo(self.storage, "--storage")
        elif self.storage:
            object.__setattr__(self, "storage", str(expand_home(self.storage)))


DEFAULT_OPTIONS = RunOptions()


class Interrupted(KeyboardInterrupt):
    """A person stopped a search; its finished trials are kept. `trials` is None where only time limits their number."""

    def __init__(self, ended: int, trials: int | None) -> None:
        of = "" if trials is None else f" of {trials}"
        super().__init__(f"stopped after {ended}{of} trials")
        self.ended, self.trials = ended, trials
