"""A small HTTP/1.1 load client on raw keep-alive connections, for machines without `wrk`.

One request is in flight on each connection. It is written in Python and so saturates before a bare server does; a
FastAPI server costs more per request than it, so on a core of its own it keeps that server busy.
"""

import argparse
import asyncio
import json
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is complete, until the deadline."""

    def __init__(self, deadline_ns: int, latencies_ns: list[int]) -> None:
        self.deadline_ns = deadline_ns
        self.latencies_ns = latencies_ns
        self.received = b""
        self.expected = 0
        """Length of one answer in bytes; all are alike. 0: not known yet."""
        self.errors = 0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent_ns = time.perf_counter_ns()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.expected = self.expected or answer_length(self.received)
        if not self.expected or len(self.received) < self.expected:
            return
        now_ns = time.perf_counter_ns()
        self.latencies_ns.append(now_ns - self.sent_ns)
        self.errors += not self.received.startswith(b"HTTP/1.1 200")
        self.received = b""
        if now_ns < self.deadline_ns:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set_result(None)


def answer_length(received: bytes) -> int:
    """Bytes of headers and body; 0 while the headers are incomplete."""
    headers, separator, _ = received.partition(b"\r\n\r\n")
    if not separator:
        return 0
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(headers) + len(separator) + int(value)
    raise ValueError("the answer has no Content-Length")


async def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    latencies_ns: list[int] = []
    started_ns = time.perf_counter_ns()
    deadline_ns = started_ns + int(seconds * 1e9)
    opened = [
        await loop.create_connection(lambda: Connection(deadline_ns, latencies_ns), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.closed for _, connection in opened))
    elapsed_s = (time.perf_counter_ns() - started_ns) / 1e9
    latencies_ns.sort()
    return {
        "requests": len(latencies_ns),
        "rps": len(latencies_ns) / elapsed_s,
        "p50_ms": latencies_ns[len(latencies_ns) // 2] / 1e6,
        "p99_ms": latencies_ns[len(latencies_ns) * 99 // 100] / 1e6,
        "errors": sum(connection.errors for _, connection in opened),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(load(chosen.port, chosen.connections, chosen.seconds))))


if __name__ == "__main__":
    main()
