"""Incidents of real loops: told while the loop is still stuck, and closed by themselves."""

import asyncio
import threading
import time

import loopwatch

from .sensing import run

PATIENCE_S = 20.0


class Pager:
    """A sink that wants to hear of incidents in this file."""

    def __init__(self):
        self.news = []
        self.opened, self.closed = threading.Event(), threading.Event()

    def __call__(self, stall):
        """Incidents are enough."""

    def incident(self, incident):
        if incident.origin is None or incident.origin.file != __file__:
            return  # of a busy machine
        self.news.append(incident)
        {"opened": self.opened, "closed": self.closed}.get(incident.news, threading.Event()).set()


def test_from_opened_to_closed(backend):
    """An incident is told opened while its first stall lasts, with its line, and closed when nothing more comes."""
    pager = Pager()

    def block_until_told():
        end = time.monotonic() + PATIENCE_S
        while not pager.opened.is_set() and time.monotonic() < end:
            time.sleep(0.2)
        return pager.opened.is_set()

    async def main():
        await asyncio.sleep(0.05)
        assert block_until_told()
        await asyncio.to_thread(pager.closed.wait, PATIENCE_S)

    with loopwatch.watching(sinks=[pager], ongoing_ms=200, quiet_ms=100):
        run(main, backend)

    opened, closed = pager.news[0], pager.news[-1]
    assert (opened.news, opened.count, opened.latest.ongoing) == ("opened", 0, True)
    assert (opened.cause, opened.origin.call) == ("sleep", "time.sleep")
    assert (closed.news, closed.id, closed.count) == ("closed", opened.id, 1)
    assert closed.lost_ms >= 200


def test_configured_while_the_loop_runs(backend):
    """A threshold that is lowered at run time holds for the next block, on the loop's own thread too."""
    stalls = []

    def block():
        time.sleep(0.15)

    async def main(watch):
        block()
        await asyncio.sleep(0.05)
        watch.configure(threshold_ms=50)
        await asyncio.sleep(0.1)
        block()
        await asyncio.sleep(0.05)

    with loopwatch.watching(sinks=[stalls.append], threshold_ms=5000) as watch:
        run(lambda: main(watch), backend)
        assert watch.flush(PATIENCE_S)

    (stall,) = [
        one
        for one in stalls
        if one.origin is not None and one.origin.function == "test_configured_while_the_loop_runs.<locals>.block"
    ]
    assert stall.threshold_ms == 50
