"""Incidents to Slack: as Block Kit has it, and without a way out of it."""

import json

import pytest
from facts import closed, incident, ongoing, origin, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.records import RequestInfo
from loopwatch.sinks.slack import SlackSink

from .receivers import PATIENCE_S, Receiver

SINK = SlackSink("https://hooks.slack.com/services/T0/B0/SECRET")
hostile = st.text() | st.sampled_from(
    ["<!channel>", "<https://evil|here>", "&lt;", "```", "*_~`", ":siren:", '"}]}', ""]
)


def test_posted():
    """It arrives at the incoming webhook as one JSON document."""
    with Receiver() as receiver:
        sink = SlackSink(receiver.url)
        sink.begin(None)
        sink.incident(incident())
        request = receiver.next()
        assert sink.delivered(PATIENCE_S)
        sink.end()

    assert json.loads(request.body) == sink.document(incident(), 0)


@pytest.mark.parametrize(("news", "mark"), [
    (incident(stall(400)), "\N{LARGE YELLOW CIRCLE}"),
    (incident(ongoing(2000)), "\N{LARGE RED CIRCLE}"),
    (closed(stall(2000)), "\N{LARGE GREEN CIRCLE}"),
])  # fmt: skip
def test_at_a_glance(news, mark):
    """Colour tells a nuisance from an emergency, and both from what is over."""
    document = SINK.document(news, 0)

    assert document["text"].startswith(mark)
    assert document["blocks"][0]["text"]["text"].startswith(mark)


def test_told():
    """The code stands by itself, everything else beside a word for what it is."""
    _, code, fields = SINK.document(incident(), 2)["blocks"]

    assert code["elements"][0]["elements"] == [{"type": "text", "text": "time.sleep(1)"}]
    assert "Request: GET /items/{item_id}" in [field["text"] for field in fields["fields"]]
    assert "Not told: 2 messages before this one could not be delivered" in [
        field["text"] for field in fields["fields"]
    ]


def texts(block):
    """All objects with a text, at any depth."""
    if isinstance(block, dict):
        if isinstance(block.get("text"), str):
            yield block
        block = list(block.values())
    if isinstance(block, list):
        for one in block:
            yield from texts(one)


@given(hostile)
def test_no_way_out(text):
    """Whatever code, routes and evidence say, none of it is read as markup, and Slack's limits are kept."""
    news = incident(
        stall(evidence=text, request=RequestInfo(text, text, text)),
        origin=origin(file=text, function=text, call=text, expression=text, source=text),
        advice=text,
        suppressed_count=1,
    )
    document = json.loads(json.dumps(SINK.document(news, 1)))

    assert not set("<>") & set(document["text"])
    assert document["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0
    assert {block["type"] for block in document["blocks"]} <= {"section", "rich_text"}
    for one in texts(document["blocks"]):
        assert (one["type"], one.get("emoji")) in {("plain_text", False), ("text", None)}
        assert 0 < len(one["text"]) <= 2000  # a field's; a section's may be 3000
    assert len(document["blocks"][-1]["fields"]) <= 10


def test_secret():
    """The webhook's address shows in no message, and in nothing that may end up in a log."""
    assert "SECRET" not in json.dumps(SINK.document(incident(), 0))
    assert "SECRET" not in repr(SINK)
