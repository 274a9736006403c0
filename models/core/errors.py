"""The error a person can act on: what is wrong, and what to do next."""


class UserError(ValueError):
    """Something a person gave us cannot be used.

    `message` is one sentence naming the file, the value and what is legal; `hint` says what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class IntegrityError(UserError):
    """Bytes are not what their checksum, size or format promises."""


class SchemaError(UserError):
    """A JSON document that is not of the shape we know."""


class Incompatible(SchemaError):
    """A package whose documents this version cannot read: malformed, or of a newer schema."""


class NotFound(UserError):
    """A name that nothing answers to."""


class DivergedError(ArithmeticError):
    """Training left the finite numbers and cannot go on."""
