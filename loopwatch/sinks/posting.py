"""Posts to a webhook with the standard library: one attempt, all in all within a bound, and an answer that holds no secret.

Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`), certificates those of OpenSSL (`SSL_CERT_FILE` for others).
Redirects are not followed: they could take what is secret to another host.
"""

import base64
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from loopwatch.clocks import time
from loopwatch.errors import SettingError
from loopwatch.sinks.messenger import Reply

__all__ = ["Post"]

SUCCESS, REDIRECT, SERVER_ERROR = 2, 3, 5
"""Classes of status codes: their first digit (RFC 9110, 15)."""
WORTH_ANOTHER = frozenset({408, 425, 429})
"""Beside 5xx: what else a receiver answers that may take the same message later (RFC 9110, 8470, 6585)."""


class Post:
    """A place to post to.

    Args:
        sink: The sink's name, for messages.
        url: http or https; a user and password in it become an `Authorization` header.
        headers: Sent along with each message.

    Raises:
        SettingError: it is no such URL. The message does not show it, since it may be secret.
    """

    def __init__(self, sink: str, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = _parts(sink, url)
        self.host = str(parts.hostname)
        """For messages: the URL without what may be secret."""
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        self._headers = {**_authorization(parts), **(headers or {})}
        self._opener = OpenerDirector()
        for handler in (ProxyHandler(), _HTTP(), _HTTPS()):
            self._opener.add_handler(handler)

    def __call__(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Reply:
        """Post a JSON document."""
        everything = {"Content-Type": "application/json", "User-Agent": "loopwatch", **self._headers, **headers}
        request = Request(self._url, body, everything, method="POST")  # noqa: S310 - the scheme was looked at
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                return self._read(answer.status, answer.headers)
        except (OSError, HTTPException) as error:
            return Reply(delivered=False, why=f"{self.host}: {_told(error)}")

    def _read(self, status: int, headers: Mapping[str, str]) -> Reply:
        kind = status // 100
        if kind == SUCCESS:
            return Reply(delivered=True)
        why = f"{self.host} answered {status}"
        if kind == REDIRECT:
            why += ", a redirect, which is not followed; give the address that it leads to"
        again = kind == SERVER_ERROR or status in WORTH_ANOTHER
        return Reply(delivered=False, why=why, again=again, after_s=_seconds(headers.get("Retry-After")))


def _parts(sink: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        clean = url.isascii() and url.isprintable() and " " not in url
        if clean and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # a port or an address that is none
        pass
    raise SettingError(f"invalid address of sink {sink}; give a URL that begins with https:// or http://") from None


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    both = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}


def _told(error: Exception) -> str:
    """What went wrong, without what the receiver has sent and without the URL, which some errors quote."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "timed out"
    strerror = getattr(reason, "strerror", None)
    return str(strerror) if strerror else type(reason).__name__


def _seconds(text: str | None) -> float:
    """Retry-After: seconds, or the moment (RFC 9110, 10.2.3)."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())


# ── one bound for the whole attempt ─────────────────────────────────────────────────────────────────────────────────


class _Bounded:
    """A socket that is given up at a deadline: its own timeout begins anew with each byte that a slow receiver sends.

    It has what http.client uses of a socket: whoever reads the answer closes it, or the connection, if nobody does.
    """

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._socket = connected
        self._deadline_s = deadline_s
        self._is_read = False

    def in_time(self) -> socket.socket:
        """The socket, for one operation that ends at the deadline."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._socket

    def sendall(self, data: Any) -> None:
        self.in_time().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._is_read = True
        return io.BufferedReader(_Answer(self.in_time, self._socket.close))

    def close(self) -> None:
        if not self._is_read:
            self._socket.close()


class _Answer(io.RawIOBase):
    def __init__(self, in_time: Callable[[], socket.socket], close: Callable[[], None]) -> None:
        self._in_time = in_time
        self._close = close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._in_time().recv_into(buffer)

    def close(self) -> None:
        super().close()
        self._close()


class _BoundedConnection(HTTPConnection):
    def connect(self) -> None:
        deadline_s = time.monotonic() + float(self.timeout or 0)
        super().connect()
        self.sock: Any = _Bounded(self.sock, deadline_s)


class _BoundedTLSConnection(HTTPSConnection):
    def connect(self) -> None:
        deadline_s = time.monotonic() + float(self.timeout or 0)
        super().connect()
        self.sock: Any = _Bounded(self.sock, deadline_s)


class _HTTP(HTTPHandler):
    def http_open(self, req: Request) -> Any:
        return self.do_open(_BoundedConnection, req)


class _HTTPS(HTTPSHandler):
    def __init__(self) -> None:
        super().__init__()
        self._trusted: ssl.SSLContext | None = None

    def https_open(self, req: Request) -> Any:
        if self._trusted is None:  # reads a few hundred certificates: on the thread that sends, and once
            self._trusted = ssl.create_default_context()
        return self.do_open(_BoundedTLSConnection, req, context=self._trusted)
