"""A study kept at a URI as it grows, so that it goes on when the machine that drives it is lost with its disk."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from models.core.errors import NotFound, UserError
from models.core.files import is_staged, staged_file, staged_folder
from search.storage.uri_store import Store, below
from search.study.files import BOARD, COSTS, JOURNAL, PICTURE, RECORDINGS, REPORT, STUDY
from search.study.ledger import DIVERGED, FAILED, PRUNED, START, Line, latest, ledger_path, parse_lines

LEDGER, TRIALS = "ledger", "trials"

MADE = (STUDY, RECORDINGS, COSTS, BOARD, PICTURE, REPORT, JOURNAL)

NOTHING = (PRUNED, DIVERGED, FAILED)  # how a trial ends whose folder is of no more use

PART = 1 << 18  # bytes of the ledger in one file there: only the last is written again when a line is added


class Mirror:
    """The study folder `study` at `uri`, in the same layout but for the ledger, which lies there in parts: `ledger/000000` and so on.

    A trial's folder is there before the line that says it finished, and a line that names a checkpoint before the engine lets the one before
    it go: all that the ledger there names is there. Every method raises `UserError` naming the URI where it cannot be used; the study
    itself is whole then.
    """

    def __init__(self, study: Path, uri: str) -> None:
        self.study, self.store = study, Store(uri)
        self.checkpoints = below(uri, "ray")  # where an engine keeps what it needs to go on
        self.kept = 0  # bytes of the ledger that are there

    def begin(self, resume: bool) -> None:
        """Before a study begins or goes on: make its folder again from what is there, where that knows more.

        Raises `UserError` where another study is there, or one that went on differently.
        """
        uri, here = self.store.uri, (self.study / STUDY).exists()
        if not self.store.size(STUDY):
            if resume and not here:
                raise NotFound(f"neither {self.study} nor {uri} holds a study to go on with", "Check --storage.")
            return
        if not resume:
            raise UserError(
                f"{uri} already holds a study", "Add --resume to go on with it, or choose another --storage."
            )
        there = b"".join(map(self.store.read, sorted(self.store.sizes(LEDGER))))
        theirs, mine = there[: there.rfind(b"\n") + 1], self._ledger() if here else b""
        if here:
            self._check_same()
        if len(theirs) < len(there):  # writing stopped between two parts
            last = len(theirs) // PART
            self.store.write(_part(last), theirs[last * PART :])
        self.kept = len(theirs)
        if here and mine.startswith(theirs):
            return
        if not theirs.startswith(mine):
            raise UserError(
                f"{self.study} and {uri} hold studies that went on differently",
                "Choose another --out to go on with the one at the URI, or another --storage to go on with the folder.",
            )
        if here:
            self._bring(theirs, self.study)
        elif not self.study.exists() or not any(self.study.iterdir()):
            with staged_folder(self.study) as staged:
                self._bring(theirs, staged)

    def __call__(self, line: Line) -> None:
        """Keep what a line of the ledger, just written, tells of."""
        folder, nothing = f"{TRIALS}/{line['trial']}", line["state"] in NOTHING
        if line["state"] != START:
            if not nothing:
                self.store.put(self.study, self._files(self.study / folder))
            self._put_ledger()
        if nothing:
            with suppress(UserError):  # what may not be deleted there only takes up room
                self.store.remove(folder)

    def sync(self) -> None:
        """Keep all that is not there, or of another size. Raises `UserError` where another study came there meanwhile."""
        self._check_same()
        there = self.store.sizes(TRIALS)
        made = [name for name in MADE if (self.study / name).exists()]
        trials = _useful(self._files(self.study / TRIALS), self._ledger())
        changed = [name for name in trials if there.get(name) != (self.study / name).stat().st_size]
        self.store.put(self.study, [*made, *changed])
        self._put_ledger()

    def _check_same(self) -> None:
        if self.store.size(STUDY) and self.store.read(STUDY) != (self.study / STUDY).read_bytes():
            raise UserError(f"{self.store.uri} holds another study than {self.study}", "Choose another --storage.")

    def _bring(self, theirs: bytes, folder: Path) -> None:
        """The study as it is there, the ledger last; without the folders of trials that came to nothing."""
        made = [name for name in MADE if self.store.size(name)]
        trials = _useful(self.store.sizes(TRIALS), theirs)
        self.store.bring([*made, *trials], folder)
        with staged_file(ledger_path(folder)) as staged:
            staged.write_bytes(theirs)

    def _ledger(self, start: int = 0) -> bytes:
        """The ledger from a byte on; a line that a crash cut off is left out."""
        if not ledger_path(self.study).exists():
            return b""
        with ledger_path(self.study).open("rb") as file:
            file.seek(start)
            data = file.read()
        return data[: data.rfind(b"\n") + 1]

    def _put_ledger(self) -> None:
        """Write what the ledger grew by; raises `UserError` where somebody else did."""
        first, rest = divmod(self.kept, PART)
        data = self._ledger(first * PART)
        if self.store.size(_part(first)) != rest:
            raise UserError(
                f"another search writes to {self.store.uri}",
                "Let one of them go on, and give each search a --storage of its own.",
            )
        for number, start in enumerate(range(0, len(data), PART), first):
            self.store.write(_part(number), data[start : start + PART])
        self.kept = first * PART + len(data)

    def _files(self, folder: Path) -> list[str]:
        """The files of the study at any depth below a folder; none that is half written."""
        found = (path.relative_to(self.study) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not is_staged(path))


def _useful(names: Iterable[str], data: bytes) -> list[str]:
    """Files of trials, without those of trials that came to nothing, as a ledger says."""
    ends = {line["trial"]: line["state"] for line in latest(parse_lines(data))}
    return [name for name in names if ends.get(name.split("/")[1]) not in NOTHING]


def _part(number: int) -> str:
    return f"{LEDGER}/{number:06}"
