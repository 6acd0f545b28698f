"""From `begin` to `end` in one process: the metrics are there for whoever collects them, and up to date.

As a rule they are brought up to date by each scrape. Where other processes answer for this one, a thread does it every two seconds.
"""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from loopwatch.records import Incident, Stall
from loopwatch.sinks import Source
from loopwatch.sinks.prometheus import workers
from loopwatch.sinks.prometheus.metrics import Metrics

__all__ = ["Export"]

REFRESH_S = 2.0
"""Each time costs a millisecond of CPU, or half a thousandth of a core."""
FORK_PATIENCE_S = 0.1


class Export:
    """One process's metrics; to prometheus-client's registry, a collector. Any thread may call its methods."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._metrics = Metrics()
        self._failed = False
        self._closing = threading.Event()
        self._ticker: threading.Thread | None = None

    def open(self) -> bool:
        """Begin; False if another watch of this process exports already: each stall would be counted twice."""
        global _exporting  # noqa: PLW0603 - one per process
        if _exporting == os.getpid():
            return False
        if workers.several():
            atexit.register(workers.forget, os.getpid())
            self._ticker = threading.Thread(target=self._tick, name="loopwatch-metrics", daemon=True)
            self._ticker.start()
        else:
            _registry().register(self)
        _exporting = os.getpid()
        return True

    def close(self) -> None:
        """End: what this process has counted stays counted only where others answer for it."""
        global _exporting  # noqa: PLW0603
        _exporting = None
        self._closing.set()
        if self._ticker is None:
            _registry().unregister(self)
            return
        self._ticker.join(REFRESH_S)
        atexit.unregister(workers.forget)
        self._guarded(self._metrics.rest)

    def count(self, stall: Stall) -> None:
        """A stall has ended."""
        with _writing:
            self._metrics.count(stall)

    def incident(self, incident: Incident) -> None:
        """An incident has news."""
        with _writing:
            self._metrics.incident(incident)

    # ── for prometheus-client: whichever thread is scraped on ───────────────────────────────────────────────────

    def describe(self) -> Iterable[Any]:
        """The names, without values."""
        return [family for metric in self._metrics.every() for family in metric.describe()]

    def collect(self) -> Iterable[Any]:
        """All values now. Never raises: it would take the program's own metrics with it."""
        self._guarded(self._refresh)
        return [family for metric in self._metrics.every() for family in metric.collect()]

    # ── bringing them up to date ────────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        while not self._closing.is_set():
            self._guarded(self._refresh)
            self._closing.wait(REFRESH_S)

    def _refresh(self) -> None:
        # Read under the lock, too: an older reading must not come second.
        self._metrics.refresh(self._source.stats(), self._source.pools)

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            with _writing:
                work()
        except Exception as error:  # noqa: BLE001
            self._failed = True
            message = "loopwatch: metrics are no longer brought up to date: %r"
            logging.getLogger("loopwatch").error(message, error)  # noqa: TRY400 - one line


def _registry() -> Any:
    from prometheus_client import REGISTRY

    return REGISTRY


_exporting: int | None = None
"""The process that exports; None: none does. A fork's child is another one."""

# ── forks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

# In multiprocess mode prometheus-client has one lock for all values of a process (values.py), the program's own included. A fork
# while our thread holds it would leave the child's held for ever: so a fork waits for us, for microseconds as a rule.

_writing = threading.Lock()
"""Held while values are written."""
_forking = threading.local()


def _before_fork() -> None:
    _forking.waited = _writing.acquire(timeout=FORK_PATIENCE_S)


def _after_in_parent() -> None:
    if _forking.waited:
        _writing.release()


def _after_in_child() -> None:
    global _writing  # noqa: PLW0603
    _writing = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
