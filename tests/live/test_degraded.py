"""Without the kernel's evidence, as on macOS and Windows, stalls are seen all the same; causes come from the frames."""

import asyncio
import http.client
import queue
import socket
import subprocess
import sys
import time

import pytest

from loopwatch.probes import procfs, threads
from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .sensing import burn, describe, only, run


@pytest.fixture
def without_kernel(monkeypatch):
    """No procfs, no CPU clocks of threads, no count of context switches."""
    monkeypatch.setattr(procfs, "open_file", lambda path: None)
    monkeypatch.setattr(threads.ThreadProbe, "cpu_of", staticmethod(lambda native_id: None))
    monkeypatch.setattr(threads, "resource", None)


def receives():
    """Waits 0.3 s for a server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.getsockname()[1], timeout=0.3)
        with pytest.raises(TimeoutError):
            connection.request("GET", "/")
            connection.getresponse()
        connection.close()


def dequeues():
    """Waits 0.3 s for an item that nobody puts."""
    with pytest.raises(queue.Empty):
        queue.Queue().get(timeout=0.3)


WAITS = [
    (Cause.SLEEP, lambda: time.sleep(0.3)),
    (Cause.NETWORK, receives),
    (Cause.LOCK, dequeues),
    (Cause.SUBPROCESS, lambda: subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)"], check=True)),
]


def stall_of(act, backend):
    """The one stall of a loop that is blocked so."""

    async def main():
        await asyncio.sleep(0.02)
        act()
        await asyncio.sleep(0.02)

    with capture_stalls(threshold_ms=100) as stalls:
        run(main, backend)
    return only(stalls)


@pytest.mark.usefixtures("without_kernel")
@pytest.mark.parametrize(("cause", "act"), WAITS, ids=[cause.value for cause, _ in WAITS])
def test_waits(backend, cause, act):
    """What a thread waits for is told by the names of the calls that it stands in."""
    stall = stall_of(act, backend)

    assert stall.cause is cause, describe(stall)
    assert stall.confidence <= 0.5


@pytest.mark.usefixtures("without_kernel")
def test_computing(backend):
    """Whether a thread computed cannot be told: the line is, and the evidence says what is missing."""
    stall = stall_of(lambda: burn(0.3), backend)

    assert stall.cause in (Cause.UNKNOWN, Cause.PYTHON, Cause.NATIVE), describe(stall)
    assert stall.confidence <= 0.5
    assert stall.origin.function == "burn"
    assert "no CPU clock for threads" in stall.evidence
