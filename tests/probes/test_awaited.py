"""For which thread does a thread wait? Told by the standard library's own frames."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopwatch.probes.awaited import awaited_thread


def seen_from(waiter):
    """Whom thread `waiter` is seen to wait for, as soon as it does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        frames = sys._current_frames()
        found = awaited_thread(frames.get(waiter.ident), frames)
        frames.clear()
        if found is not None:
            return found
        time.sleep(0.005)
    return None


@pytest.fixture
def work():
    """Something that lasts until it is told to end."""
    done = threading.Event()
    yield done
    done.set()


def waiting(call):
    """A thread that makes this call."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_join(work):
    """A thread that joins another waits for that one."""
    worker = waiting(work.wait)
    waiter = waiting(worker.join)

    found = seen_from(waiter)
    work.set()
    waiter.join()

    assert found == worker.ident


def test_result(work):
    """A thread that asks a future for its result waits for the pool's thread that works on it, and for no other."""
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(work.wait)
        idents = []
        future = pool.submit(lambda: (idents.append(threading.get_ident()), work.wait()))
        waiter = waiting(future.result)

        found = seen_from(waiter)
        work.set()
        waiter.join()

    assert other.result()
    assert [found] == idents


def test_future_that_nobody_works_on(work):
    """A future that still waits in the pool's queue has no thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work.wait)
        queued = pool.submit(int)
        waiter = waiting(lambda: queued.result(30))
        while not queued._condition._waiters:
            time.sleep(0.001)
        frames = sys._current_frames()

        assert awaited_thread(frames[waiter.ident], frames) is None
        frames.clear()
        work.set()
        waiter.join()


def test_other_waits(work):
    """A lock, or a thread without a frame, tells nobody."""
    waiter = waiting(work.wait)
    frames = sys._current_frames()

    assert awaited_thread(frames.get(waiter.ident), frames) is None
    assert awaited_thread(None, frames) is None
    frames.clear()
    work.set()
    waiter.join()
