"""Incidents to a webhook, as JSON; signed where there is a secret."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loopwatch.clocks import time
from loopwatch.records import Incident
from loopwatch.sinks.event import event_name, fields_of
from loopwatch.sinks.message import fields_of_incident, headline
from loopwatch.sinks.messenger import Messenger, Patience, Reply
from loopwatch.sinks.posting import Post

__all__ = ["SIGNATURE", "WebhookSink"]

SIGNATURE = "Loopwatch-Signature"
"""Header: `t=<Unix time>,v1=<hex>`, HMAC-SHA256 over that time, a full stop and the body."""


class WebhookSink(Messenger):
    """Posts `{"event": "event_loop_incident", ..., "stall": {...}}`: the incident's fields, and its latest stall's.

    Args:
        url: Where to. It may hold a user and password, and stays out of every message.
        secret: Each message is signed with it, if given.
        headers: Sent along, such as an `Authorization`.
        at_least: Incidents that never become this severe are not sent.
        patience: How long it tries, and how much it keeps meanwhile.

    Raises:
        SettingError: the URL or the severity cannot be used.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        at_least: str = "warning",
        patience: Patience | None = None,
    ) -> None:
        self._post = Post(self.name, url, headers)
        self._secret = secret
        super().__init__(self._post.host, at_least, patience)

    def send(self, incident: Incident, lost: int) -> Reply:
        """Post it once."""
        document = json.dumps(self.document(incident, lost)).encode()
        return self._post(document, self._signed(document), self.patience.timeout_s)

    def document(self, incident: Incident, lost: int) -> Any:
        """What is posted; `lost`: how many messages before this one were given up."""
        stall = replace(incident.latest, context=())
        return {
            "event": "event_loop_incident",
            "headline": headline(incident),
            **fields_of_incident(incident, lost),
            "stall": {"event": event_name(stall), **fields_of(stall)},
        }

    def _signed(self, document: bytes) -> dict[str, str]:
        if self._secret is None:
            return {}
        moment = str(int(time.time()))
        digest = hmac.new(self._secret.encode(), f"{moment}.".encode() + document, hashlib.sha256).hexdigest()
        return {SIGNATURE: f"t={moment},v1={digest}"}
