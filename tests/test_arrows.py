"""The allowed imports between our packages and sub-packages, from one table; and what no file of ours may do."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("models", "search", "zoo") for path in (ROOT / package).rglob("*.py"))
ALLOWED = {  # sub-package or lone module -> what it may import of its own package
    "models/core": "",
    "models/knobs": "core",
    "models/audio": "core",
    "models/network": "core knobs",
    "models/engines": "core network",
    "models/artifacts": "core knobs audio network",
    "models/playback": "core knobs audio network engines artifacts",
    "models/formats": "core knobs audio network engines artifacts playback",
    "models/recordings": "core knobs audio",
    "models/reporting": "core knobs artifacts",
    "models/capture": "core knobs audio network artifacts playback formats recordings reporting",
    "models/sound_card": "core audio",
    "models/sessions": "core knobs audio recordings capture sound_card",
    "models/evaluation": "core knobs audio network engines artifacts playback formats recordings",
    "models/training": "core knobs network engines artifacts recordings evaluation",
    "search/config": "",
    "search/storage": "",
    "search/optimizer": "config",
    "search/study": "config optimizer storage",
    "search/run_options": "config study",
    "search/backends": "config storage study run_options",
    "search/report": "config optimizer study",
    "search/bench": "config",
    "search/run": "config storage optimizer study run_options backends report",
    "search/launch": "config storage optimizer study run_options backends report run",
    "zoo/names": "",
    "zoo/version": "",
    "zoo/package": "names version",
    "zoo/registry": "package names version",
    "zoo/amp": "studies registry package names version",
    "zoo/studies": "",
    "zoo/player_page": "registry package names version",
    "zoo/plugins": "registry package names version",
    "zoo/cli": "player_page plugins amp studies registry package names version",
}
PACKAGES = {"models": {"models"}, "search": {"search", "models"}, "zoo": {"zoo", "models"}}
LIBRARIES = {  # what a package leaves to the others
    "models": {"ray", "optuna", "huggingface_hub", "click", "rich"},
    "search": {"huggingface_hub", "click", "rich"},
    "zoo": {"ray", "optuna"},
}
MAY_SEARCH = {ROOT / "zoo" / "cli", ROOT / "zoo" / "studies.py"}  # inside functions
SEARCHES_AT_ONCE = {ROOT / "zoo" / "cli" / "schema.py"}  # a script of its own: python -m zoo.cli.schema
PRINTER = ROOT / "zoo" / "cli" / "output.py"
UNSAFE = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def module_name(path: Path) -> str:
    """The dotted name of a file of ours."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module_name(path) for path in SOURCES}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, by full name, and whether only a function or the type checker imports it."""
    tree = ast.parse(path.read_text())
    waiting = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    waiting += [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    inside = {id(node) for block in waiting for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in NAMES else node.module, id(node) in inside


def part(module: str) -> str:
    """The row of the table that a module of ours belongs to, "" for the face of a package."""
    return "/".join(module.split(".")[:2]) if "." in module else ""


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        found = next(
            (c for to in sorted(graph.get(node, ())) if to not in done for c in [walk(to, [*way, node])] if c), []
        )
        done.add(node)
        return found

    return next((found for node in sorted(graph) if node not in done for found in [walk(node, [])] if found), [])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path):
    own = module_name(path)
    package = own.partition(".")[0]
    for name, lazy in imports(path):
        top = name.partition(".")[0]
        assert top not in UNSAFE | LIBRARIES[package]
        if top == "search" and MAY_SEARCH & {path, *path.parents}:
            assert lazy or path in SEARCHES_AT_ONCE, "a command imports search only inside its function"
            continue
        if top not in PACKAGES:
            continue
        assert top in PACKAGES[package], f"{own} imports {name}"
        if top == package and part(own) and part(name) and part(own) != part(name):
            allowed = {f"{package}/{other}" for other in ALLOWED[part(own)].split()}
            assert part(name) in allowed, f"{own} imports {name}"


def test_every_sub_package_is_in_the_table():
    assert {part(name) for name in NAMES if part(name)} <= set(ALLOWED)


def test_files_import_each_other_in_no_circle():
    graph = {module_name(path): {name for name, _ in imports(path) if name in NAMES} for path in SOURCES}
    assert circle(graph) == []


def test_sub_packages_import_each_other_in_no_circle():
    graph = {row: {f"{row.partition('/')[0]}/{other}" for other in allowed.split()} for row, allowed in ALLOWED.items()}
    assert circle(graph) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_printer_and_no_pickle(path: Path):
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"torch.load", "torch.save", "eval", "exec", "print"}
    if path != PRINTER:
        assert not calls & {"sys.stdout.write", "sys.stderr.write", "click.echo"}


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a file with its line, docstrings and the parts of f-strings included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def command_line() -> re.Pattern[str]:
    """What names a command or an option of `zoo`."""
    from zoo.cli.main import cli

    commands = dict(cli.commands)
    for command in cli.commands.values():
        commands |= getattr(command, "commands", {})
    options = {option for command in (cli, *commands.values()) for param in command.params for option in param.opts}
    flags = "|".join(sorted(re.escape(option) for option in options if option.startswith("--")))
    return re.compile(rf"\bzoo ({'|'.join(cli.commands)})\b|(?<![\w-])({flags})(?![\w-])")


def test_models_name_no_command():
    pattern = command_line()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in SOURCES
        if (ROOT / "models") in path.parents and path.name != "__init__.py"
        for line, text in strings(path)
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_the_core_of_the_search_needs_no_ray():
    light = (
        "optimizer.pareto",
        "optimizer.pruner",
        "study.ledger",
        "run_options",
        "report.live_view",
        "report.notebook",
    )
    assert not {"ray", "torch"} & _modules_after("\n".join(f"import search.{name}" for name in light))
    with_ray = (
        "backends.local_ray",
        "backends.ray_errors",
        "backends.ray_parts",
        "backends.ray_tune",
        "backends.ray_worker",
        "launch.ray_client",
    )
    starts_ray = {f"search.{name}" for name in with_ray}
    rest = [name for name in sorted(NAMES) if name.startswith("search.") and name not in starts_ray]
    assert "ray" not in _modules_after("\n".join(f"import {name}" for name in rest))


def _modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())
