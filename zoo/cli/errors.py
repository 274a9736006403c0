"""From an exception to a message, a hint and an exit code. An exception that is not in this table is a bug in zoo."""

import errno
import re
import sys
from dataclasses import dataclass

from models.core.errors import DivergedError, Incompatible, IntegrityError, NotFound, UserError
from models.core.extras import install_command
from zoo.registry.errors import RateLimited, Unreachable

FAILURE, WRONG_USAGE, NOT_FOUND, NO_ACCESS, NO_NETWORK, UNTRUSTED, INCOMPATIBLE = 1, 2, 3, 4, 5, 6, 7

INTERRUPTED = 130


class WrongUsage(UserError):
    """Options that contradict each other, or a value that an option does not take, whatever the files hold."""


CODES = (
    (WrongUsage, WRONG_USAGE),
    (IntegrityError, UNTRUSTED),
    (NotFound, NOT_FOUND),
    (Incompatible, INCOMPATIBLE),
    (UserError, FAILURE),
)

MENDED_BY_WAITING = (408, 425, 429)  # refusals of a hub that waiting mends

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


SEARCHES = ("search", "board", "quickstart")  # the commands that need the extra `search`

RECORDS = ("record", "session")  # those that need `train` and `audio`

EXTRAS = {  # a package that the light install leaves out -> the extra that brings it
    **dict.fromkeys(("torch", "scipy", "numba", "llvmlite", "matplotlib"), "train"),
    **dict.fromkeys(("ray", "optuna"), "search"),
    **dict.fromkeys(("sounddevice", "pyfiglet"), "audio"),
    **dict.fromkeys(("mido", "rtmidi"), "midi"),
    "ziglang": "plugin",
    "cryptography": "sign",
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
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").partition(".")[0]) in EXTRAS:
        return _explain_missing(package)
    if isinstance(error, DivergedError):
        return Explained(
            f"training diverged: {error}", "Lower learning_rate and train into a new --out folder.", FAILURE
        )
    origin = type(error).__module__.partition(".")[0]
    if isinstance(error, RateLimited):
        return Explained(str(error), error.hint, NO_NETWORK)
    if isinstance(error, Unreachable) and error.hint:
        return Explained(f"the hub cannot be reached: {_without_number(error)}", error.hint, NO_NETWORK)
    if isinstance(error, Unreachable) or origin in ("httpx", "httpx2", "httpcore2"):
        return Explained(
            f"the hub cannot be reached: {_without_number(error)}",
            "Check the network and HF_ENDPOINT, or use a shelf.",
            NO_NETWORK,
        )
    if origin == "huggingface_hub":
        return _explain_hub(error)
    if isinstance(error, ConnectionError):
        reason = error.strerror.lower() if error.strerror else str(error)
        return Explained(f"no connection: {reason}", "Is the cluster or hub at that address running?", NO_NETWORK)
    if isinstance(error, OSError):
        reason, hint = DISK.get(error.errno or 0, (error.strerror or str(error), "Check the path and the disk."))
        return Explained(f"{error.filename2 or error.filename or 'a file'}: {reason}", hint, FAILURE)
    if isinstance(error, MemoryError):
        return Explained("the memory is full", "Use a smaller batch, segment or model.", FAILURE)
    return None


def _without_number(error: BaseException) -> str:
    """Return the message of an error of the network, without the system's number for it."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error))


def _explain_missing(package: str) -> Explained:
    """Explain that a command needs an extra; what needs a search needs its packages too, whichever is missed first."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    extra = "search" if command in SEARCHES and EXTRAS[package] == "train" else EXTRAS[package]
    extra = "train,audio" if command in RECORDS else extra
    return Explained(
        f"zoo {command} needs {package}, which is not installed".replace("  ", " "),
        f"Install it: {install_command(extra)}",
        FAILURE,
    )


def _explain_hub(error: BaseException) -> Explained:
    status = getattr(getattr(error, "response", None), "status_code", None)
    kind, words = type(error).__name__, _words_of_hub(error)
    if (
        kind == "GatedRepoError"
        or (status in (401, 403) and kind != "RepositoryNotFoundError")
        or kind == "LocalTokenNotFoundError"
    ):
        return Explained(
            f"the hub refused: {words}", "Log in with 'hf auth login', or ask the owner for access.", NO_ACCESS
        )
    if kind == "RevisionNotFoundError":
        return Explained(f"no such revision: {words}", "Leave out @revision to get the newest.", NOT_FOUND)
    if kind in ("RepositoryNotFoundError", "EntryNotFoundError", "RemoteEntryNotFoundError") or status == 404:
        return Explained(
            f"not found, or private: {words}",
            "Check the name with zoo list, or log in with 'hf auth login'.",
            NOT_FOUND,
        )
    if status == 429:
        wait = getattr(error, "response").headers.get("Retry-After", "")  # noqa: B009 (only errors with one come here)
        asks = f"to wait {wait} s" if wait.isdigit() else "to send fewer requests"
        return Explained(f"the hub asks us {asks}", "Wait, then run the same command again.", NO_NETWORK)
    if status == 412:
        return Explained("the amp changed on the hub meanwhile", "Pull it, see what changed, and push again.", FAILURE)
    if kind in ("OfflineModeIsEnabled", "LocalEntryNotFoundError"):
        return Explained(f"the hub cannot be reached: {words}", "Check the network and HF_HUB_OFFLINE.", NO_NETWORK)
    if status is not None and status < 500 and status not in MENDED_BY_WAITING:
        hint = "Change what the message names; the same request would be refused again."
        return Explained(f"the hub refused: {words}", hint, FAILURE)
    return Explained(f"the hub answered with an error: {words}", "Try again later.", NO_NETWORK)


def _words_of_hub(error: BaseException) -> str:
    """Return all that the hub and its client said in one line: the id of the request last, then our own notes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    spoken = [re.sub(r"\s*\(Request ID: [^)]*\)", "", line).strip() for line in lines]
    ids = re.findall(r"\(Request ID: [^)]*\)", str(error))[:1]
    words = [line for line in dict.fromkeys(spoken) if line and not line.startswith("For more information check")]
    return " ".join([*words, *ids, *getattr(error, "__notes__", ())]) or type(error).__name__
