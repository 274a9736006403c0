"""The evaluation of a finished run: scores, knobs, cost."""

from pathlib import Path

from models.artifacts.evaluation import Evaluation
from models.artifacts.folder import load_model
from models.artifacts.history import read_history
from models.artifacts.names import EVAL, HISTORY
from models.core.errors import UserError
from models.core.files import write_json
from models.evaluation.robustness import knob_moves, scan_corners, turn_knobs
from models.evaluation.scoring import by_region, score
from models.playback.realtime_cost import cost
from models.recordings.composed_pieces import judged_pieces
from models.recordings.dataset import AmpData


def evaluate(folder: Path, data: AmpData) -> Evaluation:
    """Score a finished run, scan its knobs and measure its cost; write `eval.json` and return it.

    Held and seen settings are scored here for the first and only time.
    """
    config, net = load_model(folder)
    history, dry_T = read_history(folder), data.dry_T[data.held[0].dry]
    if not history:
        raise UserError(f"{folder / HISTORY} is empty", "The file is damaged; train into a new folder.")
    peak = max(piece.peak for piece in data.recorded)
    held = score(net, data, data.held, thorough=True)
    evaluation = Evaluation(
        step=history[-1]["step"],
        parameters=net.parameter_count,
        macs_per_sample=config.architecture.macs_per_sample(net.knobs),
        realtime_factor=round(cost(config.architecture, net.knobs, data.rate_hz), 5),
        seconds=round(sum(line["seconds"] for line in history), 1),
        device=data.device,
        recordings_license=data.license,
        validation=score(net, data, judged_pieces(data)),
        held=held,
        seen=score(net, data, data.seen, thorough=True) if data.seen else None,
        corners=scan_corners(net, data.knobs, dry_T, peak),
        knob_moves_dbfs=knob_moves(net, data.knobs, dry_T, data.rate_hz),
        knob_turns=turn_knobs(net, data.knobs, dry_T),
        held_regions=by_region(held, data.knobs),
        held_sha256=data.fingerprint(data.held),
    )
    write_json(folder / EVAL, evaluation.model_dump(mode="json", by_alias=True))
    return evaluation
