"""What the live table of `zoo search` costs.

Drawing: CPU time of the process while it shows the table of 16 to 1,000 trials and does nothing else, as a share of a
core.

Driver: a search of the built-in virtual amp on Ray, on a terminal and in a pipe, interleaved; the CPU time of the
process that drives it, from its first report to its last trial, as a share of a core.

    python benchmarks/live_table.py --rounds 1 --budget 40s
"""

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

from models.capture.virtual_amp import render_takes
from search.config.study import SearchConfig, read_search
from search.report.live_view import LiveView
from search.study.ledger import ledger_path
from search.study.lines import TrialRecord, TrialStart
from zoo.cli import output

DRAWN_S = 10.0
TICKS_HZ = os.sysconf("SC_CLK_TCK")
PULSE_S = 0.2


def search_document(takes: Path) -> dict:
    """The search of the quickstart, over takes in a folder, with short trials: many reports and decisions."""
    path = Path(__file__).parents[1] / "configs" / "quickstart" / "search.json"
    document = json.loads(path.read_text())
    document.pop("$schema")
    document["datasets"][0] |= {"train": str(takes / "train.json"), "held": str(takes / "held.json")}
    document |= {"trials": 100, "final": None}
    document["learning"] |= {"steps": 200, "report_every": 25, "batch": 4, "segment": 1024}
    return document


def fill(view: LiveView, trials: int) -> None:
    """Let a view know of many trials, two of which train."""
    for number in range(trials):
        running = number >= trials - 2
        start = TrialStart(
            trial=f"{number:08x}", number=number, point={}, label="1x8 pow2 k3, 12 channels", form="mixin+film",
            steps=2000, seed=0, cost=0.001 + number / 1e4, macs=1, parameters=1, receptive_field=1, columns=3,
            rate_hz=48_000,
        )  # fmt: skip
        record = replace(TrialRecord.of_start(start), step=700 if running else 2000, esr=0.3 / (1 + number % 97))
        view.on_record(replace(record, state="report" if running else "finished", amps={"a": record.esr}))


def drawing_share(config: SearchConfig, trials: int) -> float:
    """Share of a core that the table of so many trials takes while nothing else happens."""
    view = LiveView(config, Path("none"), "zoo play studies/mine")
    view.on_phase("training")
    fill(view, trials)
    ours, theirs = pty.openpty()
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    before = sys.stderr
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        sys.stderr = terminal
        try:
            with output.live_lines(view.lines):
                time.sleep(1.0)
                began = time.process_time()
                time.sleep(DRAWN_S)
                return (time.process_time() - began) / DRAWN_S
        finally:
            sys.stderr = before


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_HZ


def drain(handle: int) -> None:
    """Read what a process writes, until it ends."""
    with suppress(OSError):
        while os.read(handle, 1 << 16):
            pass


def driver_share(config: Path, study: Path, budget: str, on_terminal: bool) -> float:
    """Share of a core of the process that drives a search while trials train."""
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    words = ["search", str(config), "--out", str(study), "--budget", budget]
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", *words]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    first = last = None
    while process.poll() is None:
        text = ledger_path(study).read_text() if ledger_path(study).exists() else ""
        if '"state": "report"' in text and not (study / "board.json").exists():
            with suppress(OSError):
                last = time.monotonic(), cpu_s(process.pid), text.count("\n")
                first = first or last
        time.sleep(PULSE_S)
    assert process.returncode == 0 and first and last, f"the search ended with {process.returncode}"
    return (last[1] - first[1]) / (last[0] - first[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--budget", default="40s")
    options = parser.parse_args()
    os.environ |= {"COLUMNS": "100", "LINES": "40"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render_takes(folder / "takes")
        (folder / "search.json").write_text(
            json.dumps(search_document(folder / "takes") | {"trials": 100, "final": None})
        )
        for trials in (16, 100, 1000):
            share = drawing_share(read_search(folder / "search.json"), trials)
            print(f"{trials} trials: {100 * share:.2f} % of a core at {output.REFRESH_HZ:g} drawings a second")
        shares: dict[str, list[float]] = {"terminal": [], "pipe": []}
        for round_ in range(options.rounds):
            for where, found in shares.items():
                study = folder / f"{where}{round_}"
                found.append(driver_share(folder / "search.json", study, options.budget, where == "terminal"))
                print(f"driver, {where}: {100 * found[-1]:.1f} % of a core", flush=True)
        if not options.rounds:
            return
        medians = {where: median(found) for where, found in shares.items()}
        for where, share in medians.items():
            print(f"driver, {where}: median {100 * share:.1f} % of a core")
        print(f"terminal / pipe: {medians['terminal'] / medians['pipe']:.2f}")


if __name__ == "__main__":
    main()
