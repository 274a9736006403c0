"""Publishes a package to a hub: one commit on top of a known head, retried safely, read back, then tagged."""

from dataclasses import replace
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import httpx

from models.core.errors import IntegrityError, UserError, first_line
from models.core.schema import parse_json
from zoo.names import Ref
from zoo.package.layout import ALLOWED, ATTRIBUTES, CARD, MANIFEST, max_bytes
from zoo.package.manifest import digest
from zoo.registry.errors import Unreachable
from zoo.registry.hub.client import HubClient, Listing
from zoo.registry.hub.http import ATTEMPTS, RETRIED, pause_before_retry
from zoo.registry.hub.session import capped_calls
from zoo.registry.index import forget_lists
from zoo.registry.origins import Origin, note_origin
from zoo.registry.push_plan import PushPlan, card_for, keep_line_ends, read_publishable, stated_esr
from zoo.version import __version__


def plan_hub_push(hub: HubClient, package: Path, name: str, max_peak_dbfs: float | None = None) -> PushPlan:
    """Return what a push of a package under a name would change; raises as `read_publishable` does."""
    ours = read_publishable(package, name, max_peak_dbfs)
    ours[CARD] = card_for(name, ours[CARD], None)
    try:
        listing = hub.fetch_listing(Ref(name))
    except RepositoryNotFoundError:
        return PushPlan(package, name, ours)
    theirs = listing.files.get(CARD)
    if theirs and not theirs.matches(ours[CARD]) and theirs.size <= max_bytes(CARD):
        ours[CARD] = card_for(name, ours[CARD], hub.fetch(Ref(name), listing, CARD))
    writes = {
        file: body for file, body in ours.items() if file not in listing.files or not listing.files[file].matches(body)
    }
    removes = [file for file in listing.files if ALLOWED.fullmatch(file) and file not in ours and file != ATTRIBUTES]
    return PushPlan(
        package,
        name,
        writes,
        removes=tuple(removes),
        unchanged=len(ours) - len(writes),
        head=listing.commit,
        replaces=_replaced_amp(hub, name, listing, writes),
        private=listing.private,
        published_esr=stated_esr(listing.front),
        attributes=_attributes(hub, name, listing) if writes or removes else None,
    )


def push_to_hub(hub: HubClient, plan: PushPlan, private: bool, pr: bool, tag: str) -> str:
    """Make a planned push and return the commit; nothing is sent when everything is there already.

    Args:
        hub: The hub.
        plan: What to write and to remove.
        private: Make a new amp that only its owner sees.
        pr: Open a pull request instead of changing the amp.
        tag: A name for the new revision, empty for none.

    Raises `UserError` when the amp is public and should be private, or has the tag at another commit;
    `IntegrityError` when the hub has other bytes afterwards; `Unreachable` when the connection fails; `HfHubHTTPError`
    when the hub refuses, also (status 412) when the amp changed meanwhile.
    """
    with capped_calls():
        if not plan.head:
            if pr:
                raise UserError(f"there is no '{plan.name}' to propose a change to", "Leave out --pr.")
            hub.api.create_repo(plan.name, private=private, exist_ok=True)
        elif private and not plan.private:
            raise UserError(
                f"'{plan.name}' is public already", "Make it private on the hub's website, then push again."
            )
        tagged = _tagged_commit(hub, plan, tag) if tag and plan.head else ""
        if tagged and (plan.writes or plan.removes or tagged != plan.head):
            raise UserError(f"{plan.name} has a tag '{tag}' already, at {tagged[:12]}", "Give this push another tag.")
        try:
            commit = _commit(hub, plan, pr) if plan.writes or plan.removes else plan.head
        except BaseException as problem:
            if not plan.head:
                _remove_empty(hub, plan.name, problem)
            raise
        forget_lists(hub.address.endpoint)
        note_origin(Origin(manifest=digest(plan.package), zoo=hub.label, name=plan.name, commit=commit))
        if tag and not tagged:
            hub.api.create_tag(plan.name, tag=tag, revision=commit)
    return commit


