"""An idle loop is left alone; a loop that shows nothing of itself is watched all the same."""

import asyncio
import resource
import selectors
import sys
import threading
import time

import pytest

from loopwatch.heartbeats import libuv
from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .foreign import DelegatingLoop, TinyLoop
from .sensing import Blocker, assert_duration, describe, only, ours, run

BEAT_MS = 25
"""Between two beats of the timer heartbeat at a threshold of 100 ms: by so much it may be wrong at either end."""


class CountingSelector(selectors.DefaultSelector):
    """Counts how often its loop polls."""

    polls = 0

    def select(self, timeout=None):
        self.polls += 1
        return super().select(timeout)


def test_idle_loop_does_not_poll():
    """Watched for two seconds, an idle asyncio loop polls as often as one that nobody watches."""
    selector = CountingSelector()

    async def main():
        await asyncio.sleep(0.2)
        before = selector.polls
        await asyncio.sleep(2)
        return selector.polls - before

    with capture_stalls(threshold_ms=100):
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            polls = runner.run(main())

    # One poll that waits for the timer; the clock's grain may add one or two without wait.
    assert polls <= 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts context switches of a thread, as Linux does")
def test_idle_loop_is_not_woken(backend):
    """The thread of an idle loop sleeps through: it makes no context switch of its own for two seconds."""

    def switches():
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    async def main():
        await asyncio.sleep(0.2)
        before = switches()
        await asyncio.sleep(2)
        return switches() - before

    with capture_stalls(threshold_ms=100):
        woken = run(main, backend)

    # The wait itself, and on its end perhaps the wait for the GIL.
    assert woken <= 4


def blocking(blocker):
    """A coroutine function that blocks in the middle of its life."""

    async def main():
        await asyncio.sleep(0.1)
        blocker()
        await asyncio.sleep(0.1)

    return main


@pytest.fixture
def hidden_libuv(monkeypatch):
    """uvloop does not show libuv's functions, as in a build with hidden symbols."""
    pytest.importorskip("uvloop")
    monkeypatch.setattr(libuv, "load", lambda: None)


def test_uvloop_without_symbols(hidden_libuv):
    """Without libuv's symbols uvloop is watched by a timer: the stall is seen, and its timing is said to be a bound."""
    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls:
        run(blocking(blocker), "uvloop")

    stall = only(stalls)
    assert stall.loop.backend == "uvloop"
    assert stall.timing == "bounded"
    assert stall.cause is Cause.SLEEP, describe(stall)
    assert stall.origin.function.endswith("Blocker.<lambda>"), describe(stall)
    assert blocker.took_ms[0] - BEAT_MS - 5 <= stall.duration_ms <= blocker.took_ms[0] + BEAT_MS + 25, describe(stall)


def test_uvloop_without_symbols_in_its_last_act(hidden_libuv):
    """The timer heartbeat knows of a block after which the loop stops as well."""
    blocker = Blocker()

    async def main():
        await asyncio.sleep(0.1)
        blocker()

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, "uvloop")

    assert len(ours(stalls)) == 1


def test_uvloop_without_symbols_honest_load(hidden_libuv):
    """A busy loop that never blocks for long is no stall to the timer either."""

    async def main():
        for _ in range(400):
            time.sleep(0.002)
            await asyncio.sleep(0)

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, "uvloop")

    assert list(map(describe, ours(stalls))) == []


def test_foreign_loop():
    """A loop class of another's making, no relative of asyncio's own, is watched by the timer heartbeat."""
    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls, asyncio.Runner(loop_factory=TinyLoop) as runner:
        runner.run(blocking(blocker)())

    stall = only(stalls)
    assert stall.loop.backend == TinyLoop.__module__.partition(".")[0]
    assert stall.timing == "bounded"
    assert stall.cause is Cause.SLEEP, describe(stall)
    assert blocker.took_ms[0] - BEAT_MS - 5 <= stall.duration_ms <= blocker.took_ms[0] + BEAT_MS + 25, describe(stall)


def test_foreign_loop_that_runs_already():
    """A foreign loop that ran before the watch began is found as well."""
    blocker, running = Blocker(), threading.Event()
    loop, stop = None, None

    async def main():
        nonlocal loop, stop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        running.set()
        await stop.wait()

    def target():
        with asyncio.Runner(loop_factory=TinyLoop) as runner:
            runner.run(main())

    thread = threading.Thread(target=target)
    thread.start()
    assert running.wait(10)
    with capture_stalls(threshold_ms=100) as stalls:
        time.sleep(0.1)
        loop.call_soon_threadsafe(blocker)
        time.sleep(0.4)
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)

    assert len(ours(stalls)) == 1, list(map(describe, ours(stalls)))


def test_loop_around_a_loop():
    """A loop that hands its work to one of asyncio's is reported once, not by both."""
    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls, asyncio.Runner(loop_factory=DelegatingLoop) as runner:
        runner.run(blocking(blocker)())

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0], over_ms=BEAT_MS + 25)


def test_subclass_of_asyncios_loop():
    """A subclass of asyncio's loop is asyncio: its turns are known exactly."""

    class OurLoop(asyncio.SelectorEventLoop):
        """A loop with a `run_forever` of its own."""

        def run_forever(self):
            super().run_forever()

    blocker = Blocker()
    with capture_stalls(threshold_ms=100) as stalls, asyncio.Runner(loop_factory=OurLoop) as runner:
        runner.run(blocking(blocker)())

    stall = only(stalls)
    assert stall.loop.backend == "asyncio"
    assert stall.timing == "exact"
    assert_duration(stall, blocker.took_ms[0])
