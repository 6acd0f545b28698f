"""An incident as messages tell it."""

import json
import os
import socket

import pytest
from facts import closed, incident, ongoing, origin, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.records import RequestInfo
from loopwatch.sinks.message import fields_of_incident, headline, rows

FORGED = '*x*\r\n<!channel> <https://evil|here> `"}\x1b[31m\u202e\u2028'


@pytest.mark.parametrize(("news", "told"), [
    (incident(ongoing(3210)), "Event loop is stuck, for 3.2 s so far: time.sleep at shop.py:10 (sleep)"),
    (incident(stall(400)), "Event loop was blocked for 400 ms: time.sleep at shop.py:10 (sleep)"),
    (incident(opened_count=3, opened_ms=61_000),
     "Event loop was blocked 3 times, 61.0 s in all: time.sleep at shop.py:10 (sleep)"),
    (closed(stall(400)), "Closed: event loop was blocked for 400 ms: time.sleep at shop.py:10 (sleep)"),
    (closed(ongoing(2000)), "Closed: event loop was blocked for 2.0 s: time.sleep at shop.py:10 (sleep)"),
    (incident(origin=None), "Event loop was blocked for 400 ms: sleep"),
    (incident(origin=origin(call=None)), "Event loop was blocked for 400 ms: handler at shop.py:10 (sleep)"),
])  # fmt: skip
def test_headline(news, told):
    """One line says what happens, for how long, where and why."""
    assert headline(news) == told


def test_rows():
    """What else is known comes with a word for what it is, and whose it is."""
    assert dict(rows(incident(), lost=0)) == {
        "Line": "/srv/shop.py:10 in handler",
        "Code": "time.sleep(1)",
        "Cause": "sleep: the thread was on the CPU for 0 ms of 400 ms",
        "Request": "GET /items/{item_id}",
        "Stalls": "1, 400 ms in all",
        "Made wait": "up to 3 requests",
        "Advice": "Use `await asyncio.sleep(...)`.",
        "Severity": "warning",
        "Process": f"{socket.gethostname()}, pid {os.getpid()}, loop in MainThread",
        "Fingerprint": "0123456789ab",
    }


def test_rows_without_facts():
    """What is not known is left out, and an inferred line says that it is one."""
    bare = incident(ongoing(request=None), origin=origin(exact=False), waiting_max=None, advice=None)

    told = dict(rows(bare, lost=0))

    assert told["Line"] == "/srv/shop.py:10 in handler (inferred)"
    assert not {"Request", "Stalls", "Made wait", "Advice"} & set(told)
    assert "Line" not in dict(rows(incident(origin=None), lost=0))


def test_what_was_not_told():
    """What was lost, and what was held back, is told."""
    assert dict(rows(incident(suppressed_count=2), lost=3))["Not told"] == (
        "3 messages before this one could not be delivered; 2 incidents, because too many came at once"
    )


def test_fields():
    """For programs, the incident's own names and values, flat and plain."""
    fields = fields_of_incident(incident(count=7, opened_count=2), lost=3)

    assert json.loads(json.dumps(fields)) == fields
    assert (fields["incident_id"], fields["state"], fields["news"]) == ("incident-1", "open", "opened")
    assert (fields["count"], fields["opened_count"], fields["messages_lost"]) == (7, 2, 3)
    assert (fields["endpoints"], fields["waited"]) == (["GET /items/{item_id}: 1"], ["GET /health: 3"])
    assert (fields["host"], fields["pid"]) == (socket.gethostname(), os.getpid())


def test_bounded():
    """However many endpoints took part and however long a text is, a message stays short."""
    many = tuple((f"GET /{number}", 1) for number in range(50))
    long = incident(endpoints=many, waited=many, advice="x" * 100_000, origin=origin(function="f" * 100_000))

    assert len(json.dumps(fields_of_incident(long, 0))) < 5_000
    assert len(headline(long)) + sum(len(text) for _, text in rows(long, 0)) < 5_000


@given(st.text() | st.just(FORGED))
def test_any_text(text):
    """Whatever code, routes and threads are called, each text is one line without control characters."""
    news = incident(
        stall(evidence=text, request=RequestInfo(text, text, text)),
        origin=origin(file=text, function=text, call=text, expression=text),
        advice=text,
        endpoints=((text, 1),),
        waited=((text, 1),),
    )
    values = [value for value in fields_of_incident(news, 0).values() if isinstance(value, str | list)]

    told = [
        headline(news),
        *(text for _, text in rows(news, 0)),
        *(t for v in values for t in (v if isinstance(v, list) else [v])),
    ]
    assert all(one.isprintable() for one in told)
