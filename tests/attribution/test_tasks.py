"""Whose work it was: the task by its coroutine and name, and the chain of coroutines that awaited it."""

import asyncio
import time

import pytest

from loopwatch.testing import capture_stalls

from .blame import assert_blames, only
from .shop import handlers, repository


def test_task_is_named_by_its_coroutine(stall_of):
    """`task` names the coroutine that the task runs."""

    async def poll_prices():
        await asyncio.sleep(0)
        time.sleep(0.2)  # BLOCK

    async def main():
        await asyncio.create_task(poll_prices())

    stall = stall_of(main)

    assert_blames(stall, poll_prices)
    assert "poll_prices" in stall.task


def test_task_name(stall_of):
    """`task` carries the name too, if someone gave it one."""

    async def poll_prices():
        time.sleep(0.2)  # BLOCK

    async def main():
        await asyncio.create_task(poll_prices(), name="price poller")

    stall = stall_of(main)

    assert "poll_prices" in stall.task
    assert "price poller" in stall.task


def test_task_of_the_blocker(stall_of):
    """Of many tasks that are ready in one turn, the one that blocked is named."""

    async def quick():
        await asyncio.sleep(0.01)

    async def slow():
        await asyncio.sleep(0.01)
        time.sleep(0.2)  # BLOCK

    async def main():
        await asyncio.gather(*(quick() for _ in range(20)), slow(), *(quick() for _ in range(20)))

    stall = stall_of(main)

    assert_blames(stall, slow)
    assert "slow" in stall.task
    assert "quick" not in stall.task


def test_await_chain(stall_of):
    """The chain runs handler, service, repository: across files, outermost first."""
    stall = stall_of(lambda: handlers.read_order(7))

    assert_blames(stall, repository, call="time.sleep")
    assert stall.await_chain == ("read_order", "OrderService.load", "fetch_order")
    assert [frame.function for frame in stall.stack if frame.kind == "app"][-4:] == [
        "read_order",
        "OrderService.load",
        "fetch_order",
        "_query",
    ]
    assert len({frame.file for frame in stall.stack if frame.kind == "app"}) == 3


def test_await_chain_of_a_request(serve, client):
    """In a request the chain ends with the user's coroutines, behind those of the framework."""
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()
    app.get("/orders/{order_id}")(handlers.read_order)

    with capture_stalls(threshold_ms=100) as stalls, serve(app) as address:
        client.get(f"http://{address}/orders/7")

    stall = only(stalls)

    assert_blames(stall, repository)
    assert stall.await_chain[-3:] == ("read_order", "OrderService.load", "fetch_order")
    assert stall.request.endpoint == "read_order"
