"""Compiles the C sources in `player/`: the player and the plugins, for this machine and for other systems.

PyPI's `ziglang` compiles for every target from any machine; where it is not installed, the system's `cc` compiles for
this machine. `player/README.md` says how each binary is made.
"""

import atexit
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from models.core.cache import cache_folder, warn_not_kept
from models.core.errors import UserError, WaitNotice
from models.core.extras import install_command
from models.core.files import read_regular, staged_file, write_text
from models.core.scratch import Scratch, scratch_folder

BUNDLED = Path(__file__).parent / "csources"  # in a wheel
SOURCES = BUNDLED if BUNDLED.is_dir() else Path(__file__).parents[3] / "player"
BINARIES = BUNDLED.parent / "binaries" if BUNDLED.is_dir() else SOURCES / "binaries"  # what `binaries` compiled
UNIVERSAL = "macos-universal"
MAX_BUILD_BYTES = 1 << 28
PLAIN = ("amp.c", "dispatch.c", "player.c", "exact.c")  # compiled once; engine.c once per instruction set
PLUGIN = (
    *PLAIN,
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


def compiler_hint() -> str:
    """Return what a person does who has no compiler."""
    return f"Install a compiler: {install_command('plugin')}"


def host() -> str:
    """Return this machine as a target, such as `linux-x86_64`."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{system}-{machine}"


def compilers() -> list[str]:
    """Return which compilers are installed, the preferred one first: `zig`, `cc`."""
    return [name for name, here in (("zig", find_spec("ziglang")), ("cc", shutil.which("cc"))) if here]


def library(target: str | None = None, compiler: str | None = None) -> Path:
    """Return the player's library: the one that the wheel carries, else one that is compiled at the first call.

    A compiled one is stored in the cache folder under the digest of its sources and flags.

    Args:
        target: one of `ZIG_TARGETS`; this machine where it is None.
        compiler: `zig` or `cc`, which then compiles in any case; where it is None, the preferred one of those that are
            installed.

    Raises:
        UserError: no compiler is installed, it does not compile for the target, or it fails.
    """
    return _library("ampzoo-player", target, compiler)


def plugin_library(target: str | None = None, compiler: str | None = None) -> Path:
    """Return the library of the plugins, with the entries of VST 3, CLAP and LV2; arguments and errors as `library`."""
    return _library("ampzoo-plugin", target, compiler)


def carried_library(name: str, target: str) -> Path | None:
    """Return a library for a target that the wheel carries, None where it has none of these sources."""
    stated, folder = BINARIES / "DIGEST", UNIVERSAL if target.startswith("macos") else target
    path = BINARIES / folder / f"{name}{_suffix(target)}"
    if not (path.is_file() and stated.is_file()):
        return None
    return path if stated.read_text(encoding="utf-8").strip() == sources_digest() else None


def _library(name: str, target: str | None, compiler: str | None) -> Path:
    """Return a library by its name: the carried one, else a compiled one."""
    if compiler is None and (carried := carried_library(name, target or host())):
        return carried
    target, compiler = _choose_build(target, compiler)
    path = _folder(compiler, target) / f"{name}{_suffix(target)}"
    if name == "ampzoo-plugin":
        needed = SYSTEM_LIBRARIES.get(target.partition("-")[0], ())
        return _stored(path, lambda: _built(compiler, target, PLUGIN, ("-shared",), path.name, HIDE_PLAYER, needed))
    if target == "wasm32":
        return _stored(path, lambda: _built(compiler, target, (*PLAIN, "wasm.c"), WASM_LINK, path.name))
    return _stored(path, lambda: _built(compiler, target, (*PLAIN, "python.c"), ("-shared",), path.name))


def _suffix(target: str) -> str:
    """Return how the names of libraries end."""
    return LIBRARY_SUFFIXES.get(target.partition("-")[0], ".so")


def _choose_build(target: str | None, compiler: str | None) -> tuple[str, str]:
    """Return target and compiler, this machine and the preferred one where they are None; raises as `library`."""
    target, compiler = target or host(), compiler or _preferred()
    if target not in ZIG_TARGETS if compiler == "zig" else target != host():
        hint = compiler_hint() if target in ZIG_TARGETS else f"zig builds: {', '.join(ZIG_TARGETS)}."
        place = "the browser" if target == "wasm32" else target
        raise UserError(f"{compiler} does not build the player for {place}", hint)
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
    options = ("-D_GNU_SOURCE", *flags)
    return _stored(path, lambda: _built(compiler, host(), sources, (), path.name, options, needed))


def _stored(path: Path, build: Callable[[], bytes]) -> Path:
    """Return a file of the cache, built where it is missing, damaged, or another user could have made it.

    It is run, so it counts only if this user or root wrote it; its SHA-256 lies beside it. Where the cache cannot keep
    it, it lies in a temporary folder of this process.
    """
    digest = path.with_name(f"{path.name}.sha256")
    if not _is_whole_build(path, digest):
        where = {"wasm32": "the browser", host(): "this machine"}.get(path.parent.name, path.parent.name)
        warnings.warn(f"compiling {path.stem} for {where}, once: up to a minute", WaitNotice, stacklevel=2)
        content = build()
        try:
            write_executable(path, content)
            write_text(digest, hashlib.sha256(content).hexdigest())
        except OSError as problem:
            warn_not_kept(path.parent, "the player", problem)
            return _kept_here(path.name, content)
    return path


def _is_whole_build(path: Path, digest: Path) -> bool:
    with suppress(OSError, UserError):
        if hasattr(os, "getuid") and path.stat().st_uid not in (0, os.getuid()):
            return False
        content, stated = (read_regular(one, MAX_BUILD_BYTES, follow=False) for one in (path, digest))
        return hashlib.sha256(content).hexdigest().encode() == stated
    return False


@cache
def _kept_here(name: str, content: bytes) -> Path:
    """Return a file that ends with this process."""
    scratch = Scratch()
    atexit.register(scratch.remove)
    write_executable(scratch.folder / name, content)
    return scratch.folder / name


def write_executable(path: Path, content: bytes) -> None:
    """Write a program or a library, whole or not at all."""
    with staged_file(path, 0o777) as staged:
        staged.write_bytes(content)


def _preferred() -> str:
    if not SOURCES.is_dir():
        raise UserError(f"the player's C sources are not in {SOURCES}", "Install ampzoo again.")
    if not (names := compilers()):
        raise UserError("no C compiler is installed, so the player cannot be built", compiler_hint())
    return names[0]


def _folder(compiler: str, target: str) -> Path:
    return cache_folder() / "player" / sources_digest() / compiler / target


@cache
def sources_digest() -> str:
    """Return a short hash of the C sources and of this file."""
    files = [*sorted(SOURCES.rglob("*.[ch]")), Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _built(
    compiler: str,
    target: str,
    sources: tuple[str, ...],
    link: tuple[str, ...],
    name: str,
    flags: tuple[str, ...] = (),
    libraries: tuple[str, ...] = (),
) -> bytes:
    """Compile every source and the engine for each instruction set, link the objects, and return the file `name`."""
    command = [*_command(compiler, target), *flags]
    sets = X86_SETS if target.endswith("x86_64") else {"engine_baseline": 0}
    jobs = [("engine.c", level, [f"-DENGINE={engine}"]) for engine, level in sets.items()]
    jobs += [(name, sets["engine_baseline"], []) for name in sources]
    with scratch_folder() as folder:
        made = [f"{number}.o" for number in range(len(jobs))]
        for (source, level, own), to in zip(jobs, made, strict=True):
            _compile([*command, *_instructions(compiler, level), *own, "-c", str(SOURCES / source), "-o", to], folder)
        words = [*command, *link, "-s", *made, *libraries, "-o", name]  # linkers write the name into the file
        _compile(words, folder)
        return (folder / name).read_bytes()


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


def _compile(words: list[str], folder: Path) -> None:
    """Run a compiler in a folder; its own temporary files lie there too."""
    own = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(words, cwd=folder, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip()[-2000:] or f"exit code {done.returncode}"
        raise UserError(f"the player does not compile: {' '.join(words[:4])} ...: {last}", compiler_hint())
