"""How a stall's time divides: which part each sample stands for, and what the machine took."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from loopwatch.judge.names import in_subprocess, named_cause, starts_thread
from loopwatch.observations import Hold, Observation, Sample
from loopwatch.records import Cause

__all__ = [
    "KEPT",
    "PROMPT_NS",
    "REMEMBERED",
    "Part",
    "Weights",
    "awaited",
    "held_ns",
    "kept_by",
    "overlap_ns",
    "parts_of",
    "waits_for_gil",
    "weigh",
]

KEPT = 0.25
"""CPU of other threads, as a share of the time in which this one stood still, from which on they may have kept the GIL. Not 1:
they, too, may have had to wait for a core."""
ALONE = 0.5
"""A watchdog that was kept out for this share of the wait is evidence enough by itself."""
PROMPT_NS = 2_000_000
"""A watchdog that got the GIL this soon found it free."""

REMEMBERED = 8
"""Of how many observations what was worked out is kept: rules, shares and stack of one stall ask for the same things."""
ENOUGH_INSIDE = 0.5
"""Clocks read inside the stall speak for it if they span this share of it; else those read around it must do."""


@dataclass(frozen=True, slots=True)
class Part:
    """The time for which one sample stands: since the one before it (the last one also until the end)."""

    sample: Sample
    wall_ns: int
    cpu_ns: int | None
    """CPU time of the loop thread in it; None where it is not known."""
    runqueue_ns: int | None
    other_cpu_ns: int | None


@dataclass(frozen=True, slots=True)
class Weights:
    """A stall's time by what took it. Nanoseconds; None where the platform cannot tell."""

    duration_ns: int
    cpu_ns: int | None
    runqueue_ns: int | None
    other_cpu_ns: int | None
    gc_ns: int
    late_ns: int
    """The longest that the watchdog was kept from the GIL."""
    stopped_ns: int = 0
    """How long the whole process stood still."""
    gil_ns: int = 0
    """How long another thread kept the GIL while this one was ready for it, at most."""

    @property
    def runnable_ns(self) -> int:
        """The time in which the thread could have run: a thread without a core cannot burn CPU."""
        return max(1, self.duration_ns - (self.runqueue_ns or 0) - self.stopped_ns)

    @property
    def cpu_share(self) -> float | None:
        return None if self.cpu_ns is None else min(1.0, self.cpu_ns / self.runnable_ns)

    @property
    def own_ns(self) -> int:
        """What is left when the machine, the collector and a foreign GIL have taken their parts."""
        # The collector, too, had to wait for a core: its part is one of the runnable time, not of the whole.
        return max(0, int(self.runnable_ns * (1 - min(1.0, self.gc_ns / max(1, self.duration_ns)))) - self.gil_ns)


@lru_cache(REMEMBERED)
def parts_of(observation: Observation) -> tuple[Part, ...]:
    """One part per sample; together they are the whole stall."""
    parts = []
    before: Sample | None = None
    start = observation.start_ns
    for sample in observation.samples:
        at = min(max(sample.at_ns, start), observation.end_ns)
        parts.append(_part(before, sample, at - start))
        before, start = sample, at
    if parts and observation.end_ns > start:
        last = parts[-1]
        parts[-1] = Part(
            last.sample, last.wall_ns + observation.end_ns - start, last.cpu_ns, last.runqueue_ns, last.other_cpu_ns
        )
    return tuple(parts)


def _part(before: Sample | None, sample: Sample, wall_ns: int) -> Part:
    if before is None:
        return Part(sample, wall_ns, None, None, None)
    cpu = _grown(before.cpu_ns, sample.cpu_ns)
    process = _grown(before.process_cpu_ns, sample.process_cpu_ns)
    other = None if cpu is None or process is None else max(0, process - cpu)
    return Part(sample, wall_ns, cpu, _grown(before.runqueue_ns, sample.runqueue_ns), other)


@lru_cache(REMEMBERED)
def weigh(observation: Observation) -> Weights:
    """Divide a stall's time, by clocks read inside it where they span enough of it, else by those read around it."""
    duration = observation.duration_ns
    vitals = observation.vitals
    inside = _inside(observation)
    cpu, runqueue, other = inside or (
        (vitals.cpu_ns, vitals.runqueue_ns, vitals.other_cpu_ns) if vitals is not None else (None, None, None)
    )
    late = max((sample.late_ns for sample in observation.samples), default=0)
    weights = Weights(
        duration_ns=duration,
        cpu_ns=None if cpu is None else min(cpu, duration),
        runqueue_ns=None if runqueue is None else min(runqueue, duration),
        other_cpu_ns=other,
        gc_ns=sum(overlap_ns(c.start_ns, c.end_ns, observation) for c in observation.collections),
        late_ns=max(late, vitals.watchdog_late_ns if vitals else 0),
        stopped_ns=min(duration, observation.stopped_ns),
    )
    return replace(weights, gil_ns=_gil_ns(weights, observation))


