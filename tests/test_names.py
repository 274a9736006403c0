"""A top-level name of models, search or zoo, private ones too, means one thing: one module defines it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = ROOT / "zoo" / "cli"
ALLOWED = {  # name -> why two modules define it
    "__all__": "each module's own list",
    "fcntl": "the standard module, or None where the system has none",
}


def definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Every name that these statements of a module define, with the statement; imports define none."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Assign(targets=targets):
                yield from ((name, node) for target in targets for name in stored(target))
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                yield from ((name, node) for name in stored(target))
            case ast.For(target=target, body=inner, orelse=other):
                yield from ((name, node) for name in stored(target))
                yield from definitions([*inner, *other])
            case ast.If(body=inner, orelse=other) | ast.While(body=inner, orelse=other):
                yield from definitions([*inner, *other])
            case ast.With(items=items, body=inner):
                yield from ((name, node) for item in items if item.optional_vars for name in stored(item.optional_vars))
                yield from definitions(inner)
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=last):
                yield from definitions([*inner, *other, *last, *(line for one in handlers for line in one.body)])


def stored(target: ast.expr) -> list[str]:
    """The names to which a target of an assignment gives a value."""
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def is_command(path: Path, node: ast.stmt) -> bool:
    """Whether a definition is a command of `zoo`, which has the name of the function that does its work."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    calls = {ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in decorators}
    return COMMANDS in path.parents and any(call.endswith(".command") for call in calls)


def clashes(sources: dict[Path, str]) -> dict[str, list[str]]:
    """Name -> the files that define it, for names of several files; commands are compared with each other only."""
    found: dict[tuple[bool, str], set[Path]] = {}
    for path, text in sources.items():
        for name, node in definitions(ast.parse(text).body):
            found.setdefault((is_command(path, node), name), set()).add(path)
    return {
        name: sorted(str(path) for path in paths)
        for (_, name), paths in found.items()
        if len(paths) > 1 and name not in ALLOWED
    }


def test_every_name_is_defined_in_one_module():
    files = [path for package in ("models", "search", "zoo") for path in (ROOT / package).rglob("*.py")]
    assert clashes({path: path.read_text() for path in files}) == {}


@pytest.mark.parametrize(
    "text",
    [
        "def taken(): ...",
        "class taken: ...",
        "taken: int = 1",
        "other, (taken, *more) = 1, (2, 3)",
        "try:\n    taken = 1\nexcept ImportError:\n    pass",
        "if True:\n    pass\nelse:\n    taken = 1",
        "@click.command\ndef taken(): ...",  # a command, but outside zoo/cli
    ],
)
def test_clash_is_found(text: str):
    one, other = ROOT / "models" / "one.py", ROOT / "search" / "other.py"
    assert list(clashes({one: "taken = 1", other: text})) == ["taken"]


def test_what_is_no_clash():
    one, other, command = ROOT / "models" / "one.py", ROOT / "zoo" / "other.py", COMMANDS / "third.py"
    inner = "from models.one import play\ndef f(play=1):\n    g = play\nclass C:\n    g = 1\n    def play(self): ..."
    assert clashes({one: "def play(): ...\ng = 1", other: inner, command: "@click.command()\ndef play(): ..."}) == {}
    twice = {command: "@click.command()\ndef play(): ...", COMMANDS / "fourth.py": "@cli.command()\ndef play(): ..."}
    assert list(clashes(twice)) == ["play"]
