"""Compiles the C sources in `player/`: the player and the plugins, for this machine and for other systems.

PyPI's `ziglang` compiles for every target from any machine; where it is not installed, the system's `cc` compiles for
this machine. `player/README.md` says how each binary is made.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from models.core.cache import cache_folder
from models.core.errors import UserError
from models.core.files import staged_file

BUNDLED = Path(__file__).parent / "csources"  # in a wheel
SOURCES = BUNDLED if BUNDLED.is_dir() else Path(__file__).parents[3] / "player"
PLAIN = ("amp.c", "dispatch.c", "player.c", "exact.c")  # compiled once; engine.c once per instruction set
PLUGIN = (
    *("amp.c", "dispatch.c", "player.c"),
    *(f"plugin/{name}.c" for name in ("catalog", "files", "instance", "parameters", "resampler")),
    *(f"plugin/{name}.c" for name in ("clap", "lv2", "vst3", "vst3_factory")),
)

ZIG_TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "windows-x86_64": "x86_64-windows-gnu",
    "macos-x86_64": "x86_64-macos.11.0",
    "macos-aarch64": "aarch64-macos.11.0",
    "wasm32": "wasm32-wasi",  # imports nothing: WASI serves for the headers alone
}
X86_SETS = {"engine_baseline": 1, "engine_avx2": 3, "engine_avx512": 4}  # levels of x86-64

FLAGS = (
    *("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Wno-psabi"),
)
ZIG_FLAGS = ("-fno-sanitize=all",)  # zig traps undefined behavior in every build by default
WASM_FLAGS = ("-mcpu=generic+simd128+bulk_memory", "-mexec-model=reactor")
WASM_LINK = ("-Wl,--export-dynamic", "-Wl,-z,stack-size=262144")
LIBRARY_SUFFIXES = {"linux": ".so", "macos": ".dylib", "windows": ".dll", "wasm32": ".wasm"}
HIDE_PLAYER = ("-DPLAYER_PRIVATE",)  # hosts see the names of the plugin formats alone
SYSTEM_LIBRARIES = {"linux": ("-ldl", "-lm")}  # system -> what plugins need beside the C library
HINT_COMPILER = "Install a compiler by pip: pip install 'ampzoo[plugin]'"


def host() -> str:
    """Return this machine as a target, such as `linux-x86_64`."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{system}-{machine}"


def compilers() -> list[str]:
    """Return which compilers are installed, the preferred one first: `zig`, `cc`."""
    return [name for name, here in (("zig", find_spec("ziglang")), ("cc", shutil.which("cc"))) if here]


def library(target: str | None = None, compiler: str | None = None) -> Path:
    """Return the player's library, compiled at the first call.

    It is stored in the cache folder under the digest of its sources and flags.

    Args:
        target: one of `ZIG_TARGETS`; this machine where it is None.
        compiler: `zig` or `cc`; the preferred one of those that are installed where it is None.

    Raises:
        UserError: no compiler is installed, it does not compile for the target, or it fails.
    """
    target, compiler = _choose_build(target, compiler)
    path = _folder(compiler, target) / f"ampzoo-player{_suffix(target)}"
    if not path.exists():
        if target == "wasm32":
            _build_program(compiler, target, (*PLAIN, "wasm.c"), WASM_LINK, path)
        else:
            _build_program(compiler, target, PLAIN, ("-shared",), path)
    return path


def plugin_library(target: str | None = None, compiler: str | None = None) -> Path:
    """Return the library of the plugins, with the entries of VST 3, CLAP and LV2; arguments and errors as `library`."""
    target, compiler = _choose_build(target, compiler)
    path = _folder(compiler, target) / f"ampzoo-plugin{_suffix(target)}"
    if not path.exists():
        needed = SYSTEM_LIBRARIES.get(target.partition("-")[0], ())
        _build_program(compiler, target, PLUGIN, ("-shared",), path, HIDE_PLAYER, needed)
    return path


def _suffix(target: str) -> str:
    """Return how the names of libraries end."""
    return LIBRARY_SUFFIXES.get(target.partition("-")[0], ".so")


