"""Mono audio files: read and written in blocks, resampled where asked; errors name the file."""

import io
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile as sf
import soxr

from models.core.errors import NotFound, Notice, UserError
from models.core.files import staged_file

BLOCK = 1 << 18  # samples that are read at a time

SUFFIXES = (".wav", ".flac")

FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF")

SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")

DITHER = 1.5 / (1 << 15)  # of 16 bit, with room: audio that differs by no more counts as equal

QUALITY = "VHQ"

MAX_CHUNKS = 1000  # parts of a WAV that are looked at

SOUND_WORDS = {  # by the codes of libsndfile
    1: "it is no WAV, FLAC or AIFF",
    2: "the system cannot read or write it",
    3: "its header is damaged",
    4: "its encoding is not known",
}


@contextmanager
def open_audio(path: Path) -> Iterator[sf.SoundFile]:
    """Open a WAV, FLAC or AIFF file of 16 bit or more, with one or two channels, for reading.

    Raises `NotFound` when it is missing, `UserError` when it is empty or not such audio.
    """
    opened, raw = _open_sound(path)
    with raw or nullcontext(), opened as file:
        if file.format not in FORMATS or file.subtype not in SUBTYPES:
            raise UserError(
                f"{path} is {file.format} {file.subtype}; takes are WAV, FLAC or AIFF of 16, 24 or 32 bit",
                "Export it again from its source; what a lossy format took away does not come back.",
            )
        if file.channels > 2:
            raise UserError(f"{path} has {file.channels} channels; takes are mono", "Export one channel.")
        if file.frames == 0:
            raise UserError(f"{path} is empty", "Record or export it again.")
        yield file


def _open_sound(path: Path) -> tuple[sf.SoundFile, IO[bytes] | None]:
    """Return the opened file, and what it reads from where that is not the path itself; raises `UserError`."""
    try:
        if not path.exists():
            raise NotFound(
                f"{path} does not exist", "Check the path; paths in a manifest start at the manifest's folder."
            )
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a device or a pipe"
            raise UserError(f"{path} is {kind}, not an audio file", "Name a WAV, FLAC or AIFF file.")
        if (place := _unfinished_data(path)) is None:
            return sf.SoundFile(_for_library(path)), None
        warnings.warn(
            f"{path}: its header was never finished, as when a recorder stops; all that follows it is read",
            Notice,
            stacklevel=4,
        )
        raw = _FinishedFile(path, place)
        return sf.SoundFile(raw), raw
    except (sf.LibsndfileError, TypeError, OSError) as problem:
        raise UserError(
            f"{path} is not audio that can be read: {_words_of(problem)}", "Export it again as WAV or FLAC."
        ) from None


def _for_library(path: Path) -> Any:
    """Return a path as the audio library takes it: as bytes where names of files are bytes, which need not be text."""
    return os.fsencode(path) if os.name == "posix" else str(path)


def _words_of(problem: Exception) -> str:
    """Return what an error of the audio library, or of the system, means."""
    if isinstance(problem, sf.LibsndfileError):
        return SOUND_WORDS.get(problem.code, "its content is damaged")
    reason = getattr(problem, "strerror", None)  # of the system
    return reason.lower() if reason else SOUND_WORDS[1]


def _unfinished_data(path: Path) -> int | None:
    """Return where a WAV states the length of its sound, if it states none but sound follows; else None.

    A recorder that stops before it finishes the header leaves it so. A file without sound may still have other parts
    behind its empty sound; each has a name of four letters and a length.
    """
    with path.open("rb") as file:
        begin = file.read(12)
        if begin[:4] != b"RIFF" or begin[8:] != b"WAVE":
            return None
        size = path.stat().st_size
        unfinished, at = None, 12
        for _ in range(MAX_CHUNKS):
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return unfinished if head else None
            name, length = head[:4], int.from_bytes(head[4:], "little")
            if name == b"data" and length == 0 and unfinished is None:
                unfinished = at + 4
            elif unfinished is not None and (not name.isalnum() or at + 8 + length > size):
                return unfinished
            at += 8 + length + length % 2
        return unfinished


