"""What operating systems add to folders is part of nothing: a package is whole with it, and a folder empty."""

from pathlib import Path, PurePath

import pytest

from models.core.system_files import is_empty, is_system_file
from tests.support.packages import AMP, files, pulled, write_package, zoo

LEFT = [
    *(".DS_Store", "._config.json", "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "Desktop.ini", "desktop.ini", "Icon\r"),
    *(".directory", ".nfs0000000000a1", "~$notes.docx", ".~lock.card.odt#", "audio/.DS_Store", "audio/._di.flac"),
    *("@eaDir/config.json@SynoEAStream", "__MACOSX/._a", "$RECYCLE.BIN/x", "lost+found/x", ".Trash-1000/files/x"),
    *("System Volume Information/x", ".Spotlight-V100/x/y"),
]

OTHERS = [
    "config.json",
    ".staged-1",
    "notes.txt",
    "thumbs.db.json",
    "DS_Store",
    ".hidden",
    "audio/lead.flac",
    ".git/HEAD",
]


def add(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"x")


@pytest.mark.parametrize("name", LEFT)
def test_a_folder_with_it_is_empty(name: str, tmp_path: Path):
    add(tmp_path, name)
    assert is_system_file(PurePath(name)) and (is_empty(tmp_path) or name.startswith("audio/"))


@pytest.mark.parametrize("name", OTHERS)
def test_others_count(name: str, tmp_path: Path):
    add(tmp_path, name)
    assert not is_system_file(PurePath(name)) and not is_empty(tmp_path)


def test_a_package_is_whole_with_all_of_it(tmp_path: Path):
    """It is verified, pushed and pulled without it, into a folder that had only such files, and over one that has."""
    shelf = ("--zoo", tmp_path / "shelf")
    package = write_package(tmp_path / "package")
    for name in LEFT:
        add(package, name)
    assert zoo("verify", package).code == 0
    ran = zoo("push", package, AMP, *shelf)
    assert ran.code == 0, ran.err
    published = tmp_path / "shelf" / AMP
    assert pulled(published) == files()
    for place in (published, published.parent, tmp_path / "shelf"):
        for name in LEFT:
            add(place, name)
    assert zoo("list", "-q", *shelf).out == f"{AMP}\n" and zoo("verify", published).code == 0
    add(tmp_path / "to", ".DS_Store")
    for _ in range(2):
        ran = zoo("pull", AMP, "--to", tmp_path / "to", *shelf)
        assert ran.code == 0, ran.err
        add(tmp_path / "to", "Thumbs.db")
    assert {name: body for name, body in pulled(tmp_path / "to").items() if name != "Thumbs.db"} == files()


@pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "._x/config.json"])
def test_a_package_with_other_files_is_refused(tmp_path: Path, name: str):
    package = write_package(tmp_path / "package")
    add(package, name)
    ran = zoo("verify", package)
    assert ran.code == 6 and "does not belong in a package" in ran.err
