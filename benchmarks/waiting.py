"""What a person waits for: CPU seconds of the commands that should answer at once, before and after.

Each command runs in a process of its own, in turn from each tree, on a package and on shelves made of copies of it; the
medians are printed. A tree is a checkout of this project, such as a worktree of another commit.

    python -m benchmarks.waiting PACKAGE --amps 1000 10000 --trees ../before .
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from zoo.cli import output

COPIED = ("manifest.json", "README.md", "config.json", "eval.json")  # what a list and a card need


def cpu_seconds(tree: Path, words: tuple[str, ...], folder: Path) -> float:
    """CPU seconds, user and system, of a command of the tree; the current folder and the user's shelf are `folder`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "PYTHONPATH": str(tree), "ZOO_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    code = "from zoo.cli.main import main; main()"
    subprocess.run([sys.executable, "-c", code, *words], env=env, cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_shelf(package: Path, shelf: Path, amps: int) -> None:
    """Fill a shelf with copies of the documents of a package."""
    for number in range(amps):
        folder = shelf / f"owner{number % 50}" / f"amp-{number}"
        folder.mkdir(parents=True)
        for name in COPIED:
            shutil.copyfile(package / name, folder / name)


def main() -> None:
    """Parse the command line, run the commands in turn, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--amps", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--trees", type=Path, nargs="+", default=[Path()])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    package, trees = str(options.package.resolve()), [tree.resolve() for tree in options.trees]
    commands: dict[str, tuple[str, ...]] = {
        "pull, nothing to move": ("pull", "me/amp", "--zoo", "shelf"),
        "push, nothing to move": ("push", package, "me/amp", "--zoo", "shelf"),
        "verify": ("verify", "me/amp"),
        "show": ("show", "me/amp"),
        "search of a missing file": ("search", "none.json"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for amps in options.amps:
            make_shelf(options.package, folder / f"shelf-{amps}", amps)
            commands[f"list {amps:,} amps"] = ("list", "--zoo", f"shelf-{amps}")
        for words in (commands["push, nothing to move"], commands["pull, nothing to move"]):
            cpu_seconds(trees[-1], words, folder)
        found: dict[str, list[list[float]]] = {}
        for what, words in commands.items():
            for tree in trees:
                cpu_seconds(tree, words, folder)  # compiles, fills caches
            runs = [[cpu_seconds(tree, words, folder) for tree in trees] for _ in range(options.rounds)]
            found[what] = [list(column) for column in zip(*runs, strict=True)]
    rows = [(what, *(f"{statistics.median(column):.2f}" for column in columns)) for what, columns in found.items()]
    output.data_table(("CPU SECONDS", *(tree.name for tree in trees)), rows)


if __name__ == "__main__":
    main()
