"""Verbs about recordings: the signal to play, the settings to record it at, what came back. Heavy imports wait inside them."""

import sys
from pathlib import Path
from typing import Any

import click

from zoo.cli.options import PATH, json_option

DESIGNS = ("isolated", "hybrid", "combinatorial", "space-filling")  # as models.capture has them; importing it is slow


@click.command(short_help="Write a signal to record with.")
@click.argument("target", metavar="OUT.wav", type=PATH)
@click.option("--seconds", type=float, default=180.0, show_default=True, help="How long it plays.")
@click.option("--rate", type=click.IntRange(8000, 192000), default=48000, show_default=True, help="In Hz.")
def signal(target: Path, seconds: float, rate: int) -> None:
    """Write a signal to play through the device and record."""
    from models.audio.io import write_audio
    from models.capture.excitation import excitation, find_parts
    from models.core.errors import UserError
    from zoo.cli import output

    parts = find_parts(seconds, rate)
    if target.exists():
        raise UserError(
            f"{target} is there already", "Choose another name, or remove it: it may be somebody's recording."
        )
    write_audio(target, excitation(seconds, rate), rate)
    blips = ", ".join(f"{blip / rate:.2f}" for blip in parts.blips)
    output.info(f"{seconds:g} s at {rate} Hz; timing blips at {blips} s")
    output.info(
        f"the last {(parts.held.stop - parts.held.start) / rate:.1f} s are for judging: held_seconds + validation_seconds"
    )
    output.data(str(target))


@click.command(short_help="See which settings to record.")
@click.argument("knobs", metavar="[KNOBS.json]", type=PATH, required=False)
@click.option(
    "--design", type=click.Choice(DESIGNS), help="Which settings to record. Default with --out: the recommended."
)
@click.option("--count", type=int, metavar="N", help="Takes to train on (space-filling), or to add (--extend).")
@click.option("--positions", type=int, metavar="N", help="Positions of each knob (isolated, hybrid).")
@click.option("--held", type=int, metavar="N", help="Further settings, to judge by. Default: 6.")
@click.option("--signal", "di", type=PATH, metavar="DI.wav", help="What will be played; zoo signal makes one.")
@click.option("--out", type=PATH, metavar="FOLDER", help="A new folder for the manifests and the sheet to record by.")
@click.option(
    "--extend",
    "manifests",
    type=PATH,
    multiple=True,
    metavar="MANIFEST",
    help="Propose what to record next. Give it again for each manifest of takes held back: --extend train.json --extend held.json.",
)
@click.option(
    "--from-nam", "captures", type=PATH, metavar="FOLDER", help="Render takes of .nam captures, one per setting."
)
@click.option("--pattern", metavar="TEXT", help="How those are named: 'G{gain}' finds 'JCM900 G4.nam'.")
@json_option
def plan(knobs: Path | None, **words: Any) -> None:
    """Plan which knob settings to record.

    How many takes each design needs, how long that is and what it covers; then the session, to record by.

    KNOBS.json: {"device": ..., "knobs": [{"name": "gain", "min": 0, "max": 10, "default": 5}, ...]}. Without --design and --out all
    designs are compared.
    """
    from models.core.errors import UserError

    ways = [way for way in ("manifests", "captures") if words[way]]
    if len(ways) + (knobs is not None and ways != ["captures"]) != 1:
        raise UserError("say one of KNOBS.json, --extend and --from-nam", "For example: zoo plan knobs.json")
    if words["out"] and not words["di"]:
        raise UserError("--out needs --signal: what will be played", "zoo signal di.wav makes one.")
    if "captures" in ways:
        _render_captures(knobs, words)
    elif "manifests" in ways:
        _extend(words)
    elif knobs is not None:
        _plan(knobs, words)


@click.command(
    short_help="See what is in a knob dataset.", epilog="Example: zoo check takes/train.json --html takes.html"
)
@click.argument("manifest", type=PATH)
@json_option
@click.option("--html", "page", type=PATH, metavar="FILE", help="Write a page with pictures too.")
@click.option(
    "--fix", type=PATH, metavar="FOLDER", help="Then write aligned takes into a new folder, as zoo align does."
)
def check(manifest: Path, as_json: bool, page: Path | None, fix: Path | None) -> None:
    """See what is in a knob dataset and what is wrong with it."""
    from models.recordings.checks.check import check as check_manifest
    from zoo.cli import output
    from zoo.cli.views import recordings as recordings_view

    with output.progress("listening") as bar:
        report = check_manifest(manifest, bar)
    if page:
        from zoo.cli.views.check_page import write_report

        write_report(report, page)
    if as_json:
        output.data_json(report.to_json())
    else:
        recordings_view.show_check(report)
        recordings_view.show_dry_signals(report)
    if page:
        output.info(f"Wrote {page}")
    if fix:
        output.info(f"Wrote {_align(manifest, fix)}")
    elif report.faults:
        sys.exit(1)


@click.command(
    short_help="Line takes up with their dry signal.", epilog="Example: zoo align takes/train.json --out aligned"
)
@click.argument("manifest", type=PATH)
@click.option("--out", type=PATH, required=True, help="A new folder for the aligned takes and their manifest.")
def align(manifest: Path, out: Path) -> None:
    """Line takes up with their dry signal, in a new folder."""
    from zoo.cli import output

    output.data(str(_align(manifest, out, show=True)))


