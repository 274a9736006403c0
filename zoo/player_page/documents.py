"""What the page is told: `amp.json` of one amp, `site.json` of all amps. The page reads the knobs from `amp.bin`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.artifacts.evaluation import Evaluation, read_evaluation
from models.artifacts.folder import check_holds_model
from models.artifacts.model_config import ModelConfig
from models.artifacts.names import CONFIG, EVAL, is_nam_file
from models.core.schema import Frozen
from models.formats.open_model import open_model
from models.knobs.schema import Setting
from zoo.package.card import read_front_matter
from zoo.package.card_schema import AmpSummary
from zoo.package.front_matter import text_of
from zoo.package.layout import CARD, PRESETS, package_of
from zoo.package.manifest import digest, read_package_document
from zoo.package.presets import Preset, Presets

DRY_CLIP = "audio/di.flac"


class HeldError(Frozen):
    """The error (ESR) at a setting that training did not see."""

    setting: Setting
    esr: float


class PagePreset(Frozen):
    """A named setting; `dry` and `target` are a take: the dry clip and the recording of the amp itself."""

    id: str
    knobs: Setting
    dry: str | None = None
    target: str | None = None


class AmpPage(Frozen):
    """`amp.json`: what the page shows of an amp beside its knobs. `esr` is the mean over `held`."""

    schema_name: Annotated[Literal["zoo.amp_page/1"], Field(alias="schema")] = "zoo.amp_page/1"
    name: str
    license: str
    revision: str
    parameters: int | None
    esr: float | None
    held: tuple[HeldError, ...]
    dry: str = DRY_CLIP
    presets: tuple[PagePreset, ...]


class ShelfRow(Frozen):
    """An amp in the list; its files are in `amps/NAME/`."""

    name: str
    license: str = ""
    kind: str = ""
    tone: tuple[str, ...] = ()
    knobs: tuple[str, ...] = ()
    esr: float | None = None
    macs_per_sample: int | None = None


class AmpSource(Frozen):
    """Where a page fetches files of its amp: `base` names a commit, `files` the sha256 of each (name -> digits)."""

    base: str
    files: dict[str, str]


class SitePage(Frozen):
    """`site.json`: the amps of the page, and where they are from; a page of one amp shows it at once."""

    schema_name: Annotated[Literal["zoo.page/1"], Field(alias="schema")] = "zoo.page/1"
    label: str
    single: bool
    amps: tuple[ShelfRow, ...]
    source: AmpSource | None = None


def shelf_row(summary: AmpSummary) -> ShelfRow:
    """Return the row of an amp that a zoo lists."""
    amp = summary.amp
    return ShelfRow(
        name=summary.name,
        license=summary.license,
        kind=amp.kind,
        tone=amp.tone,
        knobs=tuple(knob.name for knob in amp.knobs),
        esr=amp.esr,
        macs_per_sample=amp.macs_per_sample,
    )


def describe_amp(folder: Path, name: str) -> AmpPage:
    """Return what the page shows of a package, a run folder or a `.nam` file (the last two may have no scores).

    Raises `UserError` for a document that is malformed.
    """
    scores = read_evaluation(folder) if (folder / EVAL).exists() else None
    package = package_of(folder)
    license_id = text_of(read_front_matter(package / CARD), "license") if package else "-"
    return AmpPage(
        name=name,
        license="" if license_id == "-" else license_id,
        revision=digest(package) if package else "",
        parameters=scores.parameters if scores else None,
        esr=scores.held.mean if scores else None,
        held=_held_errors(scores),
        presets=tuple(map(_page_preset, _stored_presets(package))),
    )


def model_name(folder: Path) -> str:
    """Return the name of the model in a folder, or of a `.nam` file. Raises `NotFound` where there is no model."""
    if is_nam_file(folder):
        return open_model(folder)[0].name
    check_holds_model(folder)
    return read_package_document(folder, CONFIG, ModelConfig).name


def _held_errors(scores: Evaluation | None) -> tuple[HeldError, ...]:
    held = scores.held.settings if scores else ()
    return tuple(HeldError(setting=score.setting, esr=score.esr) for score in held)


def _stored_presets(package: Path | None) -> tuple[Preset, ...]:
    if package is None or not (package / PRESETS).exists():
        return ()
    return read_package_document(package, PRESETS, Presets).presets


def _page_preset(preset: Preset) -> PagePreset:
    take = {"dry": preset.dry, "target": preset.target} if preset.dry and preset.target else {}
    return PagePreset(id=preset.id, knobs=preset.knobs, **take)
