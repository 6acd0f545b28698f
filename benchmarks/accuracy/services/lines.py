"""Slow servers of small protocols: a plain one for raw sockets, SMTP, Redis, MySQL and DNS.

Each speaks just enough for its real client library to do one request, and waits as long as the request says.
"""

import re
import socket
import socketserver
import struct
import threading
import time
from typing import Any

__all__ = ["DNS_HOST", "serve"]

HOST = "127.0.0.1"
DNS_HOST = "127.0.0.153"
"""The resolver's own loopback address: the C library insists on port 53, which only root may have."""


def _wait(text: str) -> None:
    """Waits the number of milliseconds after "wait-" or "SLEEP(" in `text`."""
    found = re.search(r"(?:wait-|SLEEP\()([\d.]+)", text)
    if found:
        number = float(found.group(1))
        time.sleep(number if "SLEEP(" in text else number / 1000)


class _Later(socketserver.StreamRequestHandler):
    """Raw sockets. `reply MS`, `connect MS PORT`, `hold MS` (then reads all), `datagram MS PORT`."""

    def handle(self) -> None:
        verb, *numbers = self.rfile.readline().decode().split()
        time.sleep(int(numbers[0]) / 1000)
        if verb == "reply":  # says when it was sent, by the clock that all processes share
            self.wfile.write(f"{time.monotonic_ns()}\n".encode())
        elif verb == "connect":
            socket.create_connection((HOST, int(numbers[1]))).close()
        elif verb == "datagram":
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"late", (HOST, int(numbers[1])))
        elif verb == "hold":
            while self.rfile.read(1 << 16):
                pass


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 slow.example ESMTP")
        in_data = False
        for raw in self.rfile:
            line = raw.decode(errors="replace").strip()
            if in_data:
                in_data = line != "."
                if not in_data:
                    self._say("250 kept")
                continue
            _wait(line)
            in_data = line.upper() == "DATA"
            self._say("354 go on" if in_data else "250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Redis(socketserver.StreamRequestHandler):
    """RESP2: every command is an array of bulk strings."""

    def handle(self) -> None:
        while header := self.rfile.readline():
            words = []
            for _ in range(int(header[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            _wait(" ".join(words))
            self.wfile.write(b"$4\r\nlate\r\n" if words[0].upper() in {"GET", "BLPOP"} else b"+OK\r\n")


class _Mysql(socketserver.StreamRequestHandler):
    """Protocol 4.1: a greeting, any login is welcome, every query is answered OK."""

    GREETING = (
        b"\x0a8.0.0-slow\x00" + struct.pack("<I", 1) + b"12345678\x00" + struct.pack("<H", 0xA20F) + b"\x2d\x02\x00"
        + struct.pack("<H", 0x0008) + b"\x15" + bytes(10) + b"123456789012\x00mysql_native_password\x00"
    )  # fmt: skip
    OK = b"\x00\x00\x00\x02\x00\x00\x00"

    def handle(self) -> None:
        self._send(0, self.GREETING)
        self._send(self._read()[0] + 1, self.OK)
        while packet := self._read():
            _wait(packet[1][1:].decode(errors="replace"))
            if packet[1][:1] == b"\x01":  # COM_QUIT
                return
            self._send(packet[0] + 1, self.OK)

    def _send(self, number: int, payload: bytes) -> None:
        self.wfile.write(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)

    def _read(self) -> tuple[int, bytes] | Any:
        header = self.rfile.read(4)
        return (header[3], self.rfile.read(int.from_bytes(header[:3], "little"))) if len(header) == 4 else None


class _Dns(socketserver.BaseRequestHandler):
    """Answers every question for an A record with loopback, and every other with nothing."""

    def handle(self) -> None:
        query, sender = self.request
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        _wait(question.decode(errors="replace"))
        is_a = question[-4:-2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(HOST) if is_a else b""
        sender.sendto(query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4) + question + answer,
                      self.client_address)  # fmt: skip


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """Silent: clients go away without a word, and many do."""


class _Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True


def serve() -> dict[str, Any]:
    """Starts them all; "resolver" (port 53) is missing where we may not bind it."""
    handlers = {"later": _Later, "smtp": _Smtp, "redis": _Redis, "mysql": _Mysql}
    servers: dict[str, Any] = {name: _Threads((HOST, 0), handler) for name, handler in handlers.items()}
    servers["dns"] = _Datagrams((HOST, 0), _Dns)
    try:
        servers["resolver"] = _Datagrams((DNS_HOST, 53), _Dns)
    except OSError:
        pass
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return {name: server.server_address[1] for name, server in servers.items()}
