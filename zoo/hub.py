"""A zoo on a Hugging Face hub: one repository per amp."""

import shutil
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import get_session

from models.errors import IntegrityError, UserError
from models.files import read_document, staged_folder
from zoo import __version__
from zoo.card import LIBRARY, Listed, read_block
from zoo.names import Ref
from zoo.shelf import check_target
from zoo.verify import ALLOWED, MANIFEST, PackageManifest, check_listing, package_files, verify

TIMEOUT_SECONDS = 10.0


class Hub:
    """The verbs of a zoo on a hub, through `huggingface_hub`; a revision is a branch, a tag or a commit."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.api = HfApi(endpoint=endpoint, library_name=LIBRARY, library_version=__version__)
        self.label = self.api.endpoint

    def list(self, skipped: Callable[[str], None]) -> list[Listed]:
        """Every amp on the hub: one request per page, none per amp; `skipped` hears of each one that cannot be read."""
        self._answers()
        rows = []
        for model in self.api.list_models(filter=LIBRARY, expand=["cardData", "sha"]):
            front = model.card_data.to_dict() if model.card_data else {}
            try:
                block = read_block(front, model.id)
            except UserError as problem:
                skipped(f"warning: {problem.message}")
                continue
            rows.append(Listed(name=model.id, revision=model.sha or "", license=str(front.get("license")), amp=block))
        return rows

    def fetch(self, ref: Ref, file: str) -> Path:
        """One file of an amp, from the cache where it has it."""
        return Path(hf_hub_download(ref.name, file, revision=ref.revision or None, endpoint=self.api.endpoint))

    def _answers(self) -> None:
        """Fail at once where nothing answers: the client would try for half a minute."""
        get_session().head(self.api.endpoint, timeout=TIMEOUT_SECONDS)

    def push(self, package: Path, name: str) -> str:
        """Publish a verified package as one commit on top of what is there; returns the commit."""
        verify(package)
        self.api.create_repo(name, exist_ok=True)
        head = self.api.model_info(name, timeout=TIMEOUT_SECONDS)
        files = package_files(package)
        stale = [
            s.rfilename for s in head.siblings or [] if ALLOWED.fullmatch(s.rfilename) and s.rfilename not in files
        ]
        operations = [CommitOperationAdd(file, package / file) for file in files]
        removals = [CommitOperationDelete(file) for file in stale if file != ".gitattributes"]
        commit = self.api.create_commit(
            name,
            [*operations, *removals],
            commit_message=f"Publish {package.name} with ampzoo {__version__}",
            parent_commit=head.sha,
        )
        return commit.oid

    def pull(self, ref: Ref, to: Path) -> str:
        """Fetch an amp at one commit into the folder `to`, verified before it appears there; returns the commit."""
        check_target(to)
        info = self.api.model_info(
            ref.name, revision=ref.revision or None, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
        sizes = {s.rfilename: s.size or 0 for s in info.siblings or []}
        names = check_listing(list(sizes), sizes, f"{ref.name} on {self.label}")
        assert info.sha is not None
        with staged_folder(to) as staged:
            snapshot_download(
                ref.name,
                revision=info.sha,
                local_dir=staged,
                allow_patterns=names,
                endpoint=self.api.endpoint,
                max_workers=4,
            )
            shutil.rmtree(staged / ".cache", ignore_errors=True)
            verify(staged)
            _compare_with_hub(staged, info, ref)
        return info.sha


def _compare_with_hub(folder: Path, info: ModelInfo, ref: Ref) -> None:
    listed = read_document(folder / MANIFEST, PackageManifest).files
    for sibling in info.siblings or []:
        entry = listed.get(sibling.rfilename)
        if entry and sibling.lfs and sibling.lfs.sha256 != entry.sha256:
            raise IntegrityError(
                f"{ref.name}: {sibling.rfilename} has sha256 {sibling.lfs.sha256[:12]} on the hub, the manifest says "
                f"{entry.sha256[:12]}",
                "Tell the owner of the amp; nothing was kept.",
            )
