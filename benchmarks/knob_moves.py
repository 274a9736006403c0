"""What does a moving knob add to the sound, and what do exact moves cost?

Artifacts, in dBFS (a knob from end to end, or to and fro without a stop; guitar as input):

* 10, 50, 200 MS: the moving sound less the crossfade of the two still ones, as `eval.json` has it. RAMP: the knob moves
  in a straight line, sample by sample. EXACT: one hop as long as the move.
* DRAG: a knob from end to end and back, a turn in a second. Against IDEAL: every sample as the net plays it with all
  its past under the setting of that moment (still sounds every 64 samples). Exact moves come two hops later, and IDEAL
  is as late; what is left is that 20 ms lie between two still sounds. OWN: exact moves against the parabolas through
  still sounds that they are meant to be. BETWEEN (with `--hops`): what straight lines and parabolas between still
  sounds miss of IDEAL.

Costs: CPU seconds per second of audio of the C player (and of Python's stream, PY), all knobs moving all the time,
medians over the rounds; STILL, GLIDE (ramps), EXACT; and the CPU time that 999 of 1,000 blocks stay below, in percent
of a block's own time, median over the rounds.

With `--hops` it shows something else: BETWEEN, and DRAG against IDEAL, for hops of other lengths, and what moves then
cost Python's stream over the C player (PY C) and over numba (PY), in blocks of 64 samples.

    python -m benchmarks.knob_moves --rounds 5 [--run FOLDER] [--hops 960 320 192]
"""

import argparse
import subprocess
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.common import CONFIGS, RATE_HZ, trained_net
from models.artifacts.folder import load_model
from models.artifacts.model_config import ModelConfig, make_config
from models.audio.decibels import power_decibels
from models.audio.guitar import guitar
from models.core.schema import read_document
from models.evaluation.robustness import RAMPS_MS, knob_move_artifact, loudest
from models.formats.player.build import build_program
from models.formats.player.native import NativePlayer
from models.formats.player.writer import amp_bytes
from models.knobs.schema import Knob, Knobs
from models.network.architecture import WaveNetConfig
from models.network.wavenet import WaveNet
from models.playback.exact import HOP
from models.playback.stream import Stream, player_factory
from zoo.cli import output

MODELS = ("a1-nano-film", "a1-lite-film", "a1-standard-film", "a2-full-film")
BLOCKS = (32, 64, 128)
PYTHON = ("PY STILL", "PY RAMP", "PY EXACT")
HOPS_HEAD = ("MODEL", "HOP MS", "BETWEEN: LINES", "PARABOLAS", "DRAG EXACT", "PY C STILL, EXACT", "PY STILL, EXACT")
CONTROL = 64  # samples between two still sounds of the ideal


def fade_artifact(net: WaveNet, x_T: np.ndarray, ends: np.ndarray, ramp: int) -> float:
    """Return what an exact move from one setting to another adds, in dBFS, measured as `knob_move_artifact` does."""
    start, (from_K, to_K) = net.receptive_field - 1, ends
    stream = Stream(net, list(from_K), "exact", ramp)
    y_T = np.concatenate([stream.process(x_T[:start], from_K), stream.process(x_T[start:], to_K)]).astype(np.float64)
    before_T, after_T = (Stream(net, list(still)).process(x_T, list(still)) for still in (from_K, to_K))
    fade_T = np.clip((np.arange(len(x_T)) - start - ramp + 1) / ramp, 0, 1)
    added_T = (y_T - ((1 - fade_T) * before_T + fade_T * after_T))[start + ramp :][: ramp + start]
    return power_decibels(float(np.mean(added_T**2)))


