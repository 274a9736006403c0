"""Files at a URI (`s3://`, `gs://`, `file://`), with the credentials and endpoints that pyarrow finds."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from pyarrow import ArrowException
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from models.core.errors import IntegrityError, NotFound, UserError
from models.core.files import is_staged, open_regular, staged_file
from models.core.locations import is_uri, refuse_userinfo
from search.storage.storage_errors import NO_BUCKET, UNKNOWN, storage_reason

MAX_TRANSFERS = 8  # files copied at the same time

CHUNK = 1 << 22  # bytes of a file in memory

CHECK = "Check its name, the network and this machine's credentials, then run the same command again."


def below(place: str, *names: str) -> str:
    """Return a place below a folder or a URI; the query of a URI stays at its end."""
    folder, mark, query = place.partition("?") if is_uri(place) else (place, "", "")
    return "/".join((folder.rstrip("/"), *names)) + mark + query


def inside(name: str, where: str) -> str:
    """Return a relative name; raises `UserError` where it leads out of the folder in which `where` names it."""
    path = PurePosixPath(name)
    leads_out = path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts
    if leads_out or is_uri(name) or not path.parts or {"\\", "\0"} & set(name):
        raise UserError(
            f"{where} names '{name}', which is no place below its own folder",
            "Keep all files there, by relative names.",
        )
    return path.as_posix()


class Store:
    """A folder at a URI.

    Every method raises `UserError` naming the URI where it cannot be used, and `NotFound` for a file that does not
    exist.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        refuse_userinfo(uri, "a URI")
        with _naming(uri):
            self.filesystem, self.root = FileSystem.from_uri(uri)
        if not self.root:
            raise UserError(f"{uri} names no bucket", "Write it whole: s3://BUCKET/PATH.")

    def of(self, name: str) -> str:
        """Return the URI of a file."""
        return below(self.uri, name)

    def size(self, name: str) -> int:
        """Return the bytes of a file; 0 where there is none."""
        return self._infos([name])[0].size or 0

    def sizes(self, folder: str) -> dict[str, int]:
        """Return name -> bytes of the files at any depth below a folder, without half-written ones.

        Names begin with that of the folder. Empty where there is no such folder.
        """
        with _naming(self.of(folder)):
            there = FileSelector(self._path(folder), allow_not_found=True, recursive=True)
            found = self.filesystem.get_file_info(there)
        files = {PurePosixPath(info.path).relative_to(self.root): info.size for info in found if info.is_file}
        return {inside(str(path), self.uri): size for path, size in files.items() if not is_staged(path)}

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with _naming(self.of(name)), self.filesystem.open_input_file(self._path(name)) as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Write a file completely or not at all; raises `NotFound` where the bucket does not exist."""
        path = self._path(name)
        with _naming(self.of(name), NO_BUCKET):
            if isinstance(self.filesystem, LocalFileSystem):
                with staged_file(Path(path)) as staged:
                    staged.write_bytes(data)
            else:  # an object exists once its stream is closed
                with self.filesystem.open_output_stream(path, compression=None) as file:
                    file.write(data)

    def put(self, folder: Path, names: Iterable[str]) -> None:
        """Copy files from a folder of this machine to the same names at the URI; raises `UserError` for a link."""
        with ThreadPoolExecutor(MAX_TRANSFERS) as pool:
            list(pool.map(partial(self._put, folder), names))

    def _put(self, folder: Path, name: str) -> None:
        with open_regular(folder / name, follow=False) as file:
            self.write(name, file.read())

    def remove(self, folder: str) -> None:
        """Delete the files at any depth below a folder, if there are any."""
        if self.sizes(folder):
            with _naming(self.of(folder)), suppress(FileNotFoundError):  # a folder of Google is no object of its own
                self.filesystem.delete_dir(self._path(folder))

    def fetch(self, names: Iterable[str], folder: Path) -> None:
        """Copy files into a folder of this machine, each completely or not at all.

        A file with the same size and time there is not copied again. Raises `IntegrityError` where too few bytes
        arrive.
        """
        names = list(names)
        with ThreadPoolExecutor(MAX_TRANSFERS) as pool:
            list(pool.map(partial(self._fetch, folder), names, self._infos(names)))

    def _fetch(self, folder: Path, name: str, info: FileInfo) -> None:
        if info.type != FileType.File:
            raise NotFound(f"{self.of(name)} does not exist", CHECK)
        path = folder / name
        known = path.stat() if path.exists() else None
        if known and (known.st_size, known.st_mtime_ns) == (info.size, info.mtime_ns):
            return
        with staged_file(path) as staged:
            with staged.open("wb") as file:
                for chunk in self._chunks(name):
                    file.write(chunk)
            if (received := staged.stat().st_size) != info.size:
                raise IntegrityError(
                    f"{self.of(name)} has {info.size:,} bytes, but {received:,} arrived", "Run the same command again."
                )
            if info.mtime_ns is not None:
                os.utime(staged, ns=(info.mtime_ns, info.mtime_ns))

    def _chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in chunks."""
        with _naming(self.of(name)):
            file = self.filesystem.open_input_stream(self._path(name), compression=None)
        with file:
            more = True
            while more:
                with _naming(self.of(name)):
                    chunk = file.read(CHUNK)
                more = bool(chunk)
                yield chunk

    def _infos(self, names: list[str]) -> list[FileInfo]:
        with _naming(self.uri):
            return self.filesystem.get_file_info([self._path(name) for name in names])

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


@contextmanager
def _naming(uri: str, missing: str = "") -> Iterator[None]:
    """Turn errors of pyarrow into errors that name the URI; `missing` says what else than the file may not exist."""
    try:
        yield
    except FileNotFoundError as problem:
        raise NotFound(f"{uri} cannot be used: {missing}" if missing else f"{uri} does not exist", CHECK) from problem
    except (ArrowException, OSError) as problem:
        reason = storage_reason(problem)
        kind = NotFound if reason == NO_BUCKET else UserError
        hint = f"{CHECK} 'zoo --debug' in its place shows what the storage says." if reason == UNKNOWN else CHECK
        raise kind(f"{uri} cannot be used: {reason}", hint) from problem
