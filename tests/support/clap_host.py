"""A CLAP host by ctypes: a main thread, an audio thread, and a check of what a plugin asks of its host, and when.

Layouts are those of CLAP 1.2 (github.com/free-audio/clap), as in `player/plugin/clap.h`.
"""

import ctypes as c
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

POINTER, TEXT, WHOLE = c.c_void_p, c.c_char_p, c.c_uint32
CONTINUE, FAILED, STEPPED, ENUM, AUTOMATABLE = 1, 0, 1, 1 << 16, 1 << 5


def _function(result: Any, *arguments: Any) -> Any:
    return c.CFUNCTYPE(result, *arguments)


def _structure(name: str, /, **fields: Any) -> Any:
    return type(name, (c.Structure,), {"_fields_": list(fields.items())})


Version = _structure("Version", major=WHOLE, minor=WHOLE, revision=WHOLE)
Descriptor = _structure(
    "Descriptor",
    version=Version,
    **dict.fromkeys(("id", "name", "vendor", "url", "manual", "support", "plugin_version", "description"), TEXT),
    features=c.POINTER(TEXT),
)
Entry = _structure(
    "Entry",
    version=Version,
    init=_function(c.c_bool, TEXT),
    deinit=_function(None),
    get_factory=_function(POINTER, TEXT),
)
Factory = _structure(
    "Factory",
    count=_function(WHOLE, POINTER),
    descriptor=_function(c.POINTER(Descriptor), POINTER, WHOLE),
    create=_function(POINTER, POINTER, POINTER, TEXT),
)
Plugin = _structure(
    "Plugin",
    descriptor=POINTER,
    data=POINTER,
    init=_function(c.c_bool, POINTER),
    destroy=_function(None, POINTER),
    activate=_function(c.c_bool, POINTER, c.c_double, WHOLE, WHOLE),
    deactivate=_function(None, POINTER),
    start_processing=_function(c.c_bool, POINTER),
    stop_processing=_function(None, POINTER),
    reset=_function(None, POINTER),
    process=_function(c.c_int32, POINTER, POINTER),
    get_extension=_function(POINTER, POINTER, TEXT),
    on_main_thread=_function(None, POINTER),
)
HostTable = _structure(
    "HostTable",
    version=Version,
    data=POINTER,
    **dict.fromkeys(("name", "vendor", "url", "host_version"), TEXT),
    get_extension=_function(POINTER, POINTER, TEXT),
    **dict.fromkeys(("request_restart", "request_process", "request_callback"), _function(None, POINTER)),
)
Turn = _structure(
    "Turn",
    **dict.fromkeys(("size", "time"), WHOLE),
    **dict.fromkeys(("space", "type"), c.c_uint16),
    flags=WHOLE,
    id=WHOLE,
    cookie=POINTER,
    note=c.c_int32,
    **dict.fromkeys(("port", "channel", "key"), c.c_int16),
    value=c.c_double,
)
Events = _structure("Events", context=POINTER, size=_function(WHOLE, POINTER), get=_function(POINTER, POINTER, WHOLE))
Buffer = _structure("Buffer", data32=POINTER, data64=POINTER, channels=WHOLE, latency=WHOLE, constant_mask=c.c_uint64)
Process = _structure(
    "Process",
    steady_time=c.c_int64,
    frames=WHOLE,
    transport=POINTER,
    inputs=c.POINTER(Buffer),
    outputs=c.POINTER(Buffer),
    input_count=WHOLE,
    output_count=WHOLE,
    in_events=c.POINTER(Events),
    out_events=POINTER,
)
ParamInfo = _structure(
    "ParamInfo",
    id=WHOLE,
    flags=WHOLE,
    cookie=POINTER,
    name=c.c_char * 256,
    module=c.c_char * 1024,
    **dict.fromkeys(("min", "max", "default"), c.c_double),
)
PortInfo = _structure(
    "PortInfo", id=WHOLE, name=c.c_char * 256, flags=WHOLE, channels=WHOLE, type=TEXT, in_place_pair=WHOLE
)
Params = _structure(
    "Params",
    count=_function(WHOLE, POINTER),
    get_info=_function(c.c_bool, POINTER, WHOLE, c.POINTER(ParamInfo)),
    get_value=_function(c.c_bool, POINTER, WHOLE, c.POINTER(c.c_double)),
    value_to_text=_function(c.c_bool, POINTER, WHOLE, c.c_double, POINTER, WHOLE),
    text_to_value=_function(c.c_bool, POINTER, WHOLE, TEXT, c.POINTER(c.c_double)),
    flush=_function(None, POINTER, c.POINTER(Events), POINTER),
)
Ports = _structure(
    "Ports", count=_function(WHOLE, POINTER, c.c_bool), get=_function(c.c_bool, POINTER, WHOLE, c.c_bool, POINTER)
)
Configs = _structure(
    "Configs", count=_function(WHOLE, POINTER), get=POINTER, select=_function(c.c_bool, POINTER, WHOLE)
)
Stream = _structure("Stream", context=POINTER, move=_function(c.c_int64, POINTER, POINTER, c.c_uint64))
State = _structure(
    "State",
    save=_function(c.c_bool, POINTER, c.POINTER(Stream)),
    load=_function(c.c_bool, POINTER, c.POINTER(Stream)),
)
Number = _structure("Number", get=_function(WHOLE, POINTER))
HostNotice = _structure("HostNotice", changed=_function(None, POINTER))
HostParams = _structure("HostParams", rescan=_function(None, POINTER, WHOLE), clear=POINTER, request_flush=POINTER)


