"""The Python face: what `dir(zoo)` shows, and that it looks where the commands look."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo as zoo_package
from models.core.errors import NotFound, UserError
from tests.support.makers import di, record
from tests.support.packages import AMP, write_package, write_run
from tests.support.packages import zoo as zoo_command
from tests.support.searches import search_file


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own shelf, with one amp."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    return write_package(tmp_path / "home" / AMP)


def test_dir_shows_the_face_and_nothing_else():
    shown = set(dir(zoo_package))
    assert shown == {"Amp", "__version__", "list", "load", "pull", "score", "search"}
    for name in shown - {"__version__"}:
        assert getattr(zoo_package, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'play'"):
        _ = zoo_package.play


@pytest.mark.parametrize("name", ["load", "pull", "list", "score", "search"])
def test_the_reference_names_every_parameter(name: str):
    text = Path(__file__).parents[2].joinpath("docs/reference/python.md").read_text()
    (stated,) = re.findall(rf"^## `zoo\.{name}\((.*)\) -> ", text, re.MULTILINE)
    words = [word.strip(" *").partition("=")[0] for word in stated.split(",")]
    parameters = inspect.signature(getattr(zoo_package, name)).parameters
    assert [word for word in words if word] == [known for known in parameters if not known.startswith("on_")]


def test_import_is_light():
    script = "import zoo, sys; zoo.load; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "scipy", "ray", "optuna", "numba"} & set(done.stdout.split())


def test_folder_and_name_are_loaded_from_where_the_commands_look(own: Path, tmp_path: Path):
    run = write_run(tmp_path / "runs" / "one")
    x_T = di(0.1)
    played = [zoo_package.load(amp)(x_T, gain=7) for amp in (AMP, own, run, str(run))]
    assert zoo_package.pull(AMP).name == "tiny"
    for y_T in played[1:]:
        assert np.array_equal(y_T, played[0])
    with pytest.raises(NotFound):
        zoo_package.load("bob/none")


def test_list_has_the_rows_and_filters_of_the_command(own: Path):
    names = [row.name for row in zoo_package.list(knobs=("gain",), sort="esr")]
    assert names == zoo_command("list", "-q").out.split() == [AMP]
    assert zoo_package.list(knobs=("drive",)) == []


AUDIO: dict[str, tuple[Any, str, str]] = {
    "whole numbers, as files store them": (np.full(64, 20_000, np.int16), "not int16 numbers", "x / 32768"),
    "true and false": (np.ones(64, bool), "not bool numbers", "soundfile.read"),
    "complex": (np.ones(64) * 1j, "not complex128 numbers", "soundfile.read"),
    "text": ("hello", "floating-point numbers", "soundfile.read"),
    "nothing": (None, "floating-point numbers", "soundfile.read"),
    "ragged lists": ([[1.0], [2.0, 3.0]], "floating-point numbers", "soundfile.read"),
    "two channels": (np.zeros((64, 2)), "shape (64, 2)", "one channel"),
    "beyond floats": (np.full(4, 1e300), "finite numbers", "one channel"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", AUDIO)
def test_what_is_no_audio_is_refused_in_our_words(own: Path, name: str):
    audio, message, hint = AUDIO[name]
    with pytest.raises(UserError) as refused:
        zoo_package.load(own)(audio)
    assert message in refused.value.message and hint in refused.value.hint


def test_audio_may_be_a_list_or_of_another_precision(own: Path):
    amp, x_T = zoo_package.load(own), di(0.01)
    for same in (x_T.tolist(), x_T.astype(np.float64)):
        assert np.array_equal(amp(same), amp(x_T))


def test_places_may_be_paths_and_one_knob_text(own: Path, tmp_path: Path):
    shelf = tmp_path / "home"
    assert zoo_package.load(AMP, shelf).name == "tiny"
    assert [row.name for row in zoo_package.list(shelf, knobs="gain")] == [AMP]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"sort": "size"}, "sorted by 'size'"),
        ({"tone": ("bright",)}, 'tone is ["bright"]'),
        ({"knobs": [7]}, "knobs is 7"),
        ({"max_macs": "100"}, "max_macs is '100'"),
        ({"max_macs": True}, "max_macs is true"),
        ({"foo": 1}, "no condition 'foo'"),
    ],
)
def test_conditions_of_another_kind_are_refused(own: Path, conditions: dict, message: str):
    with pytest.raises(UserError) as refused:
        zoo_package.list(**conditions)
    assert message in refused.value.message


def test_errors_of_a_search_speak_of_arguments(tmp_path: Path):
    path, study = search_file(tmp_path, amps=1), tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_bytes(path.read_bytes())
    cases: tuple[tuple[Any, dict[str, Any], str, str], ...] = (
        (
            path,
            {"out": study, "local": True},
            "already holds a study",
            "Add resume=True to continue it, or choose another out",
        ),
        (path, {"out": tmp_path / "new", "budget": "30x"}, "budget is '30x'", "a whole number"),
        (study, {}, "is the folder of a study", f"zoo search CONFIG --out {study} --resume"),
        ({"name": "x"}, {}, 'config is {"name": "x"}, which is no path', "as 'search.json'"),
        (path, {"out": 7}, "out is 7, which is no path", "as 'studies/mine'"),
    )
    for config, given, message, hint in cases:
        with pytest.raises(UserError) as refused:
            zoo_package.search(config, **given)
        assert message in refused.value.message and hint in refused.value.hint
        assert "--" not in refused.value.hint.partition("zoo search")[0]


def test_score_is_that_of_the_command(own: Path, tmp_path: Path):
    run = write_run(tmp_path / "runs" / "one")
    takes = record(tmp_path / "takes", "amp", di(0.5))
    scores = zoo_package.score(run, takes)
    shown = json.loads(zoo_command("score", run, takes, "--json").out)
    assert shown["esr"]["mean"] == pytest.approx(scores.score.mean)
