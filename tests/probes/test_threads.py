"""Clocks and system calls of a thread, read from another one."""

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from loopwatch.probes import threads
from loopwatch.probes.threads import RawCall, ThreadProbe, context_switches

PATIENCE_S = 10.0
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's procfs and clocks")


@contextmanager
def running(target):
    """A thread that runs `target(stop)`, and a probe of it; `stop` is set in the end."""
    stop, began, native = threading.Event(), threading.Event(), []

    def run():
        native.append(threading.get_native_id())
        began.set()
        target(stop)

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(PATIENCE_S)
    probe = ThreadProbe(native[0])
    try:
        yield probe
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        probe.close()
        until_gone(native[0])


def until_gone(native_id):
    """Comes back when the kernel has let a thread go, which is a moment after Python has."""
    deadline = time.monotonic() + PATIENCE_S
    while os.path.exists(f"/proc/self/task/{native_id}") and time.monotonic() < deadline:
        time.sleep(0)


def seen(probe, name):
    """The first reading of that system call."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        call = probe.syscall()
        if call is None:
            pytest.skip("this kernel does not show system calls")
        if call.name == name:
            return call
        time.sleep(0)  # the thread needs the GIL to get there
    return pytest.fail(f"never in {name}; in the end in {call}")


def naps(stop):
    """Sleeps until it is stopped."""
    while not stop.is_set():
        time.sleep(0.02)


def burns(stop):
    """Computes until it is stopped."""
    while not stop.is_set():
        sum(range(1000))


# ── clocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@linux
def test_cpu_clock():
    """The clock of a thread that computes goes on; that of one that waits stands nearly still."""
    with running(burns) as busy, running(lambda stop: stop.wait(PATIENCE_S)) as idle:
        begin = busy.cpu_ns(), idle.cpu_ns()
        deadline = time.monotonic() + PATIENCE_S
        while busy.cpu_ns() - begin[0] < 5_000_000 and time.monotonic() < deadline:
            pass

        assert busy.cpu_ns() - begin[0] >= 5_000_000
        assert idle.cpu_ns() - begin[1] < 1_000_000


@linux
def test_exited_thread():
    """A thread that has ended has no clock, no system call and no schedule: asking is harmless."""
    with running(lambda stop: None) as probe:
        pass
    gone = ThreadProbe(probe._native_id)

    for one in (probe, gone):
        assert (one.cpu_ns(), one.schedule(), one.syscall()) == (None, None, None)


@linux
def test_thread_that_ends_meanwhile():
    """Files that were opened while it lived have nothing more to say, either."""
    with running(lambda stop: stop.wait(PATIENCE_S)) as probe:
        alive = probe.cpu_ns()
        still_open = ThreadProbe(probe._native_id)

    assert alive is not None
    assert (still_open.cpu_ns(), still_open.schedule(), still_open.syscall()) == (None, None, None)
    still_open.close()


@linux
def test_own_schedule():
    """How long a thread waited for a core, and how often it was put on one, only grows."""
    probe = ThreadProbe(threading.get_native_id())
    first = probe.schedule()
    if first is None:
        pytest.skip("this kernel keeps no schedstat")
    time.sleep(0.001)
    second = probe.schedule()
    probe.close()

    assert second.waited_ns >= first.waited_ns
    assert second.slices > first.slices > 0


def test_context_switches():
    """Voluntary context switches count up with every wait."""
    before = context_switches()
    if before is None:
        pytest.skip("this platform does not count them")
    time.sleep(0.001)

    assert context_switches() > before


def test_not_linux(monkeypatch):
    """Elsewhere the CPU clock is not known."""
    monkeypatch.setattr(threads.sys, "platform", "darwin")

    assert ThreadProbe.cpu_of(threading.get_native_id()) is None


# ── system calls ────────────────────────────────────────────────────────────────────────────────────────────────────


@linux
def test_sleeping():
    """A sleeping thread is in `clock_nanosleep`, about no descriptor."""
    with running(naps) as probe:
        assert seen(probe, "clock_nanosleep") == RawCall("clock_nanosleep")


@linux
def test_receiving():
    """A thread that reads from a socket is in `recvfrom`, about a socket."""
    mine, its = socket.socketpair()
    with mine, its, running(lambda stop: its.recv(1)) as probe:
        call = seen(probe, "recvfrom")
        mine.send(b"x")

        assert (call.fd, call.resolved().target) == (its.fileno(), "socket")


@linux
def test_receiving_with_a_timeout():
    """With a timeout Python polls the socket first: the descriptor is found in the array that is polled."""
    mine, its = socket.socketpair()
    its.settimeout(PATIENCE_S)
    with mine, its, running(lambda stop: its.recv(1)) as probe:
        call = seen(probe, "poll")
        mine.send(b"x")

        assert (call.fd, call.resolved().target) == (its.fileno(), "socket")


@linux
def test_reading_a_pipe():
    """A thread that reads from a pipe is in `read`, about a pipe."""
    read_end, write_end = os.pipe()
    with running(lambda stop: os.read(read_end, 1)) as probe:
        call = seen(probe, "read")
        os.write(write_end, b"x")

    assert (call.fd, call.resolved().target) == (read_end, "pipe")
    os.close(read_end)
    os.close(write_end)


@linux
def test_waiting_for_a_lock():
    """A thread that waits for a lock is in `futex`."""
    with running(lambda stop: stop.wait(PATIENCE_S)) as probe:
        assert seen(probe, "futex").resolved().target is None


@linux
def test_own_call():
    """A thread that asks about itself is, at that moment, reading the answer or running."""
    probe = ThreadProbe(threading.get_native_id())
    call = probe.syscall()
    probe.close()

    assert call is None or call.name in ("running", "pread64")


# ── decoding ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "words", [b"", b"-1 0x0", b"garbage", b"999999 0x1 0x2", b"7", b"7 nonsense", b"7 0x0 0x1", b"0 0xffffffffffffffff"]
)
def test_any_text(monkeypatch, words):
    """Whatever a kernel says there, the answer is a call or None."""
    probe = ThreadProbe(threading.get_native_id())
    monkeypatch.setattr(threads.procfs, "read", lambda descriptor: words)

    call = probe.syscall()
    monkeypatch.undo()
    probe.close()

    assert call is None or call.resolved().name == call.name


# ── descriptors of our own ──────────────────────────────────────────────────────────────────────────────────────────


@linux
def test_close():
    """`close` gives back what was opened; afterwards, and when closed twice, nothing is known."""
    before = len(os.listdir("/proc/self/fd"))
    probe = ThreadProbe(threading.get_native_id())
    probe.syscall()

    probe.close()
    probe.close()

    assert (probe.schedule(), probe.syscall()) == (None, None)
    assert len(os.listdir("/proc/self/fd")) == before


@linux
def test_files_are_opened_when_they_are_needed():
    """A probe that was asked nothing holds no file, one that was asked holds that one; all go with the probe."""
    before = len(os.listdir("/proc/self/fd"))
    probe = ThreadProbe(threading.get_native_id())
    assert len(os.listdir("/proc/self/fd")) == before

    probe.schedule()
    probe.schedule()
    assert len(os.listdir("/proc/self/fd")) == before + 1

    del probe
    assert len(os.listdir("/proc/self/fd")) == before
