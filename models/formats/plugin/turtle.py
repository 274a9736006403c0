"""What LV2 says of a plugin, as text: Turtle files in its bundle (lv2plug.in/ns/lv2core).

Names come from strangers: every text is escaped, and symbols are made of letters, digits and `_` alone.
"""

import re
from collections.abc import Iterable, Sequence

from models.formats.player.reader import AmpFile
from models.knobs.schema import AnyKnob, Switch

LIBRARY_NAME, MANIFEST_TURTLE, AMP_TURTLE = "ampzoo.so", "manifest.ttl", "{}.ttl"
STEREO_ENDING = ":stereo"  # of a URI; as in player/plugin/lv2.c

PREFIXES = """\
@prefix doap: <http://usefulinc.com/ns/doap#> .
@prefix lv2: <http://lv2plug.in/ns/lv2core#> .
@prefix pprops: <http://lv2plug.in/ns/ext/port-props#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix units: <http://lv2plug.in/ns/extensions/units#> .
"""
LV2_UNITS = {"dB": "db", "Hz": "hz", "kHz": "khz", "MHz": "mhz", "ms": "ms", "s": "s", "%": "pc"}
MOVES = Switch(name="moves", positions=("ramps", "exact"), default="ramps")  # after the knobs: how they move
CHANNEL_NAMES = {"": ("",), STEREO_ENDING: ("left", "right")}  # ending of the URI -> names of its channels


def plugin_uri(amp: AmpFile) -> str:
    """Return the URI of an amp's mono plugin; the stereo one ends in `STEREO_ENDING`."""
    return f"urn:ampzoo:{amp.identity.hex()}"


def manifest_turtle(amps: Iterable[AmpFile]) -> str:
    """Return the text of `manifest.ttl`: which plugins there are, and where they are described."""
    lines = [PREFIXES]
    for amp in amps:
        about = AMP_TURTLE.format(amp.identity.hex())
        for ending in CHANNEL_NAMES:
            uri = f"<{plugin_uri(amp)}{ending}>"
            lines.append(f"{uri} a lv2:Plugin ;\n    lv2:binary <{LIBRARY_NAME}> ;\n    rdfs:seeAlso <{about}> .\n")
    return "\n".join(lines)


def amp_turtle(amp: AmpFile) -> str:
    """Return the description of an amp's two plugins: their ports in the order of `player/plugin/lv2.c`."""
    parts = [PREFIXES]
    for ending, channels in CHANNEL_NAMES.items():
        name = f"{amp.name} (stereo)" if ending else amp.name
        ports = ",\n".join(_port_list(amp.knobs.knobs, channels))
        parts.append(
            f"<{plugin_uri(amp)}{ending}> a lv2:Plugin , lv2:SimulatorPlugin ;\n"
            f"    doap:name {_text(name)} ;\n"
            "    doap:license <https://spdx.org/licenses/MIT> ;\n"
            "    lv2:minorVersion 4 ;\n    lv2:microVersion 0 ;\n"
            "    lv2:optionalFeature lv2:hardRTCapable ;\n"
            f"    lv2:port {ports} .\n"
        )
    return "\n".join(parts)


def port_symbols(knobs: Sequence[AnyKnob], taken: Iterable[str]) -> list[str]:
    """Return a symbol per knob, unlike all others and those that are taken."""
    used, symbols = set(taken), []
    for knob in knobs:
        plain = symbol = re.sub("[^A-Za-z0-9_]", "_", knob.name)
        count = 1
        while symbol in used:
            symbol, count = f"{plain}_{count + 1}", count + 1
        used.add(symbol)
        symbols.append(symbol)
    return symbols


def _port_list(knobs: Sequence[AnyKnob], channels: Sequence[str]) -> list[str]:
    own, ports = [], []
    for way, title in (("in", "Input"), ("out", "Output")):
        for channel in channels:
            own.append(f"{way}_{channel}".rstrip("_"))
            ports.append(_port(title, "Audio", len(ports), own[-1], f"{title} {channel}".rstrip()))
    latency = "\n        lv2:designation lv2:latency ;\n        lv2:portProperty lv2:reportsLatency , lv2:integer ;"
    limits = "\n        lv2:minimum 0 ;\n        lv2:maximum 8192 ;"
    ports.append(_port("Output", "Control", len(ports), "latency", "Latency", latency + limits))
    symbols = port_symbols(knobs, (*own, "latency"))
    for knob, symbol in zip(knobs, symbols, strict=True):
        ports.append(_port("Input", "Control", len(ports), symbol, knob.name, _control_range(knob)))
    symbol = port_symbols([MOVES], (*own, "latency", *symbols))[0]
    ports.append(_port("Input", "Control", len(ports), symbol, "Knob moves", _control_range(MOVES)))
    return ports


def _port(way: str, kind: str, index: int, symbol: str, name: str, more: str = "") -> str:
    return (
        f"[\n        a lv2:{way}Port , lv2:{kind}Port ;{more}\n"
        f"        lv2:index {index} ;\n        lv2:symbol {_text(symbol)} ;\n        lv2:name {_text(name)}\n    ]"
    )


def _control_range(knob: AnyKnob) -> str:
    """Return default, limits and steps of a knob; the values of a switch are the indices of its positions."""
    if isinstance(knob, Switch):
        points = " ,\n            ".join(
            f"[ rdfs:label {_text(name)} ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#value> {index} ]"
            for index, name in enumerate(knob.positions)
        )
        default, low, high = knob.positions.index(knob.default), 0, len(knob.positions) - 1
        more = f"\n        lv2:portProperty lv2:integer , lv2:enumeration ;\n        lv2:scalePoint {points} ;"
    else:
        default, low, high = knob.default, knob.min, knob.max
        steps = round((knob.max - knob.min) / knob.step) + 1 if knob.step else 0
        more = f"\n        pprops:rangeSteps {steps} ;" if 1 < steps <= 10_000 else ""
        more += f"\n        units:unit {_unit(knob.unit)} ;" if knob.unit else ""
    numbers = (("default", default), ("minimum", low), ("maximum", high))
    return "".join(f"\n        lv2:{word} {_number(number)} ;" for word, number in numbers) + more


def _unit(unit: str) -> str:
    """Return a unit: one that LV2's `units:` names, or a description of another."""
    if unit in LV2_UNITS:
        return f"units:{LV2_UNITS[unit]}"
    shown = unit.replace("%", "%%")
    words = f"rdfs:label {_text(unit)} ; units:symbol {_text(unit)} ; units:render {_text(f'%f {shown}')}"
    return f"[ a units:Unit ; {words} ]"


def _number(value: float) -> str:
    """Return a number as Turtle has it, exact for a port, which is a float32."""
    return f"{value:.9g}"


def _text(text: str) -> str:
    """Return a quoted text, with everything escaped that could end it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in plain) + '"'
