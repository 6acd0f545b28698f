"""A stall's own time as the gate counts it: never more than the judge's, and sure on a crowded machine. Pure.

The kernel counts a wait for a core when it is over, so samples taken while a thread still waits do not show it, and what they leave
over looks like the thread's own time. But no thread computes for longer than its CPU clock says, whatever the machine did; and what
the samples did not see of waits for a core, the clocks read around the stall did.
"""

from loopwatch.judge.mechanism import mechanisms_of
from loopwatch.judge.weights import Part, parts_of, weigh
from loopwatch.observations import Observation
from loopwatch.records import Cause

__all__ = ["own_ns"]

COMPUTES = frozenset({Cause.PYTHON, Cause.NATIVE})


def own_ns(observation: Observation) -> int:
    """Nanoseconds that count against a test."""
    judged = weigh(observation).own_ns
    vitals = observation.vitals
    if vitals is None or vitals.cpu_ns is None or not observation.samples:
        return judged
    pairs = list(zip(parts_of(observation), mechanisms_of(observation), strict=True))
    waiting = [part for part, cause in pairs if cause not in COMPUTES]
    computing_ns = sum(part.wall_ns for part, cause in pairs if cause in COMPUTES)
    return min(judged, _waited_ns(waiting, observation) + min(computing_ns, vitals.cpu_ns))


def _waited_ns(waiting: list[Part], observation: Observation) -> int:
    """Time in waits of the thread's own, less what of it was a wait for a core."""
    if not waiting:
        return 0
    whole = sum(part.wall_ns for part in waiting)
    seen = sum(part.runqueue_ns or 0 for part in waiting)
    return max(0, whole - seen - min(_unseen_ns(observation), _ends_ns(waiting, observation)))


def _unseen_ns(observation: Observation) -> int:
    """Waits for a core that the clocks around the stall saw and its samples did not; some may lie outside of it."""
    first, last = observation.samples[0].runqueue_ns, observation.samples[-1].runqueue_ns
    around = observation.vitals.runqueue_ns if observation.vitals is not None else None
    if first is None or last is None or around is None:
        return 0
    return max(0, around - (last - first))


def _ends_ns(waiting: list[Part], observation: Observation) -> int:
    """The time before the first sample and after the last one, as far as the thread waited in it."""
    samples = observation.samples
    before = max(0, samples[0].at_ns - observation.start_ns) if waiting[0].sample is samples[0] else 0
    after = max(0, observation.end_ns - samples[-1].at_ns) if waiting[-1].sample is samples[-1] else 0
    return before + after
