"""The slow HTTP server that the shop depends on: a thread of the demo's own process, on loopback."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["DELAY_S", "running_supplier"]

DELAY_S = 0.22
"""Seconds that the supplier takes for each answer, as a service on another continent may."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive

    def do_GET(self) -> None:
        time.sleep(DELAY_S)
        body = json.dumps({"cents": 1_999, "pieces": 12}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal belongs to the demo."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that may wait; the default of 5 is too few for a crowd
    block_on_close = False  # a keep-alive connection of a shop that was killed must not hold the demo


@contextmanager
def running_supplier() -> Iterator[str]:
    """Serve until the block ends; yields the address ("http://127.0.0.1:PORT")."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="supplier", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
