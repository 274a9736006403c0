"""Render a file: a model plays audio of any length on all cores, with knobs that stand still or move.

Shapes: T time (one block), K knob columns.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.artifacts.model_config import ModelConfig
from models.audio.io import check_playable, create_audio, read_blocks, resample
from models.core.errors import UserError
from models.knobs.automation import Automation
from models.knobs.schema import Setting, Value
from models.network.numpy_wavenet import NumpyWaveNet
from models.playback.player import KnobLevels, Player
from models.playback.stream import player_factory

if TYPE_CHECKING:
    from models.network.wavenet import WaveNet


@dataclass(frozen=True)
class Rendered:
    """A file that was rendered: its full setting (None where knobs moved), seconds, and peak (1.0 is full scale)."""

    path: Path
    setting: Setting | None
    seconds: float
    peak: float


def render(
    model: "tuple[ModelConfig, WaveNet | NumpyWaveNet]",
    source: Path,
    target: Path,
    setting: Mapping[str, Value] | Automation,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    any_rate: bool = False,
    subtype: str = "PCM_24",
    create_player: Callable[[], Player] | None = None,
) -> Rendered:
    """Play `source` through a model into `target`; the memory it takes does not grow with the length.

    Args:
        model: as `load_model` or `read_model` returns it.
        source: a mono audio file.
        target: a WAV or FLAC file; it appears whole or not at all.
        setting: values by knob (knobs left out stand at their default), or an `Automation` for knobs that move.
        on_progress: called after each block with the samples done and the samples in all.
        any_rate: also play a file at another rate than the model's, resampled to it and back.
        subtype: the sample format of the target, as soundfile names it.
        create_player: what creates players of the model; the fastest of `playback.stream` where it is None.

    Raises `UserError` for a knob or value that the model does not have, audio that cannot be read, a rate that is not
    the model's, or a result that is not finite.
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

    blocks = resample(read_blocks(source), source_rate, rate)
    played = play_blocks(net, blocks, levels, create_player)
    with create_audio(target, source_rate, subtype) as file:
        for block_T in resample(played, rate, source_rate):
            y_T = block_T[: total - done]  # after resampling twice it may be a sample longer
            if not np.isfinite(y_T).all():
                raise UserError(f"{config.name} gives numbers that are not finite at this setting", "Train it further.")
            peak = max(peak, float(np.abs(y_T).max(initial=0.0)))
            file.write(y_T)
            done += len(y_T)
            on_progress(done, total)
        file.write(np.zeros(total - done, np.float32))
    return Rendered(target, full, total / source_rate, peak)


def play_blocks(
    net: "WaveNet | NumpyWaveNet",
    blocks: Iterable[np.ndarray],
    levels: Callable[[int, int], KnobLevels],
    create_player: Callable[[], Player] | None = None,
) -> Iterator[np.ndarray]:
    """Play the blocks of one long signal, after silence, on all cores; yields the played blocks in order.

    An output depends on a receptive field of input, and knobs are a function of time, `levels(first sample, count)`; so
    each block can be played by itself, after that many samples of what comes before. At most twice as many blocks as
    cores are in memory.
    """
    create, before = create_player or player_factory(net), net.receptive_field - 1

    def play_block(x_T: np.ndarray, begin: int) -> np.ndarray:
        return create().play(x_T, levels(begin, len(x_T)))[before:]

    cores = _cores()
    context_T, begin, pending = np.zeros(before, np.float32), -before, deque[Future[np.ndarray]]()
    with ThreadPoolExecutor(cores) as pool:
        try:
            for block_T in blocks:
                x_T = np.concatenate([context_T, block_T])
                pending.append(pool.submit(play_block, x_T, begin))
                context_T, begin = x_T[len(x_T) - before :], begin + len(block_T)
                if len(pending) == 2 * cores:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
