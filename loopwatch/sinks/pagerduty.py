"""Incidents to PagerDuty: triggered while open, resolved when closed (Events API v2).

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loopwatch.errors import SettingError
from loopwatch.records import Incident
from loopwatch.sinks.event import fields_of
from loopwatch.sinks.message import fields_of_incident, headline
from loopwatch.sinks.messenger import Patience
from loopwatch.sinks.webhook import WebhookSink

__all__ = ["PagerDutySink"]

EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"


class PagerDutySink(WebhookSink):
    """Pages for incidents that are at least an error: what the machine does to a process never is.

    `dedup_key` is made of the fingerprint: all processes in which the same line blocks for the same reason page once.

    Args:
        routing_key: The integration key of the service.
        url: Elsewhere in Europe: "https://events.eu.pagerduty.com/v2/enqueue".
        headers: As `WebhookSink`'s.
        at_least: As `WebhookSink`'s.
        patience: As `WebhookSink`'s.

    Raises:
        SettingError: the key, the URL or the severity cannot be used.
    """

    name = "pagerduty"

    def __init__(
        self,
        routing_key: str,
        *,
        url: str = EVENTS_URL,
        headers: Mapping[str, str] | None = None,
        at_least: str = "error",
        patience: Patience | None = None,
    ) -> None:
        if not (routing_key.isascii() and routing_key.isalnum()):
            raise SettingError("invalid routing key of sink pagerduty; give the integration key: letters and digits")
        self._routing_key = routing_key
        super().__init__(url, headers=headers, at_least=at_least, patience=patience)

    def document(self, incident: Incident, lost: int) -> Any:
        """An event."""
        event = {"routing_key": self._routing_key, "dedup_key": f"loopwatch-{incident.fingerprint}"}
        if incident.state == "closed":
            return {**event, "event_action": "resolve"}
        fields = fields_of_incident(incident, lost)
        return {
            **event,
            "event_action": "trigger",
            "payload": {
                "summary": headline(incident),
                "severity": incident.severity.value,
                "source": fields["host"],
                "timestamp": fields["opened_at"],
                "class": incident.cause.value,
                "custom_details": {**fields_of(replace(incident.latest, context=())), **fields},
            },
        }
