"""A search while it runs, as lines of text of any width: its phase, the time that is left, the front, the trials."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from models.reporting.text_plots import scatter_lines
from models.reporting.text_tables import fit_table
from search.config.study import ALL, SearchConfig
from search.report.progress import SearchProgress
from search.study.ledger import read_lines
from search.study.lines import FINISHED, PRUNED, TrialRecord
from search.study.objectives import error_of, front_names, front_of

FRONT_MARK, RUNNING_MARK, OTHER_MARK = "●", "○", "·"

MARKS_LEGEND = f"{FRONT_MARK} front  {RUNNING_MARK} training  {OTHER_MARK} others"

MIN_ROWS = 4  # of the table, its heading not counted

PLOT_LINES, MAX_PLOT_WIDTH, MAX_PLOTS = 9, 72, 2

BAR_WIDTH = 20

COLUMNS_SHOWN = 5  # of the table, on the narrowest terminal


class LiveView:
    """What a person sees of a running search; told of phases and records, asked for lines at any time.

    Records may come on another thread than the one that asks. What the ledger holds when training begins is shown, too.

    Args:
        config: the search.
        study: the study folder.
        listen: the command that plays the best model so far; empty for none.
        clock: seconds since any moment.
    """

    def __init__(
        self, config: SearchConfig, study: Path, listen: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._study, self._listen = config, study, listen
        self._progress = SearchProgress(config, clock)
        self._clock, self._began_s = clock, clock()
        self._phase: tuple[str, float, float] = ("starting", 0, 0)
        self._begun = False

    def on_phase(self, phase: str, done: float = 0, total: float = 0) -> None:
        """Show a phase, such as `aligning my-amp`, and how much of it is done."""
        self._phase = phase, done, total
        if _is_training(phase):
            self._begin()

    def on_record(self, record: TrialRecord) -> None:
        """Take in the record of a trial after its latest line."""
        self._begin()
        self._progress.on_record(record)

    def _begin(self) -> None:
        """Take in what the ledger holds when training begins: a search on a cluster tells no phases."""
        if not self._begun:
            self._begun = True
            self._progress.begin(read_lines(self._study))

    def lines(self, width: int, height: int) -> list[str]:
        """Return at most `height` lines of at most `width` characters."""
        trials = self._progress.trials
        head = [self._status(trials, width), self._bar(), ""]
        foot = self._foot(width) if any(trial.step for trial in trials) else []
        room = height - len(head) - len(foot)
        plots = self._plots(trials, width, room - MIN_ROWS - 2)
        table = self._table(trials, width, room - len(plots)) if trials else []
        return [line[:width] for line in (*head, *plots, *table, *foot)][:height]

    def _status(self, trials: Sequence[TrialRecord], width: int) -> str:
        """Return the phase, the trials that ended, and the lowest error; the search's name where there is room."""
        phase, done, total = self._phase
        text = f"{phase} {done:g} of {total:g}" if done and total and not _is_training(phase) else phase
        if trials:
            errors = [trial.esr for trial in trials if trial.state in (FINISHED, PRUNED)]
            best = f", best ESR {min(errors):.4f}" if errors else ""
            text = f"{text}; {self._count(trials)} ended{best}"
        named = f"{self._config.name}: {text}"
        return named if len(named) <= width else text

    def _count(self, trials: Sequence[TrialRecord]) -> str:
        """Return how many trials have ended, or once they have begun how many finals."""
        finals = [trial for trial in trials if trial.is_final]
        ended = sum(trial.has_ended for trial in finals or trials)
        if finals:
            return f"{ended} of {len(finals)}"
        known = self._config.known_trials
        return f"{ended} trials" if known is None else f"{ended} of {known} trials"

    def _foot(self, width: int) -> list[str]:
        """Return how to listen, as far as that fits: a cut command would be none."""
        whole = f"hear the best so far: {self._listen}"
        shown = whole if len(whole) <= width else self._listen
        return ["", shown] if self._listen and len(shown) <= width else []

    def _bar(self) -> str:
        """Return how much is done, and the time: gone and left of the whole search."""
        phase, done, total = self._phase
        gone = f"{time_words(self._clock() - self._began_s)} gone"
        if not _is_training(phase):
            return f"{_draw_bar(done / total)}  {gone}" if total else gone
        left_s = self._progress.seconds_left()
        left = "" if left_s is None else f", about {time_words(left_s)} left" if left_s else ", what trains ends"
        return f"{_draw_bar(self._progress.share())}  {gone}{left}"

    def _plots(self, trials: Sequence[TrialRecord], width: int, room: int) -> list[str]:
        """Return a chart of each front with a line that names it, as many as there is room for."""
        lines: list[str] = []
        names = front_names(self._config)[:MAX_PLOTS]
        for name in names:
            marks = self._marks(trials, name)
            if len(lines) + PLOT_LINES + 1 > room or sum(map(len, marks.values())) < 2:
                break
            labels = "cost", "ESR" if name == ALL else f"ESR {name}"
            plot = scatter_lines(marks, labels, min(width, MAX_PLOT_WIDTH), PLOT_LINES)
            lines += [f"{plot[0]}   {MARKS_LEGEND}", *plot[1:], ""]
        return lines

    def _marks(self, trials: Sequence[TrialRecord], name: str) -> dict[str, list[tuple[float, float]]]:
        """Return mark -> cost and error of the trials that it marks, those that matter most last."""
        known = [trial for trial in trials if trial.step and error_of(trial, name) > 0]
        best = set(front_of(name, _finished(known)))
        marks: dict[str, list[tuple[float, float]]] = {OTHER_MARK: [], RUNNING_MARK: [], FRONT_MARK: []}
        for trial in known:
            mark = FRONT_MARK if trial.trial in best else OTHER_MARK if trial.has_ended else RUNNING_MARK
            marks[mark].append((trial.cost, error_of(trial, name)))
        return marks

    def _table(self, trials: Sequence[TrialRecord], width: int, room: int) -> list[str]:
        """Return the trials in training, then those that ended, by error, as many as there is room for."""
        best = {trial for name in front_names(self._config) for trial in front_of(name, _finished(trials))}
        running = [trial for trial in trials if not trial.has_ended]
        running.sort(key=lambda trial: (not trial.step, trial.number))  # those that wait last
        ended = sorted((trial for trial in trials if trial.has_ended), key=lambda trial: trial.esr)
        amps = [data.name for data in self._config.datasets] if len(front_names(self._config)) > 1 else []
        header = ("TRIAL", "KNOBS AT", "ESR", "COST", "STEPS LEFT", *(f"ESR {amp}" for amp in amps), "LAYERS")

        shown = _with_ended(running, ended, room - 1)
        if hidden := len(trials) - len(shown):
            shown, hidden = _with_ended(running, ended, max(room - 2, 0)), min(hidden + 1, len(trials))
        rows = [_row(trial, amps, trial.trial in best) for trial in shown]
        lines, _ = fit_table(header, rows, COLUMNS_SHOWN, width, break_headings=False)  # so that it keeps its place
        return [*lines, f"and {hidden} more"] if hidden else lines


