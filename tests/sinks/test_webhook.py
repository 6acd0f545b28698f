"""Incidents to a webhook as JSON, against real servers."""

import json
import re
import time
from pathlib import Path

from facts import closed, incident, ongoing, stall

from loopwatch.sinks import sink_called
from loopwatch.sinks.event import fields_of
from loopwatch.sinks.messenger import Patience
from loopwatch.sinks.webhook import SIGNATURE, WebhookSink

from .receivers import CUT, HANG, PATIENCE_S, Receiver, closed_port
from .saying import said

DOCS = Path(__file__).parents[2] / "docs" / "sinks.md"
QUICK = Patience(timeout_s=1.0, pause_s=0.05)


def test_document(begun):
    """An incident with its figures, and its latest stall with the keys of the log event."""
    news = incident(ongoing())
    with Receiver() as receiver:
        begun(WebhookSink(receiver.url)).incident(news)
        document = json.loads(receiver.next().body)

    assert document["event"] == "event_loop_incident"
    assert document["headline"] == "Event loop is stuck, for 1.0 s so far: time.sleep at shop.py:10 (sleep)"
    assert (document["incident_id"], document["state"], document["severity"]) == ("incident-1", "open", "error")
    assert document["stall"] == {"event": "event_loop_stalled", **fields_of(news.latest)}


def test_by_name(begun):
    """By its name it is made with the URL alone."""
    with Receiver() as receiver:
        begun(sink_called(f"webhook:{receiver.url}")).incident(incident())

        assert receiver.next().path == "/hook?token=SECRET"


def test_bound_context_stays(begun):
    """What the program has bound to its log does not leave with a message."""
    with Receiver() as receiver:
        begun(WebhookSink(receiver.url)).incident(incident(stall(context=(("email", "PRIVATE"),))))

        assert b"PRIVATE" not in receiver.next().body


# ── the signature ───────────────────────────────────────────────────────────────────────────────────────────────────


def documented():
    """The check that docs/sinks.md shows: `is_from_loopwatch`."""
    (snippet,) = re.findall(r"```python\n(import hmac\n.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    scope = {}
    exec(snippet, scope)
    return scope["is_from_loopwatch"]


def test_signature(begun):
    """The documented check takes what was sent, and neither another body, another secret nor an old message."""
    with Receiver() as receiver:
        begun(WebhookSink(receiver.url, secret="s3cret")).incident(incident())
        request = receiver.next()
    signature, check = request.headers[SIGNATURE], documented()

    assert check("s3cret", request.body, signature)
    assert not check("s3cret", request.body + b" ", signature)
    assert not check("other", request.body, signature)
    assert not check("s3cret", request.body, signature, now=time.time() + 3600)
    assert not check("s3cret", request.body, "")


def test_unsigned(begun):
    """Without a secret there is no signature."""
    with Receiver() as receiver:
        begun(WebhookSink(receiver.url)).incident(incident())

        assert SIGNATURE not in receiver.next().headers


# ── receivers that do not do ────────────────────────────────────────────────────────────────────────────────────────


def test_comes_back(begun):
    """Through errors, a hang and a cut-off connection a message arrives in the end."""
    with Receiver([500, HANG, CUT, 503, 200]) as receiver:
        sink = begun(WebhookSink(receiver.url, patience=Patience(timeout_s=0.5, pause_s=0.05)))
        sink.incident(incident())

        assert sink.delivered(PATIENCE_S)
        assert len({receiver.next().body for _ in range(5)}) == 1


def test_too_many_requests(begun):
    """Retry-After is kept to."""
    with Receiver([(429, {"Retry-After": "1"})]) as receiver:
        sink = begun(WebhookSink(receiver.url, patience=QUICK))
        sink.incident(incident())
        receiver.next()
        began = time.monotonic()
        receiver.next()

    assert time.monotonic() - began > 0.9


def test_receiver_starts_late(begun, caplog):
    """A receiver that is not there yet gets the newest state once it is; the log says what was the matter, without the URL."""
    port = closed_port()
    sink = begun(WebhookSink(f"http://127.0.0.1:{port}/SECRET?token=SECRET", patience=QUICK))
    sink.incident(incident())
    assert not sink.delivered(0.2)
    sink.incident(closed())
    with Receiver(port=port) as receiver:
        assert sink.delivered(PATIENCE_S)
        assert json.loads(receiver.next().body)["state"] == "closed"

    assert said(caplog) == [
        "loopwatch: WebhookSink (127.0.0.1) cannot deliver: 127.0.0.1: Connection refused",
        "loopwatch: WebhookSink (127.0.0.1) delivers again",
    ]


def test_what_was_lost(begun, caplog):
    """A message that was refused for good is counted in the next one and in the log, without the URL."""
    with Receiver([404]) as receiver:
        sink = begun(WebhookSink(receiver.url, patience=QUICK))
        for name in "ab":
            sink.incident(incident(stall(fingerprint=name)))
            assert sink.delivered(PATIENCE_S)
        receiver.next()

        assert json.loads(receiver.next().body)["messages_lost"] == 1
    assert "loopwatch: WebhookSink (127.0.0.1) has lost 1 so far: 127.0.0.1 answered 404" in said(caplog)
    assert "SECRET" not in caplog.text
