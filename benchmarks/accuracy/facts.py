"""What one run of a case yields, all frozen: what was true, and what the detector said.

Times are integer nanoseconds of the monotonic clock, which all processes of a Linux machine share.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["MACHINE_CAUSES", "Outcome", "Report", "Truth", "outcome_from_json", "outcome_to_json"]

MACHINE_CAUSES = frozenset({"starved", "suspended"})
"""Causes that blame the machine and no code: under contention they may be true at any moment."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One time for which the loop was held up, by the blocker's own clock."""

    start_ns: int
    end_ns: int
    place: str
    """From where the blocker was called: a name of `places.PLACES`."""
    cpu_ns: int | None = None
    """CPU time of the loop thread meanwhile; None where it was not measured."""
    runqueue_ns: int | None = None
    """For how long that thread was ready but not run (schedstat), around this time; None where the kernel does not say."""
    others_cpu_ns: int | None = None
    """CPU time of all other threads of the process meanwhile."""

    @property
    def duration_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6

    def share(self, part_ns: int | None) -> float | None:
        """`part_ns` as a share (0 to 1) of this time."""
        return None if part_ns is None else part_ns / max(1, self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True)
class Report:
    """One stall as a detector reported it, in the terms that all detectors have in common."""

    start_ns: int
    duration_ms: float | None
    """None where the detector gives no duration."""
    file: str | None = None
    line: int | None = None
    """The line that the detector's headline blames; None: it blames none."""
    candidates: tuple[int, ...] = ()
    """Further lines of that file which it says it may have been."""
    cause: str | None = None
    """In the detector's own word; None where the detector gives no cause."""
    means: tuple[str, ...] = ()
    """Which values of `loopwatch.records.Cause` that word stands for; empty: it is such a value itself."""
    stack: tuple[tuple[str, int], ...] = ()
    """File and line of every frame that it shows, in any order."""
    exact: bool = False
    """Whether it says that the line is no guess."""
    timing_exact: bool = False
    """Whether it says that the duration is no bound."""

    @property
    def end_ns(self) -> int:
        return self.start_ns + int((self.duration_ms or 0.0) * 1e6)

    @property
    def causes(self) -> frozenset[str]:
        """All that its word may stand for; none where it gives no cause."""
        return frozenset(self.means or ((self.cause,) if self.cause else ()))

    @property
    def blames_the_machine(self) -> bool:
        """Whether it blames the machine and nothing else."""
        return bool(self.causes) and self.causes <= MACHINE_CAUSES


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one process, which ran one case on one backend, has to tell."""

    case: str
    backend: str
    python: str
    detector: str
    causes: tuple[str, ...] = ()
    """The honest answers."""
    lines: tuple[tuple[str, int], ...] = ()
    """File and number of every line that may rightly be named; empty: no line is to blame."""
    expect: str = "stall"
    """"stall": each truth is to be reported; "silence": nothing is."""
    blameless: bool = False
    """Whether naming no line is right too, besides those in `lines`."""
    operator: bool = False
    """Whether the blocker is an operator that holds the GIL (its line cannot be seen from inside the process)."""
    truths: tuple[Truth, ...] = ()
    reports: tuple[Report, ...] = ()
    size: int | None = None
    """To what the case calibrated itself."""
    skipped: str | None = None
    """Why it could not run here."""
    error: str | None = None
    """What went wrong in the case itself; such an outcome is not scored."""


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    return asdict(outcome)


def outcome_from_json(values: dict[str, Any]) -> Outcome:
    """The inverse of `outcome_to_json`, after a trip through JSON text (which has no tuples)."""
    truths = tuple(Truth(**truth) for truth in values["truths"])
    reports = tuple(_report(report) for report in values["reports"])
    lines = tuple((file, line) for file, line in values["lines"])
    rest = {name: value for name, value in values.items() if name not in {"truths", "reports", "lines", "causes"}}
    outcome = Outcome(**rest, causes=tuple(values["causes"]))
    return replace(outcome, truths=truths, reports=reports, lines=lines)


def _report(values: dict[str, Any]) -> Report:
    stack = tuple((file, line) for file, line in values.get("stack", ()))
    lists = {name: tuple(values.get(name, ())) for name in ("candidates", "means")}
    return Report(**{**values, **lists, "stack": stack})