def still_parts(net: WaveNet, x_T: np.ndarray, levels: np.ndarray, length: int, curved: bool = False) -> np.ndarray:
    """Fade from setting to setting, (N, K), `length` samples each: a sound without any other past.

    `curved`: in a parabola through the last three, where there are three that differ.
    """
    player, field, parts = player_factory(net)(), net.receptive_field - 1, []
    padded_T = np.concatenate([np.zeros(field, np.float32), x_T])
    share_T = np.arange(1, length + 1) / length

    def still(number: int, levels_K: np.ndarray) -> np.ndarray:
        begin = number * length
        return player.play(padded_T[begin : begin + field + length].copy(), levels_K.copy())[field:].astype(np.float64)

    for number in range(len(x_T) // length):
        old_T, new_T = still(number, levels[number]), still(number, levels[number + 1])
        parts.append(old_T + (new_T - old_T) * share_T)
        before_K, step_K = (levels[number + 1 - n] - levels[max(0, number - n)].astype(float) for n in (1, 0))
        if curved and before_K.any() and np.linalg.norm(step_K - before_K) <= 2 * np.linalg.norm(step_K):
            passed_T = still(number, levels[number - 1])
            parts[-1] += (new_T - 2 * old_T + passed_T) * share_T * (share_T - 1) / 2
    return np.concatenate(parts)


def dragged(net: WaveNet, t_N: np.ndarray) -> np.ndarray:
    """Return the settings at these samples: the first knob begins at one end, at rest; the others stand."""
    levels = np.zeros((len(t_N), net.knobs), np.float32)
    levels[:, 0] = -np.cos(np.pi * np.clip(t_N, 0, None) / RATE_HZ)
    return levels


def drag_artifacts(net: WaveNet, x_T: np.ndarray, hop: int = HOP) -> list[float]:
    """Return the artifacts of a drag: ramp and exact against the ideal, exact against its own parabolas.

    `hop` is a multiple of `CONTROL`.
    """
    count = len(x_T) // hop * hop
    x_T, settings = x_T[:count], partial(dragged, net)
    rest_K = settings(np.zeros(1))[0]
    ramp_T = Stream(net, list(rest_K)).process(x_T, np.ascontiguousarray(settings(np.arange(count)).T))
    stream, parts = Stream(net, list(rest_K), "exact", hop), []
    for begin in range(0, count, CONTROL):
        parts.append(stream.process(x_T[begin : begin + CONTROL], settings(np.array([begin]))[0]))
    exact_T, points = np.concatenate(parts), np.arange(0, count + CONTROL, CONTROL)
    ideal_T, late_T = (still_parts(net, x_T, settings(points - late), CONTROL) for late in (0, 2 * hop))
    hops = np.arange(-2, count // hop - 1) * hop
    start = next(number for number, t in enumerate(points) if np.any(settings(np.array([t]))[0] != rest_K)) * CONTROL
    own_T = still_parts(net, x_T[start:], settings(np.where(hops < 0, -start, hops) + start), hop, curved=True)
    pairs = (ramp_T, ideal_T), (exact_T, late_T), (exact_T[start:][: len(own_T)], own_T)
    return [power_decibels(float(np.mean((one - other) ** 2))) for one, other in pairs]


def between(net: WaveNet, x_T: np.ndarray, hop: int) -> list[float]:
    """Return what straight lines and parabolas between still sounds, a hop apart, miss of a drag."""
    count = len(x_T) // hop * hop
    fine, coarse = (dragged(net, np.arange(0, count + step, step)) for step in (CONTROL, hop))
    ideal_T = still_parts(net, x_T[:count], fine, CONTROL)
    found = (still_parts(net, x_T[:count], coarse, hop, curved) for curved in (False, True))
    return [power_decibels(float(np.mean((one - ideal_T) ** 2))) for one in found]


def costs(program: Path, file: Path, block: int, rounds: int) -> list[str]:
    """Return the cells of the costs at one block size."""
    spent: dict[str, list[float]] = {}
    late: dict[str, list[float]] = {}
    for _ in range(rounds):
        for kind in ("still", "glide", "exact"):
            words = [program, file, str(block), "2", NativePlayer(file.read_bytes()).engine, kind, "cpu"]
            lines = subprocess.check_output(words, text=True).splitlines()
            walls = np.array([float(line) for line in lines[:-1]])
            spent.setdefault(kind, []).append(float(lines[-1].removeprefix("cpu ")) / (len(walls) * block / RATE_HZ))
            late.setdefault(kind, []).append(float(np.quantile(walls, 0.999)) * RATE_HZ / block)
    cells = [f"{100 * median(spent[kind]):.2f} %" for kind in spent]
    return [*cells, *(f"{100 * median(late[kind]):.1f} %" for kind in late)]


def python_costs(net: WaveNet, block: int, rounds: int, **options: Any) -> list[str]:
    """Return the cells of Python's stream, made with these options: still, ramps, exact."""
    noise_T, y_T = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32), np.empty(block, np.float32)
    spent: dict[str, list[float]] = {"still": [], "ramp": [], "exact": []}
    ramp_KT = np.repeat(np.linspace(-1, 1, block, dtype=np.float32)[None], net.knobs, axis=0)
    for _, kind in product(range(rounds), spent):
        moves = "exact" if kind == "exact" else "ramp"
        stream, count = Stream(net, [0.0] * net.knobs, moves, **options), RATE_HZ // block
        begin = time.thread_time()
        for number in range(count):
            turned = np.full(net.knobs, np.sin(number * block / 2000) if kind == "exact" else 0, np.float32)
            levels = ramp_KT if kind == "ramp" else turned
            stream.process(noise_T[number * block : (number + 1) * block], levels, y_T)
        spent[kind].append((time.thread_time() - begin) * RATE_HZ / (count * block))
    return [f"{100 * median(found):.2f} %" for found in spent.values()]


def show_hops(models: list[tuple[ModelConfig, WaveNet]], hops: list[int], rounds: int) -> None:
    """Print the table of a drag with hops of these lengths."""
    rows, x_T = [], guitar(2.0, RATE_HZ, 0)
    for config, net in models:
        native = partial(NativePlayer, amp_bytes(config, net))
        for hop in hops:
            heard = [*between(net, x_T, hop), drag_artifacts(net, x_T, hop)[1]]
            sides = python_costs(net, 64, rounds, hop=hop, create_player=native), python_costs(net, 64, rounds, hop=hop)
            numbers = (f"{number:.0f}" for number in heard)
            rows.append((config.name, f"{1000 * hop / RATE_HZ:.1f}", *numbers, *(s[0] + " " + s[2] for s in sides)))
            output.info("  ".join(rows[-1]))
    output.data_table(HOPS_HEAD, rows)


def main() -> None:
    """Measure every model and print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--hops", type=int, nargs="*", default=[], help="in samples, multiples of 64")
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="folders of trained models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    knobs = Knobs(knobs=tuple(Knob(name=f"knob{n}", min=-1, max=1, default=0) for n in range(2)))
    models = [load_model(folder) for folder in options.run]
    for name in options.models:
        config = read_document(CONFIGS / f"{name}.json", WaveNetConfig)
        models.append((make_config(name, RATE_HZ, knobs, config), trained_net(config, 2)))
    if options.hops:
        show_hops(models, options.hops, options.rounds)
        return
    program, heard, spent = build_program("bench.c"), [], []
    x_T = guitar(4.0, RATE_HZ, 0)
    for config, net in models:
        ends = np.zeros((2, net.knobs), np.float32)
        ends[:, 0] = -1, 1
        moves = []
        for ramp in (ms * RATE_HZ // 1000 for ms in RAMPS_MS):
            loud = loudest(torch.from_numpy(x_T), 3 * ramp + 4 * net.receptive_field)
            from_K, to_K = torch.from_numpy(ends)
            moves.append(knob_move_artifact(net, loud, from_K, to_K, ramp))
            moves.append(fade_artifact(net, loud.numpy(), ends, ramp))
        numbers = [*moves, *drag_artifacts(net, x_T[: 2 * RATE_HZ])]
        heard.append((config.name, str(net.receptive_field), *(f"{number:.0f}" for number in numbers)))
        output.info("  ".join(heard[-1]))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "amp.bin"
            file.write_bytes(amp_bytes(config, net))
            for block in BLOCKS:
                cells = costs(program, file, block, options.rounds) + python_costs(net, block, options.rounds)
                spent.append((config.name, str(block), *cells))
                output.info("  ".join(spent[-1]))
    kinds = [f"{ms} MS {kind}" for ms in RAMPS_MS for kind in ("RAMP", "EXACT")]
    output.data_table(("MODEL", "FIELD", *kinds, "DRAG RAMP", "DRAG EXACT", "OWN"), heard)
    output.data_table(("MODEL", "BLOCK", "STILL", "GLIDE", "EXACT", "P99.9 STILL", "GLIDE", "EXACT", *PYTHON), spent)


if __name__ == "__main__":
    main()
