"""The page of a model card in Markdown: sound, knobs, use, quality, limits, provenance and license of an amp."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.knobs.schema import AnyKnob, Knob, Setting
from models.knobs.text import format_setting, format_value
from models.recordings.knob_filters import KnobFilter
from zoo.package.card_schema import Terms
from zoo.package.escaping import card_link, escape_card
from zoo.package.layout import FRONT_CHART
from zoo.package.presets import Preset
from zoo.package.vocabulary import Kind

DEVICE_WORDS: Mapping[Kind, str] = {
    "amp": "a guitar amp",
    "pedal": "a pedal",
    "pedal_amp": "a pedal and an amp",
    "amp_cab": "a guitar amp with its cabinet",
    "amp_pedal_cab": "a pedal, an amp and its cabinet",
    "preamp": "a preamp",
    "studio": "a studio device",
}

OWNER_PLACEHOLDER = "OWNER/"  # a push replaces it by the owner's name


@dataclass(frozen=True)
class CardContent:
    """Everything that a model card states.

    `fault` is why the model should not have been published, for one that was forced. `tiers` has the scores of every
    tier, the amp's own among them. `searched` is true where the package has a chart of the search's front. `filters`
    are the knobs by which training composed takes, `recorded` the lowest and highest number of each knob in the takes.
    """

    config: ModelConfig
    evaluation: Evaluation
    terms: Terms
    presets: tuple[Preset, ...]
    fault: str | None = None
    tiers: Mapping[str, Evaluation] = field(default_factory=dict)
    searched: bool = False
    filters: tuple[KnobFilter, ...] = ()
    recorded: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def amp(self) -> str:
        """The amp's name `owner/amp`, with a placeholder for the owner."""
        return f"{OWNER_PLACEHOLDER}{self.config.name}"


def make_page(content: CardContent) -> str:
    """Write the page in Markdown."""
    sections = (_introduction, _listen, _knobs_section, _use, _quality, _limits_section, _provenance, _license)
    return "\n\n".join(section(content) for section in sections) + "\n"


def _introduction(content: CardContent) -> str:
    count = len(content.config.knobs.knobs)
    turn = f"{count} knob{'s turn' if count > 1 else ' turns'} live" if count else "sound is at one setting"
    return (
        f"# {escape_card(content.evaluation.device or content.config.name)}\n\n"
        f"A model of {DEVICE_WORDS[content.terms.kind]} whose {turn}: "
        "a WaveNet conditioned on the knobs at every sample, made with ampzoo."
    )


def _listen(content: CardContent) -> str:
    players = [player for preset in content.presets for player in _preset_players(preset)]
    return "\n\n".join(["## Listen", _player("audio/di.flac", "dry signal"), "\n\n".join(players)])


def _knobs_section(content: CardContent) -> str:
    knobs = content.config.knobs.knobs
    cells = [(k.name, k.legal, *_recorded_cell(content, k), format_value(k.default)) for k in knobs]
    head = ("knob", "range", *(("recorded",) if content.recorded else ()), "default")
    rows = "\n".join(f"| {' | '.join(map(escape_card, row))} |" for row in cells)
    continuous = any(isinstance(knob, Knob) for knob in knobs)
    chart = "![spectra with each knob turned from end to end](images/knobs.png)" if continuous else ""
    return f"## Knobs\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|\n{rows}\n\n{chart}"


def _recorded_cell(content: CardContent, knob: AnyKnob) -> tuple[str, ...]:
    """Return the cell of the numbers between which a knob was recorded; none where the card has no such column."""
    if not content.recorded:
        return ()
    low, high = content.recorded.get(knob.name, (None, None))
    return ("-" if low is None or high is None else f"{format_value(low)} to {format_value(high)}",)


def _use(content: CardContent) -> str:
    name, amp, knobs = content.config.name, content.amp, content.config.knobs.knobs
    pairs = [f"{knob.name}={format_value(knob.default)}" for knob in knobs]
    options = " ".join(f"--knob {quote(pair)}" for pair in pairs)
    arguments = "".join(f", {k.name}={k.default!r}" for k in knobs if k.name.isidentifier())
    return f"""## Use

Get `zoo` from ampzoo: `pip install .` in a clone, or `pip install` of a wheel. Then:

```
zoo pull {amp} --zoo hub
zoo play {amp} --zoo hub     # in your browser, its knobs alive
zoo render {amp} in.wav out.wav {options}
zoo export {amp} --bake {quote(",".join(pairs))} {name}.nam
```

```python
import zoo
amp = zoo.pull("{amp}", "hub")
y = amp(x{arguments})      # x: mono numpy audio at {content.config.audio.sample_rate} Hz
```

`live.nam` has the knobs as inputs, for hosts of NeuralAmpModelerCore. Each file under `baked/` is one fixed setting for
any Neural Amp Modeler player."""


