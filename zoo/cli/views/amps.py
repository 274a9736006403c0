"""What commands show: plain data -> tables and sentences."""

import shutil
import sys
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any

from models.documents import Evaluation, ModelConfig
from models.knobs import Knobs, format_setting, format_value
from zoo import output
from zoo.card import Listed, Tier, format_knobs

BoardRow = dict[str, Any]
LEGEND = "LATE: samples behind the dry signal as recorded; UP: -1 is upside down."
ENDED = ("finished", "pruned", "diverged", "failed")


def show_check(report: Any) -> None:
    """A checked manifest: its takes, then what was found."""
    from models.judge import together

    rows = []
    for take in report.takes:
        wet, lag = take.wet_sound, take.lag
        late = (f"{lag.delay_samples:.2f}", f"{lag.polarity:+d}", f"{lag.drift_ppm:.1f}") if lag else ("-",) * 3
        levels = (f"{wet.peak_dbfs:.1f}", f"{wet.rms_dbfs:.1f}") if wet else ("-",) * 2
        length = (f"{wet.frames / wet.rate_hz:.2f} s", f"{wet.rate_hz}") if wet else ("-",) * 2
        rows.append((take.wet.name, format_setting(take.setting), *late[:2], *levels, *length, late[2]))
    output.put_table(("TAKE", "SETTING", "LATE", "UP", "PEAK dBFS", "RMS dBFS", "LENGTH", "RATE", "DRIFT ppm"), rows)
    knobs = report.manifest.knobs
    output.say()
    output.tell(LEGEND)
    for knob in knobs.knobs:
        values = {take.setting[knob.name] for take in report.takes}
        shown = " ".join(format_value(value) for value in sorted(values, key=knob.encode))
        output.tell(f"{knob.name}: {knob.legal}, default {format_value(knob.default)}, recorded at {shown}")
    for finding, others in together([*report.faults, *report.warnings]):
        output.tell(f"{finding.severity}: {finding.message}.{likewise(others)} {finding.hint}")
    output.say(
        f"{count(report.takes, 'take')}, {count(knobs.names, 'knob')}, {count(report.faults, 'fault')}, "
        f"{count(report.warnings, 'warning')}"
    )


def show_mended(takes: Sequence[Any]) -> None:
    """How takes were found that were lined up, as talk."""
    rows = []
    for found in takes:
        lag, trimmed = found.lag, f"{found.head}+{found.tail}" if found.head or found.tail else "-"
        late, drift = f"{lag.delay_samples:.2f}", f"{lag.drift_ppm:.1f}"
        rows.append(
            (found.take.wet.name, format_setting(found.take.setting), late, f"{lag.polarity:+d}", drift, trimmed)
        )
    output.say_table(("TAKE", "SETTING", "LATE", "UP", "DRIFT ppm", "MISSING"), rows)
    output.say()
    output.tell(f"{LEGEND} MISSING: samples at the head and tail of the dry signal that were not recorded, now silent.")


def count(things: Sized, name: str) -> str:
    """`1 take`, `2 takes`."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def likewise(others: Sequence[Path]) -> str:
    """The files of which the same is to be said."""
    return f" Likewise {', '.join(path.name for path in others)}." if others else ""


def show_board(board: dict[str, Any]) -> None:
    """The board as a table: chosen by validation, held scores for the Pareto front only."""
    output.put_table(*board_table(board))
    output.say()
    over = ", geometric mean over amps" if board["mode"] == "universal" else " on each amp"
    output.say(f"ESR: validation{over}; COST: {board['unit']};")
    output.say("HELD: settings and audio that no trial saw, scored for the Pareto front (*) after the choice was made.")
    if any("of" in trial for trial in board["trials"]):
        output.say("NAME-0, NAME-1: NAME trained again, longer, a seed each; the front is of these alone.")


def board_table(board: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of a board."""
    amps, universal = board["amps"], board["mode"] == "universal"
    errors = ["ESR"] if universal else [f"ESR {amp}" for amp in amps]
    header = ("TRIAL", *errors, "COST", *(f"HELD {amp}" for amp in amps), "KNOBS AT", "STATE", "LAYERS", "RATE")
    return header, [_board_row(trial, amps, universal) for trial in board["trials"]]


