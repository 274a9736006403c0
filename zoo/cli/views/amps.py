"""Amps as tables: a list, one amp, its knobs, the last screen of the quickstart."""

from pathlib import Path

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.core.errors import shell_words
from models.knobs.schema import Knobs
from models.knobs.text import format_value
from models.network.architecture import Injection
from zoo.cli import output
from zoo.cli.views.words import count, held_sentence, program
from zoo.package.card_schema import AmpSummary, Tier, format_knobs


def show_list(rows: list[AmpSummary]) -> None:
    """Print the amps of a zoo as a table."""
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
    output.data_table(("AMP", "KNOBS", "ESR", "MACS", "KIND", "LICENSE", "RATE", "UPDATED", "REVISION"), cells)


def show_knobs(knobs: Knobs) -> None:
    """Print the knobs of an amp as a table."""
    rows = [(k.name, k.legal, format_value(k.default)) for k in knobs.knobs]
    output.data_table(("KNOB", "RANGE", "DEFAULT"), rows)


def show_amp(
    name: str,
    config: ModelConfig,
    evaluation: Evaluation,
    license_id: str,
    revision: str,
    tiers: tuple[Tier, ...] = (),
) -> None:
    """Print the details of one amp: audio, knobs, model, cost, scores, tiers, license, revision."""
    shape, audio, held = config.architecture, config.audio, evaluation.held
    layers = " + ".join(f"{len(a.dilations)} layers of {a.channels} channels" for a in shape.arrays)
    ends = (("input", audio.input_level_dbu), ("output", audio.output_level_dbu))
    levels = [f"{dbu:g} dBu at the {end}" for end, dbu in ends if dbu is not None]
    size = f"{evaluation.parameters} parameters, {evaluation.macs_per_sample} multiply-accumulates per sample"
    scores = f"mean {held.mean:.4f}, median {held.median:.4f}, worst {held.worst:.4f}"
    rows = [
        ("name", name),
        ("audio", f"{audio.sample_rate} Hz mono, receptive field {audio.receptive_field} samples"),
        *([("levels", f"0 dBFS is {', '.join(levels)}")] if levels else []),
        ("knobs", ", ".join(f"{k.name} {k.legal} (default {format_value(k.default)})" for k in config.knobs.knobs)),
        ("model", f"WaveNet, {layers}; {_where_knobs_enter(shape.inject)}"),
        ("cost", f"{100 * evaluation.realtime_factor:.1f} % of a core, {size}"),
        ("held ESR", f"{scores} over {count(held.settings, 'setting')}"),
        *((f"tier {tier.name}", _tier_text(tier, evaluation)) for tier in tiers),
        ("license", license_id),
        ("revision", revision or "-"),
    ]
    output.data_pairs(rows)


def _where_knobs_enter(inject: Injection) -> str:
    """Return a sentence for the places of `Injection.label`."""
    places = {
        "at the input": inject.input,
        "at every layer": inject.mixin,
        "as scales and shifts of the layers (FiLM)": bool(inject.film),
    }
    used = [place for place, is_used in places.items() if is_used]
    return f"the knobs enter {' and '.join(used)}" if used else "no knobs"


def _tier_text(tier: Tier, evaluation: Evaluation) -> str:
    text = f"mean ESR {tier.esr:.4f}, {100 * tier.realtime_factor:.1f} % of a core, {tier.parameters} parameters"
    own = (tier.parameters, tier.macs_per_sample) == (evaluation.parameters, evaluation.macs_per_sample)
    return f"{text} (this one)" if own else text


def show_quickstart(name: str, folder: Path, evaluation: Evaluation, setting: str) -> None:
    """Print the last screen of the quickstart: what was made in `folder`, and commands to try next."""
    zoo, shelf = program(), shell_words("--zoo", folder / "shelf")
    output.info()
    output.info(f"Made     {name}: a model of the virtual amp with live knobs")
    output.info(f"Quality  {held_sentence(evaluation)}")
    output.info(f"Search   {folder / 'study' / 'board.png'}")
    output.info(f"Shelf    {folder / 'shelf'}")
    output.info(f"Sound    {folder / 'played.wav'} (at {setting}, a setting that was never recorded)")
    output.info()
    output.info("Next:")
    output.info(f"  {zoo} knobs {name} {shelf}")
    output.info(
        f"  {zoo} render {name} {shell_words(folder / 'takes' / 'di_held.flac')} loud.wav --knob gain=9 --knob tone=2 "
        f"{shelf}"
    )
    output.info(f"  {zoo} export {name} --bake gain=7,tone=3 amp.nam {shelf}")
    output.info(f"  {zoo} check MANIFEST.json    # for your own recordings: see docs/guides")
    output.info(f"  {zoo} play {name} {shelf}    # in your browser, the knobs alive")
