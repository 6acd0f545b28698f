"""Does an allowance cover the stall?"""

from loopwatch.judge.weights import overlap_ns
from loopwatch.observations import Allowance, Observation

__all__ = ["excuse"]


def excuse(observation: Observation, threshold_ms: float) -> str | None:
    """The reason of the allowance without which this stall would be under the threshold; None if none covers it.

    An allowance that was entered within the turn speaks for itself: in one turn a task runs undivided. One that is older
    counts only while its own task runs, which the samples tell.
    """
    for allowance in observation.allowances:
        if not _applies(allowance, observation):
            continue
        end = observation.end_ns if allowance.end_ns is None else allowance.end_ns
        covered = overlap_ns(allowance.start_ns, end, observation)
        if allowance.up_to_ns is not None:
            covered = min(covered, allowance.up_to_ns)
        if observation.duration_ns - covered < threshold_ms * 1e6:
            return allowance.reason
    return None


def _applies(allowance: Allowance, observation: Observation) -> bool:
    tasks = [sample.task_id for sample in observation.samples]
    if not tasks:
        return allowance.start_ns >= observation.start_ns
    if allowance.start_ns >= observation.start_ns and allowance.task_id is None:
        return True
    return tasks.count(allowance.task_id) * 2 >= len(tasks)
