"""The headline is the user's line; what the library did beneath it is detail."""

import asyncio
import queue
import socketserver
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from loopwatch.records import Cause

from .blame import assert_blames, describe


class SlowServer(BaseHTTPRequestHandler):
    """Answers each GET after 0.2 s, in a thread of its own."""

    def do_GET(self):
        time.sleep(0.2)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        """Says nothing."""


@contextmanager
def slow_server():
    """The address of a running slow server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), SlowServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield "http://{}:{}/".format(*server.server_address)
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def slow_url():
    """Address of a server that takes 0.2 s."""
    with slow_server() as url:
        yield url


def test_requests(stall_of, slow_url):
    """`requests.get` is blamed on the user's line, with the call by its dotted name and the network as cause."""
    requests = pytest.importorskip("requests")

    async def main():
        requests.get(slow_url)  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, expression="requests.get(slow_url)", call="requests.api.get", cause=Cause.NETWORK)
    assert stall.stack[-1].kind in ("stdlib", "library"), describe(stall)


def test_requests_in_a_helper(stall_of, slow_url):
    """The user's innermost function is blamed where several of them stand above the library."""
    requests = pytest.importorskip("requests")

    class Client:
        def fetch(self):
            with requests.Session() as session:
                return session.get(slow_url)  # BLOCK

    async def main():
        Client().fetch()

    stall = stall_of(main)

    assert_blames(stall, Client, call="requests.sessions.Session.get", cause=Cause.NETWORK)
    assert stall.origin.function.endswith("Client.fetch")


def test_urlopen(stall_of, slow_url):
    """A stdlib leaf is not the headline either."""
    from urllib.request import urlopen

    async def main():
        urlopen(slow_url).read()  # BLOCK

    assert_blames(stall_of(main), main, call="urllib.request.urlopen", cause=Cause.NETWORK)


def test_subprocess(stall_of):
    """Waiting for a child is blamed on the user's line, not on subprocess.py."""

    async def main():
        subprocess.run([sys.executable, "-Sc", "import time; time.sleep(0.2)"])  # BLOCK

    assert_blames(stall_of(main), main, call="subprocess.run", cause=Cause.SUBPROCESS)


def test_lock(stall_of):
    """Waiting for a lock is blamed on the line that wants it."""
    lock = threading.Lock()
    lock.acquire()

    async def main():
        threading.Timer(0.2, lock.release).start()
        with lock:  # BLOCK
            pass

    assert_blames(stall_of(main), main, cause=Cause.LOCK)


def test_queue(stall_of):
    """Waiting for another thread's item is blamed on the user's line, not on queue.py."""
    items = queue.Queue()

    async def main():
        threading.Timer(0.2, items.put, "x").start()
        items.get()  # BLOCK

    assert_blames(stall_of(main), main, expression="items.get()", call="queue.Queue.get", cause=Cause.LOCK)


def test_concurrent_future(stall_of):
    """Waiting for a thread pool's result is blamed on the user's line."""
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        with ThreadPoolExecutor() as pool:
            future = pool.submit(time.sleep, 0.2)
            future.result()  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, expression="future.result()", cause=Cause.LOCK)
    assert stall.origin.call == "concurrent.futures._base.Future.result"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package `slowlib` in a site-packages folder; gives the file and line in which it blocks."""
    text = textwrap.dedent(
        """
        import time

        def work():
            time.sleep(0.2)  # BLOCK
        """
    )
    package = tmp_path / "lib" / "python3" / "site-packages" / "slowlib" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(text)
    monkeypatch.syspath_prepend(str(package.parents[1]))
    monkeypatch.delitem(sys.modules, "slowlib", raising=False)
    yield str(package), text.splitlines().index("    time.sleep(0.2)  # BLOCK") + 1
    sys.modules.pop("slowlib", None)


def test_installed_package(stall_of, installed):
    """An installed package is a library: the line that calls into it is blamed."""
    import slowlib

    async def main():
        slowlib.work()  # BLOCK

    stall = stall_of(main)

    assert_blames(stall, main, expression="slowlib.work()", call="slowlib.work", cause=Cause.SLEEP)
    assert (stall.stack[-1].file, stall.stack[-1].line) == installed
    assert stall.stack[-1].kind == "library"


def test_app_packages(stall_of, installed):
    """A package named in `app_packages` counts as the user's code, though it is installed."""
    import slowlib

    async def main():
        slowlib.work()

    stall = stall_of(main, app_packages=("slowlib",))

    assert (stall.origin.file, stall.origin.line) == installed, describe(stall)
    assert stall.origin.call == "time.sleep"


def test_nothing_but_library(stall_of, installed):
    """Where no code of the user's is on the stack, the library's own frame is blamed."""
    import slowlib

    async def main():
        asyncio.get_running_loop().call_soon(slowlib.work)
        await asyncio.sleep(0.05)

    stall = stall_of(main)

    assert (stall.origin.file, stall.origin.line) == installed, describe(stall)
    assert stall.origin.function == "work"
    assert stall.origin.call == "time.sleep"


def test_loopwatch_is_never_blamed(stall_of):
    """No frame of loopwatch's own stands in a report."""

    async def main():
        time.sleep(0.2)  # BLOCK

    stall = stall_of(main)

    assert all(frame.kind != "loopwatch" for frame in stall.stack)
    assert_blames(stall, main)
