"""The parsers of a search: what people write, and what a disk may damage."""

import gzip
import json
import math
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.search.table import read_table
from models.core.cache import measurement_path, read_measurement
from models.core.locations import is_uri, refuse_userinfo
from models.core.schema import check_document, parse_json
from models.core.userinfo import has_userinfo, without_userinfo
from search.config.study import SearchConfig
from search.storage.uri_store import below
from search.study.board import best_runs, read_board, tier_runs
from search.study.cost import Costs, read_costs
from search.study.files import BOARD, COSTS
from search.study.ledger import parse_lines
from search.study.lines import TrialEnd, TrialRelease, TrialRestart, to_json
from search.study.state import StudyState
from search.study.summary import summarize
from tests.fuzz.harness import Target
from tests.support.searches import SMALL, WIDE, config_of, report, start_line
from zoo.cli.views import board as board_view

SIZES: dict[str, Any] = {"cost": 0.01, "label": "l", "form": "film"}


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@cache
def _small() -> SearchConfig:
    return config_of(**SMALL)


def _configs() -> tuple[bytes, ...]:
    warm = [config_of(**SMALL).space.draw(Random(seed)) for seed in range(2)]
    found: tuple[dict[str, Any], ...] = (
        {**SMALL, "warm": [*warm, {"depth": 3}]},
        {"space": WIDE.model_dump(mode="json"), "mode": "per_amp", "limits": {"worst_esr": 0.5}, "bounds": {"cost": 1}},
        {"final": {"steps": 200, "seeds": 2}, "space": {"learning": {"batch": [2, 4]}}, "warm": [{"batch": 4}]},
    )
    return tuple(_dumped(config_of(**one).model_dump(mode="json")) for one in found)


def _parse_search(data: bytes, folder: Path) -> object:
    """Read a search, and do with its first points what a search does as it begins."""
    config = check_document(parse_json(data, "search.json"), SearchConfig, "search.json")
    whole = [config.space.holding([]).complete(point) for point in config.warm]
    return [config.identity(point) for point in whole if point]


def _ledger(*trials: str) -> bytes:
    lines: list[Any] = []
    for seed, trial in enumerate(trials):
        point = _small().space.draw(Random(seed))
        lines += [
            start_line(trial, point=point, number=seed, control=True, steps=100, **SIZES),
            report(trial, 10, 0.5, relative=0.9, seconds=1.5, checkpoint="/s/ray/c", survives=True),
            TrialRelease(trial=trial),
            TrialRestart(trial=trial, starts=2),
            report(trial, 100, 0.25, limits={"a": {"runaway": -1.0}}),
            TrialEnd(trial=trial, state="finished") if seed % 2 == 0 else TrialEnd(trial=trial, state="pruned"),
        ]
    lines += [start_line(f"{trials[0]}-0", of=trials[0], point=_small().space.draw(Random(0)), steps=200, **SIZES)]
    lines += [
        TrialEnd(trial=f"{trials[0]}-0", state="failed", reason="why"),
        start_line("c", point=_small().space.draw(Random(5))),
    ]
    return b"".join(_dumped(to_json(line)) + b"\n" for line in lines)


def _parse_ledger(data: bytes, folder: Path) -> object:
    """Read a ledger, and do what the board and the scheduler do with it."""
    lines = parse_lines(data, "ledger.jsonl", _small())
    state = StudyState(_small())
    for line in lines:
        record = state.apply(line)
        state.reached(record, record) if record.amps else None
        state.objectives(record) if not record.is_final else None
    board = summarize(_small(), lines, Costs(cpus=("x",), reference_s=1.0, tiers={"nano": 0.1, "hifi": None}))
    return json.dumps(board.to_json(), allow_nan=True)


def _board() -> bytes:
    costs = Costs(cpus=("x",), reference_s=1.0, tiers={"nano": 0.1, "hifi": None})
    document = summarize(_small(), parse_lines(_ledger("a", "b")), costs).to_json()
    front = next(trial for trial in document["trials"] if trial["front"])
    front["held"] = {"a": {"mean": 0.1, "median": 0.1, "worst": 0.2, "baseline_mean": None}}
    return _dumped(document)


def _parse_board(data: bytes, folder: Path) -> object:
    """Read a board, show it, and find what would be packaged."""
    (folder / BOARD).write_bytes(data)
    board = read_board(folder)
    board_view.board_table(board), [board_view.trial_sentence(trial) for trial in board.trials]
    return json.dumps(board.to_json(), allow_nan=True), best_runs(folder), tier_runs(folder)


def _parse_costs(data: bytes, folder: Path) -> object:
    (folder / COSTS).write_bytes(data)
    return read_costs(folder)


def _parse_measurement(data: bytes, folder: Path) -> object:
    """Read a measured cost as a file of the cache folder."""
    path = measurement_path("costs", {"model": 1})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    found = read_measurement("costs", {"model": 1})
    assert found is None or 0 < found < 1e18
    return found


def _parse_uri(data: bytes, folder: Path) -> object:
    """Take a place as the command line does: what is let through holds no password, and messages show none."""
    place = data.decode("utf-8", "surrogateescape")
    without_userinfo(place)
    refuse_userinfo(place, "--storage")
    assert not has_userinfo(place)
    return below(place, "x") if is_uri(place) else None


TABLES = (
    b"width,inject,cost,seconds,error@1,error@20\n4,film,296,3.0,0.31,0.22\n8,mixin,1104,4.1,0.25,nan\n4,,9,1e-3,1,\n",
    b'\xef\xbb\xbf"width","cost","seconds","error"\r\n"1","2","3","0.5"\r\n\r\n',
    gzip.compress(b"width,cost,seconds,error\n" + b"4,296,3.0,0.31\n8,1104,4.1,0.25\n" * 9, mtime=0),
)


def _parse_table(data: bytes, folder: Path) -> object:
    """Read a table of trained models, plain or packed, and do with it what a replay does as it begins."""
    path = folder / ("t.csv.gz" if data[:1] == TABLES[-1][:1] else "t.csv")
    path.write_bytes(data)
    table = read_table(path)
    table.nearest({axis: values[-1] for axis, values in table.axes.items()})
    share = table.share(list(table.rows)) if table.whole else 1.0
    assert share > 0 and 0 < table.mean_seconds < math.inf and all(map(math.isfinite, table.reference))
    return table


URIS = (b"s3://bucket/a/b?region=x", b"http://host:8265", b"ray://127.0.0.1:10001", b"auto", b"file:///a/b")

SEARCH_TARGETS = (
    Target("search", _configs(), _parse_search),
    Target("ledger", (_ledger("a"), _ledger("a", "b")), _parse_ledger),
    Target("board", (_board(),), _parse_board),
    Target("costs", (_dumped({"cpus": ["x"], "reference_s": 0.1, "tiers": {"nano": 1, "hifi": None}}),), _parse_costs),
    Target("measurement", (_dumped({"model": 1, "found": 0.25}),), _parse_measurement),
    Target("uri", URIS, _parse_uri),
    Target("table", TABLES, _parse_table),
)
