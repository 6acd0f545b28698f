"""A stall is seen though C code, the collector or another thread kept the watchdog from running meanwhile."""

import asyncio
import gc
import socket
import subprocess
import sys
import time

import pytest

from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .sensing import Blocker, assert_another_thread_is_blamed, assert_duration, describe, ours, run, stall_of


@pytest.fixture
def heap():
    """Objects that take the collector some 200 ms to visit."""
    objects = [[number] for number in range(1_000_000)]
    gc.collect()
    began = time.thread_time()
    gc.collect()
    wanted = int(1_000_000 * 0.2 / (time.thread_time() - began))
    objects.extend([number] for number in range(wanted - len(objects)))
    gc.collect()
    return objects


def test_c_call(backend, numbers):
    """A C call that kept the GIL from its start to its end is one stall of its length."""
    blocker = Blocker(lambda: sorted(numbers))

    async def main():
        await asyncio.sleep(0.02)
        blocker()
        await asyncio.sleep(0.02)

    stall = stall_of(main, backend)

    assert_duration(stall, blocker.took_ms[-1])
    assert stall.cause is Cause.NATIVE, describe(stall)


def test_collection(backend, heap):
    """A collection that takes longer than the threshold is one stall, and the collector's."""
    blocker = Blocker(gc.collect)

    async def main():
        await asyncio.sleep(0.02)
        blocker()
        await asyncio.sleep(0.02)

    stall = stall_of(main, backend)

    assert_duration(stall, blocker.took_ms[-1])
    assert stall.cause is Cause.GC, describe(stall)
    assert stall.own_ms <= 0.2 * stall.duration_ms, describe(stall)


def test_due_timer_kept_waiting_by_another_thread(backend, numbers):
    """A timer that fell due while another thread kept the GIL was held up: lost time, and nobody's line."""
    late = []

    def sort():
        time.sleep(0.02)  # until the loop waits
        sorted(numbers)

    async def main():
        sorting = asyncio.get_running_loop().run_in_executor(None, sort)
        due = time.monotonic() + 0.05
        await asyncio.sleep(0.05)
        late.append((time.monotonic() - due) * 1000)
        await sorting

    stall = stall_of(main, backend)

    assert_another_thread_is_blamed(stall, "sort")
    assert 0.6 * late[-1] <= stall.duration_ms <= late[-1] + 80, f"{late[-1]:.0f} ms late; {describe(stall)}"


SENDER = """
import socket, sys, time
there = socket.socket(fileno=int(sys.argv[1]))
while sys.stdin.buffer.read(1):
    sys.stdout.buffer.write(b"!")
    sys.stdout.buffer.flush()
    time.sleep(0.1)
    there.send(b"x")
"""


@pytest.fixture
def sender():
    """A process that answers a byte on its standard input at once, and sends one to a socket 0.1 s later."""
    here, there = socket.socketpair()
    here.setblocking(False)
    command = [sys.executable, "-Sc", SENDER, str(there.fileno())]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0, "pass_fds": [there.fileno()]}
    with here, there, subprocess.Popen(command, **options) as process:
        process.here = here
        yield process
        process.stdin.close()


def test_ready_socket_kept_waiting_by_another_thread(backend, numbers, sender):
    """The same for a socket that became ready: the loop waited without a timeout, and was not woken."""

    def sort():
        sender.stdin.write(b"?")
        sender.stdout.read(1)
        sorted(numbers)

    async def main():
        loop = asyncio.get_running_loop()
        sorting = loop.run_in_executor(None, sort)
        await loop.sock_recv(sender.here, 1)
        await sorting

    assert_another_thread_is_blamed(stall_of(main, backend), "sort")


def test_turn_slowed_by_another_thread(backend, numbers):
    """A short turn that another thread's C code stretched is not called the code's doing."""

    def short():
        for _ in range(1000):
            sum(range(100))

    async def main():
        loop = asyncio.get_running_loop()
        sorting = loop.run_in_executor(None, sorted, numbers)
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            short()
            await asyncio.sleep(0)
        await sorting

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)

    for stall in ours(stalls):
        assert stall.cause in (Cause.GIL, Cause.UNKNOWN, Cause.GC), describe(stall)