def _board_row(trial: BoardRow, amps: list[str], universal: bool) -> tuple[str, ...]:
    errors = [trial.get("esr")] if universal else [trial.get("amps", {}).get(amp) for amp in amps]
    held = trial.get("held", {})
    return (
        trial["trial"] + ("*" if trial["front"] else ""),
        *("-" if error is None else f"{error:.4f}" for error in errors),
        f"{trial['cost']:.4g}" if trial["cost"] < 1 else f"{trial['cost']:.0f}",
        *(f"{held[amp]['mean']:.4f}" if amp in held else "" for amp in amps),
        trial["form"],
        _state(trial),
        trial["label"],
        f"{trial['point']['learning_rate']:.4f}",
    )


def _state(trial: BoardRow) -> str:
    if trial["state"] not in ENDED:
        return f"running, step {trial.get('step', 0)} of {trial['steps']}"
    if "reason" in trial:
        return f"{trial['state']}: {trial['reason']}"
    if trial["state"] == "pruned":
        return f"pruned at step {trial['step']}"
    return trial["state"] + _broken(trial)


def _broken(trial: BoardRow) -> str:
    """Each limit that a trial breaks, and on which of several amps."""
    limits = trial.get("limits", {})
    broken = ((name, amp) for amp, found in limits.items() for name, excess in found.items() if excess > 0)
    return "".join(f", breaks {name}" + (f" on {amp}" if len(limits) > 1 else "") for name, amp in broken)


def trial_sentence(line: BoardRow) -> str:
    """One ended trial in one line."""
    what = f"{line['form']}, {line['label']}"
    if line["state"] == "finished":
        return f"trial {line['trial']} ESR {line['esr']:.4f} cost {line['cost']:>6.4g} ({what}{_broken(line)})"
    if line["state"] == "pruned":
        return f"trial {line['trial']} ESR {line['esr']:.4f} pruned at step {line['step']} ({what})"
    return f"trial {line['trial']} {line['state']}: {line.get('reason', 'no reason given')} ({what})"


def search_sentence(config: Any) -> str:
    """What a search is about to train."""
    amps, count = len(config.datasets), sum(count for count, _ in config.trainings)
    where = f"each of {amps} amps" if amps > 1 else "one amp"
    text = f"at most {count:,} trainings on {where}: {config.trials:,} trials of {config.learning.steps:,} steps"
    if not config.final:
        return text
    return f"{text}, then the best {config.finals} again, {config.final.seeds} seeds of {config.final_steps:,} steps"


def search_progress(config: Any, trials: list[BoardRow]) -> tuple[float, float, str]:
    """Steps done, steps in all as far as one can know (a trial that ended is done with all of its own), and how the trials stand."""
    over = [trial for trial in trials if trial["state"] in ENDED and "of" not in trial]
    done = sum(trial["steps"] if trial["state"] in ENDED else trial.get("step", 0) for trial in trials)
    heard = [trial["esr"] for trial in over if trial["state"] in ("finished", "pruned")]
    best = f", best ESR {min(heard):.4f}" if heard else ""
    whole = sum(count * steps for count, steps in config.trainings)
    return done, max(whole, done), f"{len(over)} of {config.trials} trials{best}"


def held_sentence(evaluation: Evaluation) -> str:
    """How good a model is, beside what playing the nearest recorded setting would give."""
    held = evaluation.held
    text = (
        f"held-out ESR over {len(held.settings)} settings never trained on: "
        f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f}"
    )
    baseline = held.baseline_mean
    return text if baseline is None else f"{text} (nearest recorded setting: {baseline:.4f})"


