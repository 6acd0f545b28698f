"""What a watch keeps of a thread from one run of a loop to the next."""

import asyncio
import os
import sys
import threading
import time

import pytest

from loopwatch.enabling import watching
from loopwatch.engine import ENGINE
from loopwatch.testing import capture_stalls

linux = pytest.mark.skipif(sys.platform != "linux", reason="procfs is Linux's")


async def nothing():
    pass


async def blocks():
    time.sleep(0.15)


def open_schedstats():
    """How many threads' schedules are held open."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{descriptor}").endswith("/schedstat")
        except OSError:
            continue
    return found


@linux
def test_files_of_a_thread():
    """They are opened once a thread, not once a run, and given back when the thread or the watch ends."""
    before = open_schedstats()
    with watching(sinks=()):
        asyncio.run(nothing())
        after_one = open_schedstats()
        for _ in range(20):
            asyncio.run(nothing())
        assert before < after_one == open_schedstats()

        for _ in range(20):
            thread = threading.Thread(target=asyncio.run, args=(nothing(),))
            thread.start()
            thread.join()
        ENGINE.flush(10)
        assert open_schedstats() <= after_one + 1
    assert open_schedstats() == before


def test_settled():
    """A watch that has judged all there was says so without a look; not while a loop runs a turn."""
    inside = []

    async def main():
        inside.append(ENGINE.settled)

    with watching(sinks=()):
        asyncio.run(main())
        ENGINE.flush(10)
        deadline = time.monotonic() + 10
        while not ENGINE.settled and time.monotonic() < deadline:
            time.sleep(0.001)
        assert ENGINE.settled

    assert inside == [False]


def test_a_stall_is_not_settled():
    """From the end of a stall until it has been judged there is something to wait for."""
    judged = threading.Event()

    with capture_stalls(threshold_ms=100) as stalls:
        receive, ENGINE.delivery._receive = ENGINE.delivery._receive, lambda seen: judged.wait(10) and receive(seen)
        try:
            asyncio.run(blocks())
            assert not ENGINE.settled
        finally:
            judged.set()
            ENGINE.flush(10)
            ENGINE.delivery._receive = receive

    assert stalls


def test_last_turns():
    """A run that is over is told of only if it blocked; the watchdog is not woken for others."""
    rung = []
    with capture_stalls(threshold_ms=60_000) as quiet:
        asyncio.run(nothing())
        ENGINE.flush(10)
        ring, ENGINE._thread.ring = ENGINE._thread.ring, lambda *command: rung.append(command)
        try:
            asyncio.run(nothing())
        finally:
            ENGINE._thread.ring = ring

    assert (rung, quiet) == ([], [])
