"""Fuzz the parsers: `python -m tests.fuzz --inputs 1000000`, each of them with so many inputs.

Prints a line per parser, then a line per failure, and keeps the inputs that failed in --keep. Exits with 1 where one
failed.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.harness import fuzz
from tests.fuzz.targets import TARGETS


def fuzz_all(words: list[str]) -> int:
    """Fuzz what the words say; return the number of failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs of each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=[target.name for target in TARGETS])
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    options = parser.parse_args(words)
    failures = 0
    for target in TARGETS:
        if options.target and target.name not in options.target:
            continue
        began = time.process_time()
        found = fuzz(target, options.inputs, options.seed)
        spent = time.process_time() - began
        print(f"{target.name}: {options.inputs:,} inputs, {len(found)} kinds of failure, {spent:.0f} s", flush=True)
        for failure in found:
            print(f"  {failure.number}: {failure.reason}: {failure.data[:120]!r}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{target.name}-{options.seed}-{failure.number}").write_bytes(failure.data)
        failures += len(found)
    return failures


if __name__ == "__main__":
    sys.exit(bool(fuzz_all(sys.argv[1:])))
