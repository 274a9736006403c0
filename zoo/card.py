"""The model card: front matter a hub can list by, and a page a player can read."""

from pathlib import Path
from typing import Annotated, Any, Literal

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from pydantic import Field
from yaml import YAMLError

from models.documents import Evaluation, ModelConfig
from models.errors import UserError
from models.files import Frozen, check_document
from models.knobs import AnyKnob, format_setting, format_value

LIBRARY = "ampzoo"


class CardBlock(Frozen):
    """The `ampzoo:` block of the front matter: what a listing shows, so that listing needs no second request."""

    schema_version: Annotated[Literal["1.0"], Field(alias="schema")] = "1.0"
    knobs: Annotated[tuple[AnyKnob, ...], Field(max_length=32)]
    esr: Annotated[float, Field(ge=0)]
    parameters: Annotated[int, Field(ge=1, le=1 << 32)]
    macs_per_sample: Annotated[int, Field(ge=1, le=1 << 32)]
    sample_rate: Annotated[int, Field(ge=8000, le=192000)]
    inject: Annotated[str, Field(max_length=64)]


class Listed(Frozen):
    """One row of `zoo list`."""

    name: str
    revision: str
    license: str
    amp: CardBlock


def make_card(config: ModelConfig, evaluation: Evaluation, license_id: str, presets: list[dict[str, Any]]) -> str:
    """The text of a package's `README.md`."""
    held, knobs = evaluation.held, config.knobs
    block = CardBlock(
        knobs=knobs.knobs,
        esr=round(held.mean, 6),
        parameters=evaluation.parameters,
        macs_per_sample=evaluation.macs_per_sample,
        sample_rate=config.audio.sample_rate,
        inject=config.architecture.inject.label,
    )
    task = {"task_type": "audio-to-audio", "task_name": "Guitar amplifier emulation"}
    data = {"dataset_type": config.name, "dataset_name": "Knob settings and audio never trained on"}
    front = ModelCardData(
        license=license_id,
        library_name=LIBRARY,
        pipeline_tag="audio-to-audio",
        tags=["guitar", "amp-modeling", "wavenet", "neural-amp-modeler", "knob-conditioned"],
        model_name=config.name,
        eval_results=[
            EvalResult(**task, **data, metric_type="esr", metric_value=round(held.mean, 6), metric_name="ESR")
        ],
        ampzoo=block.model_dump(mode="json", by_alias=True),
    )
    return f"---\n{front.to_yaml()}\n---\n\n{_body(config, evaluation, license_id, presets)}"


def read_row(name: str, revision: str, front_matter: Any) -> Listed:
    """A row of `zoo list` from parsed front matter; raises `UserError` when its `ampzoo:` block is missing or malformed."""
    block = front_matter.get(LIBRARY) if isinstance(front_matter, dict) else None
    if not isinstance(block, dict):
        raise UserError(f"{name}: its card has no '{LIBRARY}' block", "Package it again with zoo package.")
    license_id = front_matter.get("license")
    return Listed(
        name=name,
        revision=revision,
        license=license_id[:64] if isinstance(license_id, str) else "-",
        amp=check_document(block, CardBlock, f"{name}: card"),
    )


def read_front_matter(card: Path) -> dict[str, Any]:
    """The front matter of a card as plain data; raises `UserError` when there is none or it is not YAML."""
    try:
        return ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    except (OSError, ValueError, TypeError, RecursionError, YAMLError) as problem:
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise UserError(f"{card} cannot be read: {first}", "Push or pull the amp again.") from None


def _body(config: ModelConfig, evaluation: Evaluation, license_id: str, presets: list[dict[str, Any]]) -> str:
    held, rate = evaluation.held, config.audio.sample_rate
    turned = " ".join(f"--knob {pair}" for pair in format_setting(config.knobs.defaults).split())
    baked = ",".join(format_setting(config.knobs.defaults).split())
    knobs = "\n".join(f"| {k.name} | {k.legal} | {format_value(k.default)} |" for k in config.knobs.knobs)
    heard = "\n".join(f"* [{p['id']}]({p['audio']}): {format_setting(p['knobs'])}" for p in presets)
    baseline = held.baseline_mean
    beside = "" if baseline is None else f" Playing the nearest recorded setting instead would give {baseline:.4f}."
    settings = "\n".join(f"| {format_setting(s.setting)} | {s.esr:.4f} |" for s in held.settings)
    recorded = evaluation.recordings_license
    provenance = f" The recordings' licence: {recorded}." if recorded else ""
    return f"""# {config.name}

A guitar amp model whose {len(config.knobs.knobs)} knobs turn live: a WaveNet conditioned on the knobs at every sample, made with ampzoo.

## Listen

* [dry signal](audio/di.flac)
{heard}

## Knobs

| knob | range | default |
|---|---|---|
{knobs}

## Use

```
zoo pull OWNER/{config.name}
zoo render OWNER/{config.name} in.wav out.wav {turned}
zoo export OWNER/{config.name} --bake {baked} {config.name}.nam
```

The last line writes a stock `.nam` file for any Neural Amp Modeler player; `--live` writes one whose knobs stay inputs.

## How good it is

Error-to-signal ratio (ESR, lower is better, 0 is the amp itself) on {len(held.settings)} knob settings that were never recorded for training,
playing audio that was never trained on, each setting counting the same: mean {held.mean:.4f}, median {held.median:.4f},
worst {held.worst:.4f}.{beside}

| held setting | ESR |
|---|---|
{settings}

Cost: {evaluation.parameters:,} parameters, {evaluation.macs_per_sample:,} multiply-accumulates per sample, receptive field
{config.audio.receptive_field:,} samples at {rate:,} Hz.

## Limits

Play mono audio at {rate:,} Hz, at levels like the dry signal above. Between recorded settings the model interpolates; it was not checked outside
the knob ranges. It models the recorded chain only.

## Licence

{license_id}.{provenance} Names of makers and models, where they appear, belong to their owners, who are not affiliated with this package.
"""


def format_knobs(knobs: tuple[AnyKnob, ...]) -> str:
    """`gain tone volume`, for tables."""
    return " ".join(knob.name for knob in knobs)
