"""The sink: keeps the metrics, and serves them where it is given an address."""

from email.message import Message

from loopwatch.addresses import address_of, token_for
from loopwatch.records import Incident, Stall
from loopwatch.serving import Page, Reply, Server
from loopwatch.sinks import Source, need
from loopwatch.sinks.livez import livez
from loopwatch.sinks.prometheus import workers
from loopwatch.sinks.prometheus.export import Export
from loopwatch.sinks.prometheus.exposition import exposition

__all__ = ["PrometheusSink"]

WHOSE = "sink 'prometheus'"


class PrometheusSink:
    """Exports metrics through prometheus-client's registry.

    Args:
        address: `[HOST:]PORT` at which to serve `/metrics` and `/livez`; without HOST it is loopback; empty: not at all.
        token: What a scrape must bring as `Authorization: Bearer TOKEN`; None: that of `LOOPWATCH_TOKEN`, if there is one.

    Raises:
        MissingExtraError: prometheus-client is not installed.
        SettingError: the address cannot be used, or is not loopback and there is no token.
    """

    def __init__(self, address: str = "", token: str | None = None) -> None:
        need("prometheus", "prometheus_client")
        self._address = address_of(address, WHOSE) if address else None
        self._token = token_for(self._address, token, WHOSE) if self._address else None
        self._export: Export | None = None
        self._server: Server | None = None

    def begin(self, source: Source) -> None:
        if self._export is not None:  # the parent's, in a fork's child
            self._export.close()
        export = Export(source)
        # A launcher's watch may have the same sink as the program's own.
        self._export = export if export.open() else None
        if self._address is not None:
            shared = workers.several() or self._export is None
            self._server = Server(self._address, _pages(source), self._token, shared)
            self._server.start()

    def __call__(self, stall: Stall) -> None:
        """Nothing: every stall is counted, also those that no limit lets through to here."""

    def count(self, stall: Stall) -> None:
        if self._export is not None:
            self._export.count(stall)

    def incident(self, incident: Incident) -> None:
        if self._export is not None:
            self._export.incident(incident)

    def end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._export is not None:
            self._export.close()
            self._export = None


def _pages(source: Source) -> dict[str, Page]:
    def metrics(headers: Message) -> Reply:
        return exposition(headers.get("Accept", ""))

    def alive(headers: Message) -> Reply:
        return livez(source, elsewhere_ms=workers.longest_stall_ms() if workers.several() else 0.0)

    return {"/metrics": metrics, "/livez": alive}
