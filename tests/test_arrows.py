"""The arrows of the design: search -> models <- zoo, checked on every import statement; and what no file of ours may do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("models", "search", "zoo") for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {
    "models": {"search", "zoo", "ray", "optuna", "huggingface_hub", "click", "rich"},
    "search": {"zoo", "huggingface_hub", "click", "rich"},
    "zoo": {"search", "ray", "optuna"},
}
MAY_SEARCH = (ROOT / "zoo" / "cli_make.py", ROOT / "zoo" / "cli_search.py")
UNSAFE = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every imported top-level package, and whether the import waits inside a function."""
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            yield name.partition(".")[0], id(node) in inside


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path):
    package = path.relative_to(ROOT).parts[0]
    found = list(imports(ast.parse(path.read_text())))
    for name, lazy in found:
        if path in MAY_SEARCH and name == "search":
            assert lazy, "the command imports search only inside its verbs"
        else:
            assert name not in FORBIDDEN[package] | UNSAFE


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_printer_and_no_pickle(path: Path):
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"torch.load", "torch.save", "eval", "exec", "print"}
    if path != ROOT / "zoo" / "output.py":
        assert not calls & {"sys.stdout.write", "sys.stderr.write", "click.echo"}


def test_the_core_of_the_search_needs_no_ray():
    heavy = {"ray", "torch"}
    loaded = _modules_after("import search.pareto, search.rungs, search.ledger")
    assert not heavy & loaded
    core = "space, shapes, cost, config, bounds, surrogate, proposer, conductor, trial, local, pruned, board, report, dashboard, warm, jobs, study"
    assert "ray" not in _modules_after("\n".join(f"import search.{name}" for name in core.split(", ")))


def _modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())
