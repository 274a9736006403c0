"""`zoo export --plugin`, `zoo install` and `zoo uninstall`."""

import json
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from models.artifacts.folder import load_model, save_model
from models.core.cache import cache_folder
from models.formats.plugin.targets import TARGETS
from tests.support.clap_host import ClapHost
from tests.support.makers import esr, read_wav
from tests.support.packages import AMP, refused, write_package, write_run, zoo
from tests.support.plugins import needs_plugins
from tests.zoo.cli.conftest import DI, created
from zoo.plugins.installed import plugin_folders

pytestmark = needs_plugins

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names folders of Linux")
IDENTITY = sha256(AMP.encode()).hexdigest()[:32]


@pytest.fixture
def home(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, empty."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("AMPZOO_CACHE", str(cache_folder()))  # what is compiled stays where it is
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(folder))
    return folder


def amps_in(path: Path) -> list[str]:
    """The names of the plugins of a file."""
    host = ClapHost(path)
    names = [name for _, name, _ in host.plugins]
    host.close()
    return names


@ON_LINUX
def test_export_writes_all_formats_of_this_machine(here: Path):
    ran = zoo("export", AMP, "--plugin", "plugins")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split() == [f"plugins/alice-tiny.{kind}" for kind in ("vst3", "clap", "lv2")]
    assert {path.name for path in Path("plugins").iterdir()} == {Path(line).name for line in ran.out.split()}


def test_the_plugin_plays_as_render_does(here: Path):
    assert zoo("export", AMP, "--plugin", "plugins", "--format", "clap").code == 0
    assert zoo("render", AMP, "in.wav", "out.wav", "-k", "gain=7.5", "-k", "tone=0.25").code == 0
    host = ClapHost(Path("plugins/alice-tiny.clap"))
    assert host.plugins == [(f"org.ampzoo.{IDENTITY}", "tiny - alice", "ampzoo")]
    played = host.create()
    played.flush({"gain": 7.5, "tone": 0.25})
    assert played.activate(8_000)
    y_CT = played.play(np.stack([DI, DI]), [64, 100])
    played.deactivate()
    played.destroy()
    host.close()
    assert esr(y_CT[1], read_wav(here / "out.wav")) < 1e-9  # of 24 bits


def test_export_for_other_systems_has_a_folder_each(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.formats.plugin.bundles.plugin_binary", lambda target: target.encode())
    ran = zoo("export", AMP, "--plugin", "out", "--for", "linux,windows,macos", "--format", "clap, vst3")
    assert ran.code == 0
    wanted = {f"out/{target}/alice-tiny.{kind}" for target in TARGETS for kind in ("vst3", "clap")}
    assert set(ran.out.split()) == wanted
    assert all(Path(name).exists() for name in wanted)


def test_export_of_a_run_folder_is_named_by_its_model(here: Path):
    run = write_run(here / "run")
    ran = zoo("export", run, "--plugin", "plugins", "--format", "clap")
    assert (ran.code, ran.out) == (0, "plugins/tiny.clap\n")
    assert amps_in(Path("plugins/tiny.clap")) == ["tiny"]


BAD_EXPORTS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "format": (1, (AMP, "--plugin", "out", "--format", "vst2"), ("no plugin format 'vst2'", "vst3, clap, lv2")),
    "system": (1, (AMP, "--plugin", "out", "--for", "beos"), ("no system 'beos'", "linux, windows, macos")),
    "lv2": (1, (AMP, "--plugin", "out", "--for", "windows", "--format", "lv2"), ("no lv2 for these systems",)),
    "a file too": (1, (AMP, "amp.nam", "--plugin", "out"), ("--plugin writes plugins",)),
    "live too": (1, (AMP, "--live", "--plugin", "out"), ("--plugin writes plugins",)),
    "format alone": (1, (AMP, "amp.nam", "--live", "--format", "vst3"), ("--format and --for are for plugins",)),
    "too loud": (6, (AMP, "--plugin", "out", "--max-peak", "-80"), ("allowed are -80",)),
    "unknown amp": (3, ("alice/tinny", "--plugin", "out"), ("Did you mean alice/tiny?",)),
}


@pytest.mark.parametrize("what", BAD_EXPORTS)
def test_bad_export_explains_and_writes_nothing(here: Path, what: str):
    code, words, expected = BAD_EXPORTS[what]
    refused(zoo("export", *words), code, *expected)
    assert created(here) == set()


