"""Rules about what a take is not: silent in parts, cut, the dry signal, another take's signals, an echo."""

from collections import Counter

from models.recordings.checks.contents import DryLevels, find_jumps
from models.recordings.checks.report import Finding, TakeReport, takes_by_dry
from models.recordings.checks.rules import ALIGN_HINT

COPY_ESR = 1e-4  # of the dry signal as a model of the take

LOST_SECONDS = 0.1  # of a start or an end

END_SECONDS = 0.1  # of the end or the start, in which a silent span counts as reaching it


def check_presence(take: TakeReport) -> list[Finding]:
    """Check that a take is there from start to end and is not its dry signal; one fault at most."""
    wet, dry, contents = take.wet_sound, take.dry_sound, take.contents
    if wet is None or dry is None:
        return []
    if wet.sha256 == dry.sha256:
        hint = "The device was bypassed, or the wrong file was exported. Record it through the device, or leave it out."
        return [Finding("fault", take.wet, f"{take.wet} is its dry signal, sample by sample", hint)]
    if contents is None:
        return []
    if contents.muted:
        return [_tell_muted(take, contents.muted, dry.frames / dry.rate_hz)]
    if contents.splice:
        at_s, missing_s = contents.splice.at_s, contents.splice.missing_s
        what = "is missing" if missing_s > 0 else "is there twice"
        message = f"{take.wet}: at about {at_s:.1f} s a piece of {1000 * abs(missing_s):.1f} ms {what}"
        hint = "The interface lost samples, or the take was edited: from there on it is late or early. Record it again."
        return [Finding("fault", take.wet, message, hint)]
    for name, lost_s in (("start", contents.lost_head_s), ("end", contents.lost_tail_s)):
        if lost_s > LOST_SECONDS:
            which = "first" if name == "start" else "last"
            message = f"{take.wet} has no {name}: the {which} {lost_s:.2f} s of {take.dry.name} were not recorded"
            hint = f"Record it again. {ALIGN_HINT} What was not recorded is left out then."
            return [Finding("fault", take.wet, message, hint)]
    return []


def check_effects(take: TakeReport) -> list[Finding]:
    """Check one take for an echo, and for a device that did nothing."""
    contents, found = take.contents, []
    if contents is None:
        return found
    if contents.copy_esr < COPY_ESR:
        message = f"{take.wet} is its dry signal but for the level ({contents.copy_db:+.1f} dB) and the delay"
        hint = "Was the device bypassed? Record it again, unless the device does nothing at this setting."
        found.append(Finding("warning", take.wet, message, hint, again=True))
    if contents.echo_s:
        message = f"{take.wet} has an echo or reverb: it still answers after {1000 * contents.echo_s:.0f} ms"
        hint = "Switch off time-based effects and record it again: models hear about 130 ms, no longer."
        found.append(Finding("warning", take.wet, message, hint, again=True))
    return found


def _tell_muted(take: TakeReport, muted: tuple[tuple[float, float], ...], seconds: float) -> Finding:
    start, stop = muted[0]
    whole = sum(last - first for first, last in muted)
    if len(muted) > 1:
        where = f"in {len(muted)} places, {whole:.2f} s in all, the first from {start:.2f} to {stop:.2f} s,"
    elif stop > seconds - END_SECONDS:
        where = f"from {start:.2f} s on"
    else:
        where = f"from {start:.2f} to {stop:.2f} s"
    message = f"{take.wet} is silent {where} while its dry signal plays"
    return Finding(
        "fault", take.wet, message, "A cable, a mute or the end of the recording? Record it again, or leave it out."
    )


def check_roles(takes: list[TakeReport]) -> list[Finding]:
    """Check for takes whose output file is the dry signal of others, or of all: input and output were exchanged."""
    readable = [take for take in takes if take.wet_sound and take.dry_sound]
    dry_of = Counter(take.dry_sound.sha256 for take in readable if take.dry_sound)
    wet_of = Counter(take.wet_sound.sha256 for take in readable if take.wet_sound)
    found = []
    for take in readable:
        assert take.wet_sound and take.dry_sound
        wet, dry = take.wet_sound.sha256, take.dry_sound.sha256
        if wet == dry:
            continue
        if len(readable) > 1 and wet_of[wet] == len(readable) == len(dry_of):
            message = f"{take.dry} and {take.wet.name} are exchanged: all takes have this output_file"
        elif dry_of[wet] and dry_of[dry] == 1:
            message = f"{take.dry} and {take.wet.name} are exchanged: other takes have this output_file as input_file"
        else:
            continue
        hint = "Exchange input_file and output_file in the manifest."
        found.append(Finding("fault", take.dry, message, hint))
    return found


def check_jumps(takes: list[TakeReport], dry: dict[tuple, DryLevels]) -> list[Finding]:
    """Check the takes of each dry signal for a level that jumps; `dry` has its levels by `TakeReport.dry_key`."""
    found = []
    for members in takes_by_dry(take for take in takes if take.contents):
        jumps = find_jumps(dry[members[0].dry_key], [take.contents for take in members if take.contents])
        for take, jump in zip(members, jumps, strict=True):
            if jump:
                at_s, step = jump
                change = f"{abs(step.db):.1f} dB {'louder' if step.db > 0 else 'softer'}"
                message = f"{take.wet} is {change} from about {at_s:.1f} s on"
                hint = "A knob or an input gain was moved, or a tube or a cable failed. Record it again."
                found.append(Finding("fault", take.wet, message, hint))
    return found
