"""The errors that a person can act on: what is wrong, and what to do next."""

from models.core.userinfo import without_userinfo


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


def first_line(problem: BaseException) -> str:
    """Return the first line of an exception's message, or the name of its class where it has none."""
    return (str(problem).splitlines() or [type(problem).__name__])[0] or type(problem).__name__


class IntegrityError(UserError):
    """A file does not match its checksum, size or format."""


class SchemaError(UserError):
    """A JSON document does not follow its schema."""


class Incompatible(SchemaError):
    """This version cannot read a package: a document is malformed or of a newer schema."""


class NotFound(UserError):
    """Nothing of that name exists."""


class DivergedError(ArithmeticError):
    """The training loss is no longer finite."""


class Notice(UserWarning):
    """What a person should know although the work goes on; one sentence, shown as a warning."""