def _quality(content: CardContent) -> str:
    evaluation, audio = content.evaluation, content.config.audio
    held, baseline = evaluation.held, evaluation.held.baseline_mean
    beside = "" if baseline is None else f" Playing the nearest recorded setting instead would give {baseline:.4f}."
    scores = [(s.esr, "-" if s.baseline_esr is None else f"{s.baseline_esr:.4f}", s.setting) for s in held.settings]
    rows = "\n".join(f"| {_setting_text(setting)} | {esr:.4f} | {nearest} |" for esr, nearest, setting in scores)
    front = f"![error against cost of every model the search tried, and the front of the best]({FRONT_CHART})"
    return f"""## How good it is

Error-to-signal ratio (ESR, lower is better, 0 is the amp itself) on {len(held.settings)} knob settings and on
audio that were never used for training; each setting counts the same: mean {held.mean:.4f}, median {held.median:.4f},
worst {held.worst:.4f}.{beside}{_weakest(evaluation)}

| held setting | ESR | nearest recorded setting |
|---|---|---|
{rows}

Cost: {evaluation.parameters:,} parameters, {evaluation.macs_per_sample:,} multiply-accumulates per sample,
{100 * evaluation.realtime_factor:.1f} % of a CPU core, receptive field {audio.receptive_field:,} samples at
{audio.sample_rate:,} Hz.

{_corner_scan(evaluation)}

![ESR per held setting](images/scores.png)

{_tier_table(content)}{front if content.searched else ""}"""


def _limits_section(content: CardContent) -> str:
    warning = f"**Warning: {escape_card(content.fault)}.**\n\n" if content.fault else ""
    return f"""## Limits

{warning}Play mono audio at {content.config.audio.sample_rate:,} Hz, at levels like those of the dry signal above.
Between recorded settings the model interpolates; beyond them it guesses. It was not checked outside the knob ranges. It
models the recorded chain only."""


def _provenance(content: CardContent) -> str:
    return f"""## Provenance

{_composed_section(content)}`training.json`, where it is present, states how the model was trained. `eval.json` has
every score, `manifest.json` the sha256 of every file but this page. `zoo verify` checks all of them and plays the
clips again."""


def _composed_section(content: CardContent) -> str:
    """State by which knobs training composed takes, empty where by none."""
    if not content.filters:
        return ""
    rows = "\n".join(f"* {found.sentence}" for found in content.filters)
    return f"Training composed takes between the recorded ones, by knobs that only filter:\n\n{rows}\n\n"


def _license(content: CardContent) -> str:
    terms, recorded = content.terms, content.evaluation.recordings_license
    is_other = terms.license == "other"
    own = card_link(terms.license_name, terms.license_link) if is_other else escape_card(terms.license)
    recordings = f" The recordings' license: {escape_card(recorded)}." if recorded else ""
    return f"""## License

{own}.{recordings} Names of makers and models are trademarks of their owners, who are not affiliated with this package
and have not endorsed it."""


def _weakest(evaluation: Evaluation) -> str:
    """Name the region of a knob with the highest error, empty where no region was scored."""
    if not evaluation.held_regions:
        return ""
    worst = max(evaluation.held_regions, key=lambda region: region.esr)
    where = f"{escape_card(worst.knob)} is {escape_card(worst.region)}"
    settings = "1 setting" if worst.settings == 1 else f"{worst.settings} settings"
    return f" It is weakest where {where} (mean {worst.esr:.4f} of {settings})."


def _tier_table(content: CardContent) -> str:
    """Tabulate the tiers, empty for an amp without."""
    tiers = content.tiers
    if not tiers:
        return ""
    rows = "\n".join(_tier_row(name, scores, scores == content.evaluation) for name, scores in tiers.items())
    first = next(iter(tiers))
    return f"""The same amp comes in {len(tiers)} tiers; `zoo pull {content.amp} --tier {first}` leaves out the others.

| tier | mean ESR | worst ESR | parameters | of a CPU core |
|---|---|---|---|---|
{rows}

"""


def _tier_row(name: str, scores: Evaluation, own: bool) -> str:
    return (
        f"| {name}{' (this one)' if own else ''} | {scores.held.mean:.4f} | {scores.held.worst:.4f} "
        f"| {scores.parameters:,} | {100 * scores.realtime_factor:.1f} % |"
    )


def _corner_scan(evaluation: Evaluation) -> str:
    """State the peak, the silence and the artifacts of moving knobs that the scan of the knobs' corners found."""
    corners, moves = evaluation.corners, evaluation.knob_moves_dbfs or {}
    added = ", ".join(f"{level:.0f} dBFS when turned within {escape_card(ms)} ms" for ms, level in moves.items())
    return (
        f"Played at {corners.settings:,} settings, every corner of the knobs among them: the loudest peak is "
        f"{corners.peak_dbfs:.1f} dBFS at {_setting_text(corners.peak_setting)} "
        f"(the loudest take: {corners.recorded_peak_dbfs:.1f} dBFS), silence comes out at "
        f"{corners.silence_dbfs:.0f} dBFS.{f' What a moving knob adds: {added}.' if added else ''}"
    )


def _setting_text(setting: Setting) -> str:
    return escape_card(format_setting(setting))


def _preset_players(preset: Preset) -> list[str]:
    """Return the audio players of a preset; one from a held take plays the amp's recording, too."""
    setting = _setting_text(preset.knobs)
    if not preset.dry or not preset.target:
        return [_player(preset.audio, f"{preset.id}: {setting}")]
    return [
        _player(preset.dry, f"a take never trained on, at {setting}: its dry signal"),
        _player(preset.target, "the amp itself, as loud"),
        _player(preset.audio, "the model"),
    ]


def _player(audio: str, title: str) -> str:
    return f'[{title}]({audio})<br><audio controls preload="none" src="{audio}"></audio>'
