"""Audio files in and out: mono, finite, at the rate one expects, or an error that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf

from models.errors import UserError
from models.files import staged_file

BLOCK = 1 << 18  # samples read at a time
SUFFIXES = (".wav", ".flac")


@contextmanager
def open_audio(path: Path) -> Iterator[sf.SoundFile]:
    """Open a mono audio file for reading.

    Raises `UserError` when it is missing, is not audio, is empty or has more than one channel.
    """
    try:
        if not path.exists():
            raise UserError(
                f"{path} does not exist", "Check the path; paths in a manifest start at the manifest's folder."
            )
        opened = sf.SoundFile(path)
    except (sf.LibsndfileError, TypeError, OSError) as problem:
        raise UserError(f"{path} is not audio that can be read: {problem}", "Export it again as WAV or FLAC.") from None
    with opened as file:
        if file.channels != 1:
            raise UserError(f"{path} has {file.channels} channels; takes are mono", "Export one channel.")
        if file.frames == 0:
            raise UserError(f"{path} is empty", "Record or export it again.")
        yield file


def read_blocks(path: Path) -> Iterator[np.ndarray]:
    """Yield float32 blocks of a file; raises `UserError` at the first sample that is not finite."""
    with open_audio(path) as file:
        position = 0
        while len(block_T := _read_block(path, file)):
            if not np.isfinite(block_T).all():
                at = position + int(np.argmin(np.isfinite(block_T)))
                raise UserError(f"{path}: sample {at} is not a finite number", "Export the file again from its source.")
            position += len(block_T)
            yield block_T


def _read_block(path: Path, file: sf.SoundFile) -> np.ndarray:
    try:
        return file.read(BLOCK, dtype="float32")
    except sf.LibsndfileError as problem:
        raise UserError(f"{path} is damaged: {problem}", "Export the file again from its source.") from None


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Read a whole file: `(x_T float32, rate in Hz)`; raises as `read_blocks` does."""
    with open_audio(path) as file:
        rate = file.samplerate
    return np.concatenate(list(read_blocks(path))), rate


@contextmanager
def create_audio(path: Path, rate_hz: int) -> Iterator[sf.SoundFile]:
    """Open a new mono 24-bit WAV or FLAC; it appears under its name only when everything was written."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} does not say which format to write", f"End the name in {' or '.join(SUFFIXES)}.")
    try:
        with staged_file(path) as staged, sf.SoundFile(staged, "w", rate_hz, channels=1, subtype="PCM_24") as file:
            yield file
    except sf.LibsndfileError as problem:
        raise UserError(f"{path} cannot be written: {problem}", "Is the disk full, or the folder read-only?") from None


def write_audio(path: Path, x_T: np.ndarray, rate_hz: int) -> None:
    """Write a whole mono signal as 24-bit WAV or FLAC."""
    with create_audio(path, rate_hz) as file:
        file.write(x_T)
