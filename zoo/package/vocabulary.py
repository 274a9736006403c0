"""The words that a card may state: kinds of device and tones. Light to import."""

from typing import Literal

Kind = Literal["amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"]

Tone = Literal["clean", "overdrive", "crunch", "hi_gain", "fuzz"]
