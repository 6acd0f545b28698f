"""Between loops and threads by way of anyio: who had the loop run it, for whom a thread works, and on which loop it waits."""

import contextlib
import sys
import threading
import time

import pytest

from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .processes import require
from .sensing import describe, only, ours, run

anyio = pytest.importorskip("anyio")
from anyio.from_thread import start_blocking_portal  # noqa: E402 - only where it is installed


def block():
    time.sleep(0.2)


async def block_later():
    await anyio.sleep(0.01)
    time.sleep(0.2)


@pytest.fixture(params=["asyncio", "trio"])
def library(request):
    """Which library anyio runs on."""
    require(request.param)
    return request.param


@pytest.mark.parametrize("function", [block, block_later])
def test_called_through_a_portal(library, function):
    """What a thread has a loop run through a portal is told as that."""
    with capture_stalls(threshold_ms=100) as stalls, start_blocking_portal(library) as portal:
        portal.call(function)

    stall = only(stalls)
    assert stall.loop.backend == library
    assert stall.called_from == "another thread, through a blocking portal of anyio's"
    assert stall.origin.function == function.__qualname__


@pytest.mark.parametrize(("function", "way"), [(block, "run_sync"), (block_later, "run")])
def test_called_from_a_worker_thread(library, function, way):
    """So is what a worker thread has its own loop run."""

    async def main():
        await anyio.to_thread.run_sync(getattr(anyio.from_thread, way), function)

    with capture_stalls(threshold_ms=100) as stalls:
        anyio.run(main, backend=library)

    assert only(stalls).called_from.rpartition(".")[2] == way


def test_called_by_nobody(backend):
    """What the loop's own tasks do is called from nowhere else."""
    with capture_stalls(threshold_ms=100) as stalls:
        run(block_later, backend)

    assert only(stalls).called_from is None


def test_waiting_for_another_loop(library):
    """A loop that calls into another, which is stalled, waits for that one's thread; it is named, with the line it stands at."""

    async def main(portal):
        await anyio.sleep(0.01)
        portal.call(block)

    with capture_stalls(threshold_ms=100) as stalls, start_blocking_portal(library, name="the other loop") as portal:
        anyio.run(main, portal, backend="asyncio")

    (stall,) = [stall for stall in ours(stalls) if stall.cause is Cause.LOCK]
    assert stall.loop.thread == "MainThread"
    assert stall.holder.thread == "the other loop", describe(stall)
    assert stall.holder.stack[-1].function == "block"
    assert "it waited for thread 'the other loop', which was in block" in stall.evidence


def test_waiting_for_a_thread_that_waits_for_the_loop(library):
    """A loop that waits for a thread which waits for that same loop can never go on, and that is said."""
    given_up = threading.Event()

    async def main():
        token = anyio.lowlevel.current_token()

        def worker():
            with contextlib.suppress(Exception):
                anyio.from_thread.run(anyio.sleep, 0, token=token)

        thread = threading.Thread(target=worker, name="the worker")
        thread.start()
        thread.join(0.4)
        given_up.set()
        await anyio.sleep(0.05)

    with capture_stalls(threshold_ms=100) as stalls:
        anyio.run(main, backend=library)

    stall = only(stalls)
    assert stall.cause is Cause.LOCK
    assert (stall.holder.thread, stall.holder.waits_for) == ("the worker", "MainThread"), describe(stall)
    assert stall.evidence.endswith("and itself waits for this loop: neither can go on")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="told on 3.12 and newer")
@pytest.mark.filterwarnings("ignore:Using `httpx` with")  # what starlette's test client would rather use
def test_request_of_a_worker_thread(numbers):
    """Where a worker thread keeps the GIL, the request that it works for is named: in FastAPI, that of a plain `def` endpoint."""
    require("starlette", "httpx")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    def report(request):
        time.sleep(0.05)  # until the loop waits
        sorted(numbers)
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/reports/{year}", report)])
    found, tries = [], []
    while not found and len(tries) < 4:  # on a busy machine the loop may be starved of a core rather than of the GIL
        tries.append(True)
        with capture_stalls(threshold_ms=100) as stalls, TestClient(app) as client:
            client.portal.start_task_soon(ticking)
            client.get("/reports/2026")
        found = [stall for stall in stalls if stall.cause is Cause.GIL and stall.holder]

    assert found, list(map(describe, stalls))
    holder = found[0].holder
    assert holder.thread == "AnyIO worker thread"
    assert holder.request.label == "GET /reports/{year}"
    assert "(at work for GET /reports/{year})" in found[0].evidence


async def ticking():
    until = time.monotonic() + 1
    while time.monotonic() < until:
        await anyio.sleep(0.005)
