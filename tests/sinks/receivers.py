"""Real HTTP servers on loopback that behave as told: well, slowly, badly, not at all."""

import queue
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["CUT", "DRIP", "HANG", "PATIENCE_S", "Received", "Receiver", "closed_port"]

PATIENCE_S = 20.0
CUT, DRIP, HANG = "cut off", "drip", "hang"
"""Closes the connection without a word; sends a byte of its answer now and then; answers nothing."""


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with each of `answers` in turn, then with 200: a status, a status and headers, or CUT, DRIP or HANG."""

    answers: Iterable[Any] = ()
    port: int = 0
    tls: Any = None
    requests: "queue.Queue[Received]" = field(default_factory=queue.Queue)

    def __enter__(self):
        self._answers, self.over = iter(self.answers), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.receiver = self
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self):
        host, port = self._server.server_address[:2]
        return f"{'https' if self.tls else 'http'}://{host}:{port}/hook?token=SECRET"

    def next_answer(self):
        return next(self._answers, 200)

    def next(self):
        """The next request, as soon as there is one."""
        return self.requests.get(timeout=PATIENCE_S)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.requests.put(Received(self.command, self.path, dict(self.headers), body))
        self._answer(receiver.next_answer(), receiver.over)

    def log_message(self, *args):
        pass

    def _answer(self, answer, over):
        if answer == CUT:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif answer == HANG:
            over.wait(PATIENCE_S)
        elif answer == DRIP:
            self._drip(over)
        else:
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
        self.close_connection = True

    def _drip(self, over):
        while not over.wait(0.05):
            try:
                self.connection.sendall(b"H")
            except OSError:
                return


def closed_port():
    """A port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
