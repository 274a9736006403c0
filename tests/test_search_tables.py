"""The comparison of samplers in benchmarks/search: tables, the simulated clock, and what each method promises there."""

import csv
import gzip
import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.search.chance import RandomSearch
from benchmarks.search.clock import Method, Replay, Task
from benchmarks.search.optuna_samplers import OptunaNSGAII, OptunaTPE
from benchmarks.search.ours import Ours
from benchmarks.search.ranks import critical_difference, draw, friedman, mean_ranks
from benchmarks.search.replay import SIDES, run_side
from benchmarks.search.table import MAX_TABLE_BYTES, Point, Table, read_table, read_tables
from benchmarks.search.tables import write_curves
from models.core.errors import UserError

METHODS: list[Callable[[Table, int], Method]] = [Ours, RandomSearch, OptunaTPE, OptunaNSGAII]
WIDTHS, WORDS = (2, 4, 8, 16), ("film", "mixin", "film+mixin")


def written(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return read_table(path)


def error_of(width: int, rate: float, word: str = "") -> float:
    return 0.01 + abs(math.log10(rate) + 1.9) / 10 + 1 / width + len(word) / 200


def grid(path: Path, steps: int = 5) -> Table:
    """A whole grid with curves: errors fall with width, slowly."""
    header = ["width", "rate", "inject", "cost", "seconds", *(f"error@{10 * step}" for step in range(1, steps + 1))]
    rows = [
        [w, r, word, w * w, 10 + w, *(error_of(w, r, word) * (1 + steps - step) for step in range(1, steps + 1))]
        for w, r, word in product(WIDTHS, (0.001, 0.01, 0.1), WORDS)
    ]
    return written(path, header, rows)


def gaps(path: Path) -> Table:
    """Ends alone, a third of the grid missing, an axis without a meaning at some points, a training that diverged."""
    rows = [
        [w, "" if w == 2 else r, w + 1, 1, "nan" if (w, r) == (16, 0.01) else error_of(w, r)]
        for number, (w, r) in enumerate(product(WIDTHS, (0.001, 0.003, 0.01, 0.1)))
        if number % 3 and (w > 2 or r == 0.003)
    ]
    return written(path, ["width", "rate", "cost", "seconds", "error"], rows)


def one_row(path: Path) -> Table:
    return written(path, ["width", "cost", "seconds", "error"], [[3, 9, 2.5, 0.1]])


def words(path: Path) -> Table:
    rows = [[a, b, 1 + len(a), 3, 0.1 + len(a + b) / 100] for a, b in product(("x", "yy", "zzz"), ("p", "qq"))]
    return written(path, ["first", "second", "cost", "seconds", "error"], rows)


TABLES = [grid, gaps, one_row, words]
each_table = pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


class Recorder:
    """A method that checks what the workers tell it, and notes what the other one suggests."""

    def __init__(self, inner: Method, table: Table) -> None:
        self.inner, self.table = inner, table
        self.points: list[Point] = []
        self.running: dict[str, int] = {}

    def suggest(self) -> Task | None:
        task = self.inner.suggest()
        if task is not None:
            assert set(task.point) == set(self.table.axes)
            assert all(value in self.table.axes[axis] for axis, value in task.point.items())
            assert 1 <= task.steps <= len(self.table.steps)
            assert task.trial not in self.running, "a name is one running trial"
            self.running[task.trial] = 0
            self.points.append(task.point)
        return task

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        assert step == self.running[trial] + 1
        self.running[trial] = step
        return self.inner.on_report(trial, step, values)

    def on_end(self, trial: str) -> None:
        assert self.running.pop(trial) >= 1
        self.inner.on_end(trial)


def replayed(method: Callable[[Table, int], Method], table: Table, seed: int, budget: float = 12) -> Recorder:
    recorder = Recorder(method(table, seed), table)
    replay = Replay(table, recorder, 3)
    replay.run(budget * table.mean_seconds)
    assert replay.finished
    return recorder


@each_method
@each_table
def test_a_method_searches_any_table(
    method: Callable[[Table, int], Method], make: Callable[[Path], Table], tmp_path: Path
):
    table = make(tmp_path / "t.csv")
    one, two = (replayed(method, table, 3) for _ in range(2))
    assert one.points == two.points, "the same seed gives the same search"


@each_table
def test_ours_trains_nothing_twice_and_ends_with_the_table(make: Callable[[Path], Table], tmp_path: Path):
    table = make(tmp_path / "t.csv")
    found = replayed(Ours, table, 1, budget=10**6).points
    trainings = [table.nearest(point).training for point in found]
    assert sorted(trainings) == sorted({row.training for row in table.rows})


def test_ours_stops_poor_trials(tmp_path: Path):
    table = grid(tmp_path / "t.csv", steps=20)
    method = Ours(table, 0)
    replay = Replay(table, method, 2)
    replay.run(10**9)
    assert len(replay.finished) < replay.trials
    assert replay.finished.keys() >= {min(table.rows, key=lambda row: row.errors[-1]).training}


def test_values_of_a_table(tmp_path: Path):
    table = gaps(tmp_path / "gaps.csv")
    assert table.name == "gaps"
    assert table.axes["width"] == WIDTHS
    assert table.axes["rate"] == (None, 0.001, 0.003, 0.01, 0.1)
    assert table.numbers == {"width"}
    assert table.steps == (1,)
    ends = [row.errors[-1] for row in table.rows]
    assert max(ends) == pytest.approx(10 * sorted(ends)[-2]), "what diverged counts as ten times the worst"
    assert table.share(list(table.rows)) == pytest.approx(1)
    assert table.share([]) == 0
    with (tmp_path / "gaps.csv").open("rb") as file, gzip.open(tmp_path / "same.csv.gz", "wb") as packed:
        packed.write(file.read())
    assert read_table(tmp_path / "same.csv.gz").rows == table.rows


def test_a_missing_point_stands_for_its_neighbor(tmp_path: Path):
    table = gaps(tmp_path / "t.csv")
    missing = next(
        {"width": w, "rate": r} for w, r in product(WIDTHS[1:], (0.001, 0.1)) if not table.find({"width": w, "rate": r})
    )
    near = table.nearest(missing)
    assert sum(near.point[axis] != missing[axis] for axis in missing) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("width,cost,error\n1,1,1\n", "no column 'seconds'"),
        ("width,cost,seconds\n1,1,1\n", "needs a column 'error'"),
        ("width,cost,seconds,error,error@3\n1,1,1,1,1\n", "needs a column 'error'"),
        ("cost,seconds,error\n1,1,1\n", "no axis"),
        ("width,cost,seconds,error\n", "no row"),
        ("width,cost,seconds,error\n1,1,1\n", "row 2: 3 cells for 4 columns"),
        ("width,cost,seconds,error\n1,0,1,1\n", "row 2: cost, seconds and errors are positive"),
        ("width,cost,seconds,error\n1,1,1,1\n\n2,1,x,1\n", "row 4: cost"),
        ("width,cost,seconds,error\n1,1,1,1e300\n", "row 2: cost"),
        ("width,cost,cost,seconds,error\n1,1,1,1,1\n", "two columns 'cost'"),
        ("width,cost,seconds,error@1,error@01\n1,1,1,1,1\n", "two columns of the errors at step 1"),
        ("width,cost,seconds,error@\u00b2\n1,1,1,1\n", "the column 'error@\u00b2' names no step"),
        ("width,cost,seconds,error@" + "1" * 5000 + "\n1,1,1,1\n", "names no step"),
        ("width,cost,seconds,error\n" + "1" * 140_000 + ",1,1,1\n", "line 2 is no CSV, or a cell of it is too long"),
    ],
)
def test_what_is_no_table_is_refused(text: str, sentence: str, tmp_path: Path):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        read_table(tmp_path / "t.csv")
    with pytest.raises(SystemExit, match=f"error: .*{sentence}.*\n\nhint: "):
        read_tables([tmp_path / "t.csv"])


