"""The generated pages in docs/reference are those of the code."""

import re
from pathlib import Path

import pytest

from zoo.cli.main import cli
from zoo.cli.reference import FOLDER, KIND_TITLES, configs_page, write_pages
from zoo.cli.schema import SCHEMA_FOLDER

ROOT = Path(__file__).parents[3]


def test_committed_pages_are_not_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    for path in write_pages(tmp_path):
        assert (FOLDER / path.name).read_text() == path.read_text(), "run make docs and commit what it writes"


def test_every_command_and_every_key_is_described():
    page = (ROOT / FOLDER / "cli.md").read_text()
    for name, command in cli.commands.items():
        assert f"\n## zoo {name}\n" in page
        assert command.help
    assert {path.stem for path in (ROOT / SCHEMA_FOLDER).iterdir()} == set(KIND_TITLES)
    rows = [line for line in configs_page(ROOT / SCHEMA_FOLDER).splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert not [row for row in rows if row.endswith("|  |")]


@pytest.mark.parametrize("name", ["cli.md", "configs.md"])
def test_links_lead_to_headings(name: str):
    page = (ROOT / FOLDER / name).read_text()
    headings = {
        line.lstrip("# ").lower().replace(" ", "-").replace(":", "") for line in page.splitlines() if "#" in line
    }
    targets = re.findall(r"\]\(#([^)]+)\)", page)
    assert targets
    assert set(targets) <= headings