def test_export_without_a_target_is_wrong_usage(here: Path):
    assert zoo("export", AMP, "--live").code == 2


@pytest.mark.parametrize(("scale", "code"), [(1e3, 0), (3e38, 6)])
def test_a_model_for_no_ears_is_not_exported(here: Path, scale: float, code: int):
    """A limit of one's own lets a model pass that is as loud, and no louder one."""
    run = write_run(here / "run")
    config, net = load_model(run)
    net.head_scale.data *= scale
    save_model(run, config, net)
    words = ("export", run, "--plugin", "plugins", "--format", "clap")
    refused(zoo(*words), 6, "plays", "--max-peak")
    assert not Path("plugins").exists()
    assert zoo(*words, "--max-peak", "100").code == code


@ON_LINUX
def test_install_lists_every_amp_of_the_shelf(home: Path, here: Path):
    ran = zoo("install")
    paths = [home / f".{kind}" / f"ampzoo.{kind}" for kind in ("vst3", "clap", "lv2")]
    assert (ran.code, ran.out.split()) == (0, list(map(str, paths)))
    assert "1 amp on" in ran.err
    clap, lv2 = home / ".clap/ampzoo.clap", home / ".lv2/ampzoo.lv2"
    assert amps_in(clap) == ["tiny - alice"]
    for path in paths:
        os.utime(path, (1, 1))
    package = write_package(here / "package")
    ran = zoo("push", package, "bob/second")
    assert ran.code == 0
    assert "rescan plugins" in ran.err
    assert amps_in(clap) == ["second - bob", "tiny - alice"]
    assert all(path.stat().st_mtime > 1 for path in paths)  # hosts look at what has changed
    assert (lv2 / "manifest.ttl").read_text().count("a lv2:Plugin") == 4
    assert zoo("rm", "bob/second", "--yes").code == 0
    assert amps_in(clap) == ["tiny - alice"]
    assert (lv2 / "manifest.ttl").read_text().count("a lv2:Plugin") == 2
    assert zoo("uninstall").out.split() == sorted(map(str, paths))
    assert not any(path.exists() for path in paths)
    assert not (here.parent / "home" / ".plugins").exists()
    assert (here.parent / "home" / AMP).exists()


def test_a_pulled_amp_is_in_the_plugin(home: Path, here: Path, tmp_path: Path):
    write_package(tmp_path / "shelf" / "carol" / "third")
    assert zoo("install", "--format", "clap").code == 0
    ran = zoo("pull", "carol/third", "--zoo", tmp_path / "shelf")
    assert ran.code == 0
    assert "the plugin in your DAW has changed" in ran.err
    assert amps_in(plugin_folders(home)["clap"] / "ampzoo.clap") == ["third - carol", "tiny - alice"]
    assert "has changed" not in zoo("pull", "carol/third", "--zoo", tmp_path / "shelf").err


def test_a_plugin_of_an_older_version_is_renewed(home: Path, tmp_path: Path):
    """It could not read what this version writes."""
    assert zoo("install", "--format", "clap").code == 0
    path, own = plugin_folders(home)["clap"] / "ampzoo.clap", Path(os.environ["ZOO_HOME"]) / ".plugins"
    document = json.loads((own / "installed.json").read_text())
    assert document.pop("amp_version") == 2
    (own / "installed.json").write_text(json.dumps(document))
    path.write_bytes(b"of an older version")
    (own / f"{AMP.replace('/', '--')}.bin").write_bytes(b"AMPB of an older version")
    write_package(tmp_path / "shelf" / "carol" / "third")
    assert "has changed" in zoo("pull", "carol/third", "--zoo", tmp_path / "shelf").err
    assert amps_in(path) == ["third - carol", "tiny - alice"]
    assert sorted(json.loads((own / "installed.json").read_text())["amps"]) == [AMP, "carol/third"]


def test_install_again_is_the_same(home: Path):
    first, second = zoo("install", "--format", "clap"), zoo("install", "--format", "clap")
    assert first == second
    record = json.loads((Path(os.environ["ZOO_HOME"]) / ".plugins" / "installed.json").read_text())
    assert list(record["amps"]) == [AMP]
    assert len(record["plugins"]) == 1


