"""The command that installs an extra, for every way in which a copy is installed."""

import json
from pathlib import Path

import pytest

from models.core import extras


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that makes this copy one that was installed, with a note of its origin or none."""
    monkeypatch.setattr(extras, "INSTALLED_AT", tmp_path / "site-packages")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    info = tmp_path / "site-packages" / "ampzoo-9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ampzoo\nVersion: 9\n")
    monkeypatch.syspath_prepend(str(info.parent))

    def note(origin: dict | str | None = None) -> None:
        if origin is not None:
            text = origin if isinstance(origin, str) else json.dumps(origin)
            (info / "direct_url.json").write_text(text)

    return note


def test_a_clone_names_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(extras.INSTALLED_AT)
    assert extras.install_command("train") == "pip install -e '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert extras.install_command("train") == f"pip install -e '{extras.INSTALLED_AT}[train]'"


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (None, "'ampzoo[train]'"),
        ("no JSON", "'ampzoo[train]'"),
        ({"url": "file:///a%20b/ampzoo-9.whl", "archive_info": {}}, "'/a b/ampzoo-9.whl[train]'"),
        ({"url": "https://x.org/ampzoo-9.whl", "archive_info": {}}, "'ampzoo[train] @ https://x.org/ampzoo-9.whl'"),
        ({"url": "https://x.org/a.git", "vcs_info": {"vcs": "git"}}, "'ampzoo[train] @ git+https://x.org/a.git'"),
    ],
)
def test_an_installed_copy_names_its_origin(installed, origin: dict | str | None, words: str):
    installed(origin)
    assert extras.install_command("train") == f"pip install {words}"


def test_a_tool_of_uv_is_installed_by_uv(installed, tmp_path: Path):
    installed()
    (tmp_path / "uv-receipt.toml").write_text("")
    assert extras.install_command("search") == "uv tool install 'ampzoo[search]'"
