"""How often a wrong label is found and a right one suspected: labels exchanged or moved at random.

Every draw is checked as `zoo check` checks labels. Exchanged: any two takes, however similar they sound. Moved: one
take gets another setting, drawn from the candidates. Right: takes left out at random (up to two in five), all labels
unchanged. Without the recordings only the virtual amp is measured.

    python benchmarks/mislabelled.py [RECORDINGS] --draws 100
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from models.capture.virtual_amp import render_takes
from models.recordings.checks.check import EXCERPT_PARTS, check
from models.recordings.checks.mislabels import MIN_TAKES, find_mislabels, label_candidates, level_features
from zoo.cli import output

SETS = ("gxamp-6v6/train.json", "gxamp-6v6/heldout.json", "ts808/train.json", "ts808/heldout.json", "hrd3/train.json")


def measure(name: str, path: Path, draws: int) -> tuple[str, ...]:
    """Return one row: the set, its takes, and how often each result occurred."""
    report, random = check(path), np.random.default_rng(0)
    takes = [take for take in report.takes if take.wet in report.excerpts]
    rates = {take.wet_sound.rate_hz for take in takes if take.wet_sound}
    level_NP = level_features(np.stack([report.excerpts[take.wet] for take in takes]), EXCERPT_PARTS, rates.pop())
    encode, count = report.manifest.knobs.encode, len(takes)
    levels_ND = np.array([encode(take.setting) for take in takes])
    candidates_MD = np.array([encode(setting) for setting in label_candidates(report.manifest.knobs)])

    def named(level_NP: np.ndarray, labels_ND: np.ndarray) -> set[int]:
        found = find_mislabels(level_NP, labels_ND, candidates_MD)
        return {take for mislabel in found for take in (mislabel.take, mislabel.partner) if take is not None}

    def exchanged() -> tuple[set[int], set[int]]:
        pair = random.choice(count, 2, replace=False)
        labels_ND = levels_ND.copy()
        labels_ND[pair] = levels_ND[pair[::-1]]
        return set(pair.tolist()), named(level_NP, labels_ND)

    def moved() -> tuple[set[int], set[int]]:
        take, labels_ND = int(random.integers(count)), levels_ND.copy()
        labels_ND[take] = random.choice(candidates_MD)
        return {take}, named(level_NP, labels_ND)

    def right() -> set[int]:
        drawn = random.permutation(count)[: max(int(count * random.uniform(0.6, 1.0)), MIN_TAKES)]
        return named(level_NP[drawn], levels_ND[drawn])

    swaps, moves = [exchanged() for _ in range(draws)], [moved() for _ in range(draws)]
    shares = (
        [wrong == found for wrong, found in swaps],
        [bool(found - wrong) for wrong, found in swaps],
        [wrong <= found for wrong, found in moves],
        [bool(found) and not wrong & found for wrong, found in moves],
        [bool(right()) for _ in range(draws)],
    )
    whole = len(named(level_NP, levels_ND))
    return (name, f"{count}", *(f"{100 * np.mean(part):.0f} %" for part in shares), f"{whole}")


def main() -> None:
    """Measure all available sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=100)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        rows.append(measure("virtual amp", render_takes(Path(folder) / "takes")[0], options.draws))
    for name in SETS:
        if options.data and (options.data / name).is_file():
            rows.append(measure(name, options.data / name, options.draws))
        else:
            output.info(f"no {name}: left out")
    header = (
        "SET",
        "TAKES",
        "EXCHANGED: BOTH NAMED",
        "ANOTHER NAMED",
        "MOVED: NAMED",
        "ONLY ANOTHER",
        "RIGHT: SUSPECTED",
        "WHOLE",
    )
    output.data_table(header, rows)


if __name__ == "__main__":
    main()
