"""Which thread kept the GIL: told by the growth of the threads' CPU clocks."""

import sys
import threading
import time

import pytest

from loopwatch.probes.holders import MAX_THREADS, HolderProbe

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads' CPU clocks are read on Linux only")


def burn(until):
    """Computes until told to stop."""
    while not until.is_set():
        sum(range(1000))


@pytest.fixture
def busy():
    """A thread that computes, and one that waits."""
    done = threading.Event()
    threads = [
        threading.Thread(target=burn, args=(done,), name="busy"),
        threading.Thread(target=done.wait, name="idle"),
    ]
    for thread in threads:
        thread.start()
    yield threads[0]
    done.set()
    for thread in threads:
        thread.join()


def suspects(probe):
    """Whom it suspects now."""
    return probe.suspects(sys._current_frames(), at_ns=0, late_ns=0)


def suspects_once_burned(probe, ns):
    """The suspects, as soon as the heaviest has burned so much."""
    while True:
        found = suspects(probe)
        if found and found[0][0].cpu_ns >= ns:
            return found
        time.sleep(0.001)


@linux
def test_heaviest(busy):
    """The thread that computed comes first, with what it burned and the functions on its stack."""
    probe = HolderProbe()
    probe.note()
    found = suspects_once_burned(probe, 50_000_000)

    hold, stack = found[0]
    assert (hold.thread, hold.native_id) == ("busy", busy.native_id)
    assert "burn" in [code.co_name for code, _, _ in stack.points]
    assert len(found) <= 2


@linux
def test_noted_clocks(busy):
    """What was burned before clocks were noted does not count."""
    probe = HolderProbe()
    probe.note()
    before = suspects_once_burned(probe, 50_000_000)[0][0].cpu_ns
    probe.note()

    burned = [hold.cpu_ns for hold, _ in suspects(probe) if hold.thread == "busy"]

    assert not burned or burned[0] < before


@linux
def test_idle_process_is_left_alone(monkeypatch):
    """While the process burns nothing, no clock is read."""
    probe = HolderProbe()
    monkeypatch.setattr(time, "process_time_ns", lambda: 10**10)
    probe.note()
    monkeypatch.setattr("loopwatch.probes.holders._threads", lambda: pytest.fail("clocks were read"))

    probe.note()


def test_many_threads():
    """However many threads there are, so many are asked at most."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(MAX_THREADS + 20)]
    for thread in threads:
        thread.start()
    probe = HolderProbe()
    probe.note()
    found = suspects(probe)
    done.set()
    for thread in threads:
        thread.join()

    assert len(probe._noted) <= MAX_THREADS
    assert len(found) <= 2


def test_where_there_is_no_clock(monkeypatch):
    """Without threads' clocks nobody is suspected."""
    monkeypatch.setattr("loopwatch.probes.threads.sys.platform", "darwin")

    probe = HolderProbe()
    probe.note()

    assert suspects(probe) == ()
