"""A small HTTP server for the few pages that loopwatch serves by itself, on threads of its own: a stuck loop can be asked about.

What it promises, whoever asks:
- a request's head must be here within `HEAD_WITHIN_S`, its reply must be taken within `REPLY_WITHIN_S`; there is one request per
  connection, and its body is not read;
- at most `MAX_CONNECTIONS` at one moment: when all are in use, whoever has been sending a head for longest is cut off;
- it listens on loopback unless told; elsewhere it asks for a token;
- of several processes that are given one port (the workers of a server) the first serves; the others stand by, and one of them
  takes over when it ends. `SO_REUSEPORT` would hand each scrape to whichever worker the kernel picks.

An idle server does nothing at all; one that stands by tries to bind once a second.
"""

import contextlib
import errno
import hmac
import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any
from weakref import WeakSet

from loopwatch.addresses import Address
from loopwatch.clocks import time

__all__ = ["Page", "Reply", "Server"]

HEAD_WITHIN_S = 2.0
REPLY_WITHIN_S = 5.0
STAND_BY_S = 1.0
STOP_PATIENCE_S = 1.0
MAX_CONNECTIONS = 16
MAX_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a page answers."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


Page = Callable[[Message], Reply]
"""Makes the reply from the request's headers. Called on a thread of the server's, several at once; may block."""


class Server:
    """Serves pages. `start` and `close` are called by one thread.

    Args:
        address: Where.
        pages: By path.
        token: What requests must bring as `Authorization: Bearer TOKEN`; None: nothing.
        shared: Whether nothing is amiss when another process has the port: it is not warned of then.
    """

    def __init__(
        self, address: Address, pages: Mapping[str, Page], token: str | None = None, shared: bool = False
    ) -> None:
        self.pages = pages
        self.token = token
        self.port: int | None = None
        """The port on which it listens; None while it stands by."""
        self._address = address
        self._shared = shared
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._bell: tuple[socket.socket, ...] = ()
        """A pair: the end that its thread listens to, and the one that is closed to wake it."""
        self._thread = threading.Thread(target=self._run, name="loopwatch-http", daemon=True)
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._failed: set[str] = set()
        """Pages of which it was said that they failed."""
        self._open: set[socket.socket] = set()
        self._asking: dict[socket.socket, None] = {}
        """Connections whose head is not here yet, oldest first."""

    def start(self) -> None:
        """Listen from now on, or stand by.

        Raises:
            OSError: it can never listen there.
        """
        listens = self._bind()
        self._bell = socket.socketpair()
        _serving.add(self)
        if not listens:
            level = logging.INFO if self._shared else logging.WARNING
            logging.getLogger("loopwatch").log(
                level, "loopwatch: %s is taken; this process stands by to serve there", self._address
            )
        self._thread.start()

    def close(self) -> None:
        """Stop at once; what is being answered is cut off."""
        if not self._bell:  # it never started
            return
        _serving.discard(self)
        self._closing.set()
        self._bell[1].close()
        self._thread.join(STOP_PATIENCE_S)
        for connection in list(self._open):
            _cut_off(connection)
        deadline = time.monotonic() + STOP_PATIENCE_S
        for _ in range(MAX_CONNECTIONS):
            self._free.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """In a fork's child: let go of the parent's sockets, or they would stay open when it has ended."""
        for inherited in (self._listener, *self._bell, *self._open):
            if inherited is not None:
                inherited.close()

    # ── its thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while self._listener is None:
            if self._closing.wait(STAND_BY_S):
                self._bell[0].close()
                return
            with contextlib.suppress(OSError):
                self._bind()
        with self._listener as listener, self._bell[0] as bell, _Selector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                self._accept(listener)

    def _bind(self) -> bool:
        """Whether it listens now."""
        info = socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(info[0], info[1], info[2])
        try:
            # Allows a port whose last connections are still winding down, but not one on which somebody listens (Linux, BSD).
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(info[4])
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        return True

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # it has gone again, or the bell rang
            return
        except OSError:  # no descriptor is left: it will be tried again
            self._closing.wait(0.1)
            return
        if not self._has_room():
            connection.close()
            return
        self._open.add(connection)
        self._asking[connection] = None
        try:
            threading.Thread(target=self._serve, args=(connection,), name="loopwatch-http-reply", daemon=True).start()
        except RuntimeError:  # no thread is left, or the interpreter ends
            self._done(connection)

    def _has_room(self) -> bool:
        if self._free.acquire(blocking=False):
            return True
        slowest = next(iter(self._asking.copy()), None)
        if slowest is not None:
            _cut_off(slowest)
        return self._free.acquire(timeout=0.2)

    # ── a connection's thread ───────────────────────────────────────────────────────────────────────────────────

    def _serve(self, connection: socket.socket) -> None:
        # Whoever asked may have gone, take too long, or send what nobody understands.
        with contextlib.suppress(Exception):
            head = _head_of(connection)
            self._asking.pop(connection, None)
            if head:
                reply = BytesIO()
                _Exchange(self, head, reply)
                connection.settimeout(REPLY_WITHIN_S)
                connection.sendall(reply.getvalue())
                connection.shutdown(socket.SHUT_WR)
        self._done(connection)

    def _done(self, connection: socket.socket) -> None:
        self._asking.pop(connection, None)
        self._open.discard(connection)
        connection.close()
        self._free.release()

    def allows(self, authorization: str) -> bool:
        """Whether a request with this header may have an answer."""
        wanted = f"Bearer {self.token}".encode()
        return self.token is None or hmac.compare_digest(authorization.encode("utf-8", "replace"), wanted)

    def made_by(self, page: Page, path: str, headers: Message) -> Reply:
        """What a page answers. That it failed is told to whoever reads the log, once, and only that to whoever asked."""
        try:
            return page(headers)
        except Exception as error:  # noqa: BLE001
            if path not in self._failed:
                self._failed.add(path)
                logging.getLogger("loopwatch").error("loopwatch: %s cannot be served: %r", path, error)  # noqa: TRY400
            return Reply(b"500 see the log of the process\n", status=500)


