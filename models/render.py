"""A model plays a file of any length, block by block, at a knob setting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.audio import create_audio, open_audio, read_blocks
from models.automation import Automation
from models.documents import ModelConfig
from models.errors import UserError
from models.knobs import Setting, Value
from models.stream import Stream
from models.wavenet import WaveNet


@dataclass(frozen=True)
class Rendered:
    """What was written: where, at which full setting (None where knobs moved), how long (seconds), its peak (1.0 is full scale)."""

    path: Path
    setting: Setting | None
    seconds: float
    peak: float


def render(
    model: tuple[ModelConfig, WaveNet],
    source: Path,
    target: Path,
    setting: Mapping[str, Value] | Automation,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rendered:
    """Play `source` through a model into `target` (24-bit WAV or FLAC), in memory that does not grow with its length.

    Knobs that `setting` leaves out rest at their default; with an `Automation` they move, sample by sample. `on_progress(samples done, samples in all)` follows each block.
    Raises `UserError` for a knob or value the model does not have, audio it cannot read, or a rate that is not the model's.
    """
    config, net = model
    moves = setting if isinstance(setting, Automation) else None
    full = None if isinstance(setting, Automation) else config.knobs.complete(setting, config.name)
    still = config.encode(moves.first if moves else full or {})
    rate, encoding = config.audio.sample_rate, config.architecture.inject.encoding
    with open_audio(source) as file:
        total, source_rate = file.frames, file.samplerate
    if source_rate != rate:
        raise UserError(
            f"{source} is at {source_rate} Hz; {config.name} plays at {rate} Hz",
            f"Resample the file to {rate} Hz first.",
        )
    if target.resolve() == source.resolve():
        raise UserError(f"{target} is the file being played", "Choose another name for the output.")
    stream, done, peak = Stream(net, still), 0, 0.0
    with create_audio(target, rate) as file:
        for block_T in read_blocks(source):
            y_T = stream.process(block_T, moves.levels(done, len(block_T), rate, encoding) if moves else still)
            if not np.isfinite(y_T).all():
                raise UserError(f"{config.name} gives numbers that are not finite at this setting", "Train it further.")
            peak = max(peak, float(np.abs(y_T).max()))
            file.write(y_T)
            done += len(y_T)
            on_progress(done, total)
    return Rendered(target, full, total / rate, peak)
