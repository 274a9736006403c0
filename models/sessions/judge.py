"""Judges a take the moment it is recorded: by the rules of the check, beside the takes before it.

Shapes: S samples of an excerpt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.recordings.checks.check import Inspection
from models.recordings.checks.report import Finding, Report, TakeReport
from models.recordings.checks.rules import aligning_corrects
from models.recordings.checks.similarity import ALIKE_ESR, distances
from models.sessions.session_takes import PlannedTake, SessionTakes


@dataclass(frozen=True)
class Verdict:
    """What is known of a take that was just recorded.

    `findings` are those that it causes; `changed_esr` is its distance from the take before, None where they cannot be
    compared; `is_unturned` says that both sound the same although a knob should have been turned.
    """

    report: TakeReport
    findings: tuple[Finding, ...]
    changed_esr: float | None = None
    is_unturned: bool = False

    @property
    def needs_recording(self) -> bool:
        """Whether there is a fault that aligning the takes does not correct."""
        return any(finding.severity == "fault" and not aligning_corrects(finding) for finding in self.findings)

    @property
    def is_faulty(self) -> bool:
        """Whether a finding spoils the training."""
        return any(finding.severity == "fault" for finding in self.findings)

    @property
    def is_better_again(self) -> bool:
        """Whether the take is worth another try: it is faulty, a knob was not turned, or it was recorded badly."""
        return self.is_faulty or self.is_unturned or any(finding.again for finding in self.findings)


class Judge:
    """The kept takes of a session, measured, and the verdict on one more.

    Takes of both manifests are compared with those of their own manifest; "the take before" is of the same.
    """

    def __init__(self, takes: SessionTakes) -> None:
        self._inspections = {held: Inspection(manifest) for held, manifest in takes.manifests.items()}
        self._known: dict[bool, set[tuple[Path, str]]] = {held: set() for held in takes.manifests}
        self._last: dict[bool, PlannedTake] = {}

    def read_kept(self, kept: Sequence[PlannedTake], on_take: Callable[[int, int], None] | None = None) -> None:
        """Measure the takes that an earlier evening recorded; `on_take(done, total)` is called after each."""
        for done, planned in enumerate(kept, 1):
            self._inspections[planned.held].add(planned.take)
            self._last[planned.held] = planned
            if on_take:
                on_take(done, len(kept))
        for held in {planned.held for planned in kept}:
            self._remember(held, self._inspections[held].report(complete=False))

    def judge(self, planned: PlannedTake, unkept: Path, lost_s: Sequence[float] = ()) -> Verdict:
        """Measure a recorded file that stands for a take; `lost_s` are seconds at which the card lost audio.

        It stays among the others until `keep` or `drop`.
        """
        inspection = self._inspections[planned.held]
        inspection.discard(planned.take.wet)
        inspection.add(replace(planned.take, wet=unkept))
        report = inspection.report(complete=False)
        own = next(take for take in report.takes if take.wet == unkept)
        found = [_tell_lost(unkept, lost_s)] if lost_s else []
        found += [finding for finding in report.findings if self._concerns(finding, planned, unkept)]
        changed, before = self._compare(planned, unkept, report), self._last.get(planned.held)
        unturned = changed is not None and changed < ALIKE_ESR
        if unturned and before:  # which the rules tell as well, in the words for a finished session
            found = [finding for finding in found if before.name not in finding.message]
            found.append(_tell_unturned(unkept, planned, before, changed or 0.0))
        return Verdict(own, tuple(found), changed, unturned)

    def keep(self, planned: PlannedTake, unkept: Path) -> None:
        """Count a judged file, which is the take now, among the kept ones."""
        inspection = self._inspections[planned.held]
        inspection.rename(unkept, planned.take.wet)
        self._last[planned.held] = planned
        self._remember(planned.held, inspection.report(complete=False))

    def drop(self, planned: PlannedTake, unkept: Path) -> None:
        """Forget a judged file; a take that was kept before counts again."""
        inspection = self._inspections[planned.held]
        inspection.discard(unkept)
        if planned.is_recorded:
            inspection.add(planned.take)

    def _remember(self, held: bool, report: Report) -> None:
        """Remember what is told of the kept takes, so that it is not told again of the next one."""
        self._known[held] = {(finding.file, finding.message) for finding in report.findings}

    def _concerns(self, finding: Finding, planned: PlannedTake, unkept: Path) -> bool:
        """Return whether a finding is about this take, or about the session and new."""
        if finding.file == unkept or str(planned.name) in finding.message:
            return True
        is_new = (finding.file, finding.message) not in self._known[planned.held]
        return is_new and finding.severity == "fault" and finding.file.suffix == ".json"

    def _compare(self, planned: PlannedTake, unkept: Path, report: Report) -> float | None:
        """Return the distance from the take before (ESR); None for the same setting, or without a measurement."""
        before = self._last.get(planned.held)
        if before is None or before.take.setting == planned.take.setting:
            return None
        pair = [report.excerpts.get(path) for path in (unkept, before.take.wet)]
        if any(excerpt_S is None for excerpt_S in pair) or len({len(s) for s in pair if s is not None}) > 1:
            return None
        return float(distances(np.stack([s for s in pair if s is not None])).esr_NN[0, 1])


def _tell_lost(path: Path, lost_s: Sequence[float]) -> Finding:
    places = "once" if len(lost_s) == 1 else f"{len(lost_s)} times, first"
    message = f"{path}: the card lost audio {places} near {lost_s[0]:.1f} s (xrun)"
    hint = "Close other programs, choose a larger buffer in the driver, and record it again."
    return Finding("fault", path, message, hint)


def _tell_unturned(path: Path, planned: PlannedTake, before: PlannedTake, esr: float) -> Finding:
    moved = [name for name, value in planned.take.setting.items() if before.take.setting[name] != value]
    message = f"{path} sounds the same as the take before, {before.name} (ESR {esr:.1g})"
    return Finding(
        "warning", path, message, f"Was {' and '.join(moved)} turned? If the knob does nothing here, keep it."
    )