def _gil_ns(weights: Weights, observation: Observation) -> int:
    """Time in which the thread neither ran nor waited for a core, others computed, and the watchdog had to wait as well."""
    if weights.cpu_ns is None or weights.other_cpu_ns is None:
        return 0
    idle = max(0, weights.runnable_ns - weights.cpu_ns)
    if not observation.samples:
        # A watchdog that had no core either was late for that, and saw nobody keep the GIL.
        starved = (observation.vitals.watchdog_runqueue_ns or 0) if observation.vitals else 0
        idle = min(idle, max(0, weights.late_ns - starved))
    elif weights.late_ns < PROMPT_NS:
        return 0
    else:
        parts = parts_of(observation)
        eligible = sum(part.wall_ns for part in parts if waits_for_gil(part.sample))
        idle = min(idle, eligible)
        if weights.late_ns < ALONE * idle and kept_by(observation) is None:
            return 0  # others computed, but no thread of Python's that could have kept it
    return idle if weights.other_cpu_ns >= KEPT * idle else 0


@lru_cache(REMEMBERED)
def kept_by(observation: Observation) -> Hold | None:
    """The longest hold of the thread that kept the GIL for most of the time; None: nobody was seen to."""
    looks: dict[int, Hold] = {}
    for hold in (one for one in observation.holds if not one.awaited):
        there = looks.get(hold.at_ns)
        if there is None or hold.cpu_ns > there.cpu_ns:
            looks[hold.at_ns] = hold
    held: Counter[int] = Counter()
    for hold in looks.values():
        if hold.inside or hold.cpu_ns >= KEPT * hold.late_ns:
            held[hold.native_id] += overlap_ns(hold.at_ns - hold.late_ns, hold.at_ns, observation)
    if not held:
        return None
    heaviest, _ = held.most_common(1)[0]
    return max((one for one in looks.values() if one.native_id == heaviest), key=lambda one: (one.inside, one.late_ns))


def awaited(observation: Observation) -> Hold | None:
    """The thread whose end or result the loop's thread waits for; None: for none, or that cannot be told."""
    return next((hold for hold in observation.holds if hold.awaited), None)


def waits_for_gil(sample: Sample) -> bool:
    """Whether the thread may be waiting for the GIL: in a futex that no lock in sight explains."""
    if in_subprocess(sample) or (named_cause(sample) is Cause.LOCK and not starts_thread(sample)):
        return False
    return sample.syscall is None or sample.syscall.name in ("futex", "running", "other")


def held_ns(part: Part, observation: Observation) -> int:
    """For how long the loop's thread kept the GIL from the watchdog before this sample: no longer than it computed.

    On a busy machine the watchdog is late for one more reason: the thread that has the GIL has no core.
    """
    burned = part.cpu_ns
    if burned is None and observation.vitals is not None:
        burned = observation.vitals.cpu_ns
    return part.sample.late_ns if burned is None else min(part.sample.late_ns, burned)


def _inside(observation: Observation) -> tuple[int, int | None, int | None] | None:
    """CPU, run-queue wait and others' CPU between the first and the last sample, scaled to the whole stall."""
    if len(observation.samples) < 2:  # noqa: PLR2004 - a span has two ends
        return None
    first, last = observation.samples[0], observation.samples[-1]
    span = last.at_ns - first.at_ns
    cpu = _grown(first.cpu_ns, last.cpu_ns)
    if cpu is None or span < ENOUGH_INSIDE * observation.duration_ns:
        return None
    scale = observation.duration_ns / span
    runqueue = _grown(first.runqueue_ns, last.runqueue_ns)
    process = _grown(first.process_cpu_ns, last.process_cpu_ns)
    other = None if process is None else int(max(0, process - cpu) * scale)
    return int(cpu * scale), None if runqueue is None else int(runqueue * scale), other


def overlap_ns(start_ns: int, end_ns: int, observation: Observation) -> int:
    """How much of a stretch of time lies within the stall."""
    return max(0, min(end_ns, observation.end_ns) - max(start_ns, observation.start_ns))


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)
