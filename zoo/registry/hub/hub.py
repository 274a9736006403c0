"""A zoo on a Hugging Face hub: one repository per amp, read at one commit."""

from pathlib import Path

from zoo.names import Ref
from zoo.registry.hub import pull, push
from zoo.registry.hub.client import HubClient
from zoo.registry.protocol import Progress, Pulled, silent
from zoo.registry.push_plan import Plan


class Hub(HubClient):
    """The verbs of a zoo on a hub: what `HubClient` reads, and pull, plan and push."""

    def pull(self, ref: Ref, to: Path, tier: str = "", on_progress: Progress = silent, pinned: str = "") -> Pulled:
        """Fetch an amp into the folder `to`; see `zoo.registry.hub.pull.pull`."""
        return pull.pull(self, ref, to, tier, on_progress, pinned)

    def plan(self, package: Path, name: str) -> Plan:
        """What a push of this package would change."""
        return push.plan(self, package, name)

    def push(self, plan: Plan, private: bool = False, pr: bool = False, tag: str = "") -> str:
        """Make a planned push; returns the commit."""
        return push.push(self, plan, private, pr, tag)
