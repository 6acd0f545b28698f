"""Incidents to a Slack channel, through an incoming webhook.

Nothing that comes from the program is read as mrkdwn: it stands in plain_text and rich_text objects, where Slack reads no markup.
Only `text`, which Slack shows in notifications, is mrkdwn, and there what has a meaning is escaped
(https://docs.slack.dev/messaging/formatting-message-text).
"""

from typing import Any

from loopwatch.records import Incident, Severity
from loopwatch.sinks.message import headline, rows
from loopwatch.sinks.webhook import WebhookSink

__all__ = ["SlackSink"]


class SlackSink(WebhookSink):
    """One message for each news of an incident. The arguments are `WebhookSink`'s; `url` is the incoming webhook's."""

    name = "slack"

    def document(self, incident: Incident, lost: int) -> Any:
        """A message of blocks."""
        title = f"{_mark(incident)} {headline(incident)}"
        told = rows(incident, lost)
        return {
            "text": _escaped(title),
            "unfurl_links": False,
            "blocks": [
                {"type": "section", "text": _text(title)},
                *(_code(text) for label, text in told if label == "Code"),
                {"type": "section", "fields": [_text(f"{label}: {text}") for label, text in told if label != "Code"]},
            ],
        }


def _mark(incident: Incident) -> str:
    if incident.state == "closed":
        return "\N{LARGE GREEN CIRCLE}"
    return "\N{LARGE RED CIRCLE}" if incident.severity.rank >= Severity.ERROR.rank else "\N{LARGE YELLOW CIRCLE}"


def _text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _code(text: str) -> dict[str, Any]:
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