class ClapHost:
    """One library, loaded; it has plugins of one main thread and one audio thread."""

    def __init__(self, path: Path) -> None:
        self._library = c.CDLL(str(path))
        self._entry = Entry.in_dll(self._library, "clap_entry")
        assert self._entry.init(str(path).encode())
        self._place = self._entry.get_factory(b"clap.plugin-factory")
        self._factory = Factory.from_address(self._place)
        self.main = threading.get_ident()
        self.audio = ThreadPoolExecutor(1)
        self.activating = self.loading = False
        self.notices: list[str] = []
        self.faults: list[str] = []
        self._keep = self._extensions()
        kept = {name: c.addressof(table) for name, table in self._keep.items()}
        self.table = HostTable(
            Version(1, 2, 0),
            None,
            *(b"host", b"tests", b"", b"1.0"),
            _function(POINTER, POINTER, TEXT)(lambda _, name: kept.get(name)),
            *(_function(None, POINTER)(self._noting(what)) for what in ("restart", "process", "callback")),
        )

    def _noting(self, what: str) -> Callable[[Any], None]:
        return lambda _: self.notices.append(what)

    def _extensions(self) -> dict[bytes, Any]:
        """Return what the host offers; each checks that it is called as CLAP allows it."""

        def latency_changed(_: Any) -> None:
            self._check("latency.changed", self.activating)

        def rescan(_: Any, flags: int) -> None:
            self._check(f"params.rescan {flags}", flags == 1)

        return {
            b"clap.latency": HostNotice(_function(None, POINTER)(latency_changed)),
            b"clap.params": HostParams(_function(None, POINTER, WHOLE)(rescan), None, None),
        }

    def _check(self, what: str, allowed: bool) -> None:
        self.notices.append(what)
        if not allowed or threading.get_ident() != self.main:
            self.faults.append(what)

    @property
    def plugins(self) -> list[tuple[str, str, str]]:
        """Identifier, name and vendor of each plugin."""
        found = [self._factory.descriptor(self._place, n).contents for n in range(self._factory.count(self._place))]
        assert not self._factory.descriptor(self._place, len(found))
        return [(one.id.decode(), one.name.decode(), one.vendor.decode()) for one in found]

    def create(self, identifier: str = "") -> "ClapPlugin":
        """Return a plugin, the first one if none is named."""
        identifier = identifier or self.plugins[0][0]
        place = self._factory.create(self._place, c.addressof(self.table), identifier.encode())
        assert place, identifier
        return ClapPlugin(self, place)

    def make_unknown(self) -> Any:
        """Return what the factory makes of an identifier that it does not have."""
        return self._factory.create(self._place, c.addressof(self.table), b"org.nobody")

    def close(self) -> None:
        """Let go of the library; what it asked of the host was allowed."""
        self._entry.deinit()
        self.audio.shutdown()
        assert not self.faults


