"""One attempt to post, against real servers that behave well and badly."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from loopwatch.errors import SettingError
from loopwatch.sinks.posting import Post

from .receivers import CUT, DRIP, HANG, Receiver, closed_port


def post(url, body=b"{}", timeout_s=10.0, **headers):
    """The reply to one attempt."""
    return Post("webhook", url)(body, headers, timeout_s)


def test_posted():
    """The document arrives as it is, as JSON, at the whole address, with the headers that go with it."""
    with Receiver() as receiver:
        reply = Post("webhook", receiver.url + "#part", {"X-One": "1"})(b'{"a": 1}', {"X-Two": "2"}, 10.0)
        request = receiver.next()

    assert reply.delivered
    assert (request.method, request.path, request.body) == ("POST", "/hook?token=SECRET", b'{"a": 1}')
    assert (request.headers["Content-Type"], request.headers["X-One"], request.headers["X-Two"]) == (
        "application/json", "1", "2",
    )  # fmt: skip


def test_user_and_password():
    """A user and password in the URL become a header."""
    with Receiver() as receiver:
        post(receiver.url.replace("http://", "http://us%40er:pass@"))

        assert receiver.next().headers["Authorization"] == "Basic dXNAZXI6cGFzcw=="


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_taken(status):
    """Any 2xx says that it was taken."""
    with Receiver([status]) as receiver:
        assert post(receiver.url).delivered


@pytest.mark.parametrize(("status", "again"), [
    (400, False), (401, False), (404, False), (410, False), (413, False),
    (408, True), (425, True), (429, True), (500, True), (502, True), (503, True),
])  # fmt: skip
def test_not_taken(status, again):
    """What the receiver refuses for good is told from what it may take later."""
    with Receiver([status]) as receiver:
        reply = post(receiver.url)

    assert (reply.delivered, reply.why, reply.again) == (False, f"127.0.0.1 answered {status}", again)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(status):
    """A redirect is not followed, to wherever it leads, and is said to be one."""
    with Receiver() as elsewhere, Receiver([(status, {"Location": elsewhere.url})]) as receiver:
        reply = post(receiver.url)

        assert elsewhere.requests.empty()
    assert not reply.again
    assert f"127.0.0.1 answered {status}, a redirect, which is not followed" in reply.why


def in_an_hour():
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(("text", "seconds"), [
    ("7", 7), ("0", 0), (in_an_hour, 3600), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", 0), ("-5", 0), ("", 0),
])  # fmt: skip
def test_retry_after(text, seconds):
    """A receiver may ask for silence in seconds or until a moment; what is neither asks for nothing."""
    with Receiver([(429, {"Retry-After": text() if callable(text) else text})]) as receiver:
        assert post(receiver.url).after_s == pytest.approx(seconds, abs=60)


@pytest.mark.parametrize(("answer", "why"), [
    (HANG, "timed out"), (DRIP, "timed out"), (CUT, "RemoteDisconnected"),
])  # fmt: skip
def test_bad_receiver(answer, why):
    """One that hangs, that sends a byte now and then, or that hangs up keeps us no longer than it may."""
    with Receiver([answer]) as receiver:
        began = time.monotonic()
        reply = post(receiver.url, timeout_s=0.5)
        took = time.monotonic() - began

    assert (reply.delivered, reply.why, reply.again) == (False, f"127.0.0.1: {why}", True)
    assert took < 5


def test_refused():
    """Where nobody listens that is said, without the address's secret parts."""
    reply = post(f"http://user:SECRET@127.0.0.1:{closed_port()}/SECRET?SECRET")

    assert (reply.why, reply.again) == ("127.0.0.1: Connection refused", True)


def test_no_such_host():
    """A name that does not resolve is said in the resolver's words."""
    assert post("http://nowhere.invalid/SECRET").why.startswith("nowhere.invalid: ")


def test_large_answer():
    """What a receiver answers beyond its status is not read."""
    with Receiver([(200, {"Content-Length": str(10**12)})]) as receiver:
        assert post(receiver.url).delivered


def test_proxy(monkeypatch):
    """The environment's proxy is used."""
    with Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.partition("/hook")[0])
        monkeypatch.delenv("no_proxy", raising=False)
        reply = post("http://receiver.invalid/hook")

        assert proxy.next().path == "http://receiver.invalid/hook"
    assert reply.delivered


@pytest.mark.parametrize("url", [
    "", "example.org/SECRET", "ftp://example.org/SECRET", "file:///SECRET", "https://", "https:///SECRET",
    "https://example.org:port/SECRET", "https://example.org:0/SECRET", "https://example.org/SEC RET",
    "https://example.org/SEC\r\nRET", "https://[::1/SECRET", "https://ex\xe4mple.org/SECRET",
])  # fmt: skip
def test_no_url(url):
    """What is no address is refused when the sink is made, and not quoted."""
    with pytest.raises(SettingError, match="invalid address of sink webhook; give a URL") as caught:
        Post("webhook", url)

    assert "SECRET" not in str(caught.value)


# ── TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def authority():
    """A certificate authority of the test's own."""
    return trustme.CA()


@pytest.fixture
def tls(authority):
    """A server's side of TLS, for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_tls(authority, tls, tmp_path, monkeypatch):
    """Posts through TLS to whom OpenSSL's certificates trust."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Receiver(tls=tls) as receiver:
        reply = post(receiver.url, b'{"a": 1}')

        assert receiver.next().body == b'{"a": 1}'
    assert reply.delivered


def test_untrusted(tls):
    """To whom they do not trust, nothing is sent."""
    with Receiver(tls=tls) as receiver:
        reply = post(receiver.url)

        assert receiver.requests.empty()
    assert "certificate verify failed" in reply.why
