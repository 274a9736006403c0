"""The files of the page, who gets them, and the commands `zoo play` and `zoo page`."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from models.core.errors import NotFound, UserError
from models.formats.player.reader import read_amp
from tests.support.browser import needs_zig, serving
from tests.support.hub_server import Hub
from tests.support.packages import AMP, ZOO, around, card, files, read_files, refused, write_files, write_package, zoo
from zoo.cli.player_page import _site
from zoo.package.manifest import digest
from zoo.player_page.documents import shelf_row
from zoo.player_page.server import HEADERS, PageServer
from zoo.player_page.site import STATIC, Site, many_amps, one_amp, write_site
from zoo.registry.shelf import Shelf


def ask(url: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask the server without a browser, with headers as they are given."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_documents_say_what_the_package_says(site: Site, tmp_path: Path):
    document = json.loads(site.read("amps/alice/tiny/amp.json") or b"")
    stored = json.loads((tmp_path / "package/eval.json").read_text())
    assert document["name"] == "alice/tiny"
    assert document["license"] == "cc-by-4.0"
    assert document["esr"] == stored["held"]["mean"]
    assert document["held"] == [{"setting": s["setting"], "esr": s["esr"]} for s in stored["held"]["settings"]]
    assert [preset["id"] for preset in document["presets"]] == ["default", "gain-low", "gain-high"]
    amp = read_amp(site.read("amps/alice/tiny/amp.bin") or b"")
    assert amp.knobs.names == ("gain", "tone")
    assert site.read("amps/alice/tiny/audio/di.flac") == (tmp_path / "package/audio/di.flac").read_bytes()


def test_takes_are_files_of_the_page(taken: Path):
    names = one_amp("tiny", taken).names()
    assert {"amps/tiny/audio/held-di.flac", "amps/tiny/audio/held.target.flac"} < set(names)
    assert "amps/tiny/audio/held.flac" not in names


def test_a_tier_has_the_clips_of_its_amp(tmp_path: Path):
    content = files()
    tier = {f"tiers/nano/{name}": content[name] for name in ("config.json", "eval.json", "model.safetensors")}
    amp = one_amp("alice/tiny", write_package(tmp_path / "package", tier) / "tiers/nano")
    document = json.loads(amp.read("amps/alice/tiny/amp.json") or b"")
    assert (document["license"], len(document["presets"])) == ("cc-by-4.0", 3)
    assert amp.read("amps/alice/tiny/audio/di.flac") == content["audio/di.flac"]
    assert document["revision"] == digest(tmp_path / "package")


def test_the_amps_of_a_hub_are_pulled_when_they_are_asked_for(pushed: Hub):
    with _site(None, pushed.url, "") as amps:
        assert json.loads(amps.read("site.json") or b"")["amps"][0]["name"] == AMP
        assert not (Path(os.environ["ZOO_HOME"]) / AMP).exists()
        assert json.loads(amps.read(f"amps/{AMP}/amp.json") or b"")["esr"] == 0.1875
    assert (Path(os.environ["ZOO_HOME"]) / AMP / "manifest.json").exists()


@pytest.mark.parametrize(
    "path",
    ["/config.json", "/amps/alice/tiny/model.safetensors", "/amps/alice/tiny/../tiny/config.json", "/../pyproject.toml",
     "/%2e%2e/%2e%2e/etc/passwd", "/static/index.html", "/amps/alice/other/amp.json", "/amps/alice/tiny/"],
)  # fmt: skip
def test_no_other_file_is_given(site: Site, path: str):
    with serving(site) as url:
        assert ask(url, path)[0] == 404


def test_every_answer_has_the_policy(site: Site):
    with serving(site) as url:
        for path, status in (("/", 200), ("/page.css", 200), ("/amps/alice/tiny/amp.json", 200), ("/none", 404)):
            found, headers, _ = ask(url, path)
            assert (found, {name: headers[name] for name in HEADERS}) == (status, HEADERS)
        assert ask(url, "/")[1]["Content-Type"] == "text/html; charset=utf-8"
        assert ask(url, "/page.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"
        assert ask(url, "/page.js", "HEAD")[2] == b""
        assert ask(url, "/", "POST")[0] == 501


def test_other_sites_get_nothing(site: Site):
    with serving(site) as url:
        port = urlsplit(url).port
        for host in (f"evil.example:{port}", "127.0.0.1:1", f"127.0.0.1.evil.example:{port}"):
            assert ask(url, "/amps/alice/tiny/amp.json", Host=host)[0] == 403
        assert ask(url, "/", Host=f"localhost:{port}")[0] == 200
        for origin, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert ask(url, "/amps/alice/tiny/amp.json", Sec_Fetch_Site=origin)[0] == status


def test_the_server_listens_on_this_machine_alone(site: Site):
    with PageServer(site) as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(UserError, match=f"port {server.server_port} cannot be used"):
            PageServer(site, server.server_port)


def test_what_cannot_be_played_is_said(tmp_path: Path):
    def resolve(name: str) -> Path:
        raise NotFound(f"no amp '{name}'", "See what there is.")

    rows = one_amp("a/b", tmp_path).document.amps
    with serving(many_amps("nowhere", rows, resolve)) as url:
        status, headers, body = ask(url, "/amps/a/b/amp.json")
    assert (status, headers["Content-Type"]) == (422, "application/json")
    assert json.loads(body) == {"message": "no amp 'a/b'", "hint": "See what there is."}


@needs_zig
def test_a_page_is_written_as_it_is_served(site: Site, tmp_path: Path):
    size = write_site(site, tmp_path / "out")
    written = read_files(tmp_path / "out")
    front = yaml.safe_load(written.pop("README.md").decode().split("---\n")[1])
    assert (front["sdk"], front["title"], front["models"]) == ("static", "alice/tiny", ["alice/tiny"])
    assert written == {name: site.read(name) for name in site.names()}
    assert size == sum(map(len, written.values()))
    assert {path.name for path in STATIC.iterdir()} < set(written)


@needs_zig
def test_a_page_replaces_a_page_and_nothing_else(site: Site, tmp_path: Path):
    write_files(tmp_path / "mine", {"site.json": b"{}", "thesis.tex": b"..."})
    with pytest.raises(UserError, match="exists and is not a page"):
        write_site(site, tmp_path / "mine")
    write_site(site, tmp_path / "out")
    write_site(site, tmp_path / "out")
    assert (tmp_path / "mine" / "thesis.tex").exists()


@needs_zig
def test_the_command_writes_one_amp_or_the_whole_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    write_package(tmp_path / "home" / AMP)
    monkeypatch.chdir(tmp_path)
    one, shelf = zoo("page", AMP, "--out", "one"), zoo("page", "--out", "shelf")
    assert (one.code, one.out, shelf.code, shelf.out) == (0, "one\n", 0, "shelf\n")
    for folder, single in (("one", True), ("shelf", False)):
        document = json.loads((tmp_path / folder / "site.json").read_text())
        assert (document["single"], [amp["name"] for amp in document["amps"]]) == (single, [AMP])
        assert str(tmp_path) not in json.dumps(document), "a page may be public"
        assert read_amp((tmp_path / folder / "amps" / AMP / "amp.bin").read_bytes()).name == "tiny"


def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    refused(zoo("page", "--out", tmp_path / "out"), 1, "there is no amp on")
    refused(zoo("page", "--tier", "nano", "--out", tmp_path / "out"), 1, "--tier needs an amp")
    refused(zoo("page", tmp_path / "empty", "--out", tmp_path / "out"), 3, "holds no model")
    refused(zoo("play", "nobody/none"), 3, "no amp 'nobody/none'")


@needs_zig
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_the_command_serves_until_it_is_stopped(tmp_path: Path):
    package = write_package(tmp_path / "package")
    words = [ZOO, "play", package, "--no-browser"]
    with subprocess.Popen(words, env=around(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert ask(url, "/amps/tiny/amp.json")[0] == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_the_page_is_small_files_without_markup_from_data(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    if path.suffix == ".js":
        assert max(map(len, text.splitlines())) <= 120
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "").replace(
        "https and", ""
    )


def test_a_browser_that_goes_away_leaves_no_words(site: Site, capfd: pytest.CaptureFixture[str]):
    """It closes the connection in the middle of a file, or of its own request."""
    with serving(site) as url:
        address = urlsplit(url)
        whole = f"GET /amps/alice/tiny/amp.bin HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        for request in (whole, "GET"):
            with socket.create_connection((address.hostname, address.port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset at once
                connection.sendall(request.encode())
        assert ask(url, "/site.json")[0] == 200
    assert capfd.readouterr().err == ""


def test_texts_of_strangers_are_plain(tmp_path: Path):
    front = card(license='"<b>mit</b>\\u202E\\u3164\\n' + "x" * 500 + '"')
    amp = one_amp("alice/tiny", write_package(tmp_path / "package", {"README.md": front}))
    text = json.loads(amp.read("amps/alice/tiny/amp.json") or b"")["license"]
    assert text.startswith("<b>mit</b>?? xxx") and len(text) == 64
    write_package(tmp_path / "shelf" / AMP, {"README.md": front})
    (row,) = Shelf(tmp_path / "shelf").list(pytest.fail)
    assert shelf_row(row).license == text


def test_an_amp_that_is_removed_while_it_is_played_is_told(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    with serving(site) as url:
        assert ask(url, "/amps/alice/tiny/amp.json")[0] == 200
        shutil.rmtree(tmp_path / "package")
        for file in ("amp.bin", "audio/di.flac"):
            status, _, body = ask(url, f"/amps/alice/tiny/{file}")
            assert status in (200, 422) and (status == 200 or json.loads(body)["hint"]), file
    assert capfd.readouterr().err == ""
