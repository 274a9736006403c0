"""A model plays a file of any length, on all cores, at a knob setting or with knobs that move.

Shapes: T time (one block), K knobs.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.audio.io import check_playable, create_audio, read_blocks, resample
from models.core.errors import UserError
from models.knobs.automation import Automation
from models.knobs.schema import Setting, Value
from models.network.wavenet import WaveNet
from models.playback.stream import KnobLevels, players


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
    *,
    any_rate: bool = False,
    subtype: str = "PCM_24",
) -> Rendered:
    """Play `source` through a model into `target` (WAV or FLAC, of 24 bit unless told otherwise), in memory that does not grow with its length.

    `any_rate` plays a file at another rate than the model's, resampled to it and back. Knobs that `setting` leaves out rest at their default; with an `Automation` they move, sample by sample. `on_progress(samples done, samples in all)` follows each block.
    Raises `UserError` for a knob or value the model does not have, audio it cannot read, or a rate that is not the model's.
    """
    config, net = model
    moves = setting if isinstance(setting, Automation) else None
    full = None if isinstance(setting, Automation) else config.knobs.complete(setting, config.name)
    still = config.encode(moves.first if moves else full or {})
    rate, encoding = config.audio.sample_rate, config.architecture.inject.encoding
    total, source_rate = check_playable(source, target, rate, config.name, any_rate=any_rate)
    done, peak = 0, 0.0

    def levels(begin: int, length: int) -> KnobLevels:
        return moves.levels(begin, length, rate, encoding) if moves else still

    played = play_blocks(net, resample(read_blocks(source), source_rate, rate), levels)
    with create_audio(target, source_rate, subtype) as file:
        for block_T in resample(played, rate, source_rate):
            y_T = block_T[: total - done]  # there and back may end a sample later
            if not np.isfinite(y_T).all():
                raise UserError(f"{config.name} gives numbers that are not finite at this setting", "Train it further.")
            peak = max(peak, float(np.abs(y_T).max(initial=0.0)))
            file.write(y_T)
            done += len(y_T)
            on_progress(done, total)
        file.write(np.zeros(total - done, np.float32))
    return Rendered(target, full, total / source_rate, peak)


def play_blocks(
    net: WaveNet, blocks: Iterable[np.ndarray], levels: Callable[[int, int], KnobLevels]
) -> Iterator[np.ndarray]:
    """Play the blocks of one long signal, silence before it, on all cores; what is played comes out in order.

    What a net hears is a receptive field long and knobs are a function of time, `levels(first sample, count)`, so each block can be
    played by itself after so many samples of what came before. Twice as many blocks as cores are held in memory.
    """
    make, before = players(net.eval()), net.receptive_field - 1

    def one(x_T: np.ndarray, begin: int) -> np.ndarray:
        return make().play(x_T, levels(begin, len(x_T)))[before:]

    cores = _cores()
    heard_T, begin, under_way = np.zeros(before, np.float32), -before, deque[Future[np.ndarray]]()
    with ThreadPoolExecutor(cores) as pool:
        try:
            for block_T in blocks:
                x_T = np.concatenate([heard_T, block_T])
                under_way.append(pool.submit(one, x_T, begin))
                heard_T, begin = x_T[len(x_T) - before :], begin + len(block_T)
                if len(under_way) == 2 * cores:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for waiting in under_way:
                waiting.cancel()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