def _align(manifest: Path, folder: Path, show: bool = False) -> Path:
    from models.recordings.align_dataset import align_dataset
    from zoo.cli import output
    from zoo.cli.views import recordings as recordings_view
    from zoo.cli.views import words

    with output.progress("aligning") as bar:
        made, takes = align_dataset(manifest, folder, bar)
    if show:
        recordings_view.show_mended(takes)
        output.info(f"Wrote {words.count(takes, 'aligned take')} and their manifest to {folder}; train on it as it is")
    return made


def _plan(path: Path, words: dict[str, Any]) -> None:
    from models.capture.excitation import SECONDS
    from models.capture.plan import compare_designs, make_plan, read_knobs, recommend
    from models.capture.session import write_session
    from zoo.cli import output
    from zoo.cli.views import plan as views_plan

    described, schema = read_knobs(path)
    signal_s = _seconds(words["di"]) or SECONDS
    wishes = {key: words[key] for key in ("count", "positions", "held") if words[key] is not None}
    if words["design"]:
        chosen = make_plan(schema, words["design"], **wishes)
    else:
        plans = compare_designs(schema, **wishes)
        chosen, why = recommend(plans)
        if not words["out"] and words["as_json"]:
            return output.data_json(views_plan.to_json(plans, signal_s, chosen, why))
        if not words["out"]:
            views_plan.show_plans(plans, signal_s, chosen, why)
            return output.info(f"next: zoo plan {path} --signal {words['di'] or 'DI.wav'} --out FOLDER")
    train, held = views_plan.listed(chosen, signal_s)
    if words["out"]:
        identity = {"device": described.device, "license_id": described.license, "levels": described.levels}
        made = write_session(words["out"], chosen.knobs, train, held, words["di"], **identity)
        views_plan.info_plan(chosen, signal_s)
        _put_session(made, words)
    else:
        views_plan.show_settings(chosen.knobs, train, held, words["as_json"])
        views_plan.info_plan(chosen, signal_s)


def _extend(words: dict[str, Any]) -> None:
    from models.audio.io import read_length
    from models.capture.plan import PER_KNOB, propose_settings
    from models.capture.session import write_session
    from models.core.errors import UserError
    from models.knobs.geometry import largest_hole
    from models.knobs.text import format_setting
    from models.recordings.manifest import read_manifest
    from zoo.cli import output
    from zoo.cli.views import plan as views_plan

    first, *others = [read_manifest(path) for path in words["manifests"]]
    rate = read_length(words["di"])[1] if words["di"] else None
    if rate and first.sample_rate and rate != first.sample_rate:
        raise UserError(
            f"{words['di']} is at {rate} Hz, {first.path} at {first.sample_rate} Hz",
            f"Use a signal at {first.sample_rate} Hz.",
        )
    existing = [take.setting for take in first.takes]
    taken = [take.setting for other in (first, *others) for take in (*other.takes, *other.held_takes)]
    new = propose_settings(first.knobs, existing, PER_KNOB if words["count"] is None else words["count"], taken)
    before, after = (largest_hole(first.knobs, settings) for settings in (existing, [*existing, *new]))
    output.info(f"largest hole {before.turns:.2f} turns, at {format_setting(before.setting)}; then {after.turns:.2f}")
    if words["out"]:
        identity = {"device": first.device, "license_id": first.license, "levels": first.levels}
        made = write_session(words["out"], first.knobs, new, [], words["di"], existing=first.takes, **identity)
        _put_session(made, words)
    else:
        views_plan.show_settings(first.knobs, new, [], words["as_json"])


def _render_captures(knobs: Path | None, words: dict[str, Any]) -> None:
    from models.capture.nam_captures import read_capture_names, render_captures
    from models.capture.plan import read_knobs
    from models.core.errors import UserError
    from models.knobs.text import format_setting
    from zoo.cli import output
    from zoo.cli.views.words import count

    if not words["pattern"]:
        raise UserError("--from-nam needs --pattern: how the captures are named", "For example: --pattern 'G{gain}'.")
    described, schema = read_knobs(knobs) if knobs else (None, None)
    if not words["out"]:
        found = read_capture_names(words["captures"], words["pattern"], schema)[1]
        if words["as_json"]:
            listed = [{"file": path.name, "setting": setting} for path, setting in found.items()]
            return output.data_json({"schema": "zoo.captures/1", "captures": listed})
        output.data_table(("FILE", "SETTING"), [(p.name, format_setting(setting)) for p, setting in found.items()])
        return output.info(f"{count(found, 'capture')}; to render takes of them: --signal DI.wav --out FOLDER")
    identity = {"device": described.device, "license_id": described.license} if described else {}
    with output.progress("rendering") as bar:
        made = render_captures(
            words["captures"], words["pattern"], words["di"], words["out"], schema=schema, on_take=bar, **identity
        )
    output.info(f"rendered a take of each of {count(list(words['captures'].glob('*.nam')), 'capture')}")
    _put_session([made], words)


def _put_session(made: list[Path], words: dict[str, Any]) -> None:
    from zoo.cli import output

    if words["as_json"]:
        output.data_json({"schema": "zoo.session/1", "files": [str(path) for path in made]})
        return
    for path in made[1:]:
        output.info(f"and {path}")
    output.info(f"next: zoo check {made[0]}{', once recorded' if len(made) > 1 else ''}")
    output.data(str(made[0]))


def _seconds(di: Path | None) -> float | None:
    from models.audio.io import read_length

    if di is None:
        return None
    frames, rate_hz = read_length(di)
    return frames / rate_hz
