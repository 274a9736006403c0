"""How to install what is missing: the command that adds an extra to this installation."""

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "ampzoo"

INSTALLED_AT = Path(__file__).parents[2]  # of a clone; otherwise where packages are installed


def install_command(extra: str) -> str:
    """Return the command that installs an extra from where this copy came: a clone, a wheel, a URL or a registry."""
    as_tool = (Path(sys.prefix) / "uv-receipt.toml").exists()  # of `uv tool install`, whose environment has no pip
    return f"{'uv tool install' if as_tool else 'pip install'} {_what_to_install(extra)}"


def _what_to_install(extra: str) -> str:
    if (INSTALLED_AT / "pyproject.toml").exists():
        place = "." if INSTALLED_AT == Path.cwd() else str(INSTALLED_AT)
        return f"-e {shlex.quote(f'{place}[{extra}]')}"
    url = _url_of_origin()
    if not url:
        return shlex.quote(f"{DISTRIBUTION}[{extra}]")
    if url.startswith("file:"):
        return shlex.quote(f"{url2pathname(urlsplit(url).path)}[{extra}]")
    return shlex.quote(f"{DISTRIBUTION}[{extra}] @ {url}")


def _url_of_origin() -> str:
    """Return the URL that the installer noted (PEP 610), empty for an installation by name from a registry."""
    try:
        noted = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
        url, repository = noted.get("url", ""), noted.get("vcs_info", {}).get("vcs", "")
    except (PackageNotFoundError, ValueError, AttributeError):  # not installed, or the note is damaged
        return ""
    return f"{repository}+{url}" if repository else str(url)
