"""Full pools of running programs: told while work waits, with the line at which the threads stand, and once when it is over."""

import asyncio
import functools
import http.client
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio

import loopwatch

from .apps import loops
from .processes import require, serving

PATIENCE_S = 30.0


class Pools:
    """A sink that keeps what it is told of pools."""

    def __init__(self):
        self.told = queue.Queue()

    def __call__(self, stall):
        """Of stalls this sink wants nothing."""

    def pool(self, saturation):
        self.told.put(saturation)

    def next(self, state, kind):
        """The next record of that kind of pool."""
        while True:
            record = self.told.get(timeout=PATIENCE_S)
            if (record.state, record.pool.kind) == (state, kind):
                return record


class Work:
    """Holds threads until it is let go."""

    def __init__(self):
        self._over = threading.Event()

    def hold(self):
        assert self._over.wait(PATIENCE_S)  # HOLD

    def let_go(self):
        self._over.set()


HOLD_LINE = loops.line_of("HOLD", __file__)


def told(backend, start, kind):
    """What is told of a pool of that kind while it is full, what is read meanwhile, and what is told in the end."""
    sink, work = Pools(), Work()

    async def main():
        running = [asyncio.ensure_future(one) for one in start(work)]
        await asyncio.sleep(0)
        # Not on the default executor, nor on anyio's threads: those are full.
        wait = ThreadPoolExecutor(1)
        ask = functools.partial(asyncio.get_running_loop().run_in_executor, wait)
        ongoing = await ask(sink.next, "ongoing", kind)
        pools = watch.pools
        work.let_go()
        await asyncio.gather(*running)
        ended = await ask(sink.next, "ended", kind)
        wait.shutdown()
        return ongoing, pools, ended

    with loopwatch.watching(saturated_ms=100, sinks=[sink]) as watch:
        ongoing, pools, ended = loops.run(backend, main())
        assert watch.flush(10)
        assert ended in watch.saturations
    (pool,) = [pool for pool in pools if pool.kind == kind]
    return ongoing, pool, ended


def test_anyio(backend):
    """Work that waits for anyio's limiter: told with the limiter, the threads' line, and how long the first has waited."""

    def start(work):
        anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        return [anyio.to_thread.run_sync(work.hold) for _ in range(5)]

    ongoing, pool, ended = told(backend, start, "anyio")

    assert (ongoing.pool.borrowed, ongoing.pool.total, ongoing.pool.waiting) == (2, 2, 3)
    assert (pool.borrowed, pool.total, pool.waiting, pool.loop.backend) == (2, 2, 3, backend)
    (group,) = ongoing.workers
    assert (group.count, group.origin.file, group.origin.line) == (2, __file__, HOLD_LINE)
    assert 0 < ongoing.pool.oldest_wait_ms <= ongoing.duration_ms
    assert (ended.id, ended.waiting_max) == (ongoing.id, 3)


def test_default_executor(backend):
    """Work that waits for the loop's default executor, asyncio's or uvloop's."""

    def start(work):
        return [asyncio.get_running_loop().run_in_executor(None, work.hold) for _ in range(60)]

    ongoing, pool, ended = told(backend, start, "executor")

    assert ongoing.pool.borrowed == ongoing.pool.total == 60 - ongoing.pool.waiting
    assert ongoing.origin.line == HOLD_LINE
    assert pool.waiting > 0
    assert ended.id == ongoing.id


def test_connections(tmp_path):
    """Threads that wait for one of SQLAlchemy's connections: told with the user's lines at which the threads stand."""
    require("sqlalchemy")
    import sqlalchemy
    from sqlalchemy.pool import QueuePool

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=QueuePool, pool_size=1, max_overflow=0)

    def start(work):
        def query():
            with engine.connect():  # QUERY
                work.hold()

        return [anyio.to_thread.run_sync(query) for _ in range(3)]

    ongoing, pool, _ = told("asyncio", start, "sqlalchemy")
    engine.dispose()

    assert (pool.borrowed, pool.total, pool.waiting) == (1, 1, 2)
    lines = {group.origin.line: group.count for group in ongoing.workers}
    assert lines == {loops.line_of("QUERY", __file__): 2, HOLD_LINE: 1}


def test_tasks_wait_for_connections(tmp_path):
    """Tasks that wait for a connection of an async engine."""
    require("sqlalchemy", "aiosqlite")
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0)

    def start(work):
        async def query():
            async with engine.connect():
                await asyncio.to_thread(work.hold)

        async def all_of_them():
            await asyncio.gather(*(query() for _ in range(3)))
            await engine.dispose()

        return [all_of_them()]

    ongoing, pool, ended = told("asyncio", start, "sqlalchemy")

    assert (pool.borrowed, pool.total, pool.waiting) == (1, 1, 2)
    assert ongoing.workers == ()
    assert ended.oldest_wait_max_ms > 0


def test_sync_endpoints_under_load(tmp_path):
    """More requests to a plain `def` endpoint than there are threads: told once it lasts, with the endpoint's line, and its end."""
    require("fastapi", "uvicorn", "uvloop")
    command = ["-m", "uvicorn", "apps.threads:app", "--port", "{port}", "--loop", "uvloop"]
    with serving(command, tmp_path) as process:
        load = [threading.Thread(target=request, args=(process.port,)) for _ in range(12)]
        for thread in load:
            thread.start()
        (ongoing, *_) = process.lines.wait(kind="pool", state="ongoing")
        for thread in load:
            thread.join()
        (ended,) = process.lines.wait(kind="pool", state="ended")

    file = Path(__file__).parent / "apps" / "threads.py"
    assert (ongoing["borrowed"], ongoing["total"]) == (4, 4)
    assert 1 <= ongoing["waiting"] <= 8
    assert (ongoing["file"], ongoing["line"]) == (str(file), loops.line_of("QUERY", file))
    assert ended["id"] == ongoing["id"]


def request(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", "/query")
    assert connection.getresponse().status == 200
    connection.close()


def test_left_alone():
    """With `saturated_ms=None` nothing is read and nothing told."""
    work, sink = Work(), Pools()

    async def main():
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        tasks = [asyncio.ensure_future(anyio.to_thread.run_sync(work.hold)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert watch.flush()
        pools = watch.pools
        work.let_go()
        await asyncio.gather(*tasks)
        return pools

    with loopwatch.watching(saturated_ms=None, sinks=[sink]) as watch:
        assert asyncio.run(main()) == ()
    assert sink.told.empty()