# Not epoll: its descriptor would be shared with a fork's child, and stay open there.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def _head_of(connection: socket.socket) -> bytes:
    """The request up to the empty line; empty if it is not here in time, or too long."""
    deadline, head = time.monotonic() + HEAD_WITHIN_S, b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > MAX_HEAD:
            return b""
        connection.settimeout(left)
        piece = connection.recv(4096)
        if not piece:
            return b""
        head += piece
    return head


def _cut_off(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Exchange(BaseHTTPRequestHandler):
    """Reads one request from memory, and writes its reply there."""

    error_message_format, error_content_type = "%(code)d %(message)s\n", "text/plain; charset=utf-8"

    def __init__(self, server: Server, head: bytes, reply: BytesIO) -> None:
        self._server = server
        self.rfile, self.wfile = BytesIO(head), reply
        self.client_address = ("", 0)
        self.handle_one_request()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self._server.pages.get(path)
        if not self._server.allows(self.headers.get("Authorization", "")):
            self._answer(Reply(b"401 a token is needed: Authorization: Bearer TOKEN\n", status=401))
        elif page is None:
            self._answer(Reply(f"404 there are: {', '.join(self._server.pages)}\n".encode(), status=404))
        else:
            self._answer(self._server.made_by(page, path, self.headers))

    do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        if reply.status == 401:  # noqa: PLR2004 - Unauthorized
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def version_string(self) -> str:
        return "loopwatch"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are nobody's news."""


_serving: WeakSet[Server] = WeakSet()


def _after_fork() -> None:
    for server in list(_serving):
        with contextlib.suppress(Exception):
            server.abandon()
    _serving.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
