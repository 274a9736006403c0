"""The JSON documents a model's folder carries: what it is (`config.json`) and how good it is (`eval.json`). Light to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.architecture import Unstated, WaveNetConfig
from models.errors import UserError
from models.files import Frozen, read_document
from models.knobs import Knobs, Setting, Value, format_setting

RUNAWAY_DB = 18.0  # a corner nobody recorded may be louder than every take, but not by this much
QUIET_DB = 20.0

CONFIG, WEIGHTS = "config.json", "model.safetensors"
EVAL, RECIPE, HISTORY, SPLIT, STATE, MACHINE = (
    "eval.json",
    "recipe.json",
    "history.jsonl",
    "split.json",
    "state.safetensors",
    "machine.json",
)


Dbu = Annotated[Annotated[float, Field(ge=-60, le=60, strict=True)] | None, Unstated]


class Levels(Frozen):
    """The analog levels at which a device was recorded, as NAM names them."""

    input_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, at the device's input, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None
    output_level_dbu: Annotated[
        Dbu, Field(description="Level in dBu, after the device's output, of a 1 kHz sine that peaks at 0 dBFS.")
    ] = None

    @property
    def levels(self) -> "Levels":
        """These two alone."""
        return Levels(input_level_dbu=self.input_level_dbu, output_level_dbu=self.output_level_dbu)


UNSTATED = Levels()


class Audio(Levels):
    """What a model expects and gives: mono audio at one rate, R samples of memory, no latency of its own; the levels it was recorded at."""

    sample_rate: Annotated[int, Field(ge=8000, le=192000)]
    channels: Literal[1] = 1
    receptive_field: Annotated[int, Field(ge=1)]


class ModelConfig(Frozen):
    """`config.json`: architecture, knob schema and audio contract."""

    schema_version: Literal["1.0"] = "1.0"
    library: Literal["ampzoo"] = "ampzoo"
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    audio: Audio
    knobs: Knobs
    architecture: WaveNetConfig

    @property
    def columns(self) -> int:
        """How many numbers the network takes beside the audio."""
        return self.knobs.columns(self.architecture.inject.encoding)

    def encode(self, setting: Mapping[str, Value]) -> list[float]:
        """A setting as the network takes it; raises `UserError` for a knob or value the model does not have."""
        return self.knobs.encode(setting, self.architecture.inject.encoding, self.name)


def make_config(
    name: str, sample_rate: int, knobs: Knobs, architecture: WaveNetConfig, levels: Levels = UNSTATED
) -> ModelConfig:
    """The `config.json` of a model; `sample_rate` in Hz."""
    audio = Audio(sample_rate=sample_rate, receptive_field=architecture.receptive_field, **levels.model_dump())
    return ModelConfig(name=name, audio=audio, knobs=knobs, architecture=architecture)


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
