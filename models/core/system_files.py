"""Files that operating systems, disks and file managers leave in every folder that is looked at: part of nothing."""

import re
from pathlib import Path, PurePath

SYSTEM_FILE = re.compile(
    r"\.DS_Store|\._.*|Icon\r|\.localized|\.VolumeIcon\.icns|"  # macOS
    r"(eh)?thumbs(_vista)?\.db|desktop\.ini|~\$.*|"  # Windows, Office
    r"\.directory|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+|\.~lock\..*#|\.goutputstream-.*",  # Linux, NFS, FUSE
    re.IGNORECASE | re.DOTALL,
)

SYSTEM_FOLDER = re.compile(
    r"__MACOSX|\.AppleDouble|\.Spotlight-V100|\.Trashes|\.fseventsd|\.TemporaryItems|\.DocumentRevisions-V100|"
    r"\$RECYCLE\.BIN|System Volume Information|\.Trash-\d+|lost\+found|@eaDir|#recycle|\.stfolder|\.stversions",
    re.IGNORECASE,
)


def is_system_file(path: PurePath) -> bool:
    """Return whether a path, below the folder that is looked at, is such a file or lies in such a folder."""
    return bool(SYSTEM_FILE.fullmatch(path.name)) or any(SYSTEM_FOLDER.fullmatch(part) for part in path.parts)


def is_empty(folder: Path) -> bool:
    """Return whether nothing but such files is in a folder; raises `OSError` where there is no such folder."""
    return all(is_system_file(PurePath(path.name)) for path in folder.iterdir())
