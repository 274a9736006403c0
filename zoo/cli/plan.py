"""The command `zoo plan`: choose the knob settings to record."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.core.errors import UserError, shell_words
from zoo.cli.options import PATH, FiniteRange, bundle, json_option, repeat_command

if TYPE_CHECKING:
    from models.capture.disagreement import Proposal
    from models.capture.plan import CapturePlan, Design
    from models.knobs.schema import Knobs, Setting
    from models.recordings.manifest import Manifest

DESIGNS = (
    "isolated",
    "hybrid",
    "combinatorial",
    "space-filling",
)  # as in models.capture.plan, which is slow to import


@dataclass(frozen=True)
class PlanOptions:
    """The options of `zoo plan` as given."""

    knobs: Path | None
    design: "Design | None"
    count: int | None
    positions: int | None
    held: int | None
    after: tuple[str, ...]
    step: float | None
    signal: Path | None
    out: Path | None
    manifests: tuple[Path, ...]
    study: Path | None
    models: tuple[str, ...]
    captures: Path | None
    pattern: str | None
    as_json: bool


@dataclass(frozen=True)
class SessionRequest:
    """What all three requests share: the signal to play, the folder to write (None: write nothing), JSON or a table."""

    signal: Path | None
    out: Path | None
    as_json: bool


@dataclass(frozen=True)
class PlanRequest(SessionRequest):
    """Plan a new session for the knobs of a file; `sizes` are the given of `count`, `positions`, `held` and `step`.

    `after` are the knobs that filter after the distortion, where they are not those of the file.
    """

    knobs: Path
    design: "Design | None"
    sizes: dict[str, Any]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtendRequest(SessionRequest):
    """Add `count` settings to the first of the manifests; those of the others are not proposed again.

    The settings are those at which the models of a `study`, or the named `models`, disagree; the largest holes without.
    """

    manifests: tuple[Path, ...]
    count: int | None
    study: Path | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaptureRequest(SessionRequest):
    """List the `.nam` captures of a folder, or render a take of each; `pattern` reads a setting from a file name."""

    captures: Path
    pattern: str
    knobs: Path | None


@click.command(short_help="Choose the knob settings to record.", epilog="Example: zoo plan knobs.json --signal di.wav")
@click.argument("knobs", metavar="[KNOBS.json]", type=PATH, required=False)
@click.option("--design", type=click.Choice(DESIGNS), help="How to choose them. Default with --out: the recommended.")
@click.option("--count", type=int, metavar="N", help="Takes to train on (space-filling), or to add (--extend).")
@click.option("--positions", type=int, metavar="N", help="Positions of each knob (isolated, hybrid).")
@click.option("--held", type=int, metavar="N", help="Additional settings, for the held-out score. Default: 6.")
@click.option(
    "--after",
    multiple=True,
    metavar="KNOB",
    help="This knob only filters after the distortion: a few takes suffice. May be repeated.",
)
@click.option(
    "--step",
    type=FiniteRange(0, min_open=True),
    metavar="X",
    help="Smallest turn to dial, where KNOBS.json states none.",
)
@click.option("--signal", type=PATH, metavar="DI.wav", help="The signal to play; zoo signal writes one.")
@click.option("--out", type=PATH, metavar="FOLDER", help="A new folder for the manifests and the recording sheet.")
@click.option(
    "--extend",
    "manifests",
    type=PATH,
    multiple=True,
    metavar="MANIFEST",
    help="Propose what to record next for this manifest. Repeat it for held-out manifests: "
    "--extend train.json --extend held.json.",
)
@click.option(
    "--study", type=PATH, metavar="STUDY", help="With --extend: propose where the models of this study disagree."
)
@click.option(
    "--model", "models", multiple=True, metavar="MODEL", help="The same with models by name: --model A --model B."
)
@click.option(
    "--from-nam", "captures", type=PATH, metavar="FOLDER", help="Render takes from .nam captures, one per setting."
)
@click.option("--pattern", metavar="TEXT", help="How the captures are named: 'G{gain}' matches 'JCM900 G4.nam'.")
@json_option
@bundle(PlanOptions)
def plan(options: PlanOptions) -> None:
    """Choose the knob settings to record.

    Without --design and --out, all designs are compared: how many takes each needs, how long they last, what they
    cover. With --out, the session is written: manifests and a sheet to record by.

    KNOBS.json: {"device": ..., "knobs": [{"name": "gain", "min": 0, "max": 10, "default": 5}, ...]}.
    """
    match parse_request(options):
        case PlanRequest() as request:
            plan_session(request)
        case ExtendRequest() as request:
            extend_session(request)
        case CaptureRequest() as request:
            plan_captures(request)


def parse_request(options: PlanOptions) -> PlanRequest | ExtendRequest | CaptureRequest:
    """Return the request that the options make.

    Raises `UserError` unless they name exactly one of the three, and for an option that lacks another.
    """
    knobs, captures, manifests = options.knobs, options.captures, options.manifests
    if bool(manifests) + (captures is not None) + (knobs is not None and captures is None) != 1:
        raise UserError("give one of KNOBS.json, --extend and --from-nam", "For example: zoo plan knobs.json")
    shared = {"signal": options.signal, "out": options.out, "as_json": options.as_json}
    if options.after and (knobs is None or captures is not None):
        raise UserError("--after is for KNOBS.json", 'A manifest states it in its knobs: "after": true.')
    if (options.study or options.models) and (not manifests or (options.study and options.models)):
        raise UserError(
            "--study or --model tells --extend where models disagree; give one of the two",
            "For example: zoo plan --extend train.json --study STUDY",
        )
    if options.out and not options.signal:
        raise UserError("--out needs --signal, the signal to play", "zoo signal di.wav writes one.")
    if options.step is not None and (knobs is None or captures is not None):
        raise UserError("--step is for a plan from KNOBS.json", 'Elsewhere state "step" of each knob in the manifest.')
    if captures is not None:
        if not options.pattern:
            raise UserError("--from-nam needs --pattern: how the captures are named", "Example: --pattern 'G{gain}'.")
        return CaptureRequest(captures=captures, pattern=options.pattern, knobs=knobs, **shared)
    if knobs is not None:
        sizes = {"count": options.count, "positions": options.positions, "held": options.held, "step": options.step}
        given = {name: size for name, size in sizes.items() if size is not None}
        return PlanRequest(knobs=knobs, design=options.design, sizes=given, after=options.after, **shared)
    chosen = {"study": options.study, "models": options.models}
    return ExtendRequest(manifests=manifests, count=options.count, **chosen, **shared)


def plan_session(request: PlanRequest) -> None:
    """Compare the designs, or list or write the settings of one."""
    from models.capture.excitation import SIGNAL_SECONDS
    from models.capture.plan import (
        compare_designs,
        make_plan,
        plan_without_filters,
        read_knobs,
        recommend,
        state_filters,
    )
    from models.capture.session import write_session
    from zoo.cli.views import plan as plan_view

    described, whole = read_knobs(request.knobs)
    schema, outputs = whole.without_outputs(), whole.outputs
    schema = state_filters(schema, request.after) if request.after else schema
    signal_s = _seconds(request.signal) or SIGNAL_SECONDS
    if request.design:
        chosen = make_plan(schema, request.design, **request.sizes)
    else:
        plans = compare_designs(schema, **request.sizes)
        chosen, why = recommend(plans)
        if not request.out:
            _show_comparison(request, plans, signal_s, chosen, why)
            if not request.as_json:
                plan_view.info_saved(chosen, plan_without_filters(schema, request.design, **request.sizes), signal_s)
            return
    train, held = plan_view.listed_settings(chosen, signal_s)
    if request.out and request.signal:
        identity = {"device": described.device, "license_id": described.license, "levels": described.levels}
        made = write_session(request.out, chosen.knobs, train, held, request.signal, **identity, outputs=outputs)
        plan_view.info_plan(chosen, signal_s)
        plan_view.info_saved(chosen, plan_without_filters(schema, request.design, **request.sizes), signal_s)
        _show_session(made, request)
    else:
        plan_view.show_settings(chosen.knobs, train, held, request.as_json)
        plan_view.info_plan(chosen, signal_s)
        plan_view.info_saved(chosen, plan_without_filters(schema, request.design, **request.sizes), signal_s)


def extend_session(request: ExtendRequest) -> None:
    """Propose further settings for a recorded manifest, where models disagree or takes are far; list or write them."""
    from models.capture.ordering import order_settings
    from models.capture.plan import PER_KNOB, propose_settings, recorded_settings
    from models.capture.session import write_session
    from models.recordings.manifest import read_manifest
    from zoo.cli.views import plan as plan_view

    first, *others = [read_manifest(path) for path in request.manifests]
    _check_signal_rate(request.signal, first.path, first.sample_rate)
    knobs = first.knobs.without_outputs()
    existing = recorded_settings(knobs, first.takes)
    listed = [take for manifest in (first, *others) for take in (*manifest.takes, *manifest.held_takes)]
    taken = recorded_settings(knobs, listed)
    count = PER_KNOB if request.count is None else request.count
    if request.study or request.models:
        proposal = _propose_by_models(request, first, existing, taken, count)
        new = [take.setting for take in proposal.takes]
        plan_view.info_proposal(proposal)
    else:
        proposal, new = None, propose_settings(knobs, existing, count, taken)
    plan_view.info_holes(knobs, existing, new)
    if request.out and request.signal:
        identity = {"device": first.device, "license_id": first.license, "levels": first.levels}
        more = {**identity, "existing": first.takes, "outputs": first.knobs.outputs}
        made = write_session(request.out, knobs, order_settings(knobs, new), [], request.signal, **more)
        _show_session(made, request)
    elif proposal:
        plan_view.show_proposal(knobs, proposal, request.as_json)
    else:
        plan_view.show_settings(knobs, new, [], request.as_json)


def _propose_by_models(
    request: ExtendRequest, manifest: "Manifest", existing: "list[Setting]", taken: "list[Setting]", count: int
) -> "Proposal":
    """Return what models of the device know least; they play the signal, or the first dry signal of the manifest."""
    from models.audio.io import read_audio
    from models.capture.disagreement import propose_by_disagreement, read_models, take_excerpt
    from search.study.board import compared_runs
    from zoo.cli import output
    from zoo.registry.resolve import FetchOptions, resolve_model

    shelf = FetchOptions()
    named = [path if (path := Path(name)).suffix == ".nam" else resolve_model(name, shelf) for name in request.models]
    sources = compared_runs(request.study, manifest.path) if request.study else named
    models = read_models(sources, manifest.knobs, manifest.path)
    rate_hz, take = models[0][0].audio.sample_rate, manifest.takes[0]
    source = (request.signal, None) if request.signal else (take.dry, take.channel)
    excerpt_T = take_excerpt(read_audio(*source, rate_hz)[0], rate_hz)
    output.info(f"models: {', '.join(map(str, sources))}")
    with output.progress("playing") as bar:
        knobs = manifest.knobs.without_outputs()
        return propose_by_disagreement(knobs, models, excerpt_T, existing, count, taken, bar)


def plan_captures(request: CaptureRequest) -> None:
    """List the captures of a folder with their settings, or render a take of each into a new folder."""
    from models.capture.nam_captures import is_capture, render_captures
    from models.capture.plan import read_knobs
    from zoo.cli import output
    from zoo.cli.views.words import count

    described, schema = read_knobs(request.knobs) if request.knobs else (None, None)
    if not (request.out and request.signal):
        _list_captures(request, schema)
        return
    identity = {"device": described.device, "license_id": described.license} if described else {}
    with output.progress("rendering") as bar:
        made = render_captures(
            request.captures, request.pattern, request.signal, request.out, schema=schema, on_take=bar, **identity
        )
    captures = [path for path in request.captures.iterdir() if is_capture(path)]
    output.info(f"rendered one take from each of {count(captures, 'capture')}")
    _show_session([made], request)


def _show_comparison(
    request: PlanRequest, plans: "list[CapturePlan]", signal_s: float, chosen: "CapturePlan", why: str
) -> None:
    from zoo.cli import output
    from zoo.cli.views import plan as plan_view

    if request.as_json:
        output.data_json(plan_view.plan_to_json(plans, signal_s, chosen, why))
        return
    plan_view.show_plans(plans, signal_s, chosen, why)
    output.info(f"next: {repeat_command(signal=request.signal or 'DI.wav', out='FOLDER')}")


def _list_captures(request: CaptureRequest, schema: "Knobs | None") -> None:
    from models.capture.nam_captures import read_capture_names
    from models.knobs.text import format_setting
    from zoo.cli import output
    from zoo.cli.views.words import count

    found = read_capture_names(request.captures, request.pattern, schema)[1]
    if request.as_json:
        listed = [{"file": path.name, "setting": setting} for path, setting in found.items()]
        output.data_json({"schema": "zoo.captures/1", "captures": listed})
        return
    rows = [(path.name, format_setting(setting)) for path, setting in found.items()]
    output.data_table(("FILE", "SETTING"), rows)
    output.info(f"{count(found, 'capture')}; to render takes from them, add --signal DI.wav --out FOLDER")


def _show_session(made: list[Path], request: SessionRequest) -> None:
    """Print the files of a written session; the first of `made` is the manifest to train on."""
    from zoo.cli import output

    if request.as_json:
        output.data_json({"schema": "zoo.session/1", "files": [str(path) for path in made]})
        return
    for path in made[1:]:
        output.info(f"and {path}")
    check, folder = f"zoo check {shell_words(made[0])}", made[0].parent
    record = f"zoo record {shell_words(folder)} (with --reamp for another program), then "
    output.info(f"next: {record if len(made) > 1 else ''}{check}")
    output.data(str(made[0]))


def _check_signal_rate(signal: Path | None, manifest: Path, rate_hz: int | None) -> None:
    """Raise `UserError` when the signal has another sample rate than the manifest states."""
    from models.audio.io import read_length

    signal_hz = read_length(signal)[1] if signal else None
    if signal_hz and rate_hz and signal_hz != rate_hz:
        raise UserError(f"{signal} is at {signal_hz} Hz, {manifest} at {rate_hz} Hz", f"Use a signal at {rate_hz} Hz.")


def _seconds(signal: Path | None) -> float | None:
    """Return the duration of an audio file."""
    from models.audio.io import read_length

    if signal is None:
        return None
    frames, rate_hz = read_length(signal)
    return frames / rate_hz
