"""Where loopwatch begins to watch: before, inside and beside running loops, however many there are."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import loopwatch

from .apps import loops
from .processes import require, running
from .watching import blamed, blocks

pytestmark = pytest.mark.usefixtures("switched_off")


async def one_block() -> None:
    await asyncio.sleep(0.01)
    loops.block()
    await asyncio.sleep(0.01)


def enable() -> loopwatch.Watch:
    return loopwatch.enable(threshold_ms=100, sinks=[])


def test_before_any_loop(backend: str) -> None:
    """A loop that starts after `enable()` is watched."""
    watch = enable()

    loops.run(backend, one_block())

    assert [stall.loop.backend for stall in blocks(watch)] == [backend]


def test_inside_a_running_loop(backend: str) -> None:
    """A loop that is running when it calls `enable()` is watched from its next turn on."""

    async def main() -> loopwatch.Watch:
        watch = enable()
        await one_block()
        return watch

    assert len(blocks(loops.run(backend, main()))) == 1


def test_in_the_very_turn(backend: str) -> None:
    """A block in the turn that called `enable()` is told too: the loop was already running."""

    async def main() -> loopwatch.Watch:
        await asyncio.sleep(0.01)
        watch = enable()
        loops.block()
        await asyncio.sleep(0.01)
        return watch

    assert len(blocks(loops.run(backend, main()))) == 1


def test_in_the_last_turn(backend: str) -> None:
    """The turn with which a loop ends has no further poll, and is told all the same."""
    watch = enable()

    async def main() -> None:
        loops.block()

    loops.run(backend, main())

    assert len(blocks(watch)) == 1


@pytest.mark.filterwarnings("ignore:Using `httpx` with")  # what starlette's test client would rather use
def test_in_a_lifespan(backend: str) -> None:
    """An app that enables loopwatch in its lifespan has its requests watched."""
    require("fastapi", "httpx")
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        enable()
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/orders/{order}")
    async def read_order(order: int) -> int:
        loops.block()
        return order

    with TestClient(app, backend_options={"use_uvloop": backend == "uvloop"}) as client:
        assert client.get("/orders/7").json() == 7
        (stall,) = blocks(enable())

    assert stall.loop.backend == backend
    assert stall.request is not None
    assert (stall.request.method, stall.request.route) == ("GET", "/orders/{order}")


def test_from_another_thread(backend: str) -> None:
    """A loop that runs in the main thread is found when another thread calls `enable()`."""

    async def main() -> loopwatch.Watch:
        await asyncio.sleep(0.01)
        watch = await asyncio.to_thread(enable)
        await one_block()
        return watch

    assert len(blocks(loops.run(backend, main()))) == 1


def test_beside_a_loop_of_another_thread(backend: str) -> None:
    """A loop that has long been waiting in another thread is found when the main thread calls `enable()`."""
    started, go = threading.Event(), threading.Event()

    async def main() -> None:
        waiting = asyncio.ensure_future(asyncio.to_thread(go.wait, 30))
        asyncio.get_running_loop().call_later(0.01, started.set)
        await waiting
        await one_block()

    thread = loops.start_in_thread(backend, main, name="elsewhere")
    assert started.wait(30)
    watch = enable()
    go.set()
    thread.join(30)

    assert [stall.loop.thread for stall in blocks(watch)] == ["elsewhere"]


def test_uvloop_imported_later(tmp_path: Path) -> None:
    """A program that imports uvloop only after `enable()` has its uvloop loops watched; loopwatch does not import it."""
    require("uvloop")
    program = """
        import asyncio, sys
        from apps import lines, loops
        watch = lines.enable()
        assert "uvloop" not in sys.modules

        async def main():
            await asyncio.sleep(0.01)
            loops.block()
            await asyncio.sleep(0.01)

        loops.run("asyncio", main())
        assert "uvloop" not in sys.modules
        loops.run("uvloop", main())
        watch.flush()
    """
    with running(program, tmp_path) as process:
        assert process.finish() == 0, process.stderr

    assert [stall["backend"] for stall in process.lines.stalls(line=loops.BLOCK_LINE)] == ["asyncio", "uvloop"]


def test_one_loop_after_the_other(backend: str) -> None:
    """Twenty loops in a row, each with one block, make twenty stalls."""
    watch = enable()

    async def main() -> None:
        loops.block(0.15)

    for _ in range(20):
        loops.run(backend, main())

    assert watch.flush(timeout=10)
    found = [stall for stall in blamed(watch.stalls) if stall.origin and stall.origin.line == loops.BLOCK_LINE]
    assert len(found) == len({stall.id for stall in found}) == 20


def test_several_loops_at_once(backend: str) -> None:
    """Loops that block in four threads at a time are told apart."""
    watch = enable()
    together = threading.Barrier(4)

    async def main() -> None:
        together.wait(30)
        await one_block()

    threads = [loops.start_in_thread(backend, main, name=f"loop {number}") for number in range(4)]
    for thread in threads:
        thread.join(30)

    assert sorted(stall.loop.thread for stall in blocks(watch)) == [f"loop {number}" for number in range(4)]


def test_a_loop_in_a_thread_of_a_loop(backend: str) -> None:
    """A loop whose coroutine waits for a thread with a loop of its own blocks by that wait, the other by what it does."""
    watch = enable()

    async def outer() -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="inner") as pool:
            pool.submit(loops.run, backend, one_block()).result()

    loops.run(backend, outer())

    assert watch.flush(timeout=10)
    found = {stall.loop.thread.split("_")[0]: stall for stall in blamed(watch.stalls)}
    assert found.keys() == {"MainThread", "inner"}
    assert len(blamed(watch.stalls)) == 2
    assert found["inner"].origin.line == loops.BLOCK_LINE
    assert found["MainThread"].cause == "lock"
    assert found["MainThread"].origin.file == __file__
