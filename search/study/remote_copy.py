"""A copy of a study at a URI, updated as it grows: the study continues when the machine that drives it is lost."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from models.core.errors import NotFound, UserError
from models.core.files import is_staged, open_regular, staged_file, staged_folder
from models.core.system_files import is_empty
from search.storage.uri_store import Store, below
from search.study.files import BOARD, COSTS, JOURNAL, PICTURE, RECORDINGS, REPORT_PAGE, STUDY
from search.study.ledger import ledger_path, parse_lines, read_ledger_bytes
from search.study.lines import DIVERGED, FAILED, PRUNED, START, TrialRecord, latest

LEDGER, TRIALS = "ledger", "trials"

DOCUMENTS = (STUDY, RECORDINGS, COSTS, BOARD, PICTURE, REPORT_PAGE, JOURNAL)

NO_RESULT = (PRUNED, DIVERGED, FAILED)  # ends of a trial whose folder is not needed any more

PART = 1 << 18  # bytes of the ledger in one file of the copy: a new line rewrites the last file alone


class RemoteCopy:
    """The copy of the study folder `study` at `uri`, in the same layout except for the ledger.

    The ledger is stored in parts: `ledger/000000` and so on. A trial's folder is copied before the line that says
    it finished, and a line that names a checkpoint before the backend removes the previous one: all that the copied
    ledger names exists. Every method raises `UserError` naming the URI where it cannot be used; the study itself is
    whole then.
    """

    def __init__(self, study: Path, uri: str) -> None:
        self.checkpoints = below(uri, "ray")  # where a backend stores checkpoints
        self._study, self._store = study, Store(uri)
        self._stored = 0  # bytes of the ledger in the copy

    def begin(self, resume: bool) -> None:
        """Before a study begins or continues: restore its folder from the copy where the copy has more.

        Raises `UserError` where the copy is of another study, has different lines, or cannot be written.
        """
        uri, exists = self._store.uri, (self._study / STUDY).exists()
        if not self._store.size(STUDY):
            if resume and not exists:
                raise NotFound(f"neither {self._study} nor {uri} holds a study to continue", "Check --storage.")
            if not self._store.size(_part(0)):
                self._store.write(_part(0), b"")  # refused before anything is made here, if it may not be written
            return
        if not resume:
            raise UserError(f"{uri} already holds a study", "Add --resume to continue it, or choose another --storage.")
        if exists:
            self._check_same()
        remote, local = self._read_remote_ledger(), self._read_ledger() if exists else b""
        self._stored = len(remote)
        if exists and local.startswith(remote):
            return
        if not remote.startswith(local):
            raise UserError(
                f"{self._study} and {uri} hold studies that went on differently",
                "Choose another --out to continue the one at the URI, or another --storage to continue the one here.",
            )
        if exists:
            self._restore(remote, self._study)
        elif not self._study.exists() or is_empty(self._study):
            with staged_folder(self._study) as staged:
                self._restore(remote, staged)

    def update(self, record: TrialRecord) -> None:
        """Copy what the latest line of the ledger, which is about this trial, names."""
        folder, useless = f"{TRIALS}/{record.trial}", record.state in NO_RESULT
        if record.state != START:
            if not useless:
                self._store.put(self._study, self._files(self._study / folder))
            self._put_ledger()
        if useless:
            with suppress(UserError):  # files that may not be deleted only take up space
                self._store.remove(folder)

    def sync(self) -> None:
        """Copy all files that are missing or differ in size; raises `UserError` where the URI holds another study."""
        self._check_same()
        remote = self._store.sizes(TRIALS)
        documents = [name for name in DOCUMENTS if (self._study / name).exists()]
        trials = _useful(self._files(self._study / TRIALS), self._read_ledger(), str(ledger_path(self._study)))
        changed = [name for name in trials if remote.get(name) != (self._study / name).stat().st_size]
        self._store.put(self._study, [*documents, *changed])
        self._put_ledger()

    def _check_same(self) -> None:
        with open_regular(self._study / STUDY, follow=False) as file:
            own = file.read()
        if self._store.size(STUDY) and self._store.read(STUDY) != own:
            raise UserError(f"{self._store.uri} holds another study than {self._study}", "Choose another --storage.")

    def _restore(self, ledger: bytes, folder: Path) -> None:
        """Copy the study from the URI into a folder, the ledger last, without folders of trials that have no result."""
        documents = [name for name in DOCUMENTS if self._store.size(name)]
        trials = _useful(self._store.sizes(TRIALS), ledger, self._store.of(LEDGER))
        self._store.fetch([*documents, *trials], folder)
        with staged_file(ledger_path(folder)) as staged:
            staged.write_bytes(ledger)

    def _read_remote_ledger(self) -> bytes:
        """Return the whole lines of the copied ledger; where writing stopped between two parts, repair the last one."""
        data = b"".join(map(self._store.read, sorted(self._store.sizes(LEDGER))))
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            last = len(whole) // PART
            self._store.write(_part(last), whole[last * PART :])
        return whole

    def _read_ledger(self, start: int = 0) -> bytes:
        """Return the ledger from a byte on, without an unfinished line at its end."""
        data = read_ledger_bytes(self._study, start)
        return data[: data.rfind(b"\n") + 1]

    def _put_ledger(self) -> None:
        """Copy the new part of the ledger; raises `UserError` where another process writes to the copy."""
        first, rest = divmod(self._stored, PART)
        data = self._read_ledger(first * PART)
        if self._store.size(_part(first)) != rest:
            raise UserError(
                f"another search writes to {self._store.uri}",
                "Let one of them continue, and give each search a --storage of its own.",
            )
        for number, start in enumerate(range(0, len(data), PART), first):
            self._store.write(_part(number), data[start : start + PART])
        self._stored = first * PART + len(data)

    def _files(self, folder: Path) -> list[str]:
        """Return the files of the study at any depth below a folder, without half-written ones."""
        found = (path.relative_to(self._study) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in found if not is_staged(path))


def _useful(names: Iterable[str], ledger: bytes, where: str) -> list[str]:
    """Return the files of trials without those of trials that ended without a result."""
    ends = {record.trial: record.state for record in latest(parse_lines(ledger, where))}
    return [name for name in names if ends.get(name.split("/")[1]) not in NO_RESULT]


def _part(number: int) -> str:
    return f"{LEDGER}/{number:06}"
