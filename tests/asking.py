"""What tests ask of a page over HTTP, and with what they wait for it."""

import http.client
from contextlib import closing
from dataclasses import dataclass

__all__ = ["Answer", "ask"]


@dataclass(frozen=True)
class Answer:
    """A reply, read to its end."""

    status: int
    headers: dict[str, str]
    body: str


def ask(port, path="/", method="GET", timeout=20, **headers):
    """The reply of whoever listens on that port of this machine."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return Answer(reply.status, dict(reply.getheaders()), reply.read().decode())
