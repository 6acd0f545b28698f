"""SQLAlchemy's pools, found by their connections that are out: sync and async engines, with and without a limit."""

import asyncio
import gc
import threading
import time

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from sqlalchemy.pool import NullPool, QueuePool  # noqa: E402


def engine_of(tmp_path, **options):
    """A SQLite file with at most two connections, unless `options` say otherwise."""
    options = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 1, **options}
    return sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", **options)


def read(probe):
    return [pool for pool in probe.read([]) if pool.kind == "sqlalchemy"]


def until(answer):
    deadline = time.monotonic() + 20
    while not (found := answer()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_connections(tmp_path, probe):
    """Connections in use and all there may be; known from the first that is out, and on when all are back."""
    engine = engine_of(tmp_path)
    assert read(probe) == []

    with engine.connect():
        (one,) = read(probe)
        with engine.connect():
            (two,) = read(probe)
    (none,) = read(probe)
    engine.dispose()

    assert [(pool.borrowed, pool.total, pool.waiting) for pool in (one, two, none)] == [(1, 2, 0), (2, 2, 0), (0, 2, 0)]
    assert one.name == "QueuePool sqlite"


def test_threads_wait(tmp_path, probe):
    """Threads that wait for a connection are counted; the last of them is known for as long as it waits."""
    engine = engine_of(tmp_path)
    held = [engine.connect(), engine.connect()]
    threads = [threading.Thread(target=lambda: engine.connect().close()) for _ in range(3)]
    for thread in threads:
        thread.start()

    (pool,) = until(lambda: [pool for pool in read(probe) if pool.waiting == 3])
    waited = pool.newest.still_waits()
    for connection in held:
        connection.close()
    for thread in threads:
        thread.join()
    engine.dispose()

    assert (pool.borrowed, pool.total) == (2, 2)
    assert waited
    assert not pool.newest.still_waits()


def test_tasks_wait(tmp_path, probe):
    """The same of an async engine, whose waiters are tasks."""
    pytest.importorskip("aiosqlite")

    async def main():
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0)

        async def use():
            async with engine.connect():
                pass

        async with engine.connect():
            tasks = [asyncio.create_task(use()) for _ in range(2)]
            deadline = time.monotonic() + 20
            while not (found := [pool for pool in read(probe) if pool.waiting == 2]):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            waited = found[0].newest.still_waits()
        await asyncio.gather(*tasks)
        await engine.dispose()
        return found[0], waited

    pool, waited = asyncio.run(main())

    assert (pool.borrowed, pool.total, pool.name) == (1, 1, "AsyncAdaptedQueuePool sqlite")
    assert waited
    assert not pool.newest.still_waits()


@pytest.mark.parametrize("options", [{"max_overflow": -1}, {"pool_size": 0}])
def test_no_limit(tmp_path, probe, options):
    """A pool that may grow for ever has no total."""
    engine = engine_of(tmp_path, **options)
    with engine.connect():
        (pool,) = read(probe)
    engine.dispose()

    assert pool.total is None


def test_other_pools(tmp_path, probe):
    """A pool that does not pool is left out."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
    with engine.connect():
        assert read(probe) == []
    engine.dispose()


def test_logging_name(tmp_path, probe):
    """An engine's own name for its pool is used; a URL never is."""
    engine = engine_of(tmp_path, pool_logging_name="orders")
    with engine.connect():
        (pool,) = read(probe)
    engine.dispose()

    assert pool.name == "orders"


def test_not_kept_alive(tmp_path, probe):
    """A pool that is gone is forgotten."""
    engine = engine_of(tmp_path)
    with engine.connect():
        assert read(probe)
    engine.dispose()
    del engine
    gc.collect()

    assert read(probe) == []
