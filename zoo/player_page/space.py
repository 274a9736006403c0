"""The page of an amp of a hub as a static Space: it fetches the amp at one commit and checks every byte."""

from hashlib import sha256
from urllib.parse import urlsplit

from huggingface_hub import CommitOperationAdd

from models.core.errors import UserError
from zoo.names import HUGGING_FACE, Ref
from zoo.package.layout import CARD
from zoo.player_page.documents import AmpSource
from zoo.player_page.site import AMP_DOCUMENT, AMP_FILE, Site, space_card
from zoo.registry.hub.client import HubClient
from zoo.registry.hub.session import capped_calls
from zoo.version import __version__

STORES = {HUGGING_FACE: ("https://*.hf.co",)}  # hub -> the hosts that it leads to for large files
MESSAGE = f"Page of the amp, by ampzoo {__version__}"


def push_space(hub: HubClient, name: str, site: Site) -> str:
    """Publish the page of an amp that is on the hub as the Space of the same name, and return its address.

    `amp.bin` is added to the amp's repository, beside the package. The Space names the commit that has it, and the
    sha256 of the files that it fetches there: `amp.bin` and the clips.

    Raises `UserError` for a private amp, `Unreachable` when the connection fails, and `HfHubHTTPError` when the hub
    refuses.
    """
    with capped_calls():
        commit = _commit_amp_file(hub, name, _site_file(site, f"amps/{name}/{AMP_FILE}"))
        fetched = [file for file in site.amp_files(name) if file != AMP_DOCUMENT]
        source = AmpSource(
            base=f"{hub.api.endpoint}/{name}/resolve/{commit}/",
            files={file: sha256(_site_file(site, f"amps/{name}/{file}")).hexdigest() for file in fetched},
        )
        files = space_files(site, name, source)
        hub.api.create_repo(name, repo_type="space", space_sdk="static", exist_ok=True)
        additions = [CommitOperationAdd(file, data) for file, data in files.items()]
        hub.api.create_commit(name, additions, commit_message=MESSAGE, repo_type="space")
    return f"{hub.api.endpoint}/spaces/{name}"


def space_files(site: Site, name: str, source: AmpSource) -> dict[str, bytes]:
    """Return the files of the Space: those of the page, but for what it fetches from the amp's repository."""
    site = site.with_source(source)
    files = {file: _site_file(site, file) for file in site.names() if not file.startswith(f"amps/{name}/")}
    files[f"amps/{name}/{AMP_DOCUMENT}"] = _site_file(site, f"amps/{name}/{AMP_DOCUMENT}")
    files[CARD] = space_card(site).encode()
    url = urlsplit(source.base)
    hosts = " ".join(["connect-src 'self'", origin := f"{url.scheme}://{url.netloc}", *STORES.get(origin, ())])
    files["index.html"] = files["index.html"].replace(b"connect-src 'self'", hosts.encode())
    return files


def check_public(name: str, private: bool) -> None:
    """Raise `UserError` for a private amp."""
    if private:
        raise UserError(f"'{name}' is private: its page could not fetch it", "Make it public, or leave out --space.")


def _commit_amp_file(hub: HubClient, name: str, data: bytes) -> str:
    """Add `amp.bin` to an amp's repository, unless it is there, and return the commit that has it."""
    listing = hub.fetch_listing(Ref(name))
    check_public(name, listing.private)
    there = listing.files.get(AMP_FILE)
    if there and there.matches(data):
        return listing.commit
    addition = CommitOperationAdd(AMP_FILE, data)
    return hub.api.create_commit(name, [addition], commit_message=MESSAGE, parent_commit=listing.commit).oid


def _site_file(site: Site, name: str) -> bytes:
    data = site.read(name)
    assert data is not None, name
    return data
