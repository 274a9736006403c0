"""models/recordings/splitting.py."""

from collections.abc import Iterable

import torch
from torch import Tensor

from models.core.errors import UserError
from models.knobs.schema import Knobs, Setting, Value
from models.knobs.text import format_setting
from models.recordings.dataset import Piece, _key


def _choose(
    knobs: Knobs, pieces: list[Piece], wanted: int | Iterable[Setting], taken: set[tuple[Value, ...]], name: str
) -> set[tuple[Value, ...]]:
    """The settings to take out of training: those named, or as many as asked for, far from each other and from the default.

    Never a corner, nor a setting that alone reaches the end of a knob's recorded range (models interpolate); those with the fewest
    knobs at an end go first, then those that turn knobs which none chosen so far turns.
    """
    levels = {_key(piece): piece.levels_K for piece in pieces if _key(piece) not in taken}
    if not isinstance(wanted, int):
        named = {tuple(knobs.complete(setting, name).values()) for setting in wanted}
        for key in named - set(levels):
            setting = format_setting(dict(zip(knobs.names, key, strict=True)))
            raise UserError(f"{name}: {setting} is not a setting of the train manifest", "Name one that is.")
        return named
    if not wanted:
        return set()
    all_NK = torch.stack([*levels.values(), *(p.levels_K for p in pieces)])
    low_K, high_K, rest_K = all_NK.amin(0), all_NK.amax(0), torch.tensor(knobs.encode(knobs.defaults))
    moved = int((low_K < high_K).sum())
    ends = {key: int((((x_K == low_K) | (x_K == high_K)) & (low_K < high_K)).sum()) for key, x_K in levels.items()}
    chosen: dict[tuple[Value, ...], Tensor] = {}
    while len(chosen) < wanted:
        left = {key: x_K for key, x_K in levels.items() if key not in chosen}
        free = [key for key in left if ends[key] < moved and not _alone_at_an_end(left, key)]
        if not free:
            raise UserError(
                f"{name}: {wanted} settings are wanted, but only {len(chosen)} can leave training without narrowing a knob's range",
                "Ask for fewer, name the settings, or record more between the ends of the knobs.",
            )
        near_NK = torch.stack([rest_K, *chosen.values()])
        judged_K = (near_NK != rest_K).any(0)
        best = min(
            free,
            key=lambda key: (
                ends[key],
                -int(((left[key] != rest_K) & ~judged_K).sum()),
                -torch.cdist(left[key][None], near_NK).min().item(),
            ),
        )
        chosen[best] = left[best]
    return set(chosen)


def _alone_at_an_end(levels: dict[tuple[Value, ...], Tensor], key: tuple[Value, ...]) -> bool:
    if len(levels) == 1:
        return True
    others_NK = torch.stack([x_K for other, x_K in levels.items() if other != key])
    return bool(((levels[key] < others_NK.amin(0)) | (levels[key] > others_NK.amax(0))).any())
