"""Incidents to Prometheus' Alertmanager, past Prometheus (API v2).

An alert is told when it ends. One whose process is killed meanwhile is not: each message says until when the alert stands if
nothing more is heard of it. https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from loopwatch.clocks import time
from loopwatch.latest import Latest
from loopwatch.records import Incident
from loopwatch.sinks.event import plain
from loopwatch.sinks.message import fields_of_incident, headline
from loopwatch.sinks.messenger import Patience, Reply
from loopwatch.sinks.webhook import WebhookSink

__all__ = ["AlertmanagerSink"]

API = "/api/v2/alerts"
MOST_FIRING = 1000


class AlertmanagerSink(WebhookSink):
    """Alert `EventLoopBlocked`, with labels severity, cause, function, fingerprint, instance (the host) and pid.

    Args:
        url: Alertmanager's address, with the prefix under which it is served, if any.
        labels: Further ones, such as `{"service": "shop"}`.
        stands_s: An alert of which nothing more is heard ends after so many seconds and as long again as it has lasted: news of
            an incident that goes on comes at doubling intervals.
        headers: As `WebhookSink`'s.
        at_least: As `WebhookSink`'s.
        patience: As `WebhookSink`'s.

    Raises:
        SettingError: the URL or the severity cannot be used.
    """

    name = "alertmanager"

    def __init__(
        self,
        url: str,
        *,
        labels: Mapping[str, str] | None = None,
        stands_s: float = 900.0,
        headers: Mapping[str, str] | None = None,
        at_least: str = "warning",
        patience: Patience | None = None,
    ) -> None:
        base = url.rstrip("/")
        super().__init__(
            base if base.endswith(API) else base + API, headers=headers, at_least=at_least, patience=patience
        )
        self._labels = dict(labels or {})
        self._stands = timedelta(seconds=stands_s)

    def _fresh(self) -> None:
        super()._fresh()
        self._firing: Latest[str, str] = Latest(MOST_FIRING)
        """By fingerprint, the severity that Alertmanager knows: with another label it would be another alert, beside the old."""

    def send(self, incident: Incident, lost: int) -> Reply:
        """Post it once, and note what Alertmanager knows now."""
        reply = super().send(incident, lost)
        if reply.delivered:
            self._firing.pop(incident.fingerprint, None)
            if incident.state != "closed":
                self._firing.put(incident.fingerprint, incident.severity.value)
        return reply

    def document(self, incident: Incident, lost: int) -> Any:
        """A list of alerts: the one that it is, and the one that it was, ended."""
        now = datetime.fromtimestamp(time.time(), UTC)
        until = now if incident.state == "closed" else now + self._stands + max(timedelta(), now - incident.opened_at)
        known = self._firing.get(incident.fingerprint, incident.severity.value)
        alerts = [self._alert(incident, lost, incident.severity.value, until)]
        if known != incident.severity.value:
            alerts.append(self._alert(incident, lost, known, now))
        return alerts

    def _alert(self, incident: Incident, lost: int, severity: str, until: datetime) -> dict[str, Any]:
        fields = fields_of_incident(incident, lost)
        return {
            "labels": {
                "alertname": "EventLoopBlocked",
                "severity": severity,
                "cause": incident.cause.value,
                "function": plain(incident.origin.function) if incident.origin else "",
                "fingerprint": incident.fingerprint,
                "instance": fields["host"],
                "pid": str(fields["pid"]),
                **self._labels,
            },
            "annotations": {"summary": headline(incident), **_annotations(fields)},
            "startsAt": fields["opened_at"],
            "endsAt": until.isoformat(),
        }


def _annotations(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: ", ".join(value) if isinstance(value, list) else str(value)
        for key, value in fields.items()
        if value not in (None, [], 0)
    }