def show_list(rows: list[Listed]) -> None:
    """The amps of a zoo."""
    cells = [
        (
            r.name,
            format_knobs(r.amp.knobs),
            f"{r.amp.esr:.4f}",
            f"{r.amp.macs_per_sample}",
            " ".join([r.amp.kind, *r.amp.tone]),
            r.license,
            f"{r.amp.sample_rate}",
            r.updated[:10] or "-",
            r.revision[:12],
        )
        for r in rows
    ]
    output.put_table(("AMP", "KNOBS", "ESR", "MACS", "KIND", "LICENCE", "RATE", "UPDATED", "REVISION"), cells)


def show_knobs(knobs: Knobs) -> None:
    """The knobs of an amp."""
    rows = [(k.name, k.legal, format_value(k.default)) for k in knobs.knobs]
    output.put_table(("KNOB", "RANGE", "DEFAULT"), rows)


def show_amp(
    name: str,
    config: ModelConfig,
    evaluation: Evaluation,
    license_id: str,
    revision: str,
    tiers: tuple[Tier, ...] = (),
) -> None:
    """All about one amp."""
    shape = config.architecture
    layers = " + ".join(f"{len(a.dilations)} layers of {a.channels} channels" for a in shape.arrays)
    held, percent = evaluation.held, 100 * evaluation.realtime_factor
    ends = (("input", config.audio.input_level_dbu), ("output", config.audio.output_level_dbu))
    levels = [f"{dbu:g} dBu at the {end}" for end, dbu in ends if dbu is not None]
    rows = [
        ("name", name),
        ("audio", f"{config.audio.sample_rate} Hz mono, receptive field {config.audio.receptive_field} samples"),
        *([("levels", f"0 dBFS is {', '.join(levels)}")] if levels else []),
        ("knobs", ", ".join(f"{k.name} {k.legal} (default {format_value(k.default)})" for k in config.knobs.knobs)),
        ("model", f"WaveNet, {layers}, knobs at {shape.inject.label}"),
        (
            "cost",
            f"{percent:.1f} % of a core, {evaluation.parameters} parameters, {evaluation.macs_per_sample} multiply-accumulates per sample",
        ),
        (
            "held ESR",
            f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f} over {len(held.settings)} settings",
        ),
        *((f"tier {tier.name}", _tier_words(tier, evaluation)) for tier in tiers),
        ("licence", license_id),
        ("revision", revision or "-"),
    ]
    output.put_pairs(rows)


def _tier_words(tier: Tier, evaluation: Evaluation) -> str:
    text = f"mean ESR {tier.esr:.4f}, {100 * tier.realtime_factor:.1f} % of a core, {tier.parameters} parameters"
    own = (tier.parameters, tier.macs_per_sample) == (evaluation.parameters, evaluation.macs_per_sample)
    return f"{text} (this one)" if own else text


def show_quickstart(name: str, folder: Path, evaluation: Evaluation, setting: str) -> None:
    """The last screen of the quickstart, everything of which lies in `folder`."""
    zoo, shelf = _program(), f"--zoo {folder / 'shelf'}"
    output.say()
    output.say(f"Made     {name}: a model of the virtual amp with live knobs")
    output.say(f"Quality  {held_sentence(evaluation)}")
    output.say(f"Search   {folder / 'study' / 'board.png'}")
    output.say(f"Shelf    {folder / 'shelf'}")
    output.say(f"Sound    {folder / 'played.wav'} (at {setting}, a setting that was never recorded)")
    output.say()
    output.say("Next:")
    output.say(f"  {zoo} knobs {name} {shelf}")
    output.say(
        f"  {zoo} render {name} {folder / 'takes' / 'di_held.flac'} loud.wav --knob gain=9 --knob tone=2 {shelf}"
    )
    output.say(f"  {zoo} export {name} --bake gain=7,tone=3 amp.nam {shelf}")
    output.say(f"  {zoo} check MANIFEST.json    # your own recordings: the README tells how")


def _program() -> str:
    """How to call this command again from here."""
    return "zoo" if shutil.which("zoo") else relative(Path(sys.argv[0]).resolve())


def relative(path: Path) -> str:
    """A path as short as it can be written from the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
