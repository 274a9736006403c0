"""The documentation: links resolve, the README is short, every command exists with its options, and the cheap ones run.

Commands are in blocks ```` ```sh ````; `--zoo hub` is a hub on loopback here. A block ```` ```sh no-run: REASON ```` is
parsed but not run: it needs Ray, a cluster, a bucket, an account.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.audio.io import read_audio
from models.capture.virtual_amp import render_takes
from models.formats.plugin.bundles import PLUGIN_FORMATS
from tests.support.hub_server import Hub
from tests.support.makers import model, write_wav
from tests.support.packages import write_run, zoo
from zoo.cli.main import cli

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("benchmarks/**/*.md"),
        ROOT / "configs" / "cluster" / "README.md",
    ]
)
ORDER = (
    "plan-a-session",
    "recordings",
    "train",
    "search",
    "cluster",
    "publish",
    "play",
    "plugins",
    "zoo",
)  # zoo removes
FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1`*[ ]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
RATE = 48000  # Hz


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after its fence, and what is in it."""

    info: str
    text: str

    @property
    def language(self) -> str:
        """The first word of the info string."""
        return self.info.split()[0] if self.info else ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(info.strip(), text) for _, info, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def block(page: str, language: str, index: int = 0) -> str:
    """One block of a guide."""
    return [found.text for found in blocks(GUIDES / f"{page}.md") if found.language == language][index]


def commands(page: Path, run: bool = False) -> Iterator[list[str]]:
    """The words of every `zoo` command of a page; with `run` of those alone that are to be run."""
    for found in blocks(page):
        if found.language == "sh" and not (run and "no-run" in found.info):
            for line in found.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["zoo"]:
                    yield words[1:]


def links(page: Path) -> list[str]:
    """The targets of the links and pictures of a page, without code and without other sites."""
    prose = re.sub(r"`[^`\n]*`", "code", FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in LINK.findall(prose) if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.append(f"{anchor}-{again}" if (again := found.count(anchor)) else anchor)
    return set(found)


LINKS = [(page, target) for page in PAGES for target in dict.fromkeys(links(page))]
COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{p.relative_to(ROOT)}-{target}" for p, target in LINKS])
def test_link_resolves(page: Path, target: str):
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    assert path.exists(), f"{page.relative_to(ROOT)} links to {target}, which does not exist"
    assert path.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(path), f"{page.relative_to(ROOT)} links to {target}; there is no such heading"


def test_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert len(text.split()) <= 900
    assert max(map(len, text.splitlines())) <= 140


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{p.stem}-{' '.join(words)}" for p, words in COMMANDS])
def test_command_parses(page: Path, words: list[str]):
    name, *arguments = words
    assert name in cli.commands, f"{page.relative_to(ROOT)}: zoo {name} does not exist"
    cli.commands[name].make_context(name, arguments)


def test_guides_show_every_command():
    shown = {words[0] for guide in GUIDES.glob("*.md") for words in commands(guide)}
    assert shown == set(cli.commands) - {"quickstart"}  # which is what `make` runs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_are_sound(page: Path):
    for found in blocks(page):
        if found.language == "json":
            json.loads(found.text)
        if "no-run" in found.info:
            assert re.fullmatch(r"sh no-run: \w.*", found.info), found.info


def prepare() -> None:
    """Write what the guides start from into the current folder: takes, short configs, captures, knob moves."""
    takes, _ = render_takes(Path("quickstart/takes"), rate_hz=RATE, seconds=4.0, held_seconds=1.0)
    manifest = json.loads(takes.read_text(encoding="utf-8"))
    takes.write_text(json.dumps(manifest | {"entries": manifest["entries"][::3]}), encoding="utf-8")
    short = {"steps": 20, "segment": 512, "report_every": 10}
    data, learning = json.loads(block("train", "json", 0)), json.loads(block("train", "json", 2)) | short
    learning |= {"steps": 200, "report_every": 100}  # enough to be quiet where the dry signal is
    Path("DS1").mkdir()
    write_wav(Path("DS1/di.wav"), read_audio(takes.parent / "di_train.flac")[0], RATE)
    for take in manifest["entries"][8:17]:  # the center, gain alone and tone alone
        words = "DS1 drive{gain:g} tone{tone:g}.wav".format(**take["knobs"])
        write_wav(Path("DS1", words), read_audio(takes.parent / take["output_file"])[0], RATE)
    space = {"shapes": [], "depth": [7, 8], "channels": [2], "inject": ["film"]}
    search = json.loads(block("search", "json")) | {
        "datasets": [data],
        "learning": short,
        "space": space,
        "trials": 2,
        "final": None,
    }
    documents = {
        "virtual": block("plan-a-session", "json", 0),
        "knobs": block("plan-a-session", "json", 1),
        "data": json.dumps(data),
        "model": block("train", "json", 1),
        "learning": json.dumps(learning),
        "search": json.dumps(search),
    }
    for name, text in documents.items():
        Path(f"{name}.json").write_text(text, encoding="utf-8")
    Path("moves.csv").write_text(block("play", "csv"), encoding="utf-8")
    write_run(Path("tiny"), model(rate=RATE))
    Path("captures").mkdir()
    for gain in (2, 8):
        assert zoo("export", "tiny", "--bake", f"gain={gain}", f"captures/JCM900 G{gain}.nam").code == 0


def test_commands_of_the_guides_run(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    assert {path.stem for path in GUIDES.glob("*.md")} == set(ORDER)
    hub.users[hub.token] = "me"
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    folders = {kind: Path("daw", kind).absolute() for kind in PLUGIN_FORMATS}
    monkeypatch.setattr("zoo.plugins.installed.plugin_folders", lambda home: folders)
    prepare()
    for guide in ORDER:
        for words in commands(GUIDES / f"{guide}.md", run=True):
            # A model of so few steps is worse than the nearest recording; only --force packages it.
            ran = zoo(*words, *(["--force"] if words[0] == "package" else []))
            assert ran.code == 0, f"{guide}.md: zoo {shlex.join(words)}\n{ran.err}"
    made = (
        "session/sheet.html nam-session/train.json report.html aligned/manifest.json studies/local/report.html "
        "out.wav moves.wav crunch.nam live.nam"
    )
    for name in made.split():
        assert Path(name).stat().st_size, name
    assert len(list(Path("snapshots").glob("*.nam"))) == 3
    assert {path.name for path in Path("plugins").iterdir()} >= {"me-virtual-amp.vst3", "me-virtual-amp.clap"}
    assert {path.name for path in Path("for-a-friend").iterdir()} == {"linux-x86_64", "linux-aarch64"}
    assert not [path for folder in folders.values() for path in folder.iterdir()]  # installed, then uninstalled
