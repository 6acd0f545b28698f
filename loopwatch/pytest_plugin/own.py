"""A stall's own time as the gate counts it: the least that it can have been, on a machine however crowded. Pure.

The judge says what was likeliest, and that may be wrong by half where samples are few. Here each part that is taken off is an upper
bound, and what the thread computed is a lower one:

- the kernel counts a wait for a core when it is over, so samples taken meanwhile do not show it; the clocks read around the
  stall do, and may show waits outside of it;
- samples that find the thread in a system call other than a futex stand where no wait for a core is under way: between them
  the count is exact;
- who waits for the GIL asks anew every switch interval, and so is given a core that often; who waits for anything else is
  given one when it is over.
"""

from loopwatch.judge.names import named_cause, starts_thread
from loopwatch.judge.weights import parts_of, weigh
from loopwatch.observations import Observation, Sample, Vitals
from loopwatch.records import Cause

__all__ = ["blind", "own_ns"]

TELLS_NOTHING = frozenset({"running", "futex", "fault", "other"})
"""System calls in which a thread may be waiting for a core, or for the GIL."""


def own_ns(observation: Observation) -> int:
    """Nanoseconds that count against a test."""
    weights, vitals = weigh(observation), observation.vitals
    if vitals is None or vitals.cpu_ns is None or vitals.runqueue_ns is None:
        return weights.own_ns
    there_ns = observation.duration_ns - min(observation.duration_ns, observation.stopped_ns)
    could_run_ns = max(0, there_ns - _core_wait_ns(observation, vitals.runqueue_ns))
    idle_ns = max(0, could_run_ns - min(weights.cpu_ns or 0, vitals.cpu_ns))
    kept_ns = max(weights.gil_ns, min(idle_ns, _asked_ns(observation, vitals) + _starting_ns(observation)))
    own = min(there_ns, max(could_run_ns - kept_ns, _computed_ns(observation, vitals, vitals.cpu_ns)))
    return int(own * (1 - min(1.0, weights.gc_ns / max(1, observation.duration_ns))))


def _computed_ns(observation: Observation, vitals: Vitals, around_ns: int) -> int:
    """What the thread computed at least: its clock around the stall, had it computed all the time outside; or between samples."""
    outside_ns = max(0, vitals.wall_ns - observation.duration_ns)
    between = 0
    if observation.samples:
        first, last = observation.samples[0].cpu_ns, observation.samples[-1].cpu_ns
        between = 0 if first is None or last is None else last - first
    return max(0, around_ns - outside_ns, between)


def _core_wait_ns(observation: Observation, around_ns: int) -> int:
    """How long the thread waited for a core at most."""
    placed = [sample for sample in observation.samples if _in_a_wait(sample) and sample.runqueue_ns is not None]
    if not placed:
        return min(around_ns, observation.duration_ns)
    first, last = placed[0], placed[-1]
    between = (last.runqueue_ns or 0) - (first.runqueue_ns or 0)
    ends_ns = max(0, first.at_ns - observation.start_ns) + max(0, observation.end_ns - last.at_ns)
    return between + min(ends_ns, max(0, around_ns - between))


def _asked_ns(observation: Observation, vitals: Vitals) -> int:
    """For how long the thread may have asked for the GIL in vain; 0 where it was seen to wait for something else."""
    if vitals.slices is None or not vitals.other_cpu_ns:
        return 0
    if any(_in_a_wait(sample) or named_cause(sample) is Cause.LOCK for sample in observation.samples):
        return 0
    return vitals.slices * observation.switch_interval_ns


def _starting_ns(observation: Observation) -> int:
    """How long it waited for a thread that it had started to run for the first time: no code's doing, a core's."""
    return sum(part.wall_ns for part in parts_of(observation) if starts_thread(part.sample))


def blind(observation: Observation) -> bool:
    """Whether there was nobody to look: no sample, since the machine or another thread kept loopwatch's own from running, too.

    The machine by giving it no core, other threads by computing, with the GIL perhaps. Who held the loop is then not known, nor
    whether anybody did.
    """
    vitals = observation.vitals
    if observation.samples or vitals is None or vitals.watchdog_runqueue_ns is None:
        return False
    kept_ns = vitals.watchdog_runqueue_ns + (vitals.other_cpu_ns or 0)
    return kept_ns >= HALF * max(0, observation.duration_ns - observation.threshold_ns // 4)


HALF = 0.5


def _in_a_wait(sample: Sample) -> bool:
    """Whether the thread sat in a system call that is no futex."""
    return sample.state in {"S", "D"} and sample.syscall is not None and sample.syscall.name not in TELLS_NOTHING
