"""Loops of both kinds, a watched run on them, and a real server in a thread."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from loopwatch.records import Cause, Stall
from loopwatch.testing import capture_stalls

from .blame import only

Main = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    """Name of the event loop that a test runs on."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture
def run(backend: str) -> Callable[[Main], Any]:
    """Runs a coroutine function on a new loop of the backend, as `asyncio.run` does."""
    if backend == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    else:
        factory = asyncio.SelectorEventLoop

    def run(main: Main) -> Any:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())

    return run


@pytest.fixture
def stall_of(run: Callable[[Main], Any]) -> Callable[..., Stall]:
    """Runs a coroutine function under a watch; returns the one stall that it caused.

    On a busy machine a block that needs the CPU may be starved of it, and is then said to be: once more, in that case.
    """

    def stall_of(main: Main, **settings: Any) -> Stall:
        for _ in range(4):
            with capture_stalls(**{"threshold_ms": 100, **settings}) as stalls:
                run(main)
            if {stall.cause for stall in stalls} != {Cause.STARVED}:
                return only(stalls)
        pytest.skip("this machine has no core to spare")

    return stall_of


@pytest.fixture
def serve(backend: str) -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an ASGI app with uvicorn in a thread while the context lasts; gives its address, "127.0.0.1:port"."""
    uvicorn = pytest.importorskip("uvicorn")

    @contextmanager
    def serve(app: Any) -> Iterator[str]:
        config = uvicorn.Config(app, loop=backend, log_config=None, ws="websockets-sansio")
        config.load()  # Server.run would load, and so import, within the watched loop
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # Listening already: a client that is there before the server waits in the backlog.
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
            thread.start()
            try:
                yield "{}:{}".format(*listener.getsockname())
            finally:
                server.should_exit = True
                thread.join(20)
        assert not thread.is_alive()

    return serve


@pytest.fixture
def client() -> Iterator[Any]:
    """A client for a server in another thread. Made beforehand: it keeps the GIL while it reads its certificates."""
    httpx = pytest.importorskip("httpx")
    with httpx.Client(trust_env=False, timeout=20, headers={"Connection": "close"}) as client:
        yield client
