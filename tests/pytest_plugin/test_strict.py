"""Strict mode: a blocking call fails however fast it was."""

import sys

import pytest

from .sessions import require

SOURCE = """
    import asyncio, json, logging, pathlib, socket, sqlite3, subprocess, sys, threading, time, pytest

    HERE = pathlib.Path(__file__)

    async def test_open():
        HERE.read_text()

    async def test_resolve():
        socket.getaddrinfo("127.0.0.1", 80)

    async def test_process():
        subprocess.run([sys.executable, "-c", ""])

    async def test_database():
        sqlite3.connect(":memory:").close()

    async def test_deep():
        def load(path):
            return list(path.parent.iterdir())
        load(HERE)

    @pytest.fixture
    async def config():
        return HERE.read_text()

    async def test_fixture(config):
        pass

    # ── innocent ──

    def test_plain():
        HERE.read_text()

    async def test_thread():
        await asyncio.to_thread(HERE.read_text)

    async def test_import():
        import wsgiref.simple_server

    async def test_log():
        logging.getLogger("x").warning("to a stream")

    async def test_child():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await process.wait()

    async def test_traceback():
        import traceback
        try:
            1 / 0
        except ZeroDivisionError:
            traceback.format_exc()

    async def test_streams():
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await reader.read()
        writer.close()
        server.close()

    @pytest.mark.loopwatch(allow="reads its own source")
    async def test_allowed():
        HERE.read_text()

    async def test_pause(loopwatch):
        with loopwatch.pause():
            HERE.read_text()
"""
GUILTY = {"test_open", "test_resolve", "test_process", "test_database", "test_deep", "test_fixture"}


@pytest.mark.parametrize("blockbuster", [False, True])
def test_by_audit_events(sessions, blockbuster):
    """Calls of which Python tells are found on a loop's thread, by the user's line, and nowhere else."""
    if blockbuster:
        require("blockbuster")
    else:
        sessions.pytester.makeconftest("import sys\nsys.modules['blockbuster'] = None\n")

    session = sessions.gate(SOURCE, "--loopwatch-strict", "--loopwatch-max-ms=5000", "-W", "ignore")

    blocked = {test for test, verdict in session.verdicts().items() if verdict == "blocked"}
    assert blocked == GUILTY
    assert session.blocks("test_open")[0]["line"] == 6
    assert session.blocks("test_deep")[0]["function"] == "test_deep.<locals>.load"
    assert session.blocks("test_fixture")[0]["fixture"] == "the setup of fixture config"
    assert session.blocks("test_allowed", "allowed")[0]["why"] == "reads its own source"
    session.result.stdout.fnmatch_lines(["loopwatch: *; strict: sees files opened, *"])
    session.result.stdout.fnmatch_lines(
        ["blocking call HERE.read_text() at test_it.py:6 (strict)", "*HERE.read_text()", "*^^^^^^^^^^^^^^^^"]
    )


def test_marker(sessions):
    """`strict=True` asks it of one test, and the tests after it are left alone."""
    source = """
        import pytest

        @pytest.mark.loopwatch(strict=True)
        async def test_strict():
            open(__file__).close()

        async def test_lax():
            open(__file__).close()
    """

    session = sessions.plain(source)

    assert session.outcomes() == {"failed": 1, "passed": 1}
    session.result.stdout.fnmatch_lines(["loopwatch: strict: sees files opened, *"])


def test_allowed_callers(sessions):
    """`loopwatch_allow` names callers that may block, as module:function or as a module."""
    sessions.pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\nasyncio_mode = 'auto'\nloopwatch_allow = ['test_it:load', 'helper']\n"
    )
    sessions.pytester.makepyfile(helper="def read():\n    return open(__file__).read()\n")
    source = """
        import helper

        def load():
            return open(__file__).read()

        async def test_function():
            load()

        async def test_module():
            helper.read()

        async def test_guilty():
            open(__file__).close()
    """

    session = sessions.gate(source, "--loopwatch-strict", "-W", "ignore")

    assert session.verdicts() == {"test_function": "clean", "test_module": "clean", "test_guilty": "blocked"}


def test_one_finding_a_line(sessions):
    """A file that is opened and read is one finding; another kind of call on the same line is one of its own."""
    source = """
        import socket

        async def test_it():
            for _ in range(3):
                open(__file__).read(), socket.getaddrinfo("127.0.0.1", 80)
    """

    session = sessions.gate(source, "--loopwatch-strict", "-Wignore")

    assert [(one["line"], one["cause"]) for one in session.blocks()] == [(5, "disk"), (5, "network")]


def test_nothing_hides_behind_what_may_be(sessions):
    """A line that is called where it may block, and again where it may not, fails the test."""
    source = """
        import loopwatch as watch

        def load():
            open(__file__).close()

        async def test_allowed(loopwatch):
            with watch.allow("once"):
                load()
            load()

        async def test_pause(loopwatch):
            with loopwatch.pause():
                load()
            load()

        async def test_only(loopwatch):
            load()
            with loopwatch.only():
                load()

        async def test_innocent(loopwatch):
            load()
            with loopwatch.only():
                pass
            with watch.allow("twice"):
                load()
    """

    session = sessions.gate(source, "--loopwatch-strict")

    blocked = ("test_allowed", "test_pause", "test_only")
    assert session.verdicts() == {**dict.fromkeys(blocked, "blocked"), "test_innocent": "allowed"}
    assert len(session.blocks()) == 3


def test_baseline(sessions):
    """A baseline knows calls, too."""
    source = "async def test_it():\n    open(__file__).close()\n"
    words = ("--loopwatch-strict", "--loopwatch-baseline=known.json")

    sessions.gate(source, *words, "--loopwatch-update-baseline")

    assert sessions.gate(source, *words).verdicts() == {"test_it": "known"}


REALS = """
    import asyncio, queue, socket, sqlite3, threading, time

    async def test_sleep():
        time.sleep(0.001)

    async def test_lock():
        lock = threading.Lock()
        lock.acquire()
        threading.Timer(0.05, lock.release).start()
        lock.acquire()

    async def test_query():
        database = sqlite3.connect(":memory:")
        database.execute("select 1")

    async def test_innocent():
        await asyncio.sleep(0.001)
        lock = threading.Lock()
        with lock:
            pass
"""


def test_by_blockbuster(sessions):
    """With blockbuster installed the calls of which Python does not tell are found as well, and are still carried out."""
    require("blockbuster")

    session = sessions.gate(REALS, "--loopwatch-strict", "--loopwatch-max-ms=5000", "-W", "ignore")

    assert session.verdicts() == {
        "test_sleep": "blocked",
        "test_lock": "blocked",
        "test_query": "blocked",
        "test_innocent": "clean",
    }
    assert "through blockbuster" in session.text


@pytest.mark.skipif(sys.version_info < (3, 13), reason="3.13 is the first whose time.sleep has an audit event")
def test_sleep_by_audit_event(sessions):
    """From 3.13 on `time.sleep` needs no blockbuster."""
    sessions.pytester.makeconftest("import sys\nsys.modules['blockbuster'] = None\n")
    source = "import time\nasync def test_it():\n    time.sleep(0.001)\n"

    assert sessions.gate(source, "--loopwatch-strict").verdicts() == {"test_it": "blocked"}
