"""The thread waits for the network: sockets, HTTP, TLS, mail, names. The servers are in another process (`services`)."""

import ctypes
import http.client
import select
import smtplib
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.accuracy.case import Run, Setup, Skip, case, now
from benchmarks.accuracy.places import ALL
from benchmarks.accuracy.services.lines import DNS_HOST

HOST = "127.0.0.1"
PAYLOAD = bytes(32 << 20)


def _asked(run: Run, words: str) -> socket.socket:
    """A connection to the plain server, which has begun to do what `words` say."""
    connection = socket.create_connection((HOST, run.services["later"]))
    connection.sendall(f"{words}\n".encode())
    return connection


def _url(run: Run, what: str = "wait") -> str:
    return f"http://{HOST}:{run.services['http']}/{what}-{run.wait_ms}"


@case("network", places=ALL, small=True, service="later", prepare=lambda run: _asked(run, f"reply {run.wait_ms}"))
def socket_recv(run: Run) -> None:
    began = run.begin()
    run.given.recv(100)  # BLOCK
    run.end(began, now())


@case("network", service="later", prepare=lambda run: _asked(run, f"reply {run.wait_ms}"))
def socket_recv_with_timeout(run: Run) -> None:
    """A socket with a timeout polls first: the system call has no file descriptor of its own."""
    run.given.settimeout(5)
    began = run.begin()
    run.given.recv(100)  # BLOCK
    run.end(began, now())


@case("network", service="later", prepare=lambda run: _asked(run, f"reply {run.wait_ms}"), places=("dependency",))
def readline_of_a_socket(run: Run) -> None:
    lines = run.given.makefile("rb")
    began = run.begin()
    lines.readline()  # BLOCK
    run.end(began, now())


@case("network", service="later", prepare=lambda run: _asked(run, f"reply {run.wait_ms}"), places=("call_later",))
def select_on_a_socket(run: Run) -> None:
    began = run.begin()
    select.select([run.given], [], [])  # BLOCK
    run.end(began, now())


def _listener(run: Run) -> socket.socket:
    listener = socket.create_server((HOST, 0))
    _asked(run, f"connect {run.wait_ms} {listener.getsockname()[1]}")
    return listener


@case("network", service="later", prepare=_listener, places=("handler",))
def socket_accept(run: Run) -> None:
    began = run.begin()
    run.given.accept()  # BLOCK
    run.end(began, now())


@case("network", service="later", prepare=lambda run: _asked(run, f"hold {run.wait_ms}"), places=("handler",))
def socket_sendall(run: Run) -> None:
    """The peer does not read for a while: more than the buffers hold cannot be sent."""
    began = run.begin()
    run.given.sendall(PAYLOAD)  # BLOCK
    run.end(began, now())


def _datagrams(run: Run) -> socket.socket:
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind((HOST, 0))
    _asked(run, f"datagram {run.wait_ms} {ours.getsockname()[1]}")
    return ours


@case("network", service="later", prepare=_datagrams, places=("handler",))
def udp_recvfrom(run: Run) -> None:
    began = run.begin()
    run.given.recvfrom(100)  # BLOCK
    run.end(began, now())


def _requested(run: Run) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(HOST, run.services["http"])
    connection.request("GET", f"/wait-{run.wait_ms}")
    return connection


@case("network", service="http", prepare=_requested)
def http_client(run: Run) -> None:
    began = run.begin()
    run.given.getresponse()  # BLOCK
    run.end(began, now())


@case("network", service="http")
def urllib_urlopen(run: Run) -> None:
    began = run.begin()
    urllib.request.urlopen(_url(run))  # BLOCK
    run.end(began, now())


@case("network", places=ALL, small=True, modules=("requests",), service="http")
def requests_get(run: Run) -> None:
    import requests

    began = run.begin()
    requests.get(_url(run))  # BLOCK
    run.end(began, now())


def _opened(run: Run) -> Any:
    import requests

    return requests.get(_url(run, "drip"), stream=True)


@case("network", modules=("requests",), service="http", places=("async_generator",), prepare=_opened)
def requests_stream(run: Run) -> None:
    """The headers have come at once; the second half of the body does not."""
    began = run.begin()
    for chunk in run.given.iter_content(512):  # BLOCK
        run.kept = chunk
    run.end(began, now())


@case("network", modules=("requests",), service="certificate", places=("handler",))
def requests_over_tls(run: Run) -> None:
    import requests

    url = f"https://{HOST}:{run.services['https']}/wait-{run.wait_ms}"
    certificate = run.services["certificate"]
    began = run.begin()
    requests.get(url, verify=certificate)  # BLOCK
    run.end(began, now())


def _httpx_client(setup: Setup) -> Any:
    import httpx

    return setup.closing.enter_context(httpx.Client())


@case("network", modules=("httpx",), service="http", make=_httpx_client)
def httpx_client_get(run: Run) -> None:
    began = run.begin()
    run.data.get(_url(run))  # BLOCK
    run.end(began, now())


def _tls_context(setup: Setup) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=setup.services["certificate"])


@case("network", service="certificate", make=_tls_context)
def tls_handshake(run: Run) -> None:
    connection = socket.create_connection((HOST, run.services["tls"]))
    began = run.begin()
    run.kept = run.data.wrap_socket(connection, server_hostname=HOST)  # BLOCK
    run.end(began, now())


@case("network", service="smtp", prepare=lambda run: smtplib.SMTP(HOST, run.services["smtp"]))
def smtplib_sendmail(run: Run) -> None:
    sender = f"wait-{run.wait_ms}@example.org"
    began = run.begin()
    run.given.sendmail(sender, ["someone@example.org"], "Subject: slow\r\n\r\nslow")  # BLOCK
    run.end(began, now())


@case("network", modules=("dns.resolver",), service="dns", places=("handler",))
def dnspython_resolve(run: Run) -> None:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [HOST], run.services["dns"]
    began = run.begin()
    resolver.resolve(f"wait-{run.wait_ms}.example.org", "A")  # BLOCK
    run.end(began, now())


def _own_resolver(setup: Setup) -> None:
    """Gives this process a mount namespace of its own, in which the C library asks our resolver."""
    libc = ctypes.CDLL(None, use_errno=True)
    configuration = setup.folder / "resolv.conf"
    configuration.write_text(f"nameserver {DNS_HOST}\noptions timeout:5 attempts:1\n")
    private, bind, new_namespace = 0x44000, 0x1000, 0x20000  # MS_REC | MS_PRIVATE, MS_BIND, CLONE_NEWNS
    steps: list[Any] = [
        libc.unshare(new_namespace) == 0,
        libc.mount(b"none", b"/", None, private, None) == 0,
        libc.mount(bytes(configuration), str(Path("/etc/resolv.conf").resolve()).encode(), None, bind, None) == 0,
    ]
    if not all(steps):
        raise Skip("it may not have a resolv.conf of its own")


@case("network", service="resolver", make=_own_resolver)
def getaddrinfo(run: Run) -> None:
    """The C library's resolver waits, in C, for a slow name server."""
    began = run.begin()
    socket.getaddrinfo(f"wait-{run.wait_ms}.example.org", 80, socket.AF_INET)  # BLOCK
    run.end(began, now())
