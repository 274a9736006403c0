"""The check that a package holds no token and no path of its maker's home folder."""

import re
from pathlib import Path

from models.core.errors import UserError
from zoo.package.manifest import package_files, read_package_file

PRIVATE = re.compile(
    rb"hf_[A-Za-z0-9]{20,}|(?<![\w.])(/(home|Users)/[A-Za-z0-9._-]+|/root/|[A-Za-z]:\\\\?Users\\\\?\w+)"
)


def check_private(package: Path) -> None:
    """Raise `UserError` when a file of the package holds a token or a path of a home folder, whatever its name says."""
    for name in package_files(package):
        if found := PRIVATE.search(read_package_file(package, name)):
            secret = found[0].startswith(b"hf_")
            what = "a token" if secret else f"the path {found[0].decode('ascii', 'replace')}"
            raise UserError(
                f"{package / name} holds {what}, which a push would make public", "Remove it from the file."
            )
