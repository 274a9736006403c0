"""Publishing to a hub: one commit on top of what was looked at, tried again safely, read back, then the tag."""

from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import httpx

from models.core.errors import IntegrityError, UserError
from models.core.schema import parse_json
from zoo.names import Ref
from zoo.package.layout import ALLOWED, ATTRIBUTES, CARD, MANIFEST, max_bytes
from zoo.registry.hub.client import HubClient, Listing
from zoo.registry.hub.http import ATTEMPTS, RETRIED, as_unreachable, pause_before_retry
from zoo.registry.push_plan import PushPlan, card_for, read_publishable
from zoo.version import __version__


def plan(hub: HubClient, package: Path, name: str) -> PushPlan:
    """What a push of this package would change."""
    files = read_publishable(package, name)
    files[CARD] = card_for(name, files[CARD], None)
    try:
        listing = hub.look(Ref(name))
    except RepositoryNotFoundError:
        return PushPlan(package, name, files)
    theirs = listing.files.get(CARD)
    if theirs and not theirs.holds(files[CARD]) and theirs.size <= max_bytes(CARD):
        files[CARD] = card_for(name, files[CARD], hub.fetch(Ref(name), listing, CARD, lambda count: None))
    writes = {
        file: body for file, body in files.items() if file not in listing.files or not listing.files[file].holds(body)
    }
    removes = [file for file in listing.files if ALLOWED.fullmatch(file) and file not in files and file != ATTRIBUTES]
    replaces = _replaced(hub, name, listing, writes)
    return PushPlan(
        package, name, writes, tuple(removes), len(files) - len(writes), listing.commit, replaces, listing.private
    )


def _replaced(hub: HubClient, name: str, listing: Listing, writes: dict[str, bytes]) -> str:
    """What another amp is called that would be replaced, empty when there is none."""
    there = listing.files.get(MANIFEST)
    if MANIFEST not in writes or there is None or there.size > max_bytes(MANIFEST):
        return ""
    try:
        theirs = parse_json(hub.fetch(Ref(name), listing, MANIFEST, lambda count: None), MANIFEST)
    except UserError:
        return "something that is no package"
    found = theirs.get("package") if isinstance(theirs, dict) else None
    return "" if found == parse_json(writes[MANIFEST], MANIFEST)["package"] else str(found)[:64]


def push(hub: HubClient, plan: PushPlan, private: bool, pr: bool, tag: str) -> str:
    """Make a planned push; returns the commit.

    Nothing is sent when everything is there already. Raises `UserError` when the amp changed meanwhile, is public and should be
    private, or has the tag elsewhere; `IntegrityError` when the hub has other bytes afterwards.
    """
    with as_unreachable():
        if not plan.head:
            if pr:
                raise UserError(f"there is no '{plan.name}' to propose a change to", "Leave out --pr.")
            hub.api.create_repo(plan.name, private=private, exist_ok=True)
        elif private and not plan.private:
            raise UserError(
                f"'{plan.name}' is public already", "Make it private on the hub's website, then push again."
            )
        tagged = _tagged(hub, plan, tag) if tag and plan.head else ""
        if tagged and (plan.writes or plan.removes or tagged != plan.head):
            raise UserError(f"{plan.name} has a tag '{tag}' already, at {tagged[:12]}", "Give this push another tag.")
        commit = _commit(hub, plan, pr) if plan.writes or plan.removes else plan.head
        if tag and not tagged:
            hub.api.create_tag(plan.name, tag=tag, revision=commit)
    return commit


def _tagged(hub: HubClient, plan: PushPlan, tag: str) -> str:
    refs = hub.api.list_repo_refs(plan.name)
    return next((ref.target_commit for ref in refs.tags if ref.name == tag), "")


def _commit(hub: HubClient, plan: PushPlan, pr: bool) -> str:
    """One commit, read back. After a failure the head tells whether it landed all the same."""
    head = plan.head or hub.look(Ref(plan.name)).commit
    operations = [CommitOperationAdd(name, body) for name, body in plan.writes.items()]
    removals = [CommitOperationDelete(name) for name in plan.removes]
    message = f"Publish {plan.package.resolve().name} with ampzoo {__version__}"
    for attempt in range(ATTEMPTS):
        try:
            made = hub.api.create_commit(
                plan.name, [*operations, *removals], commit_message=message, parent_commit=head, create_pr=pr or None
            )
            break
        except (HfHubHTTPError, httpx.RequestError) as problem:
            status = getattr(getattr(problem, "response", None), "status_code", 503)
            if status not in RETRIED:
                raise
            now = hub.look(Ref(plan.name))
            if now.commit != head and not _differs(now, plan):
                return now.commit
            if now.commit != head or attempt == ATTEMPTS - 1:
                raise
            pause_before_retry(attempt)
    else:
        raise AssertionError("the last attempt ends the loop")
    landed = hub.look(Ref(plan.name, made.oid))
    if name := _differs(landed, plan):
        raise IntegrityError(f"{plan.name}: {name} is not on the hub as it was sent", "Push again.")
    return made.oid


def _differs(listing: Listing, plan: PushPlan) -> str:
    """The first file that is not as planned, empty when all are."""
    missing = [n for n, body in plan.writes.items() if n not in listing.files or not listing.files[n].holds(body)]
    return next(iter([*missing, *(name for name in plan.removes if name in listing.files)]), "")
