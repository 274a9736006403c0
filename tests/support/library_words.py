"""Words of libraries that must not reach a person, and a guard that looks for them in every error of ours."""

import re
from functools import wraps
from typing import Any

from models.core.errors import UserError

LIBRARY_WORDS = re.compile(
    r"Input should|should be a valid|should have at (least|most)|should match pattern|Value error|Extra inputs|"
    r"Field required|sys\.set_int|validate_socket|System error|Errno|Traceback|codec can't|Expecting (value|property)|"
    r"Extra data|UTF-8 BOM|has no attribute|NoneType|unpickl|pydantic|Libsndfile|Format not recognised|embedded null|"
    r"could not convert|invalid literal|index out of range|math domain|unsupported operand|not subscriptable|"
    r"IPv6 URL|expected string|must be str|got an unexpected|object is not|new-line character|field limit|"
    r"mapping values are|expected <|could not find expected|while (parsing|scanning)|deserializ|Exceeds the limit"
)


def guard_user_errors() -> None:
    """Make every `UserError` of this process fail where a library's words stand in it."""
    plain = UserError.__init__

    @wraps(plain)
    def checked(self: UserError, message: str, hint: str = "", *more: Any) -> None:
        plain(self, message, hint, *more)
        found = LIBRARY_WORDS.search(f"{message} {hint}")
        assert found is None, f"a library's words ({found[0]!r}) reach a person: {message!r}, {hint!r}"

    UserError.__init__ = checked  # type: ignore[method-assign]
