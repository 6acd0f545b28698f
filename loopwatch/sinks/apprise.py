"""Incidents to whatever else apprise can reach: chat, mail, SMS and push services by the hundred."""

from typing import Any

from loopwatch.errors import SettingError
from loopwatch.records import Incident, Severity
from loopwatch.sinks import Source, need
from loopwatch.sinks.message import headline, rows
from loopwatch.sinks.messenger import Messenger, Patience, Reply

__all__ = ["AppriseSink"]

KINDS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "failure", Severity.CRITICAL: "failure"}


class AppriseSink(Messenger):
    """Sends plain text; apprise escapes it for those services that read markup.

    Args:
        url: As apprise writes it: "mailtos://...", "tgram://...", "json://..."; it stays out of every message.
        at_least: Incidents that never become this severe are not sent.
        patience: How long it tries, and how much it keeps meanwhile; `timeout_s` is left to apprise (`?rto=` and `?cto=`).

    Raises:
        MissingExtraError: apprise is not installed.
        SettingError: the severity cannot be used. Whether the URL can be is seen when the sink begins.
    """

    def __init__(self, url: str, *, at_least: str = "warning", patience: Patience | None = None) -> None:
        need("apprise", "apprise")
        self._url = url
        self._apprise: Any = None
        scheme = url.partition(":")[0]
        super().__init__(scheme if scheme.isidentifier() else "apprise", at_least, patience)

    def begin(self, source: Source) -> None:
        """Import apprise, and start the thread that sends."""
        import apprise

        self._apprise = apprise.Apprise()
        if not self._apprise.add(self._url):
            raise SettingError("apprise does not know such a URL; see https://appriseit.com/services/")
        super().begin(source)

    def send(self, incident: Incident, lost: int) -> Reply:
        """Have apprise send it once."""
        sent = self._apprise.notify(
            title=headline(incident),
            body="\n".join(f"{label}: {text}" for label, text in rows(incident, lost)),
            notify_type="success" if incident.state == "closed" else KINDS[incident.severity],
            body_format="text",
        )
        return Reply(delivered=bool(sent), why="apprise could not send it; its own log says why")