def test_what_other_systems_add_to_a_table_is_taken(tmp_path: Path):
    text = "width,cost,seconds,error\r\n1,1,1,1\r\n\r\n2,2,1,0.5\r\n\r\n"
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8-sig"))
    assert [row.point["width"] for row in read_table(tmp_path / "t.csv").rows] == [1, 2]


def test_a_packed_table_that_is_damaged_or_a_bomb_is_refused(tmp_path: Path):
    path, packed = tmp_path / "t.csv.gz", gzip.compress(b"width,cost,seconds,error\n" + b"1,1,1,1\n" * 99)
    for data in (b"", b"width", packed[:-9], packed[:20] + b"\xff" * 9 + packed[29:]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"t\.csv\.gz (is no gzip file, or is damaged|needs a column)"):
            read_table(path)
    path.write_bytes(gzip.compress(bytes(MAX_TABLE_BYTES + 1), 1))
    with pytest.raises(UserError, match="holds more than"):
        read_table(path)


class Scripted:
    """Suggests given tasks, then nothing."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = list(tasks)
        self.ended: list[str] = []

    def suggest(self) -> Task | None:
        return self.tasks.pop(0) if self.tasks else None

    def on_report(self, trial: str, step: int, values: tuple[float, float]) -> bool:
        return True

    def on_end(self, trial: str) -> None:
        self.ended.append(trial)


def test_the_clock_charges_what_is_trained_anew(tmp_path: Path):
    table = grid(tmp_path / "t.csv")
    row = table.rows[0]
    method = Scripted([Task("part", row.point, 2), Task("rest", row.point, 5), Task("again", row.point, 5)])
    replay = Replay(table, method, 1)
    replay.run(10**9)
    assert replay.now == pytest.approx(row.seconds)
    assert method.ended == ["part", "rest", "again"]
    assert [at for at, _ in replay.finished.values()] == [pytest.approx(row.seconds)]


def test_only_models_trained_to_the_end_within_the_budget_count(tmp_path: Path):
    table = grid(tmp_path / "t.csv")
    best = min((row for row in table.rows if row.point["width"] < 16), key=lambda row: row.errors[-1])
    for steps, budget, found in ((4, 10**9, False), (5, best.seconds * 0.99, False), (5, best.seconds, True)):
        replay = Replay(table, Scripted([Task("t", best.point, steps)]), 1)
        replay.run(budget)
        assert (replay.shares(budget)[-1] > 0) is found
    two = Replay(table, Scripted([Task(str(row), table.rows[row].point, 5) for row in range(6)]), 2)
    two.run(10**9)
    assert two.now == pytest.approx(sum(row.seconds for row in table.rows[:6]) / 2), "two workers share the work"


def test_a_method_that_repeats_itself_ends(tmp_path: Path):
    table = one_row(tmp_path / "t.csv")
    replay = Replay(table, Scripted([Task(str(number), table.rows[0].point, 1) for number in range(10_000)]), 4)
    replay.run(10**9)
    assert replay.trials < 1000, "what is trained already takes no time, again and again"


def test_one_record_of_a_replay(tmp_path: Path):
    record = run_side(grid(tmp_path / "small.csv"), "random", 4, 5, 2)
    assert (record["table"], record["method"], record["seed"]) == ("small", "random", 4)
    assert record["shares"] == sorted(record["shares"])  # type: ignore[call-overload]
    assert all(side.module for side in SIDES.values())


def test_ranks(tmp_path: Path):
    scores = {
        table: {"good": [[0.0, 0.9], [0.0, 0.8]], "even": [[0.0, 0.5]], "poor": [[0.0, 0.5 - number / 10]]}
        for number, table in enumerate("abc")
    }
    methods = ["good", "even", "poor"]
    assert mean_ranks(scores, methods, 0) == dict.fromkeys(methods, 2.0)
    ranks = mean_ranks(scores, methods, 1)
    assert ranks == {"good": 1.0, "even": pytest.approx(6.5 / 3), "poor": pytest.approx(8.5 / 3)}
    assert friedman(scores, methods, 1) < 0.1
    assert critical_difference(5, 30) == pytest.approx(1.11, abs=0.01)  # 2.728 sqrt(5 * 6 / 180), Demsar 2006, table 5
    draw({"all": ranks}, critical_difference(3, 3), tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 1000


def test_our_curves_as_tables(tmp_path: Path):
    line = '{"amp": "a", "row": [2, 4, "pow2", "film", 0.01], "macs": 100, "curve": [0.5, 0.25]}'
    write_curves(line, 60, tmp_path)
    table = read_table(tmp_path / "a.csv")
    assert table.steps == (60, 120)
    assert [row.point["dilations"] for row in table.rows] == ["pow2", "pow2x5"]
    assert len({row.training for row in table.rows}) == 1, "both name one network"
