"""Does an allowance cover the stall?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopwatch.judge.names import enclosing
from loopwatch.observations import Allowance, Observation
from loopwatch.records import Stall

__all__ = ["Standing", "excuse", "excused", "standing_reason"]


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
    """The reason of the allowances without which this stall would be under the threshold; None if they do not cover it."""
    tasks = [sample.task_id for sample in observation.samples]
    allowed_ns, reason = excused(observation.allowances, observation.start_ns, observation.end_ns, tasks)
    return reason if allowed_ns and observation.duration_ns - allowed_ns < threshold_ms * 1e6 else None


def excused(
    allowances: Iterable[Allowance], start_ns: int, end_ns: int, tasks: Sequence[int | None]
) -> tuple[int, str]:
    """How much of a turn is allowed, and the reason of the allowance that covers most of it.

    An allowance that was entered within the turn speaks for itself: in one turn a task runs undivided. One that is older
    counts only while its own task runs, which the samples tell. Time that two allowances cover counts once.

    Args:
        tasks: Which task ran, by sample.
    """
    allowed_ns, until, longest = 0, start_ns, (0, "")
    for allowance in sorted(allowances, key=lambda one: one.start_ns):
        if not _applies(allowance, start_ns, tasks):
            continue
        end = end_ns if allowance.end_ns is None else min(allowance.end_ns, end_ns)
        covered = max(0, end - max(allowance.start_ns, until))
        if allowance.up_to_ns is not None:
            covered = min(covered, allowance.up_to_ns)
        allowed_ns, until = allowed_ns + covered, max(until, end)
        longest = max(longest, (covered, allowance.reason))
    return allowed_ns, longest[1]


def _applies(allowance: Allowance, start_ns: int, tasks: Sequence[int | None]) -> bool:
    within = allowance.start_ns >= start_ns
    if not tasks:
        return within
    return (within and allowance.task_id is None) or tasks.count(allowance.task_id) * 2 >= len(tasks)
