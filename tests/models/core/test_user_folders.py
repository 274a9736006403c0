"""`~` and folders of a user, wherever a person writes them, and a user without a home folder."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from models.core.cache import cache_folder
from models.core.user_folders import Homeless, home_folder
from tests.support.makers import record
from tests.support.packages import AMP, around, litter, refused, write_package, write_run, zoo
from tests.zoo.cli.conftest import DI, here  # noqa: F401 (a fixture)

HOMELESS = """
import os, pwd
os.environ.pop("HOME", None)
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
from zoo.cli.main import main
main()
"""


def homeless(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    """The command of a user whom the system does not know, as in a container with a number for a user."""
    known = {
        name: value for name, value in around().items() if name not in ("ZOO_HOME", "AMPZOO_CONFIG", "AMPZOO_CACHE")
    }
    command = [sys.executable, "-c", HOMELESS, *map(str, words)]
    return subprocess.run(command, env={**known, **env}, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("words", [("list",), ("knobs", AMP), ("pull", AMP), ("trust",), ("install",), ("doctor",)])
def test_without_a_home_folder_it_says_so(words: tuple[str, ...]):
    ran = homeless(*words)
    assert ran.returncode == 1 and ran.stdout == ""
    assert "error: this user has no home folder\n\nhint: Set HOME" in ran.stderr


def test_without_a_home_folder_what_needs_none_works(tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch):
    named = {"ZOO_HOME": str(tmp_path / "shelf"), "AMPZOO_CONFIG": str(tmp_path / "config")}
    assert homeless("push", package, AMP, **named).stdout == f"{AMP}\n"
    assert homeless("list", "-q", **named).stdout == f"{AMP}\n"
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("AMPZOO_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(Homeless):
        home_folder()
    assert cache_folder().parent == Path(tempfile.gettempdir())


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.fixture
def user(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A home folder with a package, a run, takes and a shelf; the current folder is another one."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("AMPZOO_CACHE", str(cache_folder()))  # what is compiled stays where it is
    monkeypatch.setenv("HOME", str(folder))
    write_package(folder / "package")
    write_run(folder / "run")
    write_package(folder / "shelf" / AMP)
    (folder / "takes").mkdir()
    record(folder / "takes", "train", DI)
    (folder / "in.wav").write_bytes(Path("in.wav").read_bytes())
    return folder


ARGUMENTS = (
    ("knobs", "~/package"),
    ("show", "~/package"),
    ("diff", "~/package", "~/shelf/alice/tiny"),
    ("verify", "~/package"),
    ("list", "--zoo", "~/shelf"),
    ("render", "~/package", "~/in.wav", "~/out.wav"),
    ("render", AMP, "~/in.wav", "~/out.wav", "--zoo", "~/shelf"),
    ("export", "~/package", "~/amp.nam", "--live"),
    ("push", "~/package", "bob/other", "--zoo", "~/shelf"),
    ("pull", AMP, "--zoo", "~/shelf", "--to", "~/pulled"),
    ("package", "~/run", "--license", "mit", "--out", "~/packages/new"),
    ("score", "~/run", "~/takes/train.json", "--html", "~/page.html"),
    ("check", "~/takes/train.json", "--html", "~/check.html"),
    ("signal", "~/di.wav", "--seconds", "20", "--rate", "8000"),
)


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_a_tilde_in_an_argument_is_the_home_folder(user: Path, words: tuple[str, ...]):
    """A shell leaves it in quotes, and behind `=`."""
    before = litter()
    ran = zoo(*words)
    assert "does not exist" not in ran.err and "no such folder" not in ran.err, ran
    assert ran.code == 0, ran
    assert litter() == before and not Path("~").exists()


def test_a_tilde_that_leads_nowhere_is_shown_as_home(user: Path):
    refused(zoo("check", "~/none.json"), 3, f"{user}/none.json does not exist")
    refused(zoo("knobs", "~nobody-of-that-name/amp"), 1, "does not name an amp")


VARIABLES = {
    "ZOO_HOME": ("pull", AMP, "--zoo", "~/shelf"),
    "AMPZOO_CACHE": ("list", "--zoo", "~/shelf"),
    "XDG_CACHE_HOME": ("list", "--zoo", "~/shelf"),
    "AMPZOO_CONFIG": ("key",),
    "XDG_CONFIG_HOME": ("key",),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_tilde_in_a_variable_is_the_home_folder(user: Path, variable: str, monkeypatch: pytest.MonkeyPatch):
    """As in Docker's ENV, `.env` files and units of systemd, which expand nothing."""
    own = {"XDG_CACHE_HOME": "AMPZOO_CACHE", "XDG_CONFIG_HOME": "AMPZOO_CONFIG"}.get(variable)
    if own:
        monkeypatch.delenv(own)
    monkeypatch.setenv(variable, "~/elsewhere")
    assert zoo(*VARIABLES[variable]).code == 0
    assert any(path.is_file() for path in (user / "elsewhere").rglob("*")) and not Path("~").exists()
