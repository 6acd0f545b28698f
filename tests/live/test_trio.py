"""What trio adds: tasks in batches, worker threads, guest runs, servers; besides what `backend` shows of all loops."""

import asyncio
import functools
import threading
import time

import pytest

import loopwatch
from loopwatch.records import Cause
from loopwatch.testing import capture_stalls

from .processes import require
from .sensing import Blocker, assert_another_thread_is_blamed, assert_duration, burn, describe, only, ours, stall_of

trio = pytest.importorskip("trio")


def blocking(blocker):
    """An async function that blocks in the middle of its life."""

    async def main():
        await trio.sleep(0.02)
        blocker()
        await trio.sleep(0.02)

    return main


@pytest.mark.parametrize("where", ["first", "last", "only"])
def test_edges_of_a_run(where):
    """A block in the first act of a run, in its last, or in its only one is seen, for as long as it lasted."""
    blocker = Blocker()

    async def main():
        if where == "last":
            await trio.sleep(0.02)
        blocker()
        if where == "first":
            await trio.sleep(0.02)

    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(main)

    assert_duration(only(stalls), blocker.took_ms[0])


def test_tasks_that_wait():
    """While one task blocks, those ready to run are counted: also those of the same batch, which have left trio's queue."""
    entered = []

    async def work():
        entered.append(True)
        if len(entered) == 1:
            time.sleep(0.25)

    async def main():
        await trio.sleep(0.01)
        async with trio.open_nursery() as nursery:
            for _ in range(41):
                nursery.start_soon(work)

    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(main)

    stall = only(stalls)
    assert stall.waiting.callbacks == 40
    assert (stall.task, stall.nurseries) == (work.__qualname__, (main.__qualname__,))


def test_many_tasks_in_one_batch():
    """Three hundred tasks of a millisecond that are ready together are one stall, and no single line's."""

    async def work():
        burn(0.001)

    async def main():
        await trio.sleep(0.02)
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(work)

    stall = stall_of(main, "trio")
    for _ in range(3):  # a machine that takes the core from one of them for long makes that one look guilty: once more
        stall = stall if stall.cause is Cause.OVERLOAD else stall_of(main, "trio")

    assert stall.cause is Cause.OVERLOAD, describe(stall)
    assert stall.origin is None


def test_runs_in_several_threads():
    """Runs in four threads at a time are told apart."""
    together = threading.Barrier(4)

    async def main():
        together.wait(30)
        await trio.sleep(0.01)
        time.sleep(0.25)

    threads = [threading.Thread(target=trio.run, args=(main,), name=f"run {number}") for number in range(4)]
    with capture_stalls(threshold_ms=100) as stalls:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    found = [stall for stall in ours(stalls) if stall.cause is Cause.SLEEP]
    assert sorted(stall.loop.thread for stall in found) == [f"run {number}" for number in range(4)]
    assert len({stall.loop.thread_id for stall in found}) == 4


def test_worker_threads():
    """What blocks a worker thread is no stall; what that thread has the loop do is one, and names the line."""

    def worker():
        time.sleep(0.25)
        trio.from_thread.run_sync(time.sleep, 0.2)
        trio.from_thread.run(blocking(lambda: time.sleep(0.2)))

    async def main():
        await trio.to_thread.run_sync(worker)

    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(main)

    first, second = ours(stalls)
    assert first.cause is Cause.SLEEP
    assert second.origin.file == __file__


def test_guest_of_asyncio():
    """A guest run on asyncio is told once, by its host, with trio's task, its allowances, and a stack that begins at its code."""
    blocker = Blocker()

    async def guest():
        await trio.sleep(0.02)
        blocker()
        with loopwatch.allow("once"):
            await trio.sleep(0.02)
            time.sleep(0.2)

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        (await done).unwrap()

    stalls = []
    with loopwatch.watching(threshold_ms=100, sinks=[stalls.append]) as watch:
        asyncio.run(main())
        assert watch.flush(10)
        assert watch.stats().allowed == 1

    stall = only(stalls)
    assert_duration(stall, blocker.took_ms[0])
    assert (stall.loop.backend, stall.task) == ("asyncio", guest.__qualname__)
    assert stall.stack[0].function == guest.__qualname__


