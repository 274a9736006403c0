"""A hub that is not there, never answers, or is not asked in offline mode: every command ends soon, with a message."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from tests.support.hub_server import Hub
from tests.support.packages import AMP, at, litter, refused, zoo

DOWN = {"list": (), "pull": (AMP,), "push": ("../package", AMP), "render": (AMP, "in.wav", "out.wav")}


@pytest.mark.parametrize("verb", DOWN)
def test_missing_hub_is_an_error_at_once(hub: Hub, package: Path, monkeypatch: pytest.MonkeyPatch, verb: str):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    hub.close()
    refused(zoo(verb, *DOWN[verb], *at(hub)), 5, "the hub cannot be reached")
    assert sum(waits) < 3 and litter() == set()


@pytest.mark.parametrize("verb", ["show", "knobs"])
def test_show_of_a_missing_hub_ends_at_once(hub: Hub, monkeypatch: pytest.MonkeyPatch, verb: str):
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    hub.close()
    refused(zoo(verb, AMP, *at(hub)), 5, "the hub cannot be reached")
    assert sum(waits) < 3


@pytest.mark.parametrize("verb", ["list", "pull"])
def test_hub_that_never_answers_times_out(hub: Hub, monkeypatch: pytest.MonkeyPatch, verb: str):
    monkeypatch.setattr("zoo.registry.hub.http.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        refused(zoo(verb, *DOWN[verb], "--zoo", url), 5, "the hub cannot be reached", "timed out")


def test_offline_mode_is_an_error(pushed: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()  # the client reads it when a session begins
    for verb in ("list", "pull"):
        refused(zoo(verb, *DOWN[verb], *at(pushed)), 5, "HF_HUB_OFFLINE")
    close_session()
