"""What a sound card is to the rest of the code: something that plays a signal and records the answer at once.

Shapes: T time in samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.core.errors import NotFound, UserError

InputListener = Callable[
    [np.ndarray], bool | None
]  # gets what was recorded since the last call; True stops the recording


class CardLost(UserError):
    """A sound card that worked answers no more."""

    def __init__(self, name: str, at_s: float) -> None:
        super().__init__(
            f"{name} stopped answering after {at_s:.1f} s",
            "Was it unplugged, or its audio server stopped? Connect it again; every kept take is on the disk.",
        )


@dataclass(frozen=True, eq=False)
class Recording:
    """What came back, float32 `(T,)`, and the samples near which the card lost audio (`lost`, in order)."""

    x_T: np.ndarray
    lost: tuple[int, ...] = ()


class SoundCard(Protocol):
    """One output and one input that run on one clock."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def rate_hz(self) -> int:
        """Its sample rate."""
        ...

    def play_and_record(self, send_T: np.ndarray, on_input: InputListener | None = None) -> Recording:
        """Play a signal, float32 `(T,)` inside -1 to 1, and record as many samples from the same moment on.

        Raises `CardLost` where the card stops.
        """
        ...


@dataclass(frozen=True)
class CardEntry:
    """A sound card in the list of this machine: `inputs` and `outputs` are numbers of channels, `api` its driver."""

    number: int
    name: str
    api: str
    inputs: int
    outputs: int
    rate_hz: int
    is_default_input: bool = False
    is_default_output: bool = False


def choose_pair(cards: Sequence[CardEntry], wanted: str | None) -> tuple[CardEntry, CardEntry]:
    """Return the card to record with and the card to play with; most systems list both as one.

    `wanted` is a number of the list, a name, or a part of one in any case; by default it is the system's choice. Raises
    `NotFound` where no card fits, and `UserError` where several do.
    """
    if not cards:
        raise NotFound(
            "no sound card is found", "Connect one and switch it on; its driver, or an audio server, must run."
        )
    fitting = _fitting(cards, wanted)
    inputs, outputs = [card for card in fitting if card.inputs], [card for card in fitting if card.outputs]
    pairs = [(one, other) for one in inputs for other in outputs if one.api == other.api]
    same = [pair for pair in pairs if pair[0] == pair[1]]
    chosen = same or pairs
    if not chosen:
        lacks = "no input" if not inputs else "no output" if not outputs else "no input and output of one driver"
        raise UserError(f"'{wanted or fitting[0].name}' has {lacks}", f"Choose one of: {_listed_cards(cards)}.")
    if len(chosen) > 1 and wanted is not None:
        names = "; ".join(dict.fromkeys(f"{one.number} {one.name}, {one.api}" for one, _ in chosen))
        raise UserError(f"'{wanted}' fits several sound cards: {names}", "Name one by its number.")
    return chosen[0]


def _fitting(cards: Sequence[CardEntry], wanted: str | None) -> list[CardEntry]:
    """Return the cards that a text names; a number or an exact name comes before a part of a name."""
    if wanted is None:
        defaults = [card for card in cards if card.is_default_input or card.is_default_output]
        return defaults or list(cards)
    text = wanted.strip().casefold()
    exact = [card for card in cards if text in (str(card.number), card.name.casefold())]
    part = [card for card in cards if text and text in card.name.casefold()]
    if not (found := exact or part):
        raise NotFound(f"no sound card is called '{wanted}'", f"Choose one of: {_listed_cards(cards)}.")
    return found


def _listed_cards(cards: Sequence[CardEntry]) -> str:
    return "; ".join(f"{card.number} {card.name}" for card in cards)
