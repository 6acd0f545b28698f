"""Where another thread kept the GIL, its line is named, and the loop's own is not."""

from facts import call, frame, hold, library, observation, samples, vitals

from loopwatch.judge import judge
from loopwatch.records import Cause

RENDER = frame("render", 20, point="call")
WORKER = library("concurrent.futures.thread._worker", kind="stdlib", file="/usr/lib/concurrent/futures/thread.py")


def kept(*holds, **fields):
    """The stall of a loop that waited for the GIL all the time."""
    seen = samples(frame("handler"), cpu=0.01, others=1.0, runqueue=0.0, late_ms=30, syscall=call("futex"))
    return judge(observation(*seen, holds=holds, vitals=vitals(other_cpu_ms=400, late_ms=300), **fields), 100)


def test_holder():
    """The thread that kept the GIL is named with its stack, and the line on which it did."""
    stall = kept(hold(300, 10, "reports", WORKER, RENDER, cpu_ms=300))

    assert stall.cause is Cause.GIL
    assert (stall.holder.thread, stall.holder.stack) == ("reports", (WORKER, RENDER))
    assert (stall.origin.function, stall.origin.line, stall.origin.exact) == ("render", 20, True)
    assert "'reports'" in stall.evidence


def test_one_long_hold():
    """After one long hold the thread may have gone on before the watchdog got in: the line is an inference."""
    stall = kept(hold(300, 290, "reports", WORKER, RENDER, cpu_ms=300))

    assert (stall.origin.line, stall.origin.exact, stall.origin.candidates) == (20, False, (20,))


def test_finished_holder():
    """A worker that has finished keeps its name and is given no line."""
    stall = kept(hold(300, 290, "pool-0", WORKER, cpu_ms=300))

    assert stall.holder.thread == "pool-0"
    assert stall.origin is None


def test_nobody_seen():
    """Where nobody was seen to keep it, no thread and no line is named."""
    stall = kept()

    assert stall.cause is Cause.GIL
    assert (stall.holder, stall.origin) == (None, None)
