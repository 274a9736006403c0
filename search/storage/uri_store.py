"""Files behind a URI: `s3://`, `gs://` and `file://`, with the credentials and endpoints that pyarrow finds (it comes with Ray Tune)."""

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from pyarrow import ArrowException
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import is_staged, staged_file
from models.core.locations import is_uri

AT_ONCE = 8  # files on their way

PIECE = 1 << 22  # bytes of one in memory

CHECK = "Check its name, the network and this machine's credentials, then run the same command again."


def below(place: str, *names: str) -> str:
    """A place below a folder or a URI, whose query stays at its end."""
    folder, mark, query = place.partition("?") if is_uri(place) else (place, "", "")
    return "/".join((folder.rstrip("/"), *names)) + mark + query


def inside(name: str, where: str) -> str:
    """A relative name as it is; raises `UserError` for one that leads out of the folder in which `where` names it."""
    path = PurePosixPath(name)
    leads_out = path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts
    if leads_out or is_uri(name) or not path.parts or {"\\", "\0"} & set(name):
        raise UserError(
            f"{where} names '{name}', which is no place below its own folder",
            "Keep all files there, by relative names.",
        )
    return path.as_posix()


def refuse_password(uri: str) -> None:
    """Raise `UserError` for a URI that holds one."""
    if re.match(r"[^/]*//[^/?]*:[^/?]*@", uri):
        raise UserError(
            "a URI must not hold a password: it is written into the study",
            "Credentials come from the environment (AWS_ACCESS_KEY_ID and such) or from the machine's role.",
        )


class Store:
    """A folder at a URI. Everything raises `UserError` naming the URI where it cannot be used, `NotFound` for what is not there."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        refuse_password(uri)
        with _told(uri):
            self.filesystem, self.root = FileSystem.from_uri(uri)
        if not self.root:
            raise UserError(f"{uri} names no bucket", "Write it whole: s3://BUCKET/PATH.")

    def of(self, name: str) -> str:
        """The URI of a file."""
        return below(self.uri, name)

    def size(self, name: str) -> int:
        """The bytes of a file; 0 where there is none."""
        return self._look([name])[0].size or 0

    def sizes(self, folder: str) -> dict[str, int]:
        """The files at any depth below a folder and their bytes, by names that begin with it, whole ones; none where there is no such folder."""
        with _told(self.of(folder)):
            there = FileSelector(self._path(folder), allow_not_found=True, recursive=True)
            found = self.filesystem.get_file_info(there)
        files = {PurePosixPath(info.path).relative_to(self.root): info.size for info in found if info.is_file}
        return {inside(str(path), self.uri): size for path, size in files.items() if not is_staged(path)}

    def read(self, name: str) -> bytes:
        """A whole file."""
        with _told(self.of(name)), self.filesystem.open_input_file(self._path(name)) as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        path = self._path(name)
        with _told(self.of(name)):
            if isinstance(self.filesystem, LocalFileSystem):
                with staged_file(Path(path)) as staged:
                    staged.write_bytes(data)
            else:  # an object is there once its stream is closed
                with self.filesystem.open_output_stream(path, compression=None) as file:
                    file.write(data)

    def put(self, folder: Path, names: Iterable[str]) -> None:
        """Copy files from a folder of this machine to the same names here."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self.write(name, (folder / name).read_bytes()), names))

    def remove(self, folder: str) -> None:
        """Delete what is at any depth below a folder; nothing where there is no such folder."""
        if self.sizes(folder):
            with _told(self.of(folder)):
                self.filesystem.delete_dir(self._path(folder))

    def bring(self, names: Iterable[str], folder: Path) -> None:
        """Copy files into a folder of this machine; one of the same size and time is there already. Each comes whole or not at all."""
        names = list(names)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(self._bring, folder), names, self._look(names)))

    def _bring(self, folder: Path, name: str, info: FileInfo) -> None:
        if info.type != FileType.File:
            raise NotFound(f"{self.of(name)} does not exist", CHECK)
        path = folder / name
        known = path.stat() if path.exists() else None
        if known and (known.st_size, known.st_mtime_ns) == (info.size, info.mtime_ns):
            return
        with staged_file(path) as staged:
            with staged.open("wb") as file:
                for piece in self._pieces(name):
                    file.write(piece)
            if (came := staged.stat().st_size) != info.size:
                raise IntegrityError(
                    f"{self.of(name)} has {info.size:,} bytes, but {came:,} came", "Run the same command again."
                )
            if info.mtime_ns is not None:
                os.utime(staged, ns=(info.mtime_ns, info.mtime_ns))

    def _pieces(self, name: str) -> Iterator[bytes]:
        """What is in a file."""
        with _told(self.of(name)):
            file = self.filesystem.open_input_stream(self._path(name), compression=None)
        with file:
            more = True
            while more:
                with _told(self.of(name)):
                    piece = file.read(PIECE)
                more = bool(piece)
                yield piece

    def _look(self, names: list[str]) -> list[FileInfo]:
        with _told(self.uri):
            return self.filesystem.get_file_info([self._path(name) for name in names])

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What pyarrow raises, as an error that names the URI."""
    try:
        yield
    except FileNotFoundError as problem:
        raise NotFound(f"{uri} does not exist", CHECK) from problem
    except (ArrowException, OSError) as problem:
        reason = str(problem).partition(" error_info=")[0]  # Google's client goes on for lines
        raise UserError(f"{uri} cannot be used: {reason}", CHECK) from problem
