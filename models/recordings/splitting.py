"""Splits takes by setting and by audio into pieces for training, validation and reporting."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from models.audio.interpolation import HALF
from models.core.errors import UserError
from models.knobs.schema import Knobs, Setting, Value
from models.knobs.text import format_setting
from models.recordings.dataset import MIN_REGION, SILENCE, AlignedRecordings, AmpData, Piece
from models.recordings.output_files import same_take

Key = tuple[Value, ...]  # of a setting, as `Piece.key`


def split_recordings(aligned: AlignedRecordings) -> AmpData:
    """Split the takes as their `DataConfig` states; its docstring gives the rules.

    Files of one take (`same_take`) are on the same side. Every dry signal that training uses is divided in time:
    training, then validation, then held audio. An interpolated sample depends on `HALF` samples after it, so aligned
    training and validation pieces stop that much earlier. Raises `UserError` for settings that cannot leave training,
    for a group without takes, and for a piece that is silent or too short.
    """
    recordings = aligned.recordings
    config, lengths = recordings.config, [len(x_T) for x_T in recordings.dry_T]
    listed = list(zip(aligned.pieces, recordings.takes, strict=True))
    training = [piece for piece, source in listed if source.training]
    removed = _choose(recordings.knobs, training, config.held_settings, set(), "held_settings")
    chosen = _choose(recordings.knobs, training, config.validation_settings, removed, "validation_settings")
    held_samples = int(config.held_seconds * recordings.rate_hz)
    validation_samples = int(config.validation_seconds * recordings.rate_hz)
    reach = HALF if aligned.lags else 0
    train, validation = [], []
    for piece in training:
        hold = lengths[piece.dry] - held_samples
        if piece.key in chosen or (not chosen and piece.key not in removed):
            validation.append(piece.cut(hold - validation_samples, hold - (reach if held_samples else 0)))
        if piece.key not in chosen | removed:
            train.append(piece.cut(0, hold - validation_samples - reach))
    held, seen = _evaluation_pieces(aligned, training, removed, held_samples)
    _check_groups(config.name, train, validation, held, seen)
    return AmpData(
        config,
        recordings.knobs,
        recordings.rate_hz,
        recordings.license,
        recordings.device,
        recordings.levels,
        recordings.dry_T,
        train=tuple(train),
        validation=tuple(validation),
        held=tuple(held),
        seen=tuple(seen),
        recorded=aligned.pieces,
        lags=aligned.lags,
        margin=recordings.margin,
        store=aligned.store,
    )


def can_leave_training(knobs: Knobs, settings: Sequence[Setting], held: int, validation: int) -> bool:
    """Return whether so many of the settings can be held, and so many others validate, as `split_recordings` chooses.

    At least one is left to train on.
    """
    none_T = torch.zeros(0)
    pieces = [Piece(0, none_T, 0, 0, setting, torch.tensor(knobs.encode(setting))) for setting in settings]
    try:
        removed = _choose(knobs, pieces, held, set(), "held_settings")
        chosen = _choose(knobs, pieces, validation, removed, "validation_settings")
    except UserError:  # too few are free
        return False
    return len(removed | chosen) < len(pieces)


def _evaluation_pieces(
    aligned: AlignedRecordings, training: Sequence[Piece], removed: set[Key], held_samples: int
) -> tuple[list[Piece], list[Piece]]:
    """Return `(held, seen)`: settings outside training, and recorded settings on held audio.

    Takes of a dry signal that training never uses are taken whole; of the others, the held audio at the end.
    """
    knobs = aligned.recordings.knobs
    recorded, shared = {same_take(knobs, piece.key) for piece in training}, {piece.dry for piece in training}
    held, seen = [], []
    for piece in aligned.pieces:
        length = len(aligned.recordings.dry_T[piece.dry])
        part = piece.cut(length - held_samples, length) if piece.dry in shared else piece
        if piece.key in removed or same_take(knobs, piece.key) not in recorded:
            if piece.dry in shared and held_samples == 0:
                raise UserError(
                    f"{aligned.recordings.config.name}: held takes use the dry signal that training uses",
                    "Set held_seconds, so that training leaves out the end of it.",
                )
            held.append(part)
        elif piece.dry not in shared or held_samples:
            seen.append(part)
    return held, seen


def _check_groups(name: str, train: list[Piece], validation: list[Piece], held: list[Piece], seen: list[Piece]) -> None:
    """Raise `UserError` for a group without takes, and for a piece that is silent or too short."""
    for purpose, pieces in (("train", train), ("validate", validation), ("hold", held)):
        if not pieces:
            raise UserError(f"{name}: the split leaves no take to {purpose}", "Move fewer settings or seconds.")
    for piece in train + validation + held + seen:
        if piece.stop - piece.start < MIN_REGION or piece.energy < SILENCE:
            setting = format_setting(piece.setting)
            raise UserError(
                f"{name}: {setting} has no sound from sample {piece.start} to {piece.stop}",
                "Change held_seconds or validation_seconds.",
            )


def _choose(
    knobs: Knobs, pieces: list[Piece], wanted: int | Iterable[Setting], excluded: set[Key], name: str
) -> set[Key]:
    """Choose the settings to take out of training: those named, or `wanted` of them.

    `name` is the key of the config, for errors. Raises `UserError` for a named setting that was not recorded, and when
    too few are free.
    """
    levels = {piece.key: piece.levels_K for piece in pieces if piece.key not in excluded}
    takes: dict[Key, list[Key]] = {}  # the settings of the files of each take
    for piece in pieces:
        takes.setdefault(same_take(knobs, piece.key), []).append(piece.key)
    if isinstance(wanted, int):
        firsts = {keys[0] for keys in takes.values()}
        free = {key: x_K for key, x_K in levels.items() if key in firsts}
        chosen = _spread_out(knobs, [p for p in pieces if p.key in firsts], free, wanted, name) if wanted else set()
    else:
        chosen = {tuple(knobs.complete(setting, name).values()) for setting in wanted}
    left = {same_take(knobs, key) for key in levels}
    for key in chosen:
        if same_take(knobs, key) not in left:
            setting = format_setting(dict(zip(knobs.names, key, strict=True)))
            raise UserError(f"{name}: {setting} is not a setting of the train manifest", "Name one that is.")
    return {key for one in chosen for key in takes[same_take(knobs, one)]}


def _spread_out(knobs: Knobs, pieces: list[Piece], levels: dict[Key, Tensor], wanted: int, name: str) -> set[Key]:
    """Choose settings greedily, each the farthest from those before it and from the default.

    Models interpolate, so a setting that alone reaches the end of a knob's recorded range is never chosen, nor a
    corner. Settings with the fewest knobs at an end go first, then those that turn the most knobs which no setting
    before them turns.
    """
    all_NK = torch.stack([*levels.values(), *(p.levels_K for p in pieces)])
    low_K, high_K, rest_K = all_NK.amin(0), all_NK.amax(0), torch.tensor(knobs.encode(knobs.defaults))
    moved = int((low_K < high_K).sum())
    ends = {key: int((((x_K == low_K) | (x_K == high_K)) & (low_K < high_K)).sum()) for key, x_K in levels.items()}
    chosen: dict[Key, Tensor] = {}
    while len(chosen) < wanted:
        left = {key: x_K for key, x_K in levels.items() if key not in chosen}
        free = [key for key in left if ends[key] < moved and not _alone_at_an_end(left, key)]
        if not free:
            raise UserError(
                f"{name}: {wanted} settings are wanted, but only {len(chosen)} can leave training "
                "without narrowing a knob's range",
                "Ask for fewer, name the settings, or record more between the ends of the knobs.",
            )
        near_NK = torch.stack([rest_K, *chosen.values()])
        turned_K = (near_NK != rest_K).any(0)
        best = min(
            free,
            key=lambda key: (
                ends[key],
                -int(((left[key] != rest_K) & ~turned_K).sum()),
                -torch.cdist(left[key][None], near_NK).min().item(),
            ),
        )
        chosen[best] = left[best]
    return set(chosen)


def divide_settings(levels: dict[Key, Tensor], folds: int) -> list[set[Key]]:
    """Divide settings, by their levels `(K,)`, into folds, neighbors into different ones.

    Without those of a fold, the others still reach both ends of every knob. Settings with which no fold would keep that
    are in none.
    """
    all_NK = torch.stack(list(levels.values()))
    parts: list[set[Key]] = [set() for _ in range(folds)]
    for key in sorted(levels, key=lambda key: levels[key].tolist()):
        for part in sorted(parts, key=len):
            rest = [levels_K for other, levels_K in levels.items() if other not in part | {key}]
            rest_NK = torch.stack(rest) if rest else all_NK[:0]
            if rest and (rest_NK.amin(0) == all_NK.amin(0)).all() and (rest_NK.amax(0) == all_NK.amax(0)).all():
                part.add(key)
                break
    return parts


def _alone_at_an_end(levels: dict[Key, Tensor], key: Key) -> bool:
    """Whether no other setting reaches as far as this one, in either direction of some knob."""
    if len(levels) == 1:
        return True
    others_NK = torch.stack([x_K for other, x_K in levels.items() if other != key])
    return bool(((levels[key] < others_NK.amin(0)) | (levels[key] > others_NK.amax(0))).any())
