"""From an exception to a message, a hint and an exit code. An exception that is not in this table is a bug in zoo."""

import errno
from dataclasses import dataclass

from models.core.errors import DivergedError, Incompatible, IntegrityError, NotFound, UserError
from zoo.registry.errors import Unreachable

FAILED, NOT_FOUND, NO_ACCESS, NO_NETWORK, UNTRUSTED, INCOMPATIBLE, INTERRUPTED = 1, 3, 4, 5, 6, 7, 130

CODES = ((IntegrityError, UNTRUSTED), (NotFound, NOT_FOUND), (Incompatible, INCOMPATIBLE), (UserError, FAILED))

DISK = {
    errno.ENOSPC: ("the disk is full", "Free some space and run the same command again."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space and run the same command again."),
    errno.EACCES: ("permission is denied", "Choose a folder that you can write to."),
    errno.EPERM: ("the operation is not permitted", "Choose a folder that you can write to."),
    errno.EROFS: ("the folder is read-only", "Choose a folder that you can write to."),
    errno.EIO: ("the disk cannot be read or written", "Check the disk, or copy the file to another one."),
    errno.EMFILE: ("too many files are open", "Close other programs, or raise the limit: ulimit -n 4096."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
    errno.ELOOP: ("links lead in a circle", "Check where the links lead."),
    errno.EFBIG: ("the file is too large for this disk", "Choose another disk."),
    errno.EBUSY: ("another program uses it", "Close that program and run the same command again."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose another path."),
    errno.EEXIST: ("a file or folder exists there already", "Choose another path."),
    errno.ENOENT: ("the path does not exist", "Check the path."),
    errno.EISDIR: ("it is a folder, not a file", "Name a file."),
}


@dataclass(frozen=True)
class Explained:
    """What the user reads, and the exit code."""

    message: str
    hint: str
    code: int


def explain(error: BaseException) -> Explained | None:
    """Return message, hint and exit code of an exception, or None when it is a bug."""
    if isinstance(error, UserError):
        return Explained(error.message, error.hint, next(code for kind, code in CODES if isinstance(error, kind)))
    if isinstance(error, DivergedError):
        return Explained(
            f"training diverged: {error}", "Lower learning_rate and train into a new --out folder.", FAILED
        )
    origin = type(error).__module__.partition(".")[0]
    if isinstance(error, Unreachable) or origin in ("httpx", "httpx2", "httpcore2"):
        return Explained(
            f"the hub cannot be reached: {error}", "Check the network and HF_ENDPOINT, or use a shelf.", NO_NETWORK
        )
    if origin == "huggingface_hub":
        return _explain_hub(error)
    if isinstance(error, ConnectionError):
        reason = error.strerror.lower() if error.strerror else str(error)
        return Explained(f"no connection: {reason}", "Is the cluster or hub at that address running?", NO_NETWORK)
    if isinstance(error, OSError):
        reason, hint = DISK.get(error.errno or 0, (error.strerror or str(error), "Check the path and the disk."))
        return Explained(f"{error.filename2 or error.filename or 'a file'}: {reason}", hint, FAILED)
    if isinstance(error, MemoryError):
        return Explained("the memory is full", "Use a smaller batch, segment or model.", FAILED)
    return None


def _explain_hub(error: BaseException) -> Explained:
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind, lines = type(error).__name__, str(error).strip().splitlines() or [""]
    first = next((line for line in lines if "for url" in line), lines[0])  # this line names the amp
    if (
        kind == "GatedRepoError"
        or (status in (401, 403) and kind != "RepositoryNotFoundError")
        or kind == "LocalTokenNotFoundError"
    ):
        return Explained(
            f"the hub refused: {first}", "Log in with 'hf auth login', or ask the owner for access.", NO_ACCESS
        )
    if kind == "RevisionNotFoundError":
        return Explained(f"no such revision: {first}", "Leave out @revision to get the newest.", NOT_FOUND)
    if kind in ("RepositoryNotFoundError", "EntryNotFoundError", "RemoteEntryNotFoundError") or status == 404:
        return Explained(
            f"not found, or private: {first}",
            "Check the name with zoo list, or log in with 'hf auth login'.",
            NOT_FOUND,
        )
    if status == 412:
        return Explained("the amp changed on the hub meanwhile", "Pull it, see what changed, and push again.", FAILED)
    if kind in ("OfflineModeIsEnabled", "LocalEntryNotFoundError"):
        return Explained(f"the hub cannot be reached: {first}", "Check the network and HF_HUB_OFFLINE.", NO_NETWORK)
    return Explained(f"the hub answered with an error: {first}", "Try again later.", NO_NETWORK)
