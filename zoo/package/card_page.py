"""The page of a model card: what a person reads, hears and sees of an amp."""

from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING

from models.artifacts.evaluation import Evaluation
from models.artifacts.model_config import ModelConfig
from models.knobs.schema import Knob
from models.knobs.text import format_setting, format_value
from zoo.package.presets import Preset

if TYPE_CHECKING:
    from zoo.package.card_schema import Terms


OWNER_PLACEHOLDER = "OWNER/"  # stands for the owner until a push knows better


def make_page(
    config: ModelConfig,
    evaluation: Evaluation,
    terms: "Terms",
    presets: tuple[Preset, ...],
    fault: str | None,
    tiers: Mapping[str, Evaluation],
    searched: bool,
) -> str:
    """The page in Markdown; the arguments are those of `make_card`."""
    held, rate, name = evaluation.held, config.audio.sample_rate, f"{OWNER_PLACEHOLDER}{config.name}"
    pairs = [f"{knob.name}={format_value(knob.default)}" for knob in config.knobs.knobs]
    turned = " ".join(f"--knob {quote(pair)}" for pair in pairs)
    called = "".join(f", {k.name}={k.default!r}" for k in config.knobs.knobs if k.name.isidentifier())
    knobs = "\n".join(f"| {k.name} | {k.legal} | {format_value(k.default)} |" for k in config.knobs.knobs)
    heard = "\n\n".join(player for preset in presets for player in _players(preset))
    baseline = held.baseline_mean
    beside = "" if baseline is None else f" Playing the nearest recorded setting instead would give {baseline:.4f}."
    settings = "\n".join(
        f"| {format_setting(s.setting)} | {s.esr:.4f} | {'-' if s.baseline_esr is None else f'{s.baseline_esr:.4f}'} |"
        for s in held.settings
    )
    recorded = evaluation.recordings_license
    provenance = f" The recordings' licence: {recorded}." if recorded else ""
    known = f"**Published in spite of this: {fault}.**\n\n" if fault else ""
    continuous = any(isinstance(knob, Knob) for knob in config.knobs.knobs)
    turned_picture = "![spectra with each knob turned from end to end](images/knobs.png)" if continuous else ""
    front = "![error against cost of every model the search tried, and the front of the best](images/front.png)"
    license_id = f"[{terms.license_name}]({terms.license_link})" if terms.license == "other" else terms.license
    return f"""# {config.name}

A guitar amp model whose {len(config.knobs.knobs)} knobs turn live: a WaveNet conditioned on the knobs at every sample, made with ampzoo.

## Listen

{_player("audio/di.flac", "dry signal")}

{heard}

## Knobs

| knob | range | default |
|---|---|---|
{knobs}

{turned_picture}

## Use

```
zoo pull {name} --zoo hub
zoo render {name} in.wav out.wav {turned}
zoo export {name} --bake {quote(",".join(pairs))} {config.name}.nam
```

```python
import zoo
amp = zoo.pull("{name}")
y = amp(x{called})      # x: mono numpy audio at {rate} Hz
```

`live.nam` plays with its knobs as inputs in hosts of NeuralAmpModelerCore; each file under `baked/` is one setting for every Neural Amp
Modeler player.

## How good it is

Error-to-signal ratio (ESR, lower is better, 0 is the amp itself) on {len(held.settings)} knob settings that were never recorded for training,
playing audio that was never trained on, each setting counting the same: mean {held.mean:.4f}, median {held.median:.4f},
worst {held.worst:.4f}.{beside}{_weakest(evaluation)}

| held setting | ESR | nearest recorded setting |
|---|---|---|
{settings}

Cost: {evaluation.parameters:,} parameters, {evaluation.macs_per_sample:,} multiply-accumulates per sample, {100 * evaluation.realtime_factor:.1f} % of a CPU core, receptive field
{config.audio.receptive_field:,} samples at {rate:,} Hz.

{_scanned(evaluation)}

![ESR per held setting](images/scores.png)

{_tier_table(config, evaluation, tiers)}{front if searched else ""}

## Limits

{known}Play mono audio at {rate:,} Hz, at levels like the dry signal above. Between recorded settings the model interpolates; it was not checked outside
the knob ranges. It models the recorded chain only.

## Provenance

How it was trained stands in `training.json` where its maker kept that, every score in `eval.json`, the sha256 of every file but this page in `manifest.json`;
`zoo verify` checks them and plays the clips again.

## Licence

{license_id}.{provenance} Names of makers and models, where they appear, are trademarks of their owners, who are not affiliated with this package
and have not endorsed it.
"""


def _weakest(evaluation: Evaluation) -> str:
    if not evaluation.held_regions:
        return ""
    worst = max(evaluation.held_regions, key=lambda region: region.esr)
    return f" It is weakest where {worst.knob} is {worst.region} (mean {worst.esr:.4f} of {worst.settings} settings)."


def _tier_table(config: ModelConfig, evaluation: Evaluation, tiers: Mapping[str, Evaluation]) -> str:
    if not tiers:
        return ""
    rows = "\n".join(
        f"| {name}{' (this one)' if scores == evaluation else ''} | {scores.held.mean:.4f} | {scores.held.worst:.4f} | {scores.parameters:,} "
        f"| {100 * scores.realtime_factor:.1f} % |"
        for name, scores in tiers.items()
    )
    return f"""The same amp comes in {len(tiers)} tiers; `zoo pull {OWNER_PLACEHOLDER}{config.name} --tier {next(iter(tiers))}` leaves out the others.

| tier | mean ESR | worst ESR | parameters | of a CPU core |
|---|---|---|---|---|
{rows}

"""


def _scanned(evaluation: Evaluation) -> str:
    corners, moves = evaluation.corners, evaluation.knob_moves_dbfs or {}
    added = ", ".join(f"{moved:.0f} dBFS when turned within {ms} ms" for ms, moved in moves.items())
    return (
        f"Played at {corners.settings:,} settings, every corner of the knobs among them: the loudest peak is {corners.peak_dbfs:.1f} dBFS "
        f"at {format_setting(corners.peak_setting)} (the loudest take: {corners.recorded_peak_dbfs:.1f} dBFS), silence comes out at "
        f"{corners.silence_dbfs:.0f} dBFS.{f' What a moving knob adds: {added}.' if added else ''}"
    )


def _players(preset: Preset) -> list[str]:
    """What a preset can be heard by; one that was recorded is heard from the amp, too."""
    at = format_setting(preset.knobs)
    if not preset.dry or not preset.target:
        return [_player(preset.audio, f"{preset.id}: {at}")]
    return [
        _player(preset.dry, f"a take never trained on, at {at}: its dry signal"),
        _player(preset.target, "the amp itself, as loud"),
        _player(preset.audio, "the model"),
    ]


def _player(audio: str, title: str) -> str:
    return f'[{title}]({audio})<br><audio controls preload="none" src="{audio}"></audio>'
