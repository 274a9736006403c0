"""The errors that a person can act on: what is wrong, and what to do next."""

import shlex
from collections.abc import Sequence

from models.core.userinfo import without_userinfo

MAX_TOGETHER = 4  # problems of one file that are told beside the first


class UserError(ValueError):
    """An input cannot be used.

    `message` is one sentence that names the file, the value and what is legal; `hint` says what to do next. Neither
    shows a user name or a password of a URI.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        message = without_userinfo(message)
        super().__init__(message)
        self.message = message
        self.hint = without_userinfo(hint)


def raise_together(problems: Sequence[UserError], where: str) -> None:
    """Raise what is wrong with several parts of a file as one error, of the kind and with the hint of the first.

    Messages begin with `where`, which is said once; of more than `MAX_TOGETHER` the rest is counted. Without problems
    nothing happens.
    """
    if not problems:
        return
    first, *others = problems
    also = [other.message.removeprefix(f"{where}: ") for other in others]
    rest = f"; and {len(also) - MAX_TOGETHER} more" if len(also) > MAX_TOGETHER else ""
    raise type(first)("; ".join([first.message, *also[:MAX_TOGETHER]]) + rest, first.hint)


def shell_words(*words: object) -> str:
    """Return words of a command that a person is told to type, quoted where a shell needs it."""
    return shlex.join(map(str, words))


def first_line(problem: BaseException) -> str:
    """Return the first line of an exception's message, or the name of its class where it has none."""
    return (str(problem).splitlines() or [type(problem).__name__])[0] or type(problem).__name__


class IntegrityError(UserError):
    """A file does not match its checksum, size or format."""


class SchemaError(UserError):
    """A JSON document does not follow its schema."""


class WrongKind(SchemaError):
    """A JSON document is of another kind, as a manifest where a config is expected; `key` of its own tells that."""

    def __init__(self, message: str, hint: str, key: str) -> None:
        super().__init__(message, hint)
        self.key = key


class Incompatible(SchemaError):
    """This version cannot read a package: a document is malformed or of a newer schema."""


class NotFound(UserError):
    """Nothing of that name exists."""


class DivergedError(ArithmeticError):
    """The training loss is no longer finite."""


class Notice(UserWarning):
    """What a person should know although the work goes on; one sentence, shown as a warning."""


class WaitNotice(Notice):
    """Why a person waits, where nothing is wrong; one sentence, shown as it is."""
