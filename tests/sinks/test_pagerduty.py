"""Incidents to PagerDuty: the events that its API v2 documents."""

import json
import socket

import pytest
from facts import STARTED_AT, closed, incident, ongoing, stall

from loopwatch.errors import SettingError
from loopwatch.records import Cause
from loopwatch.sinks.pagerduty import PagerDutySink

from .receivers import PATIENCE_S, Receiver

KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY00"


def posted(*news, **settings):
    """The events that are posted for these news."""
    with Receiver([202] * len(news)) as receiver:
        sink = PagerDutySink(KEY, url=receiver.url, **settings)
        sink.begin(None)
        for one in news:
            sink.incident(one)
            assert sink.delivered(PATIENCE_S)
        sink.end()
        return [json.loads(request.body) for request in receiver.requests.queue]


def test_trigger():
    """An incident that is open triggers, with all that its responder needs."""
    (event,) = posted(incident(ongoing(3000)))

    payload = event["payload"]
    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (
        KEY,
        "trigger",
        "loopwatch-0123456789ab",
    )
    assert payload["summary"] == "Event loop is stuck, for 3.0 s so far: time.sleep at shop.py:10 (sleep)"
    assert (payload["severity"], payload["source"], payload["class"]) == ("error", socket.gethostname(), "sleep")
    assert payload["timestamp"] == STARTED_AT.isoformat()
    assert (payload["custom_details"]["line"], payload["custom_details"]["incident_id"]) == (10, "incident-1")


def test_resolve():
    """When it is closed it is resolved, by the key by which it was triggered, in order."""
    opened, worse, over = posted(incident(ongoing(3000)), incident(ongoing(12_000)), closed(stall(12_100)))

    assert [event["event_action"] for event in (opened, worse, over)] == ["trigger", "trigger", "resolve"]
    assert worse["payload"]["severity"] == "critical"
    assert {event["dedup_key"] for event in (opened, worse, over)} == {"loopwatch-0123456789ab"}


def test_who_is_not_paged():
    """Nobody is woken for less than an error, nor for what the machine did, however long it took; unless asked for."""
    minor, starved = incident(stall(400)), incident(stall(60_000, cause=Cause.STARVED))

    assert posted(minor, starved, closed(stall(400))) == []
    assert len(posted(minor, starved, at_least="warning")) == 2


def test_within_limits():
    """An event is far smaller than PagerDuty's 512 KB, its summary than 1024 characters."""
    (event,) = posted(incident(ongoing(3000, evidence="x" * 10**6, context=(("secret", "PRIVATE"),))))

    assert len(json.dumps(event)) < 50_000
    assert len(event["payload"]["summary"]) <= 1024
    assert "PRIVATE" not in json.dumps(event)


@pytest.mark.parametrize("key", ["", "https://example.org/SECRET", "SECRET KEY", "SECRET\n"])
def test_no_key(key):
    """What is no key is refused when the sink is made, and not quoted."""
    with pytest.raises(SettingError, match="invalid routing key of sink pagerduty") as caught:
        PagerDutySink(key)

    assert "SECRET" not in str(caught.value)
