"""The server of loopwatch's own pages: whoever asks, and however slowly, it answers the others."""

import logging
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from asking import ask
from live.processes import free_port, running, until

from loopwatch import serving
from loopwatch.addresses import Address
from loopwatch.serving import Reply, Server

LOOPBACK = Address("127.0.0.1", 0)
PAGES = {"/hello": lambda headers: Reply(b"hello"), "/broken": lambda headers: Reply(1 / 0)}


@contextmanager
def serving_at(address=LOOPBACK, pages=PAGES, **options):
    server = Server(address, pages, **options)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def port():
    """Where the server of this test listens."""
    with serving_at() as server:
        yield server.port


# ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_page(port):
    """A page answers GET and HEAD, whatever the query, and is not to be stored."""
    answer, head = ask(port, "/hello?x=1"), ask(port, "/hello", "HEAD")

    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (200, "hello", "no-store")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, "", "5")
    assert answer.headers["Server"] == "loopwatch"


def test_what_there_is_not(port):
    """An unknown page says which there are; a method that no page has is refused."""
    assert (ask(port, "/").status, ask(port, "/").body) == (404, "404 there are: /hello, /broken\n")
    assert ask(port, "/hello", "POST").status == 501


def test_page_that_fails(port, caplog):
    """What went wrong is told to the log, once; whoever asks only learns that something did."""
    for _ in range(3):
        answer = ask(port, "/broken?<script>")

        assert (answer.status, answer.body) == (500, "500 see the log of the process\n")
    assert [one.getMessage() for one in caplog.records] == [
        "loopwatch: /broken cannot be served: ZeroDivisionError('division by zero')"
    ]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}])
def test_without_the_token(headers):
    """Where there is a token, nothing is said without it, not even which pages there are."""
    with serving_at(token="s3cret") as server:
        for path in ("/hello", "/nothing"):
            answer = ask(server.port, path, **headers)

            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "hello" not in answer.body


def test_with_the_token():
    """Whoever brings it gets the page."""
    with serving_at(token="s3cret") as server:
        assert ask(server.port, "/hello", Authorization="Bearer s3cret").body == "hello"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"GET //[ HTTP/1.0\r\n\r\n",
        b"GET /hello HTTP/9.9\r\n\r\n",
    ],
)
def test_garbage(port, garbage):
    """What is not HTTP gets an error or nothing, and the next one its page."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(garbage)
        assert not connection.recv(4096).endswith(b"hello")

    assert ask(port, "/hello").body == "hello"


# ── who takes his time ──────────────────────────────────────────────────────────────────────────────────────────────


def test_head_that_does_not_come(port, monkeypatch):
    """Whoever sends nothing, or a byte now and then, is cut off when the whole head is overdue."""
    monkeypatch.setattr(serving, "HEAD_WITHIN_S", 0.3)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as silent,
        socket.create_connection(("127.0.0.1", port), timeout=20) as dribbling,
    ):
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 20:
                dribbling.sendall(b"G")
                time.sleep(0.02)

        assert silent.recv(1) == b""


def test_endless_head(port):
    """A head that does not end is cut off when it is long enough to be none."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"x" * 4096)


def test_slow_ones_make_room(port):
    """Any number of connections that send nothing keeps nobody from the pages: the oldest of them is cut off."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3 * serving.MAX_CONNECTIONS)]
    try:
        assert ask(port, "/hello").body == "hello"
        assert threading.active_count() <= serving.MAX_CONNECTIONS + 10
    finally:
        for connection in slow:
            connection.close()


def test_page_that_hangs():
    """Pages that do not come back are bounded, too, and closing does not wait for them for ever."""
    entered, leave = threading.Semaphore(0), threading.Event()

    def hanging(headers):
        entered.release()
        leave.wait(20)
        return Reply(b"late")

    with serving_at(pages={"/hang": hanging}) as server:
        for _ in range(serving.MAX_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connection.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            assert entered.acquire(timeout=20)
            connection.close()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as one_more:
            assert one_more.recv(1) == b""
        leave.set()


# ── several on one port ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("shared", "level"), [(False, logging.WARNING), (True, logging.INFO)])
def test_the_next_one_takes_over(monkeypatch, caplog, shared, level):
    """Of several on one port the first serves; when it ends, another does, without anybody's doing."""
    monkeypatch.setattr(serving, "STAND_BY_S", 0.05)
    caplog.set_level(logging.INFO, "loopwatch")
    first = Server(LOOPBACK, {"/": lambda headers: Reply(b"first")})
    first.start()
    address = Address("127.0.0.1", first.port)
    with serving_at(address, {"/": lambda headers: Reply(b"second")}, shared=shared) as second:
        assert second.port is None
        assert ask(first.port).body == "first"
        assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
            (level, f"loopwatch: {address} is taken; this process stands by to serve there")
        ]

        first.close()

        until(lambda: second.port, 20, "takeover")
        assert ask(second.port).body == "second"


def test_closed_while_it_stands_by(port):
    """One that never got to serve ends at once."""
    with serving_at(Address("127.0.0.1", port)) as second:
        began = time.monotonic()

    assert second.port is None
    assert time.monotonic() - began < serving.STAND_BY_S


def test_where_nobody_can_listen():
    """An address that is not this machine's is an error, and not something to stand by for."""
    server = Server(Address("192.0.2.1", 9464), PAGES)

    with pytest.raises(OSError):
        server.start()
    server.close()


def test_port_is_free_at_once(port):
    """A port on which connections are still winding down can be listened on again."""
    free = free_port()
    for body in (b"one", b"two"):
        with serving_at(Address("127.0.0.1", free), {"/": lambda headers, body=body: Reply(body)}) as server:
            assert ask(server.port).body == body.decode()


def test_fork(tmp_path):
    """A child of fork that lives on does not keep the parent's port: when the parent has ended, another can serve there."""
    program = """
        import os, sys, time
        from loopwatch.serving import Address, Reply, Server

        server = Server(Address("127.0.0.1", int(sys.argv[1])), {"/": lambda headers: Reply(b"parent")})
        server.start()
        if os.fork() == 0:
            print("child", flush=True)
            time.sleep(600)
        sys.stdin.readline()
    """
    port = free_port()
    with running(program, tmp_path, str(port)) as process:
        until(lambda: "child" in process.stdout, 20, "child")
        assert ask(port).body == "parent"
        process.tell("end")
        process.finish()

        with serving_at(Address("127.0.0.1", port)) as server:
            assert server.port == port