def test_within_asyncio():
    """`trio.run` in a coroutine of asyncio holds that loop for as long as it lasts, and is told as that."""

    async def main():
        await asyncio.sleep(0.01)
        trio.run(trio.sleep, 0.25)

    with capture_stalls(threshold_ms=100) as stalls:
        asyncio.run(main())

    stall = only(stalls)
    assert stall.loop.backend == "asyncio"
    assert stall.duration_ms >= 240


def test_due_timer_kept_waiting_by_another_thread(numbers):
    """A deadline that passed while another thread kept the GIL was held up: lost time, and nobody's line."""
    late = []

    def sort():
        time.sleep(0.02)  # until the run waits
        sorted(numbers)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, sort)
            due = time.monotonic() + 0.05
            await trio.sleep(0.05)
            late.append((time.monotonic() - due) * 1000)

    stall = stall_of(main, "trio")

    assert_another_thread_is_blamed(stall, "sort")
    assert 0.6 * late[-1] <= stall.duration_ms <= late[-1] + 80, f"{late[-1]:.0f} ms late; {describe(stall)}"


def test_allowances():
    """An allowance belongs to the trio task that entered it, also across awaits: another task that blocks meanwhile is told."""

    async def allowed():
        with loopwatch.allow("the cache is warmed once"):
            await trio.sleep(0.01)
            time.sleep(0.2)
            await trio.sleep(0.3)

    async def guilty():
        await trio.sleep(0.25)
        time.sleep(0.2)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(allowed)
            nursery.start_soon(guilty)

    stalls = []
    with loopwatch.watching(threshold_ms=100, sinks=[stalls.append]) as watch:
        trio.run(main)
        assert watch.flush(10)
        assert watch.stats().allowed == 1

    assert [stall.task for stall in stalls if stall.cause is Cause.SLEEP] == [guilty.__qualname__]


def test_mock_clock():
    """A clock that jumps over waits makes no stalls, and hides none."""
    from trio.testing import MockClock

    async def main():
        for _ in range(3):
            await trio.sleep(3600)
        time.sleep(0.2)

    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(main, clock=MockClock(autojump_threshold=0))

    assert only(stalls).cause is Cause.SLEEP


def shop():
    """A Starlette application in which one endpoint blocks while others wait."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def patient(request):
        waiting.append(True)
        while not blocked:
            await trio.sleep(0.01)
        return PlainTextResponse("done")

    async def guilty(request):
        while len(waiting) < 3:
            await trio.sleep(0.01)
        time.sleep(0.25)
        blocked.append(True)
        return PlainTextResponse("done")

    waiting, blocked = [], []
    return Starlette(routes=[Route("/orders/{order}", patient), Route("/reports/{year}", guilty)])


async def get(port, path):
    """A client's request, on the same run."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
        while await stream.receive_some():
            pass


def test_requests_on_hypercorn():
    """Behind hypercorn on trio a stall has the request's method and route, and tells which others wait."""
    require("hypercorn", "starlette")
    from hypercorn.config import Config
    from hypercorn.trio import serve

    async def main():
        config = Config()
        config.bind, config.accesslog, config.errorlog = ["127.0.0.1:0"], None, None
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(functools.partial(serve, shop(), config, shutdown_trigger=stop.wait))
            async with trio.open_nursery() as clients:
                for path in ("/orders/1", "/orders/2", "/orders/3", "/reports/2026"):
                    clients.start_soon(get, int(address.rpartition(":")[2]), path)
            stop.set()

    with capture_stalls(threshold_ms=100) as stalls:
        trio.run(main)

    stall = only(stalls)
    assert (stall.loop.backend, stall.request.label) == ("trio", "GET /reports/{year}")
    assert stall.await_chain[-1].endswith("guilty")
    assert (stall.waiting.requests, stall.waiting.endpoints) == (3, (("GET /orders/{order}", 3),))
