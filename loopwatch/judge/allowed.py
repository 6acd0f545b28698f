"""Does an allowance cover the stall?"""

from collections.abc import Iterable
from dataclasses import dataclass

from loopwatch.judge.names import enclosing
from loopwatch.judge.weights import overlap_ns
from loopwatch.observations import Allowance, Observation
from loopwatch.records import Stall

__all__ = ["Standing", "excuse", "standing_reason"]


@dataclass(frozen=True, slots=True)
class Standing:
    """An allowance for all stalls of one kind, from whichever task they come."""

    what: str
    """A fingerprint, or the origin's "module:function", the function by its qualified name."""
    reason: str
    up_to_ms: float | None = None
    """How much of a stall is excused; None: any length."""

    def covers(self, stall: Stall) -> bool:
        """Whether the stall is of that kind, and under its threshold without what is excused."""
        excused = float("inf") if self.up_to_ms is None else self.up_to_ms
        return self.what in {stall.fingerprint, _place(stall)} and stall.duration_ms - excused < stall.threshold_ms


def standing_reason(stall: Stall, standing: Iterable[Standing]) -> str | None:
    """The reason of the first that covers it."""
    return next((one.reason for one in standing if one.covers(stall)), None)


def _place(stall: Stall) -> str | None:
    origin = stall.origin
    return None if origin is None or origin.module is None else f"{origin.module}:{enclosing(origin.function)}"


def excuse(observation: Observation, threshold_ms: float) -> str | None:
    """The reason of the allowances without which this stall would be under the threshold; None if they do not cover it.

    An allowance that was entered within the turn speaks for itself: in one turn a task runs undivided. One that is older
    counts only while its own task runs, which the samples tell. Time that two allowances cover counts once.
    """
    excused, until, longest = 0, observation.start_ns, (0, "")
    for allowance in sorted(observation.allowances, key=lambda one: one.start_ns):
        if not _applies(allowance, observation):
            continue
        end = observation.end_ns if allowance.end_ns is None else allowance.end_ns
        covered = overlap_ns(max(allowance.start_ns, until), end, observation)
        if allowance.up_to_ns is not None:
            covered = min(covered, allowance.up_to_ns)
        excused, until = excused + covered, max(until, end)
        longest = max(longest, (covered, allowance.reason))
    return longest[1] if excused and observation.duration_ns - excused < threshold_ms * 1e6 else None


def _applies(allowance: Allowance, observation: Observation) -> bool:
    tasks = [sample.task_id for sample in observation.samples]
    if not tasks:
        return allowance.start_ns >= observation.start_ns
    if allowance.start_ns >= observation.start_ns and allowance.task_id is None:
        return True
    return tasks.count(allowance.task_id) * 2 >= len(tasks)