def time_words(seconds: float) -> str:
    """Return a time as a person says it: `40 s`, `12 min`, `2 h 10 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _finished(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [trial for trial in trials if trial.state == FINISHED]


def _is_training(phase: str) -> bool:
    return phase.startswith("training")


def _draw_bar(share: float) -> str:
    full = round(share * BAR_WIDTH)
    return f"{'━' * full}{'╌' * (BAR_WIDTH - full)} {100 * share:3.0f} %"


def _with_ended(running: Sequence[TrialRecord], ended: Sequence[TrialRecord], rows: int) -> list[TrialRecord]:
    """Return so many trials: those in training, and at least two of those that ended, if there are any."""
    others = min(len(ended), rows, max(2, rows - len(running)))
    return [*running[: rows - others], *ended[:others]]


def _row(trial: TrialRecord, amps: Sequence[str], is_on_front: bool) -> tuple[str, ...]:
    def shown(esr: float | None) -> str:
        return "-" if esr is None or not trial.step else f"{esr:.4f}"

    left = f"{trial.steps - trial.step:,} of {trial.steps:,}"
    return (
        trial.trial + ("*" if is_on_front else ""),
        trial.form,
        shown(trial.esr),
        f"{trial.cost:.3g}" if trial.cost < 1 else f"{trial.cost:.0f}",
        trial.state if trial.has_ended else left,
        *(shown(trial.amps.get(amp)) for amp in amps),
        trial.label,
    )
