"""zoo/package/privacy.py."""

import re
from pathlib import Path

from models.core.errors import UserError
from zoo.package.manifest import package_files

TEXTS = (".json", ".md", ".nam", "")

PRIVATE = re.compile(
    rb"hf_[A-Za-z0-9]{20,}|(?<![\w.])(/(home|Users)/[A-Za-z0-9._-]+|/root/|[A-Za-z]:\\\\?Users\\\\?\w+)"
)


def check_private(package: Path) -> None:
    """Raise `UserError` when a token, or a path of somebody's home, stands in a file that people can read."""
    for name in package_files(package):
        if Path(name).suffix in TEXTS and (found := PRIVATE.search((package / name).read_bytes())):
            secret = found[0].startswith(b"hf_")
            what = "a token" if secret else f"the path {found[0].decode('ascii', 'replace')}"
            raise UserError(f"{package / name} holds {what}, which a push would make public", "Take it out.")