def _choose_build(target: str | None, compiler: str | None) -> tuple[str, str]:
    """Return target and compiler, this machine and the preferred one where they are None; raises as `library`."""
    target, compiler = target or host(), compiler or _preferred()
    if target not in ZIG_TARGETS if compiler == "zig" else target != host():
        hint = HINT_COMPILER if target in ZIG_TARGETS else f"zig builds: {', '.join(ZIG_TARGETS)}."
        raise UserError(f"{compiler} does not build the player for {target}", hint)
    return target, compiler


def build_program(source: str, compiler: str | None = None, flags: tuple[str, ...] = ()) -> Path:
    """Return a program of `player/` for this machine, compiled with `flags` as `library` does.

    It is `bench.c`, `fuzz.c`, or `plugin/hosts.c`, which is linked with the plugins.
    """
    hosts = source.startswith("plugin/")
    sources = (*PLUGIN, source, "plugin/hosts_vst3.c", "plugin/hosts_lv2.c") if hosts else (*PLAIN, source)
    needed = SYSTEM_LIBRARIES.get(host().partition("-")[0], ()) if hosts else ()
    compiler, name = compiler or _preferred(), hashlib.sha256(" ".join(flags).encode()).hexdigest()[:8]
    path = _folder(compiler, host()) / f"{Path(source).stem}-{name}"
    if not path.exists():
        _build_program(compiler, host(), sources, (), path, ("-D_GNU_SOURCE", *flags), needed)
        with suppress(PermissionError):  # a disk without modes
            path.chmod(0o755)
    return path


def _preferred() -> str:
    if not SOURCES.is_dir():
        raise UserError(f"the player's C sources are not in {SOURCES}", "Install ampzoo again.")
    if not (names := compilers()):
        raise UserError("no C compiler is installed, so the player cannot be built", HINT_COMPILER)
    return names[0]


def _folder(compiler: str, target: str) -> Path:
    return cache_folder() / "player" / sources_digest() / compiler / target


@cache
def sources_digest() -> str:
    """Return a short hash of the C sources and of this file."""
    files = [*sorted(SOURCES.rglob("*.[ch]")), Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _build_program(
    compiler: str,
    target: str,
    sources: tuple[str, ...],
    link: tuple[str, ...],
    out: Path,
    flags: tuple[str, ...] = (),
    libraries: tuple[str, ...] = (),
) -> None:
    """Compile every source and the engine for each instruction set, then link the objects."""
    command = [*_command(compiler, target), *flags]
    sets = X86_SETS if target.endswith("x86_64") else {"engine_baseline": 0}
    jobs = [("engine.c", level, [f"-DENGINE={engine}"]) for engine, level in sets.items()]
    jobs += [(name, sets["engine_baseline"], []) for name in sources]
    with tempfile.TemporaryDirectory() as folder, staged_file(out) as staged:
        made = [f"{number}.o" for number in range(len(jobs))]
        for (source, level, own), to in zip(jobs, made, strict=True):
            _compile([*command, *_instructions(compiler, level), *own, "-c", str(SOURCES / source), "-o", to], folder)
        _compile(
            [*command, *link, "-s", *made, *libraries, "-o", out.name], folder
        )  # linkers write the name into the file
        shutil.copyfile(Path(folder) / out.name, staged)


def _command(compiler: str, target: str) -> list[str]:
    """Return the command that compiles, with the flags that all sources have."""
    wasm, position = target == "wasm32", [] if target in ("wasm32", "windows-x86_64") else ["-fPIC"]
    if compiler == "cc":
        return ["cc", *FLAGS, *position]
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", ZIG_TARGETS[target]]
    return [*zig, *FLAGS, *ZIG_FLAGS, *position, *(WASM_FLAGS if wasm else ())]


def _instructions(compiler: str, level: int) -> list[str]:
    """Return the flags for a level of x86-64 (1 to 4); none for 0, other processors."""
    wide = ["-mprefer-vector-width=512"] if level == 4 else []  # compilers prefer half of it
    if compiler == "cc":
        return [f"-march=x86-64-v{level}", *wide] if level > 1 else []
    return [f"-mcpu=x86_64{f'_v{level}' if level > 1 else ''}", *wide] if level else []


def _compile(words: list[str], folder: str) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip()[-2000:] or f"exit code {done.returncode}"
        raise UserError(f"the player does not compile: {' '.join(words[:4])} ...: {last}", HINT_COMPILER)
