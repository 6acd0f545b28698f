"""Why the loop was held: ordered rules, each `(Observation) -> Verdict | None`, first answer wins.

The machine comes first (a stopped or starved process says nothing about code), then the collector and a foreign GIL, then what
the thread itself did. Every verdict carries the figures that it rests on.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from loopwatch.judge.evidence import ms, named_thread, own_doing_words, who_ran, why_starved
from loopwatch.judge.mechanism import mechanisms_of
from loopwatch.judge.weights import Weights, kept_by, parts_of, weigh
from loopwatch.observations import Observation, Sample, Verdict
from loopwatch.records import Cause

__all__ = ["DEBUGGER_MODULES", "RULES", "Rule", "verdict_of"]

Rule = Callable[[Observation], Verdict | None]

MOST = 0.5
"""What takes half of a stall is its cause."""
DEBUGGERS = ("/bdb.py", "/pdb.py")
DEBUGGER_MODULES = ("pydevd", "_pydevd", "debugpy", "ipdb", "pudb", "pdbpp")


def suspended(observation: Observation) -> Verdict | None:
    """A debugger held the thread, or nothing in the whole process ran."""
    held = sum(1 for sample in observation.samples if _at_breakpoint(sample))
    if held and held * 2 >= len(observation.samples):
        return Verdict(
            Cause.SUSPENDED, f"a debugger held the thread in {held} of {len(observation.samples)} samples", 0.95
        )
    weights = weigh(observation)
    stopped = weights.stopped_ns
    if stopped == 0 or stopped < (weights.runqueue_ns or 0) or weights.runnable_ns >= observation.threshold_ns:
        return None
    return Verdict(
        Cause.SUSPENDED,
        f"no thread of the process ran for {ms(stopped)} of {ms(weights.duration_ns)}, "
        "and the watchdog was not waiting for anything",
        0.9,
    )


def _at_breakpoint(sample: Sample) -> bool:
    return any(
        frame.file.endswith(DEBUGGERS) or (frame.module or "").startswith(DEBUGGER_MODULES) for frame in sample.stack
    )


def starved(observation: Observation) -> Verdict | None:
    """The thread was ready and the machine did not run it; with a core of its own this would not have been a stall."""
    weights = weigh(observation)
    waited = weights.runqueue_ns
    if waited is None or waited < MOST * weights.duration_ns or weights.runnable_ns >= observation.threshold_ns:
        return None
    return Verdict(
        Cause.STARVED,
        f"the thread was ready to run but waited for a core for {ms(waited)} of {ms(weights.duration_ns)}"
        + why_starved(observation.vitals, waited),
        min(1.0, waited / weights.duration_ns + 0.1),
    )


def collection(observation: Observation) -> Verdict | None:
    """The garbage collector ran on the loop's thread."""
    weights = weigh(observation)
    if weights.gc_ns < MOST * weights.duration_ns:
        return None
    longest = max(observation.collections, key=lambda one: one.end_ns - one.start_ns)
    return Verdict(
        Cause.GC,
        f"the garbage collector ran for {ms(weights.gc_ns)} of {ms(weights.duration_ns)} "
        f"(generation {longest.generation}, {longest.collected} objects freed)",
        0.98,
    )


def foreign_gil(observation: Observation) -> Verdict | None:
    """Another thread kept the GIL: this one was ready, the others burned CPU, and the watchdog did not get in either."""
    weights = weigh(observation)
    if weights.gil_ns < MOST * weights.duration_ns:
        return None
    what = "was due to wake" if observation.waited else "was ready"
    hold = kept_by(observation)
    who = named_thread(hold) if hold is not None else "another thread"
    sure = 0.9 if hold is not None and observation.exact else 0.7
    return Verdict(
        Cause.GIL,
        f"the loop {what}, but {who} kept the GIL for up to {ms(weights.gil_ns)} of {ms(weights.duration_ns)}; "
        f"other threads burned {ms(weights.other_cpu_ns or 0)} of CPU, the loop's thread {ms(weights.cpu_ns or 0)}",
        sure,
    )


