"""All that a GPU has to show, in under ten minutes, into a log: steps, stacks, models per hour, a search.

Each part is a process that ends at its limit at the latest; what it has printed by then counts, and a part that fails
does not keep the others from running. The log's newest section comes first.

* `variants`: a step of one stack by Triton kernels and by batched products, each captured as a CUDA graph and not; all
  four must begin with the loss of the solo run on the CPU, and a player or a capture that gives way is printed
* `stacking`: a step by the size of the stack, against the solo run on the CPU and the PyPI trainer of NAM
* `rate`: models per hour against the PyPI trainer, with compiling, choosing the size of stacks and capturing
* `search`: a search of 16 trials over the virtual amp, then the same on the CPU alone, where there is time

    python -m benchmarks.gpu --log benchmarks/results/gpu.md
    python -m benchmarks.gpu --device cpu --small --log /tmp/gpu.md      # what it does, without a GPU
"""

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch

from benchmarks.common import load_architecture, synthetic_recordings
from benchmarks.stacking import time_rounds
from benchmarks.training_step import gpu_table
from models.capture.virtual_amp import render_takes
from models.core.hardware import cpu_name
from models.core.schema import check_document
from models.engines.gpu.batched import Batched, StackPlayer, player_for
from models.engines.gpu.cuda_graph import WARM_UP, capture_cuda
from models.network.folding import Folding
from models.training.config import LearningConfig, Recipe
from models.training.stacked import StackedTrainers
from models.training.trainer import Trainer
from search.config.study import SearchConfig
from search.launch.launcher import run_search
from search.run_options import RunOptions
from search.study.lines import FINISHED, REPORT, TrialRecord

LIMITS_S = {"variants": 130, "stacking": 110, "rate": 170, "search": 150}  # all together below ten minutes

VERSIONS = ("torch", "triton", "ray", "neural-amp-modeler")

HEADING = """# On a GPU: results

Written by [gpu.py](../gpu.py), newest first. [All results](../README.md)
"""


def variants(device: torch.device, small: bool) -> None:
    """Print milliseconds of a step per model of one stack, by what plays it and whether it is captured."""
    runs = [("a1-nano-film", 8, 8, 2048), ("a1-standard-film", 8, 16, 8192)]
    print("ms of a step per model                 K      batch   " + "   ".join(name for name, _ in _players(device)))
    for name, size, batch, segment in [("a1-nano-film", 2, 1, 256)] if small else runs:
        print(f"{name:36} {size:3} {batch:3} x {segment:5}  ", end="", flush=True)
        print(_time_variants(name, size, batch, segment, device), flush=True)


def _players(device: torch.device) -> list[tuple[str, Callable[[Folding, torch.device, bool], StackPlayer]]]:
    """Return what plays a stack, by name; Triton's kernels only where there is a GPU for them."""
    plain = ("batched", lambda folding, device, truncates: Batched(folding, truncates))
    return [("Triton", player_for), plain] if device.type == "cuda" else [plain]


def _time_variants(name: str, size: int, batch: int, segment: int, device: torch.device) -> str:
    """Return the medians, and what one way is faster than the other."""
    data, model = synthetic_recordings(), load_architecture(name)

    def trainer(seed: int) -> Trainer:
        learning = LearningConfig(steps=1_000_000, batch=batch, segment=segment, seed=seed)
        return Trainer(Recipe(data=data.config, model=model, learning=learning), data)

    expected, stacks = trainer(0).advance(WARM_UP + 1), dict[str | int, Callable[[int], object]]()
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        for player, make in _players(device):
            for captured in (True, False) if device.type == "cuda" else (False,):
                members = [trainer(seed) for seed in range(size)]
                stack = StackedTrainers(members, device, capture_cuda if captured else None, make)
                loss = stack.advance(WARM_UP + 1)[0]
                assert math.isclose(loss, expected, rel_tol=1e-4), (player, captured, loss, expected)
                stacks[f"{player}{', captured' if captured else ''}"] = stack.advance
    times = time_rounds(stacks, 5, 20 if device.type == "cuda" else 2, time.perf_counter)
    per_model = {run: median(found) / size for run, found in times.items()}
    told = ", ".join(f"{run} {found:.3f}" for run, found in per_model.items())
    if "Triton" in per_model:
        gains = {"capture": ("Triton", "Triton, captured"), "Triton": ("batched, captured", "Triton, captured")}
        ratios = (f"{what} {median(map(_ratio, times[a], times[b])):.2f} x" for what, (a, b) in gains.items())
        told = f"{told}; {', '.join(ratios)}"
    return "; ".join([told, *dict.fromkeys(f"WARNING {one.message}" for one in given)])


def _ratio(before: float, after: float) -> float:
    return before / after


def stacking(device: torch.device, small: bool) -> None:
    """Run benchmarks/stacking.py."""
    whole = ["--models", "a1-nano-film", "a1-standard-film", "--sizes", "1", "2", "4", "8", "16", "32"]
    words = [*whole, "--rounds", "3", "--steps", "20"]
    if small:
        words = ["--models", "a1-nano-film", "--sizes", "1", "2", "--rounds", "1", "--steps", "2"]
        words += ["--batch", "1", "--segment", "256"]
    words += ["--theirs"] if _has_theirs() else []
    subprocess.run([sys.executable, "-m", "benchmarks.stacking", "--device", device.type, *words], check=True)