def _remove_empty(hub: HubClient, name: str, problem: BaseException) -> None:
    """Remove the repository that a failed first push made, if nothing is in it; else add to the error that it stays."""
    try:
        if set(hub.fetch_listing(Ref(name)).files) <= {ATTRIBUTES}:
            hub.api.delete_repo(name)
    except (HfHubHTTPError, httpx.RequestError, UserError, Unreachable) as other:
        first = first_line(other)
        problem.add_note(f"The new repository '{name}' stays on the hub, empty: {first}")


def _attributes(hub: HubClient, name: str, listing: Listing) -> bytes | None:
    """Return the `.gitattributes` to write, None where the one there will do or is too large to be one."""
    there = listing.files.get(ATTRIBUTES)
    if there is not None and there.size > max_bytes(ATTRIBUTES):
        return None
    return keep_line_ends(hub.fetch(Ref(name), listing, ATTRIBUTES) if there else b"")


def _replaced_amp(hub: HubClient, name: str, listing: Listing, writes: dict[str, bytes]) -> str:
    """Return the name of another amp that the push would replace, empty when there is none."""
    there = listing.files.get(MANIFEST)
    if MANIFEST not in writes or there is None or there.size > max_bytes(MANIFEST):
        return ""
    try:
        theirs = parse_json(hub.fetch(Ref(name), listing, MANIFEST), MANIFEST)
    except UserError:
        return "something that is no package"
    found = theirs.get("package") if isinstance(theirs, dict) else None
    return "" if found == parse_json(writes[MANIFEST], MANIFEST)["package"] else str(found)[:64]


def _tagged_commit(hub: HubClient, plan: PushPlan, tag: str) -> str:
    """Return the commit that a tag names, empty where there is no such tag."""
    refs = hub.api.list_repo_refs(plan.name)
    return next((ref.target_commit for ref in refs.tags if ref.name == tag), "")


def _commit(hub: HubClient, plan: PushPlan, pr: bool) -> str:
    """Make one commit and read it back.

    After a failed request the head is read: the hub may have made the commit all the same.
    """
    head = plan.head
    if not head:
        listing = hub.fetch_listing(Ref(plan.name))
        head, plan = listing.commit, replace(plan, attributes=_attributes(hub, plan.name, listing))
    if plan.attributes is not None:
        plan = replace(plan, writes={**plan.writes, ATTRIBUTES: plan.attributes})
    additions = [CommitOperationAdd(name, body) for name, body in plan.writes.items()]
    removals = [CommitOperationDelete(name) for name in plan.removes]
    message = f"Publish {plan.package.resolve().name} with ampzoo {__version__}"
    for attempt in range(ATTEMPTS):
        try:
            made = hub.api.create_commit(
                plan.name, [*additions, *removals], commit_message=message, parent_commit=head, create_pr=pr or None
            )
            break
        except (HfHubHTTPError, httpx.RequestError) as problem:
            status = getattr(getattr(problem, "response", None), "status_code", 503)
            if status not in RETRIED:
                raise
            now = hub.fetch_listing(Ref(plan.name))
            if now.commit != head and not _first_difference(now, plan):
                return now.commit
            if now.commit != head or attempt == ATTEMPTS - 1:
                raise
            pause_before_retry(attempt, getattr(problem, "response", None))
    else:
        raise AssertionError("the last attempt ends the loop")
    after = hub.fetch_listing(Ref(plan.name, made.oid))
    if name := _first_difference(after, plan):
        raise IntegrityError(f"{plan.name}: {name} is not on the hub as it was sent", "Push again.")
    return made.oid


def _first_difference(listing: Listing, plan: PushPlan) -> str:
    """Return the first file that is not as planned, empty when all are."""
    missing = [n for n, body in plan.writes.items() if n not in listing.files or not listing.files[n].matches(body)]
    return next(iter([*missing, *(name for name in plan.removes if name in listing.files)]), "")
