"""Every loop that runs during a test is watched, however it was started."""

import importlib
import inspect

import pytest

from .sessions import require

ASYNC = """
    import asyncio, time

    async def test_innocent():
        await asyncio.sleep(0.01)

    async def test_guilty():
        await asyncio.sleep(0)
        time.sleep(0.15)
"""
SPLIT = {"test_innocent": "clean", "test_guilty": "blocked"}


def settings(sessions, *lines):
    sessions.pytester.makepyprojecttoml("\n".join(["[tool.pytest.ini_options]", *lines]))


# ── pytest-asyncio ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_asyncio_auto(sessions):
    """pytest-asyncio in auto mode."""
    assert sessions.gate(ASYNC).verdicts() == SPLIT


def test_asyncio_strict(sessions):
    """pytest-asyncio in strict mode."""
    settings(sessions, "asyncio_mode = 'strict'")

    assert sessions.gate("import pytest\npytestmark = pytest.mark.asyncio\n" + unindented(ASYNC)).verdicts() == SPLIT


@pytest.mark.parametrize("scope", ["module", "session"])
def test_asyncio_wider_loops(sessions, scope):
    """One loop for many tests: each is charged with its own blocks."""
    settings(sessions, "asyncio_mode = 'auto'", f"asyncio_default_test_loop_scope = '{scope}'")

    assert sessions.gate(ASYNC + "    async def test_last():\n        pass\n").verdicts() == {
        **SPLIT,
        "test_last": "clean",
    }


def test_asyncio_loop_factories(sessions):
    """Each test on both loops, by `pytest_asyncio_loop_factories`."""
    require("uvloop", "asyncio")
    if "pytest_asyncio_loop_factories" not in inspect.getsource(importlib.import_module("pytest_asyncio.plugin")):
        pytest.skip("this pytest-asyncio has no loop factories")
    sessions.pytester.makeconftest(
        """
        import asyncio, uvloop

        def pytest_asyncio_loop_factories(config, item):
            return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
        """
    )

    session = sessions.gate(ASYNC)

    expected = {f"{test}[{kind}]": verdict for test, verdict in SPLIT.items() for kind in ("asyncio", "uvloop")}
    assert session.verdicts() == expected
    assert {one["backend"] for one in session.blocks()} == {"asyncio", "uvloop"}


def unindented(source):
    return source.replace("\n    ", "\n")


# ── anyio ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ANYIO = """
    import anyio, time, pytest
    pytestmark = pytest.mark.anyio

    @pytest.fixture(params=PARAMS)
    def anyio_backend(request):
        return request.param

    @pytest.fixture
    async def slow(anyio_backend):
        time.sleep(0.11)
        yield

    async def test_innocent():
        await anyio.sleep(0.01)

    async def test_guilty():
        time.sleep(0.15)

    async def test_fixture(slow):
        pass
"""


def test_anyio(sessions):
    """anyio's plugin, on asyncio and on uvloop, with async fixtures."""
    require("uvloop")
    params = """[pytest.param(("asyncio", {}), id="asyncio"), pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")]"""

    session = sessions.gate(ANYIO.replace("PARAMS", params), plugins=("anyio",))

    split = {**SPLIT, "test_fixture": "blocked"}
    assert session.verdicts() == {f"{test}[{kind}]": v for test, v in split.items() for kind in ("asyncio", "uvloop")}
    for kind in ("asyncio", "uvloop"):
        assert session.blocks(f"test_fixture[{kind}]")[0]["phase"] == "setup"


def test_anyio_on_trio(sessions):
    """anyio's plugin on trio, which there is the guest of a queue: tests and fixtures are charged as on asyncio."""
    require("trio")

    session = sessions.gate(ANYIO.replace("PARAMS", '["trio"]'), plugins=("anyio",))

    split = {**SPLIT, "test_fixture": "blocked"}
    assert session.verdicts() == {f"{test}[trio]": verdict for test, verdict in split.items()}
    assert {one["backend"] for one in session.blocks()} == {"trio"}
    (block,) = session.blocks("test_fixture[trio]")
    assert (block["phase"], block["line"], block["task"]) == ("setup", 10, "TestRunner._run_tests_and_fixtures")