def rate(device: torch.device, small: bool) -> None:
    """Print models per hour, ours and those of the PyPI trainer."""
    if not _has_theirs():
        return
    models = ["a1-nano-film"] if small else ["a1-nano-film", "a1-standard-film"]
    facts = {"rounds": 1, "steps": 2, "together": 2, "whole": 100} if small else {}
    facts = {"rounds": 3, "steps": 50, "together": 8, "whole": 20_000} | facts
    options = argparse.Namespace(device=device.type, models=models, **facts)
    gpu_table(options, ((1, 256),) if small else ((16, 8192), (8, 2048)))


def _has_theirs() -> bool:
    found = find_spec("nam") is not None
    if not found:
        print("neural-amp-modeler is not installed: it was not timed", flush=True)
    return found


def search(device: torch.device, small: bool) -> None:
    """Print what a search of 16 trials takes on the GPU, and on the CPU alone."""
    ray = find_spec("ray") is not None
    if not ray and not small:
        print("ray is not installed: the search trains one group after another", flush=True)
    trials, steps = (2, 20) if small else (16, 500)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render_takes(folder / "takes")
        for gpus in (None, 0) if device.type == "cuda" else (0,):
            config = search_config(folder / "takes", trials, steps, gpus)
            where = "the CPU alone" if gpus == 0 else "the GPU"
            options = RunOptions(local=small or not ray)
            print(_time_search(config, folder / f"study-{gpus}", options, where), flush=True)


def search_config(takes: Path, trials: int, steps: int, gpus: int | None) -> SearchConfig:
    """Return a search over the virtual amp: four architectures, so that trials of one can be stacked."""
    data = {"name": "virtual-amp", "train": str(takes / "train.json"), "held": str(takes / "held.json")}
    space = {"shapes": [], "depth": [8], "dilations": ["pow2"], "channels": [4, 8, 12, 16], "inject": ["film"]}
    document = {
        "name": "gpu",
        "datasets": [{**data, "validation_settings": 4, "validation_seconds": 2.0}],
        "space": {**space, "learning_rate": [0.005, 0.03]},
        "learning": {"steps": steps, "report_every": steps // 4},
        "trials": trials,
        "final": None,
        "gpus_per_trial": gpus,
    }
    return check_document(document, SearchConfig, "benchmark")


def _time_search(config: SearchConfig, study: Path, options: RunOptions, where: str) -> str:
    began, first_s = time.perf_counter(), list[float]()

    def listen(record: TrialRecord) -> None:
        if record.state == REPORT and not first_s:
            first_s.append(time.perf_counter() - began)

    board = run_search(config, study, RunOptions(local=options.local, listener=listen))
    seconds = time.perf_counter() - began
    finished = [trial for trial in board.trials if trial.state == FINISHED]
    steps = sum(trial.step for trial in board.trials)
    told = f"{len(board.trials)} trials of {config.learning.steps} steps on {where}: {seconds:.1f} s"
    best = min(trial.esr for trial in finished)
    return f"{told}, first report after {first_s[0]:.1f} s, {steps / seconds:.0f} steps a second, best ESR {best:.4f}"


PARTS = {"variants": variants, "stacking": stacking, "rate": rate, "search": search}


def run_part(words: Sequence[str], limit_s: float) -> tuple[str, float]:
    """Run a command until it ends or its limit comes; return what it printed, with how it ended, and its seconds."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )
        ending = ""
        try:
            if code := process.wait(timeout=limit_s):
                ending = f"\nFAILED with exit code {code}"
        except subprocess.TimeoutExpired:
            ending = f"\nSTOPPED at its limit of {limit_s:g} s"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
        process.wait()
        printed.seek(0)
        return printed.read().rstrip() + ending, time.monotonic() - began


def machine(device: str) -> str:
    """Return what ran this."""
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    found = []
    for package in VERSIONS:
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return f"{name}; {cpu_name()}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(found)}."


def insert_section(log: Path, section: str) -> None:
    """Write a section before the others of a log, which begins here where there is none."""
    text = log.read_text() if log.exists() else HEADING
    head, mark, others = text.partition("\n## ")
    log.write_text(f"{head.rstrip()}\n\n{section.strip()}\n{mark}{others}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts and write the log, or one part and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, default=Path(__file__).parent / "results" / "gpu.md")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="As little as possible of each part.")
    parser.add_argument("--limits", type=json.loads, default=LIMITS_S, help="Seconds of each part, as JSON.")
    parser.add_argument("--part", choices=PARTS, help="This part alone, printed.")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; --device cpu --small runs every part without one")
    torch.set_num_threads(1)
    if options.part:
        PARTS[options.part](torch.device(options.device), options.small)
        return
    asked = [f"--device={options.device}", *(["--small"] if options.small else [])]
    command = f"python -m benchmarks.gpu {' '.join(asked)}"
    section = [f"## {date.today()}", f"```\n{command}\n```", machine(options.device)]
    for part, limit_s in options.limits.items():
        words = [sys.executable, "-u", "-m", "benchmarks.gpu", *asked, "--part", part]
        text, seconds = run_part(words, limit_s)
        section.append(f"`{part}`, {seconds:.0f} s:\n\n```\n{text}\n```")
        print(section[-1], flush=True)
    insert_section(options.log, "\n\n".join(section))


if __name__ == "__main__":
    main()