def test_an_amp_that_is_damaged_is_left_out(home: Path):
    write_package(Path(os.environ["ZOO_HOME"]) / "eve" / "bad", {"model.safetensors": b"broken"})
    ran = zoo("install", "--format", "clap")
    assert ran.code == 0
    assert "eve/bad is not in the plugin: " in ran.err
    assert amps_in(plugin_folders(home)["clap"] / "ampzoo.clap") == ["tiny - alice"]


def test_bad_install_explains(home: Path, here: Path):
    refused(zoo("install", "--format", "vst2"), 1, "no plugin format 'vst2'")
    refused(zoo("install", "--zoo", "hub"), 1, "is a hub")
    refused(zoo("uninstall"), 3, "no plugin plays the shelf", "zoo install")
    assert list(home.iterdir()) == []


def test_uninstall_removes_nothing_else(home: Path, tmp_path: Path):
    assert zoo("install", "--format", "clap").code == 0
    record = Path(os.environ["ZOO_HOME"]) / ".plugins" / "installed.json"
    (tmp_path / "mine").mkdir()
    document = json.loads(record.read_text())
    document["plugins"].append(str(tmp_path / "mine"))
    record.write_text(json.dumps(document))
    assert zoo("uninstall").code == 0
    assert (tmp_path / "mine").exists()


@ON_LINUX
def test_uninstall_removes_plugins_alone(home: Path, here: Path):
    """A shelf that came from somewhere may name any path as a plugin."""
    assert zoo("install", "--format", "clap").code == 0
    record = here.parent / "home" / ".plugins" / "installed.json"
    mine = home / "ampzoo"
    mine.mkdir()
    (mine / "takes.wav").write_bytes(b"mine")
    document = json.loads(record.read_text())
    document["plugins"] += [str(mine), str(home), "ampzoo.lv2", "../ampzoo.vst3", str(home / "other.clap")]
    (home / "other.clap").write_bytes(b"mine")
    record.write_text(json.dumps(document))
    (here / "ampzoo.lv2").mkdir()
    assert zoo("uninstall").out == f"{home / '.clap/ampzoo.clap'}\n"
    assert (mine / "takes.wav").exists() and (home / "other.clap").exists() and (here / "ampzoo.lv2").exists()


@ON_LINUX
def test_a_plugin_that_cannot_be_refreshed_stops_no_pull(home: Path, here: Path, tmp_path: Path):
    write_package(tmp_path / "shelf" / "carol" / "third")
    assert zoo("install", "--format", "clap").code == 0
    record = here.parent / "home" / ".plugins" / "installed.json"
    record.write_text("{}}")
    ran = zoo("pull", "carol/third", "--zoo", tmp_path / "shelf")
    assert (ran.code, Path(ran.out.strip()).is_dir()) == (0, True)
    assert "warning: the plugin in your DAW is not up to date, write it again with zoo install" in ran.err
    assert zoo("install", "--format", "clap").code == 0
    assert amps_in(home / ".clap/ampzoo.clap") == ["third - carol", "tiny - alice"]


@ON_LINUX
def test_foreign_files_beside_the_amps_of_a_plugin_are_passed_over(home: Path, here: Path):
    """A pipe is not waited for, neither by a command nor by the host of the plugin."""
    assert zoo("install", "--format", "clap").code == 0
    folder = here.parent / "home" / ".plugins"
    (own,) = folder.glob("*.bin")
    own.write_bytes(own.read_bytes()[:-5])
    os.mkfifo(folder / "bob--pipe.bin")
    os.mkfifo(folder / "pipe.bin")
    (folder / "folder.bin").mkdir()
    signal.alarm(60)  # what waits for a pipe is interrupted, and the test fails
    try:
        assert amps_in(home / ".clap/ampzoo.clap") == []
        assert zoo("install", "--format", "clap,lv2").code == 0
        assert amps_in(home / ".clap/ampzoo.clap") == ["tiny - alice"]
    finally:
        signal.alarm(0)
    assert not (folder / "bob--pipe.bin").exists()


@ON_LINUX
def test_a_shelf_whose_name_is_no_utf8_is_played(home: Path, here: Path, monkeypatch: pytest.MonkeyPatch):
    shelf = Path(os.fsdecode(os.fsencode(here.parent) + b"/sh\xffelf\xe9"))
    (here.parent / "home").rename(shelf)
    monkeypatch.setenv("ZOO_HOME", str(shelf))
    assert zoo("install", "--format", "clap").code == 0
    assert amps_in(home / ".clap/ampzoo.clap") == ["tiny - alice"]
