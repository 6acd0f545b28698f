"""Does an allowance cover the stall?"""

from loopwatch.judge.weights import overlap_ns
from loopwatch.observations import Allowance, Observation

__all__ = ["excuse"]


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
