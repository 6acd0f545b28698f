"""Incidents through apprise, by its own json:// plugin to a real server."""

import json

import pytest
from facts import closed, incident, ongoing, stall

from loopwatch.errors import MissingExtraError, SettingError
from loopwatch.sinks import sink_called
from loopwatch.sinks.apprise import AppriseSink
from loopwatch.sinks.messenger import Patience

from .receivers import PATIENCE_S, Receiver


def address(receiver):
    """As apprise writes it."""
    return receiver.url.replace("http://", "json://")


@pytest.mark.parametrize(("news", "kind"), [
    (incident(stall(400)), "warning"), (incident(ongoing(2000)), "failure"), (closed(stall(2000)), "success"),
])  # fmt: skip
def test_sent(begun, news, kind):
    """Apprise gets a title, a text of one row for each fact, and how bad it is."""
    with Receiver() as receiver:
        begun(sink_called(f"apprise:{address(receiver)}")).incident(news)
        document = json.loads(receiver.next().body)

    assert "time.sleep at shop.py:10 (sleep)" in document["title"]
    assert "Code: time.sleep(1)\n" in document["message"]
    assert document["type"] == kind


def test_tries_again(begun, caplog):
    """What apprise could not send is tried again."""
    with Receiver([500, 200]) as receiver:
        sink = begun(AppriseSink(address(receiver), patience=Patience(pause_s=0.05)))
        sink.incident(incident())

        assert sink.delivered(PATIENCE_S)
        assert receiver.requests.qsize() == 2
    assert (
        "loopwatch: AppriseSink (json) cannot deliver: apprise could not send it; its own log says why" in caplog.text
    )


def test_unknown_url():
    """A URL that apprise does not know ends the sink when it begins, and is not quoted."""
    sink = AppriseSink("nosuchservice://SECRET@host")

    with pytest.raises(SettingError, match="apprise does not know such a URL") as caught:
        sink.begin(None)
    assert "SECRET" not in str(caught.value)


def test_not_installed(monkeypatch):
    """Without apprise the error says what to install."""
    monkeypatch.setattr("loopwatch.sinks.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'loopwatch\[apprise\]'"):
        AppriseSink("json://host")
