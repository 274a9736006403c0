"""The JSON documents a model's folder carries: what it is (`config.json`) and how good it is (`eval.json`). Light to import."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.artifacts.names import EVAL
from models.core.errors import UserError
from models.core.schema import Frozen, read_document
from models.knobs.schema import Setting
from models.knobs.text import format_setting

RUNAWAY_DB = 18.0  # a corner nobody recorded may be louder than every take, but not by this much

QUIET_DB = 20.0


class Errors(Frozen):
    """Other measures of the same difference; `models.metrics` has their formulas."""

    esr_pre_emphasis: float
    esr_gain_matched: float
    mrstft: float
    mae: float


class SettingScore(Frozen):
    """Error-to-signal ratio at one knob setting; `baseline_esr` is what the nearest recorded setting would give."""

    setting: Setting
    esr: float
    baseline_esr: float | None = None
    errors: Errors | None = None


class Score(Frozen):
    """Scores pooled with equal weight per setting, so that loud settings do not hide quiet ones."""

    mean: float
    median: float
    worst: float
    baseline_mean: float | None
    errors: Errors | None = None
    settings: tuple[SettingScore, ...]


class CornerScan(Frozen):
    """Every corner of the knobs, and many settings between, played: peaks (full scale 0 dBFS), output at silence, offset (DC)."""

    settings: int
    peak_dbfs: float
    peak_setting: Setting
    recorded_peak_dbfs: float
    silence_dbfs: float
    silence_setting: Setting
    dc_dbfs: float

    @property
    def fault(self) -> str | None:
        """Why nobody should play this model, if there is a reason."""
        above = self.peak_dbfs - self.recorded_peak_dbfs
        if above > RUNAWAY_DB:
            where = format_setting(self.peak_setting)
            return f"at {where} it is {above:.0f} dB louder than the loudest take (at most {RUNAWAY_DB:g} are allowed)"
        below = self.recorded_peak_dbfs - self.silence_dbfs
        if below < QUIET_DB:
            where = format_setting(self.silence_setting)
            return (
                f"at {where} silence comes out only {below:.0f} dB below the loudest take ({QUIET_DB:g} are asked for)"
            )
        return None


class KnobTurn(Frozen):
    """What turning one knob from end to end does: the change against the louder end in dB, and the share of steps that lead away from the low end."""

    name: str
    change_db: float
    rising: float


class RegionScore(Frozen):
    """The mean ESR of the held settings at which one knob is in its `low`, `middle` or `high` third, or a switch at one position."""

    knob: str
    region: str
    settings: int
    esr: float


class Evaluation(Frozen):
    """`eval.json`: how good a model is and what it costs. Validation chose it; held and seen were heard once, afterwards.

    `held_sha256` is that of the held audio, dry and wet in turn, as float32 samples.
    `realtime_factor` is seconds of one core per second of audio, measured where the run was reported; `seconds` those of its training.
    """

    schema_name: Annotated[Literal["ampzoo.eval/1"], Field(alias="schema")] = "ampzoo.eval/1"
    step: int
    parameters: int
    macs_per_sample: int
    realtime_factor: float
    seconds: float
    device: str
    recordings_license: str
    validation: Score
    held: Score
    seen: Score | None
    corners: CornerScan
    knob_moves_dbfs: dict[str, float] | None
    knob_turns: tuple[KnobTurn, ...]
    held_regions: tuple[RegionScore, ...] = ()
    held_sha256: str = ""


def read_evaluation(folder: Path) -> Evaluation:
    """The scores of a finished run or a package; raises `UserError` when it has none."""
    if not (folder / EVAL).exists():
        raise UserError(
            f"{folder} has no scores ({EVAL} is missing)", "Finish it: run the same zoo train or zoo search --resume."
        )
    return read_document(folder / EVAL, Evaluation)
