"""What a person waits for, before and after: commands that should answer at once, the first step of a search, `make`.

Each command runs in a process of its own, in turn from each tree, on a package and on shelves made of copies of it; the
medians of CPU seconds are printed, and those of the first time in the last tree. With --search, a search config whose
takes exist: seconds from the command to the first step that is reported, on Ray and with --local. With --quickstart:
seconds of the whole quickstart, its CPU seconds, and the share of them spent between two reports of a trial, which is
training and its validation. A tree is a checkout of this project, such as a worktree of another commit.

    python -m benchmarks.waiting --package PACKAGE --amps 1000 10000 --trees ../before .
    python -m benchmarks.waiting --search configs/quickstart/search.json --quickstart --trees ../before .
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from zoo.cli import output

COPIED = ("manifest.json", "README.md", "config.json", "eval.json")  # what a list and a card need


TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def start(tree: Path, words: tuple[str, ...], folder: Path) -> "subprocess.Popen[bytes]":
    """Start a command of the tree, with a session of its own; the current folder and the user's shelf are `folder`."""
    env = {**os.environ, "PYTHONPATH": str(tree), "ZOO_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", *words]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=env, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True)


def cpu_seconds(tree: Path, words: tuple[str, ...], folder: Path) -> float:
    """CPU seconds, user and system, of a command of the tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start(tree, words, folder).wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_shelf(package: Path, shelf: Path, amps: int) -> None:
    """Fill a shelf with copies of the documents of a package."""
    for number in range(amps):
        folder = shelf / f"owner{number % 50}" / f"amp-{number}"
        folder.mkdir(parents=True)
        for name in COPIED:
            shutil.copyfile(package / name, folder / name)


def first_step_s(tree: Path, config: Path, words: tuple[str, ...], folder: Path) -> float:
    """Seconds from the command `zoo search` to the first report of a step in the ledger; the search ends then."""
    document = json.loads(config.read_text(encoding="utf-8"))
    for data in document["datasets"]:
        data |= {name: str((config.parent / data[name]).resolve()) for name in ("train", "held") if data.get(name)}
    document["learning"]["report_every"] = 1
    study = Path(tempfile.mkdtemp(dir=folder))
    (folder / "search.json").write_text(json.dumps(document), encoding="utf-8")
    ledger, began = study / "study" / "ledger.jsonl", time.perf_counter()
    search = start(tree, ("search", "search.json", "--out", str(study / "study"), *words), folder)
    while search.poll() is None and not (ledger.exists() and '"report"' in ledger.read_text(encoding="utf-8")):
        time.sleep(0.02)
    taken_s = time.perf_counter() - began
    search.send_signal(signal.SIGINT)
    search.wait()
    return taken_s


def session_cpu_s(leader: int) -> dict[int, float]:
    """Process -> its CPU seconds, for the living processes of a session."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(words[3]) == leader:
                found[int(entry.name)] = (int(words[11]) + int(words[12])) * TICK_S
    return found


def quickstart(tree: Path, folder: Path) -> tuple[float, float, float]:
    """Seconds of a quickstart, its CPU seconds with all that it starts, and their share in training."""
    place = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(tree / "configs", place / "configs")
    used_s: dict[int, float] = {}
    began = time.perf_counter()
    running = start(tree, ("quickstart", "configs/quickstart/search.json"), place)
    while running.poll() is None:
        used_s |= session_cpu_s(running.pid)
        time.sleep(0.1)
    taken_s, cpu_s = time.perf_counter() - began, sum(used_s.values())
    lines = (place / "quickstart" / "study" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    return taken_s, cpu_s, sum(json.loads(line).get("seconds", 0) for line in lines) / cpu_s


def compare_answers(package: Path, amps: list[int], trees: list[Path], rounds: int, folder: Path) -> None:
    """Print the CPU seconds of commands that should answer at once."""
    commands: dict[str, tuple[str, ...]] = {
        "pull, nothing to move": ("pull", "me/amp", "--zoo", "shelf"),
        "push, nothing to move": ("push", str(package.resolve()), "me/amp", "--zoo", "shelf"),
        "verify": ("verify", "me/amp"),
        "show": ("show", "me/amp"),
        "search of a missing file": ("search", "none.json"),
    }
    for count in amps:
        make_shelf(package, folder / f"shelf-{count}", count)
        commands[f"list {count:,} amps"] = ("list", "--zoo", f"shelf-{count}")
    for words in (commands["push, nothing to move"], commands["pull, nothing to move"]):
        cpu_seconds(trees[-1], words, folder)
    rows = []
    for what, words in commands.items():
        first_s = cpu_seconds(trees[-1], words, folder)  # compiles, fills caches
        for tree in trees[:-1]:
            cpu_seconds(tree, words, folder)
        runs = [[cpu_seconds(tree, words, folder) for tree in trees] for _ in range(rounds)]
        rows.append(
            (what, f"{first_s:.2f}", *(f"{statistics.median(column):.2f}" for column in zip(*runs, strict=True)))
        )
    output.data_table(("CPU SECONDS", "FIRST", *(tree.name for tree in trees)), rows)


def compare_first_steps(config: Path, trees: list[Path], rounds: int, folder: Path) -> None:
    """Print the seconds to the first step of a search."""
    rows = []
    for what, words in (("on Ray", ()), ("--local", ("--local",))):
        for tree in trees:
            first_step_s(tree, config, words, folder)  # compiles, fills caches
        runs = [[first_step_s(tree, config, words, folder) for tree in trees] for _ in range(rounds)]
        rows.append((what, *(f"{statistics.median(column):.1f}" for column in zip(*runs, strict=True))))
    output.data_table(("FIRST STEP, SECONDS", *(tree.name for tree in trees)), rows)


def compare_quickstarts(trees: list[Path], rounds: int, folder: Path) -> None:
    """Print the seconds of quickstarts, where everything is compiled, and what their CPU seconds were spent on."""
    runs = [[quickstart(tree, folder) for tree in trees] for _ in range(rounds)]
    columns = [
        [statistics.median(values) for values in zip(*column, strict=True)] for column in zip(*runs, strict=True)
    ]
    rows = [
        (tree.name, f"{s:.0f}", f"{cpu:.0f}", f"{share:.0%}")
        for tree, (s, cpu, share) in zip(trees, columns, strict=True)
    ]
    output.data_table(("QUICKSTART", "SECONDS", "CPU SECONDS", "IN TRAINING"), rows)


def main() -> None:
    """Parse the command line, run the commands in turn, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="a package: pulls, pushes, lists")
    parser.add_argument("--amps", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--search", type=Path, help="a search config whose takes exist")
    parser.add_argument("--quickstart", action="store_true")
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path()])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    trees = [tree.resolve() for tree in options.trees]
    with tempfile.TemporaryDirectory() as name:
        if options.package:
            compare_answers(options.package, options.amps, trees, options.rounds, Path(name))
        if options.search:
            compare_first_steps(options.search, trees, options.rounds, Path(name))
        if options.quickstart:
            compare_quickstarts(trees, options.rounds, Path(name))


if __name__ == "__main__":
    main()
