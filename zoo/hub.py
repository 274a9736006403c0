"""A zoo on a Hugging Face hub: one repository per amp."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import get_session, paginate

from models.errors import IntegrityError, UserError
from models.files import Document, check_document, parse_json, read_document, staged_folder
from zoo import __version__
from zoo.card import LIBRARY, Listed, read_row
from zoo.names import Ref
from zoo.shelf import check_target
from zoo.verify import ALLOWED, MANIFEST, PackageManifest, check_listing, package_files, verify

TIMEOUT_SECONDS = 10.0


class Hub:
    """The verbs of a zoo on a hub, through `huggingface_hub`; a revision is a branch, a tag or a commit."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint` is a hub's URL, else $HF_ENDPOINT's; only that one, and this machine, are ever sent the person's token."""
        local = urlsplit(endpoint or "").hostname in ("localhost", "127.0.0.1", "::1")
        own = local or endpoint is None or endpoint.rstrip("/") == constants.ENDPOINT
        self.api = HfApi(
            endpoint=endpoint, token=None if own else False, library_name=LIBRARY, library_version=__version__
        )
        self.label = self.api.endpoint
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

    def list(self, skipped: Callable[[str], None]) -> list[Listed]:
        """Every amp on the hub: one request per page, none per amp; `skipped` hears of each one that cannot be read."""
        self._answers()
        rows = []
        fields = [("filter", LIBRARY), ("expand", "cardData"), ("expand", "sha")]
        # The client's own list_models gives up on the whole page for one card with odd tags.
        for model in paginate(f"{self.api.endpoint}/api/models", params=fields, headers=self.api._build_hf_headers()):
            try:
                rows.append(read_row(str(model.get("id")), str(model.get("sha") or ""), model.get("cardData")))
            except UserError as problem:
                skipped(f"warning: {problem.message}")
        return rows

    def document(self, ref: Ref, file: str, kind: type[Document]) -> Document:
        """One JSON document of an amp, checked; its size is known before it is fetched, and nothing of it stays behind."""
        info, names = self._listing(ref)
        with tempfile.TemporaryDirectory() as folder:
            path = hf_hub_download(
                ref.name, file, revision=info.sha, local_dir=folder, endpoint=self.api.endpoint, token=self.api.token
            )
            data = Path(path).read_bytes()
        assert file in names
        where = f"{ref.name}: {file}"
        try:
            return check_document(parse_json(data, where), kind, where)
        except UserError as problem:
            raise IntegrityError(problem.message, "Tell the owner of the amp.") from problem

    def _listing(self, ref: Ref) -> tuple[ModelInfo, set[str]]:
        """What the hub has under a name, at one commit, and which of its files are a package's."""
        info = self.api.model_info(
            ref.name, revision=ref.revision or None, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
        assert info.sha is not None
        sizes = {s.rfilename: s.size or 0 for s in info.siblings or []}
        return info, set(check_listing([*sizes], sizes, f"{ref.name} on {self.label}"))

    def _answers(self) -> None:
        """Fail at once where nothing answers: the client would try for half a minute."""
        get_session().head(self.api.endpoint, timeout=TIMEOUT_SECONDS)

    def push(self, package: Path, name: str) -> str:
        """Publish a verified package as one commit on top of what is there; returns the commit."""
        verify(package)
        self._answers()
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
        info, names = self._listing(ref)
        with staged_folder(to) as staged:
            snapshot_download(
                ref.name,
                revision=info.sha,
                local_dir=staged,
                allow_patterns=[*names],
                endpoint=self.api.endpoint,
                token=self.api.token,
                max_workers=4,
            )
            shutil.rmtree(staged / ".cache", ignore_errors=True)
            try:
                verify(staged)
            except UserError as problem:
                raise type(problem)(problem.message.replace(str(staged), ref.name), "Pull it again.") from problem
            _compare_with_hub(staged, info, ref)
        assert info.sha is not None
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
