"""Matches reports to truths and counts: pure functions from outcomes to figures.

The rules, the same for every detector:

- A report belongs to the truth that it overlaps most; failing that, to one that is at most `SLACK_NS` away.
- A truth shorter than the threshold plus one poll of the slowest fair detector need not be reported.
- Where several reports belong to one truth, it is not "reported once", and the longest of them is judged.
- A report that rightly blames the machine, or many callbacks together, need not name a line.
- A report that belongs to no truth is false, unless it blames the machine only: on a shared machine that may be so.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.accuracy.facts import MACHINE_CAUSES, Outcome, Report, Truth

__all__ = ["Hit", "Judged", "Tally", "judge", "percentile", "tally"]

SLACK_NS = 50_000_000
"""Tick-based detectors learn of a stall only at their next tick; 50 ms is the slowest such tick among the peers."""
MARGIN_MS = 20.0
"""How far over the threshold a truth must be before missing it counts: one poll."""
STARVED_SHARE = 0.3
"""From this share of run-queue wait on, "starved" is an honest answer too, whatever else the case does."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One truth and what was said of it. None: not said, or not to be scored."""

    truth: Truth
    reports: tuple[Report, ...]
    """The one that is judged comes first."""
    line: bool | None
    """Whether the headline's line is right; None where no line is labelled, or nothing was reported."""
    among: bool | None
    """Whether the right line is the headline's or one of its candidates."""
    shown: bool | None
    """Whether the right line is the headline's or anywhere in the stack that was shown."""
    cause: bool | None
    """Whether the cause is an honest one; None where nothing was reported, or the detector gives no causes."""
    error_ms: float | None
    """Reported less true duration."""

    @property
    def report(self) -> Report | None:
        return self.reports[0] if self.reports else None


@dataclass(frozen=True, slots=True)
class Judged:
    """One outcome, judged."""

    outcome: Outcome
    hits: tuple[Hit, ...]
    """One per truth that was to be reported."""
    false: tuple[Report, ...]
    """Reports of what did not happen, or blamed on what was not to blame."""
    machine: tuple[Report, ...]
    """Reports beside the truths that blame the machine only."""

    @property
    def flawless(self) -> bool:
        good = (len(h.reports) == 1 and h.line is not False and h.cause is not False for h in self.hits)
        return not self.false and all(good)


@dataclass(slots=True)
class Tally:
    """Sums over outcomes. Each pair is [right, of all that could be]."""

    cases: int = 0
    detected: list[int] = field(default_factory=lambda: [0, 0])
    once: list[int] = field(default_factory=lambda: [0, 0])
    line_exact: list[int] = field(default_factory=lambda: [0, 0])
    """Of the lines that the detector called exact."""
    line_plain: list[int] = field(default_factory=lambda: [0, 0])
    """Of all lines, operators that hold the GIL apart."""
    line_all: list[int] = field(default_factory=lambda: [0, 0])
    among: list[int] = field(default_factory=lambda: [0, 0])
    """Right line among headline and candidates."""
    shown: list[int] = field(default_factory=lambda: [0, 0])
    """Right line in the headline or anywhere in the stack."""
    cause: list[int] = field(default_factory=lambda: [0, 0])
    errors_exact_ms: list[float] = field(default_factory=list)
    """Absolute duration errors where the detector said that its timing is exact."""
    errors_ms: list[float] = field(default_factory=list)
    """All absolute duration errors."""
    false: int = 0
    machine: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(true cause, reported cause): how often."""


def judge(outcome: Outcome, threshold_ms: float) -> Judged:
    """Judges one outcome against what was true."""
    owned, strays = _assign(outcome.truths, outcome.reports)
    hits: list[Hit] = []
    false = [report for report in strays if not report.blames_the_machine]
    machine = [report for report in strays if report.blames_the_machine]
    for truth, reports in zip(outcome.truths, owned, strict=True):
        if outcome.expect == "silence":  # the stop of a whole process: it happened, and is still no stall
            right = [report for report in reports if _rightly_the_machine(report, honest_causes(outcome, truth))]
            machine.extend(right)
            false.extend(report for report in reports if report not in right)
        elif truth.duration_ms >= threshold_ms + MARGIN_MS:
            hits.append(_hit(outcome, truth, reports))
    return Judged(outcome, tuple(hits), tuple(false), tuple(machine))


def tally(judged: Iterable[Judged]) -> Tally:
    """The sums."""
    sums = Tally()
    for one in judged:
        sums.cases += 1
        sums.false += len(one.false)
        sums.machine += len(one.machine)
        for hit in one.hits:
            _add(sums, one.outcome, hit)
    return sums


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # the ceiling, without a float's surprises at whole numbers
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def honest_causes(outcome: Outcome, truth: Truth) -> frozenset[str]:
    """The causes that are right for this truth."""
    waited = truth.share(truth.runqueue_ns)
    starved = {"starved"} if waited is not None and waited >= STARVED_SHARE else set()
    return frozenset(outcome.causes) | starved


def _assign(truths: Sequence[Truth], reports: Iterable[Report]) -> tuple[list[list[Report]], list[Report]]:
    """Each truth's reports, and the reports that belong to none."""
    owned: list[list[Report]] = [[] for _ in truths]
    strays: list[Report] = []
    for report in reports:
        nearness = [_nearness(truth, report) for truth in truths]
        best = max(range(len(truths)), key=nearness.__getitem__, default=None)
        if best is None or nearness[best] < -SLACK_NS:
            strays.append(report)
        else:
            owned[best].append(report)
    return owned, strays