# ── trio ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TRIO = """
    import pytest, time, trio

    @pytest.fixture
    async def slow():
        time.sleep(0.15)
        yield

    async def test_innocent(autojump_clock):
        await trio.sleep(60)

    async def test_guilty(nursery):
        async def child():
            time.sleep(0.15)
        nursery.start_soon(child)

    async def test_fixture(slow):
        pass

    def test_run():
        async def blocks():
            time.sleep(0.15)
        trio.run(blocks)
"""


def test_pytest_trio(sessions):
    """pytest-trio, with fixtures, a nursery and a clock that jumps; and `trio.run` in a plain test."""
    settings(sessions, "trio_mode = true")

    session = sessions.gate(TRIO, plugins=("trio", "pytest_trio"))

    assert session.verdicts() == {
        "test_innocent": "clean",
        "test_guilty": "blocked",
        "test_fixture": "blocked",
        "test_run": "blocked",
    }
    assert {one["backend"] for one in session.blocks()} == {"trio"}
    assert session.blocks("test_guilty")[0]["function"] == "test_guilty.<locals>.child"


# ── applications ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_test_client(sessions):
    """Starlette's TestClient, whose app runs in a thread of its own: a blocking handler is told with its route."""
    require("starlette", "httpx")
    source = """
        import time
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from starlette.testclient import TestClient

        async def blocking(request):
            time.sleep(0.15)
            return PlainTextResponse("done")

        def threaded(request):
            time.sleep(0.15)
            return PlainTextResponse("done")

        app = Starlette(routes=[Route("/blocking/{it}", blocking), Route("/threaded", threaded)])

        def test_guilty():
            assert TestClient(app).get("/blocking/1").text == "done"

        def test_innocent():
            with TestClient(app) as client:
                assert client.get("/threaded").text == "done"

        def test_guilty_with_lifespan():
            with TestClient(app) as client:
                client.get("/blocking/2")
    """

    session = sessions.gate(source, "-Wignore", plugins=())

    assert session.verdicts() == {**SPLIT, "test_guilty_with_lifespan": "blocked"}
    assert session.blocks("test_guilty")[0]["request"] == "GET /blocking/{it}"
    assert session.blocks("test_guilty")[0]["line"] == 8


def test_asgi_transport(sessions):
    """httpx's ASGITransport, which calls the app in the test's own loop."""
    require("starlette", "httpx")
    source = """
        import time, httpx
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def blocking(request):
            time.sleep(0.15)
            return PlainTextResponse("done")

        async def test_guilty():
            app = Starlette(routes=[Route("/blocking", blocking)])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
                await client.get("/blocking")
    """

    session = sessions.gate(source)

    assert session.blocks("test_guilty")[0]["request"] == "GET /blocking"


def test_plain_tests(sessions):
    """`asyncio.run` in a plain test, `IsolatedAsyncioTestCase`, and a loop in a thread of the test's own."""
    source = """
        import asyncio, threading, time, unittest

        async def blocks():
            time.sleep(0.15)

        def test_run():
            asyncio.run(blocks())

        def test_thread():
            thread = threading.Thread(target=asyncio.run, args=(blocks(),))
            thread.start()
            thread.join()

        def test_innocent():
            time.sleep(0.15)
            asyncio.run(asyncio.sleep(0))

        class TestCase(unittest.IsolatedAsyncioTestCase):
            async def test_case(self):
                time.sleep(0.15)

            async def test_case_fails(self):
                time.sleep(0.15)
                self.fail("by itself")

            async def test_case_innocent(self):
                await asyncio.sleep(0.01)
    """

    session = sessions.gate(source, plugins=())

    blocked = ("test_run", "test_thread", "test_case", "test_case_fails")
    assert session.verdicts() == {
        **dict.fromkeys(blocked, "blocked"),
        "test_innocent": "clean",
        "test_case_innocent": "clean",
    }
    session.result.stdout.fnmatch_lines(["FAILED *test_case_fails - AssertionError: by itself"])


def test_aiohttp(sessions):
    """pytest-aiohttp's client and server."""
    source = """
        import time
        from aiohttp import web

        async def blocking(request):
            time.sleep(0.15)
            return web.Response(text="done")

        async def test_guilty(aiohttp_client):
            app = web.Application()
            app.router.add_get("/blocking", blocking)
            client = await aiohttp_client(app)
            assert (await client.get("/blocking")).status == 200
    """

    session = sessions.gate(source, "-Wignore", plugins=("asyncio", "aiohttp"))

    assert session.blocks("test_guilty")[0]["line"] == 5
