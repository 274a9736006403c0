"""A zoo on a Hugging Face hub: one repository per amp, read at one commit."""

from pathlib import Path

from zoo.names import Ref
from zoo.registry.hub import pull, push
from zoo.registry.hub.client import HubClient
from zoo.registry.protocol import Pulled, TransferProgress, no_progress
from zoo.registry.push_plan import PushPlan


class Hub(HubClient):
    """A `Zoo` on a hub: what `HubClient` reads, and the methods that pull and push."""

    def pull(
        self,
        ref: Ref,
        to: Path,
        tier: str = "",
        on_progress: TransferProgress = no_progress,
        pin: str = "",
        max_peak_dbfs: float | None = None,
    ) -> Pulled:
        """Fetch an amp into the folder `to`; see `zoo.registry.hub.pull.pull_from_hub`."""
        return pull.pull_from_hub(self, ref, to, tier, on_progress, pin, max_peak_dbfs)

    def plan(self, package: Path, name: str, max_peak_dbfs: float | None = None) -> PushPlan:
        """Return what a push of a package under a name would change."""
        return push.plan_hub_push(self, package, name, max_peak_dbfs)

    def push(self, plan: PushPlan, private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push and return the commit; see `zoo.registry.hub.push.push_to_hub`."""
        return push.push_to_hub(self, plan, private, pr, tag)