@dataclass
class ClapPlugin:
    """One plugin; functions of the audio thread run in that of the host."""

    host: ClapHost
    place: int

    def __post_init__(self) -> None:
        self._table = Plugin.from_address(self.place)
        assert self._table.init(self.place)
        self.params = self._extension(b"clap.params", Params)
        self.channels = self.ports(True).channels
        self._size, self._events = c.CFUNCTYPE(WHOLE, POINTER), c.CFUNCTYPE(POINTER, POINTER, WHOLE)

    def _extension(self, name: bytes, kind: Any) -> Any:
        place = self._table.get_extension(self.place, name)
        assert place, name
        return kind.from_address(place)

    def has_extension(self, name: bytes) -> bool:
        """Return whether the plugin has an extension."""
        return bool(self._table.get_extension(self.place, name))

    def ports(self, is_input: bool) -> Any:
        """Return the description of the one port."""
        ports, info = self._extension(b"clap.audio-ports", Ports), PortInfo()
        assert ports.count(self.place, is_input) == 1
        assert ports.get(self.place, 0, is_input, c.addressof(info))
        assert not ports.get(self.place, 1, is_input, c.addressof(info))
        return info

    def select(self, channels: int) -> bool:
        """Choose mono or stereo; returns whether the plugin took it."""
        configs = self._extension(b"clap.audio-ports-config", Configs)
        taken = configs.select(self.place, channels)
        self.channels = self.ports(True).channels
        return taken

    def knobs(self) -> dict[str, Any]:
        """Return the description of each knob by its name."""
        infos = [ParamInfo() for _ in range(self.params.count(self.place))]
        assert all(self.params.get_info(self.place, n, c.byref(info)) for n, info in enumerate(infos))
        assert not self.params.get_info(self.place, len(infos), c.byref(ParamInfo()))
        return {info.name.decode(): info for info in infos}

    def value(self, knob: str) -> float:
        """Return where a knob stands."""
        found = c.c_double()
        assert self.params.get_value(self.place, self.knobs()[knob].id, c.byref(found))
        return found.value

    def text(self, knob: str, value: float, room: int = 64) -> str:
        """Return the text of a value."""
        text = c.create_string_buffer(room)
        assert self.params.value_to_text(self.place, self.knobs()[knob].id, value, c.addressof(text), room)
        return text.value.decode()

    def parse(self, knob: str, text: str) -> float | None:
        """Return the value of a text, None where it is none."""
        found = c.c_double()
        taken = self.params.text_to_value(self.place, self.knobs()[knob].id, text.encode(), c.byref(found))
        return found.value if taken else None

    def activate(self, rate: float = 48_000, most: int = 8192) -> bool:
        """Activate the plugin and start it in the audio thread; returns whether it took the rate."""
        self.host.activating = True
        taken = self._table.activate(self.place, rate, 1, most)
        self.host.activating = False
        if taken:
            assert self._on_audio(self._table.start_processing, self.place)
        return taken

    def deactivate(self) -> None:
        """Stop the plugin and deactivate it."""
        self._on_audio(self._table.stop_processing, self.place)
        self._table.deactivate(self.place)

    def destroy(self) -> None:
        """Free the plugin."""
        self._table.destroy(self.place)

    def reset(self) -> None:
        """Have the plugin forget what it played."""
        self._on_audio(self._table.reset, self.place)

    @property
    def latency(self) -> int:
        """Samples by which the sound is late."""
        return self._extension(b"clap.latency", Number).get(self.place)

    @property
    def tail(self) -> int:
        """Samples that the sound may go on."""
        return self._extension(b"clap.tail", Number).get(self.place)

    def events(self, turns: Sequence[tuple[int, str, float]]) -> tuple[Any, list[Any]]:
        """Return turns of knobs `(sample, knob, value)` as a list of events, and what must live as long."""
        ids = {name: info.id for name, info in self.knobs().items()}
        made = [Turn(c.sizeof(Turn), at, 0, 5, 0, ids[name], None, -1, -1, -1, -1, value) for at, name, value in turns]
        size, get = self._size(lambda _: len(made)), self._events(lambda _, n: c.addressof(made[n]))
        return Events(None, size, get), [made, size, get]

    def flush(self, setting: Mapping[str, float], active: bool = False) -> None:
        """Turn knobs without sound."""
        events, keep = self.events([(0, name, value) for name, value in setting.items()])
        call = (self.params.flush, self.place, c.byref(events), None)
        self._on_audio(*call) if active else call[0](*call[1:])
        del keep

    def process(
        self, x_CT: np.ndarray, turns: Sequence[tuple[int, str, float]] = (), in_place: bool = False
    ) -> np.ndarray:
        """Play a block `(channels, samples)` in the audio thread."""
        x_CT = np.ascontiguousarray(x_CT, np.float32)
        y_CT = x_CT.copy() if in_place else np.zeros_like(x_CT)
        source = y_CT if in_place else x_CT
        pointers = [(POINTER * len(rows))(*(row.ctypes.data for row in rows)) for rows in (source, y_CT)]
        buffers = [Buffer(c.addressof(p), None, len(x_CT), 0, 0) for p in pointers]
        events, keep = self.events(turns)
        block = Process(-1, x_CT.shape[1], None, *(c.pointer(b) for b in buffers), 1, 1, c.pointer(events), None)
        assert self._on_audio(self._table.process, self.place, c.addressof(block)) == CONTINUE
        del keep
        return y_CT

    def play(
        self,
        x_CT: np.ndarray,
        sizes: Sequence[int],
        turns: Sequence[tuple[int, str, float]] = (),
        on_block: Callable[[], object] = lambda: None,
    ) -> np.ndarray:
        """Play a signal in blocks of these sizes, over and over; `turns` are at samples of the signal."""
        parts, at, n = [], 0, 0
        while at < x_CT.shape[1]:
            size = min(sizes[n % len(sizes)], x_CT.shape[1] - at)
            now = [(when - at, knob, value) for when, knob, value in turns if at <= when < at + size]
            parts.append(self.process(x_CT[:, at : at + size], now))
            at, n = at + size, n + 1
            on_block()
        return np.concatenate(parts, axis=1)

    def stream(self, x_CT: np.ndarray, size: int) -> np.ndarray:
        """Play the whole blocks of a signal, knobs still, with as little of Python in between as there can be."""
        x_CT = np.ascontiguousarray(x_CT, np.float32)
        y_CT = np.zeros_like(x_CT)
        rows = [[row.ctypes.data for row in signal] for signal in (x_CT, y_CT)]
        pointers = [(POINTER * len(x_CT))() for _ in rows]
        buffers = [Buffer(c.addressof(p), None, len(x_CT), 0, 0) for p in pointers]
        events, keep = self.events(())
        block = Process(-1, size, None, *(c.pointer(b) for b in buffers), 1, 1, c.pointer(events), None)
        process, place, told = self._table.process, self.place, c.addressof(block)

        def play() -> None:
            for at in range(0, 4 * (x_CT.shape[1] // size) * size, 4 * size):
                for array, begins in zip(pointers, rows, strict=True):
                    for channel, begin in enumerate(begins):
                        array[channel] = begin + at
                assert process(place, told) == CONTINUE

        self._on_audio(play)
        del keep
        return y_CT

    def save(self, most: int = 1 << 20) -> bytes:
        """Return the state; the host takes at most so many bytes at a time."""
        taken = bytearray()

        def write(_: Any, place: int, size: int) -> int:
            taken.extend(c.string_at(place, min(size, most)))
            return min(size, most)

        stream = Stream(None, _function(c.c_int64, POINTER, POINTER, c.c_uint64)(write))
        assert self._extension(b"clap.state", State).save(self.place, c.byref(stream))
        return bytes(taken)

    def load(self, state: bytes, most: int = 1 << 20) -> bool:
        """Restore a state, given so many bytes at a time; returns whether the plugin took it."""
        left = bytearray(state)

        def read(_: Any, place: int, size: int) -> int:
            part = bytes(left[: min(size, most)])
            del left[: len(part)]
            c.memmove(place, part, len(part))
            return len(part)

        stream = Stream(None, _function(c.c_int64, POINTER, POINTER, c.c_uint64)(read))
        return self._extension(b"clap.state", State).load(self.place, c.byref(stream))

    def _on_audio(self, call: Callable, *arguments: Any) -> Any:
        return self.host.audio.submit(call, *arguments).result()
