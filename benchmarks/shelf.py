"""A shelf of four amps, from recordings to sound, by the commands that a person types.

They are trained, searched, packaged, pushed, listed, pulled, verified, played and baked. Needs the recordings folder
(`gxamp-6v6/`, `ts808/`, `hrd3/`; `$AMPZOO_RECORDINGS` or the argument), which is not part of the project; without it,
it prints so and stops. The virtual amp is searched over three sizes, and so has tiers; the others are trained once.

    python -m benchmarks.shelf RECORDINGS --out shelf
"""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from benchmarks.real_recordings import make_config
from models.artifacts.evaluation import read_evaluation
from models.capture.virtual_amp import render_takes
from models.core.errors import UserError
from models.core.files import write_json
from zoo.cli import output
from zoo.cli.main import cli
from zoo.cli.views import words

LICENSES = {"virtual-amp": "cc0-1.0", "gxamp-6v6": "cc-by-4.0", "ts808": "cc-by-4.0", "hrd3": "mit"}
TONES = {
    "virtual-amp": ("--tone", "crunch"),
    "gxamp-6v6": ("--tone", "crunch"),
    "ts808": ("--kind", "pedal", "--tone", "overdrive"),
    "hrd3": ("--kind", "amp_cab", "--tone", "hi_gain"),
}
TAKES = ("virtual-amp", "hrd3")  # whose license lets a recording be there beside the model
MODEL = {
    "arrays": [{"channels": 12, "kernel_size": 3, "dilations": [1, 3, 9, 27, 81, 243, 1, 3, 9], "activation": "Tanh"}],
    "inject": {"film": ["activation_pre"]},
}
SIZES = {"shapes": [], "depth": [8], "dilations": ["pow2"], "channels": [4, 8, 16], "inject": ["film"]}


def zoo(*words: object) -> None:
    """A command as a person would type it, shown, and run in this process; raises what it raises."""
    output.data(f"\n$ zoo {shlex.join(map(str, words))}")
    try:
        cli.main(list(map(str, words)), prog_name="zoo", standalone_mode=False)
    except SystemExit as stop:
        if stop.code:
            raise


def datasets(recordings: Path, steps: int) -> list[dict[str, Any]]:
    """D of each recorded amp: two as in `real_recordings`; `ts808` validates on settings that are no end of a knob."""
    known = [data.model_dump(mode="json") for data in make_config(recordings, 1, steps).datasets]
    middle = {"drive": 0.5, "tone": 0.5, "level": 0.7}
    ts808 = {
        "name": "ts808",
        "train": str(recordings / "ts808" / "train.json"),
        "held": str(recordings / "ts808" / "heldout.json"),
        "validation_settings": [{**middle, "drive": 0.25}, {**middle, "tone": 0.25}],
        "validation_seconds": 2.0,
    }
    return [*known, ts808]


def train(data: dict[str, Any], learning: dict[str, Any], out: Path) -> Path:
    """One amp trained once; returns its run folder."""
    configs = {"data": data, "model": MODEL, "learning": learning}
    paths = {kind: out / "configs" / f"{data['name']}-{kind}.json" for kind in configs}
    for kind, content in configs.items():
        write_json(paths[kind], content)
    run = out / "runs" / data["name"]
    zoo("train", *(word for kind, path in paths.items() for word in (f"--{kind}", path)), "--out", run)
    return run


def search(learning: dict[str, Any], out: Path) -> Path:
    """The virtual amp searched over three sizes; returns the study."""
    takes, held = render_takes(out / "takes")
    data = {"name": "virtual-amp", "train": takes, "held": held, "validation_settings": 4, "validation_seconds": 2.0}
    config = {
        "name": "sizes",
        "datasets": [{**data, "train": str(takes.resolve()), "held": str(held.resolve())}],
        "space": {**SIZES, "learning_rate": [learning["learning_rate"]] * 2},
        "learning": {key: value for key, value in learning.items() if key != "learning_rate"},
        "trials": len(SIZES["channels"]),
        "final": None,  # the sizes as they are searched
    }
    path, study = out / "configs" / "search.json", out / "study"
    write_json(path, config)
    zoo("search", path, "--out", study, "--local", *(["--resume"] if (study / "study.json").exists() else []))
    return study


def packaged(made: Path, name: str, out: Path) -> Path:
    """The package of a run or a study.

    A model worse than the nearest recording is refused; it is packaged with `--force`, and its card states the fault.
    """
    words = ("package", made, "--license", LICENSES[name], *TONES[name], "--out", out / "packages")
    words += ("--with-take",) if name in TAKES else ()
    try:
        zoo(*words)
    except UserError as refusal:
        output.data(f"refused: {refusal.message}")
        zoo(*words, "--force")
    return out / "packages" / name


def main() -> None:
    """Build it, or continue where it stopped, and show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, nargs="?", default=os.environ.get("AMPZOO_RECORDINGS"))
    parser.add_argument("--out", type=Path, default=Path("shelf"))
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    if options.recordings is None or not (options.recordings / "hrd3").is_dir():
        sys.exit("skipped: name the folder of the recordings, or set AMPZOO_RECORDINGS")
    out, shelf = options.out, options.out / "shelf"
    learning = {"steps": options.steps, "report_every": max(1, options.steps // 5), "learning_rate": 0.008}
    recordings = datasets(options.recordings.resolve(), options.steps)
    made = {data["name"]: train(data, learning, out) for data in recordings}
    made["virtual-amp"] = search({**learning, "steps": options.steps // 2}, out)
    for name, source in made.items():
        zoo("push", packaged(source, name, out), f"ampzoo/{name}", "--zoo", shelf, "--yes")
    zoo("list", "--zoo", shelf)
    for name in made:
        amp, pulled = f"ampzoo/{name}", out / "pulled" / name
        zoo("knobs", amp, "--zoo", shelf)
        zoo("show", amp, "--zoo", shelf)
        zoo("pull", amp, "--zoo", shelf, "--to", pulled)
        zoo("verify", pulled)
        zoo("render", pulled, pulled / "audio" / "di.flac", out / "sound" / f"{name}.wav")
        zoo("export", pulled, out / "sound" / f"{name}.nam", "--bake", "")
    for name in made:
        output.data(f"{name}: {words.held_sentence(read_evaluation(out / 'pulled' / name))}")
    tiny = out / "pulled" / "virtual-amp-nano"
    zoo("pull", "ampzoo/virtual-amp", "--zoo", shelf, "--tier", "nano", "--to", tiny)
    zoo("render", tiny, tiny / "audio" / "di.flac", out / "sound" / "virtual-amp-nano.wav", "--tier", "nano")


if __name__ == "__main__":
    main()
