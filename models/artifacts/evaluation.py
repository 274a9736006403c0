"""`eval.json`: how good a model is and what it costs. Light to import."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.artifacts.names import EVAL
from models.core.errors import UserError
from models.core.schema import Frozen, read_document
from models.knobs.schema import Setting
from models.knobs.text import format_setting

RUNAWAY_DB = 18.0  # largest allowed level of any setting above the loudest take

SILENCE_DBFS = -70.0  # output at silence above which a person is warned

OFFSET_DB = 30.0  # smallest distance of the offset of loud sound below the loudest take: 3 % of its peak

CLICK_DBFS, CLICK_MS = -20.0, "10"  # what a turn of a knob within so many ms may add; good models have -30 to -60

FAR_ABOVE = 3.0  # times the validation error: a larger held error needs a reason

HARD_TO_HEAR, GOOD, AUDIBLE = 0.01, 0.03, 0.1  # ESR: see docs/guides/train.md

QUIET_DB = 20.0  # smallest allowed distance of the output at silence below the loudest take


class Errors(Frozen):
    """Other measures of the same error; formulas are in `models.evaluation.distances`."""

    esr_pre_emphasis: float
    esr_gain_matched: float
    mrstft: float
    mae: float


class SettingScore(Frozen):
    """Error-to-signal ratio (ESR) at one knob setting; `baseline_esr` is that of the nearest recorded setting."""

    setting: Setting
    esr: float
    baseline_esr: float | None = None
    errors: Errors | None = None


class Score(Frozen):
    """Scores over settings, each with equal weight, so that loud settings do not hide quiet ones."""

    mean: float
    median: float
    worst: float
    baseline_mean: float | None
    errors: Errors | None = None
    settings: tuple[SettingScore, ...]


class CornerScan(Frozen):
    """Extremes over all corners of the knobs and many settings between them, in dBFS (full scale is 0).

    Peak of the output, output at silence, and DC offset of the loudest sound; `recorded_peak_dbfs` is the peak of the
    loudest take.
    """

    settings: int
    peak_dbfs: float
    peak_setting: Setting
    recorded_peak_dbfs: float
    silence_dbfs: float
    silence_setting: Setting
    dc_dbfs: float

    @property
    def fault(self) -> str | None:
        """Why the model is unstable, or None."""
        above = self.peak_dbfs - self.recorded_peak_dbfs
        if above > RUNAWAY_DB:
            where = format_setting(self.peak_setting)
            return f"at {where} it is {above:.0f} dB louder than the loudest take (at most {RUNAWAY_DB:g} are allowed)"
        below = self.recorded_peak_dbfs - self.silence_dbfs
        if below < QUIET_DB:
            where = format_setting(self.silence_setting)
            return (
                f"at {where} silence comes out only {below:.0f} dB below the loudest take ({QUIET_DB:g} are required)"
            )
        return None

    @property
    def offset_warning(self) -> str | None:
        """What a person should know about the output at silence, or None."""
        if self.silence_dbfs <= SILENCE_DBFS:
            return None
        return (
            f"when nothing is played, a constant of {self.silence_dbfs:.0f} dBFS comes out at "
            f"{format_setting(self.silence_setting)} (below {SILENCE_DBFS:.0f} is good); it is not heard, but jumps "
            "when a knob turns or playing begins: train longer"
        )

    @property
    def dc_warning(self) -> str | None:
        """What a person should know about the constant in loud sound, or None."""
        below = self.recorded_peak_dbfs - self.dc_dbfs
        if below >= OFFSET_DB:
            return None
        return (
            f"while it plays, a constant (DC) of {self.dc_dbfs:.0f} dBFS is in the sound, {below:.0f} dB below the "
            f"loudest take ({OFFSET_DB:g} is good): train longer"
        )


class KnobTurn(Frozen):
    """What turning one knob from end to end does.

    `change_db` is the difference against the louder end; `rising` the share of steps that lead away from the low end.
    """

    name: str
    change_db: float
    rising: float


class RegionScore(Frozen):
    """The mean ESR of the held settings in one region of a knob.

    `region` is `low`, `middle` or `high` (thirds of its range), or a position of a switch.
    """

    knob: str
    region: str
    settings: int
    esr: float


class Evaluation(Frozen):
    """`eval.json`: how good a model is and what it costs.

    Validation selected the model; `held` and `seen` were computed once, afterwards. `held_sha256` is the hash of the
    held audio, dry and wet in turn, as float32 samples. `realtime_factor` is seconds of one core per second of audio,
    measured where the run was scored; `seconds` is the time of training.
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

    @property
    def warnings(self) -> list[str]:
        """What a person must know of the model before it is published."""
        found = (
            self.corners.offset_warning,
            self.corners.dc_warning,
            self._move_warning(),
            gap_warning(self.validation.mean, self.held.mean),
        )
        return [warning for warning in found if warning]

    def _move_warning(self) -> str | None:
        """Return what turning knobs adds to the sound, where it may be heard."""
        added = (self.knob_moves_dbfs or {}).get(CLICK_MS, -math.inf)
        if added <= CLICK_DBFS:
            return None
        return (
            f"a knob that turns from end to end within {CLICK_MS} ms adds {added:.0f} dBFS to the sound, and may click "
            f"(below {CLICK_DBFS:.0f} is good): train longer"
        )


def gap_warning(validation: float, held: float) -> str | None:
    """Return what a held error far above the validation error means; None where it is not far above."""
    if held <= FAR_ABOVE * validation or held <= HARD_TO_HEAR:
        return None
    return (
        f"the held ESR {held:.4f} is {held / validation:.1f} times the validation ESR {validation:.4f}: the held "
        "settings are farther from the recorded ones, or their audio is another; the held error is the one to trust"
    )


def quality_words(esr: float) -> str:
    """Return what an ESR means to the ear, by the thresholds of docs/guides/train.md."""
    if esr <= HARD_TO_HEAR:
        return "hard to tell from the amp"
    if esr <= GOOD:
        return "good: heard in a direct comparison alone"
    if esr <= AUDIBLE:
        return "usable: the difference is audible"
    return "poor: clearly another sound"


def read_evaluation(folder: Path) -> Evaluation:
    """Read the scores of a finished run or a package; raises `UserError` when it has none."""
    if not (folder / EVAL).exists():
        raise UserError(
            f"{folder} has no scores ({EVAL} is missing)",
            "Finish its training first: train into the same folder again, or resume the search.",
        )
    return read_document(folder / EVAL, Evaluation, follow=False)