def overload(observation: Observation) -> Verdict | None:
    """Many callbacks in one turn, none of them long."""
    steps = _steps(observation)
    if steps is None:
        return None
    ran, longest_ns = steps
    if ran < OVERLOAD_CALLBACKS or longest_ns >= min(observation.threshold_ns, MOST * observation.duration_ns):
        return None
    return Verdict(
        Cause.OVERLOAD,
        f"at least {ran} callbacks ran in one turn of {ms(observation.duration_ns)}, most often of {who_ran(observation)}; "
        f"none was seen to last {ms(longest_ns)}",
        0.85,
    )


OVERLOAD_CALLBACKS = 5


def _steps(observation: Observation) -> tuple[int, int] | None:
    """How many callbacks the samples tell apart, and the longest time in which the same one ran; None: not decidable."""
    parts = parts_of(observation)
    marks = [part.sample.progress or (part.sample.task_id, 0) for part in parts]
    if len(parts) < 3 or all(mark[0] is None for mark in marks):  # noqa: PLR2004 - two samples show no series
        return None
    longest = run = 0
    for before, mark, part in zip([None, *marks], marks, parts, strict=False):
        run = part.wall_ns - (part.runqueue_ns or 0) + (run if mark == before else 0)
        longest = max(longest, run)
    counted = [part.sample.progress for part in parts if part.sample.progress is not None]
    ran = counted[-1][0] - counted[0][0] + 1 if counted else len(set(marks))
    return ran, longest


def own_doing(observation: Observation) -> Verdict | None:
    """What the thread itself did for most of the time: computing in Python or C, or waiting, and for what."""
    weights = weigh(observation)
    times: Counter[Cause] = Counter()
    for part, mechanism in zip(parts_of(observation), mechanisms_of(observation), strict=True):
        times[mechanism] += part.wall_ns
    times.pop(Cause.UNKNOWN, None)
    if not times:
        return None
    cause, taken = times.most_common(1)[0]
    agreeing = mechanisms_of(observation).count(cause)
    share = taken / max(1, observation.duration_ns)
    return Verdict(
        cause,
        own_doing_words(cause, agreeing, observation),
        round(_confidence(cause, weights) * min(1.0, share + 0.3), 2),
    )


def _confidence(cause: Cause, weights: Weights) -> float:
    if weights.cpu_share is None:
        return 0.5  # frames alone
    distance = abs(weights.cpu_share - 0.5) * 2
    return 0.6 + 0.35 * distance


def undecided(observation: Observation) -> Verdict:
    """No rule answered: say which evidence was missing."""
    weights = weigh(observation)
    if not observation.samples:
        missing = "no sample could be taken while it lasted"
    elif weights.cpu_ns is None:
        missing = "this platform has no CPU clock for threads, and the frames do not tell"
    else:
        missing = (
            f"the thread was on the CPU for {ms(weights.cpu_ns)} of {ms(weights.duration_ns)}, "
            "and neither frames nor system call tell what it waited for"
        )
    return Verdict(Cause.UNKNOWN, missing, 0.0)


def by_clock_alone(observation: Observation) -> Verdict | None:
    """Without a sample the CPU clock still tells computing; and if the watchdog was kept out, it was C code."""
    weights = weigh(observation)
    if observation.samples or weights.cpu_share is None or weights.cpu_share < 0.7:  # noqa: PLR2004
        return None
    held = weights.late_ns >= MOST * weights.duration_ns
    text = f"the thread was on the CPU for {ms(weights.cpu_ns or 0)} of {ms(weights.duration_ns)}; no sample could be taken"
    return Verdict(Cause.NATIVE, f"{text}, since the GIL was kept for {ms(weights.late_ns)}", 0.6) if held else None


RULES: tuple[Rule, ...] = (suspended, starved, collection, foreign_gil, overload, own_doing, by_clock_alone)


def verdict_of(observation: Observation, rules: Sequence[Rule] = RULES) -> Verdict:
    """The first rule's answer, or `unknown` with what was missing."""
    for rule in rules:
        verdict = rule(observation)
        if verdict is not None:
            return verdict
    return undecided(observation)