def _rightly_the_machine(report: Report, honest: frozenset[str]) -> bool:
    """Of a stop. Who can tell one from starvation is to keep still about it; who cannot is right to blame the machine."""
    return report.blames_the_machine and bool(report.causes & honest) and report.cause != "suspended"


def _nearness(truth: Truth, report: Report) -> int:
    """Their overlap in nanoseconds; negative: how far they lie apart."""
    return min(truth.end_ns, report.end_ns) - max(truth.start_ns, report.start_ns)


def _hit(outcome: Outcome, truth: Truth, reports: list[Report]) -> Hit:
    if not reports:
        return Hit(truth, (), None, None, None, None, None)
    ordered = tuple(sorted(reports, key=lambda report: -(report.duration_ms or 0.0)))
    main = ordered[0]
    right = {(os.path.realpath(file), line) for file, line in outcome.lines}
    honest = honest_causes(outcome, truth)
    blameless = main.line is None and (outcome.blameless or bool(main.causes & MACHINE_CAUSES & honest))
    said = [(os.path.realpath(main.file or ""), line) for line in (main.line, *main.candidates)]
    shown = [said[0], *((os.path.realpath(file), line) for file, line in main.stack)]
    return Hit(
        truth,
        ordered,
        line=(blameless or said[0] in right) if right else None,
        among=(blameless or any(place in right for place in said)) if right else None,
        shown=(blameless or any(place in right for place in shown)) if right else None,
        cause=None if main.cause is None else bool(main.causes & honest),
        error_ms=None if main.duration_ms is None else main.duration_ms - truth.duration_ms,
    )


def _add(sums: Tally, outcome: Outcome, hit: Hit) -> None:
    _count(sums.detected, hit.report is not None)
    _count(sums.once, len(hit.reports) == 1)
    if hit.report is None:
        sums.confusion["|".join(sorted(outcome.causes)), "(missed)"] += 1
        return
    if hit.line is not None and hit.among is not None and hit.shown is not None:
        _count(sums.line_all, hit.line)
        _count(sums.among, hit.among)
        _count(sums.shown, hit.shown)
        if not outcome.operator:
            _count(sums.line_plain, hit.line)
        if hit.report.exact:
            _count(sums.line_exact, hit.line)
    if hit.cause is not None:
        _count(sums.cause, hit.cause)
    if hit.error_ms is not None:
        sums.errors_ms.append(abs(hit.error_ms))
        if hit.report.timing_exact:
            sums.errors_exact_ms.append(abs(hit.error_ms))
    sums.confusion["|".join(sorted(outcome.causes)), hit.report.cause or "(none)"] += 1


def _count(pair: list[int], right: bool) -> None:
    pair[0] += right
    pair[1] += 1