class _FinishedFile(io.FileIO):
    """A WAV whose length of the sound, at `place`, reads as "to the end of the file"."""

    def __init__(self, path: Path, place: int) -> None:
        super().__init__(path, "rb")
        self._place = place

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        at, data = self.tell(), bytearray(super().read(size) or b"")
        for place in range(max(at, self._place), min(at + len(data), self._place + 4)):
            data[place - at] = 0xFF
        return bytes(data)

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes into a buffer; return how many."""
        data = self.read(len(buffer))
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)


def read_blocks(path: Path, channel: int | None = None) -> Iterator[np.ndarray]:
    """Yield float32 blocks `(T,)` of a file: of a stereo file one channel (0 is left), or what both channels agree on.

    Raises as `open_audio` does, and `UserError` at the first sample that is not finite or differs between the channels.
    """
    with open_audio(path) as file:
        position = 0
        while len(block_T := _mono(path, _read_block(path, file), channel, file.samplerate, position)):
            if not np.isfinite(block_T).all():
                at = position + int(np.argmin(np.isfinite(block_T)))
                raise UserError(f"{path}: sample {at} is not a finite number", "Export the file again from its source.")
            position += len(block_T)
            yield block_T
    if position == 0:
        raise UserError(f"{path} has no samples, whatever its header says", "Export the file again from its source.")


def _read_block(path: Path, file: sf.SoundFile) -> np.ndarray:
    try:
        return file.read(BLOCK, dtype="float32", always_2d=True)
    except sf.LibsndfileError as problem:
        raise UserError(f"{path} is damaged: {_words_of(problem)}", "Export the file again from its source.") from None


def _mono(path: Path, block_TC: np.ndarray, channel: int | None, rate_hz: int, position: int) -> np.ndarray:
    """Return one channel of a block; `position` is its first sample in the file."""
    if block_TC.shape[1] == 2 and channel is None:
        with np.errstate(invalid="ignore", over="ignore"):  # of infinity and the largest numbers, told as what they are
            differ_T = np.abs(block_TC[:, 0] - block_TC[:, 1]) > DITHER
        if differ_T.any():
            at_s = (position + int(np.argmax(differ_T))) / rate_hz
            raise UserError(
                f"{path} has 2 channels, which differ from {at_s:.3f} s on; takes are mono",
                'Export one of them as a mono file; in a manifest, "channel": "left" or "right" names it.',
            )
    return np.ascontiguousarray(block_TC[:, min(channel or 0, block_TC.shape[1] - 1)])


def read_audio(path: Path, channel: int | None = None, rate_hz: int | None = None) -> tuple[np.ndarray, int]:
    """Return a whole file as `(x_T float32, rate in Hz)`, resampled to `rate_hz` if given.

    Raises as `read_blocks` does.
    """
    with open_audio(path) as file:
        rate = file.samplerate
    wanted = rate_hz or rate
    return np.concatenate(list(resample(read_blocks(path, channel), rate, wanted))), wanted


def read_length(path: Path) -> tuple[int, int]:
    """Return `(samples, rate in Hz)` of a file; raises as `open_audio` does."""
    with open_audio(path) as file:
        return file.frames, file.samplerate


def resample(blocks: Iterable[np.ndarray], rate_hz: int, wanted_hz: int) -> Iterator[np.ndarray]:
    """Yield blocks at `wanted_hz`, without delay (linear phase, soxr's very high quality)."""
    if rate_hz == wanted_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality=QUALITY)
    chunks = (stream.resample_chunk(np.asarray(block_T, np.float32)) for block_T in blocks)
    yield from (chunk_T for chunk_T in chunks if len(chunk_T))
    last_T = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(last_T):
        yield last_T


def check_playable(
    source: Path,
    target: Path,
    rate_hz: int,
    name: str,
    *,
    any_rate: bool = False,
    rate_hint: str = "Convert it to that rate first, or ask for it to be resampled and converted back.",
) -> tuple[int, int]:
    """Return `(samples, rate in Hz)` of `source` if a model of that rate and name can play it into `target`.

    Raises `UserError` for a source that is missing, not audio or (unless `any_rate`) at another rate, and for a target
    that is the source or whose name has no suffix of `SUFFIXES`; `rate_hint` says what to do about another rate.
    """
    if not source.exists():
        raise NotFound(f"{source} does not exist", "Check the path; relative paths start at the current folder.")
    with open_audio(source) as file:
        frames, found_hz = file.frames, file.samplerate
    if found_hz != rate_hz and not any_rate:
        raise UserError(
            f"{source} is at {found_hz} Hz; {name} plays at {rate_hz} Hz",
            rate_hint,
        )
    if target.resolve() == source.resolve():
        raise UserError(f"{target} is the file being played", "Choose another name for the output.")
    _check_suffix(target)
    return frames, found_hz


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} does not say which format to write", f"End the name in {' or '.join(SUFFIXES)}.")


@contextmanager
def create_audio(path: Path, rate_hz: int, subtype: str = "PCM_24") -> Iterator[sf.SoundFile]:
    """Open a new mono WAV or FLAC for writing; it appears under its name once everything is written.

    Raises `UserError` for a name without a suffix of `SUFFIXES`, and when it cannot be written.
    """
    _check_suffix(path)
    with staged_file(path) as staged:
        try:
            with sf.SoundFile(_for_library(staged), "w", rate_hz, channels=1, subtype=subtype) as file:
                yield file
        except sf.LibsndfileError as problem:
            _raise_disk_error(staged)
            raise UserError(
                f"{path} cannot be written: {_words_of(problem)}", "Is the disk full, or the folder read-only?"
            ) from None


def _raise_disk_error(path: Path) -> None:
    """Raise the system's error for what the audio library calls "System error.", if it occurs again."""
    with path.open("ab") as file:
        file.write(bytes(BLOCK))
        file.flush()
        os.fsync(file.fileno())


def write_audio(path: Path, x_T: np.ndarray, rate_hz: int) -> None:
    """Write a mono signal `(T,)` as 24-bit WAV or FLAC; raises as `create_audio` does."""
    with create_audio(path, rate_hz) as file:
        file.write(x_T)
