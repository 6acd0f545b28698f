"""`/livez`: whether an orchestrator should leave this process alone, answered from a thread of its own.

A probe that the loop itself answers says "dead" of every process that is merely busy for longer than the probe waits: the
orchestrator then kills what has most to do, and hands its load to the rest. Here a loop is stuck if it has not turned once for
`stuck_ms`.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

from loopwatch.addresses import address_of, token_for
from loopwatch.records import LoopStats, PoolReading, Stall
from loopwatch.serving import Reply, Server
from loopwatch.sinks import Source

__all__ = ["Liveness", "LivezSink", "liveness_of", "livez"]

BUSY_LOOKS = 60
"""As many looks at a loop as some four seconds bring, by default."""
BUSY = 0.9


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is to be said of a process."""

    status: str
    """"stuck"; "waiting_for_threads": the loop turns, but work waits for a thread; "busy"; "ok"; "no_loop"."""
    reason: str
    """One sentence with the figures it rests on."""

    @property
    def alive(self) -> bool:
        """False where only a restart helps."""
        return self.status != "stuck"


def liveness_of(
    stats: LoopStats, stuck_ms: float, pools: Iterable[PoolReading] = (), elsewhere_ms: float = 0.0
) -> Liveness:
    """Judge by the totals of a watch. Pure.

    A busy loop, and one whose threads are all taken, is the load balancer's business: a restart makes it worse.

    Args:
        stuck_ms: A loop that has not turned for this long is stuck.
        pools: In which work may wait, as they are now.
        elsewhere_ms: The longest stall under way in another worker; 0: none is known of.
    """
    stuck = max(stats.loops, key=lambda one: one.stalled_ms, default=stats)
    if stuck.stalled_ms >= stuck_ms:
        return Liveness("stuck", f"{_named(stuck)} has not turned for {_seconds(stuck.stalled_ms, stuck_ms)}")
    if elsewhere_ms >= stuck_ms:
        return Liveness("stuck", f"a loop of another worker has not turned for {_seconds(elsewhere_ms, stuck_ms)}")
    waiting = [pool for pool in pools if pool.saturated]
    if waiting:
        words = "; ".join(f"{one.waiting} wait for one of {one.total} in {one.kind} {one.name}" for one in waiting)
        return Liveness("waiting_for_threads", f"loops turn, but work waits for threads or connections: {words}")
    busiest = max(stats.loops, key=busy_share, default=None)
    if busiest is None:
        return Liveness("no_loop", "no loop has run yet")
    if busy_share(busiest) >= BUSY:
        return Liveness(
            "busy", f"{_named(busiest)} turns, but was busy at {busy_share(busiest):.0%} of the latest looks"
        )
    return Liveness("ok", "every loop turns")


def busy_share(stats: LoopStats) -> float:
    """At what share (0 to 1) of the latest looks the loop was in a turn."""
    latest = stats.lags_ms[-BUSY_LOOKS:]
    return sum(lag > 0 for lag in latest) / len(latest) if latest else 0.0


def livez(source: Source, elsewhere_ms: float = 0.0) -> Reply:
    """The page: 200 for a process that is alive, else 503, and why."""
    stats, stuck_ms = source.stats(), source.settings.stuck_ms
    found = liveness_of(stats, stuck_ms, source.pools, elsewhere_ms)
    body = {
        "status": found.status,
        "reason": found.reason,
        "pid": os.getpid(),
        "stuck_after_s": stuck_ms / 1e3,
        "loops": [
            {
                "loop": one.loop.thread if one.loop else None,
                "backend": one.loop.backend if one.loop else None,
                "stalled_s": round(one.stalled_ms / 1e3, 3),
                "busy": round(busy_share(one), 2),
            }
            for one in stats.loops
        ],
    }
    return Reply(json.dumps(body).encode() + b"\n", "application/json", 200 if found.alive else 503)


def _named(stats: LoopStats) -> str:
    return "the loop" if stats.loop is None else f"the {stats.loop.backend} loop of thread {stats.loop.thread}"


def _seconds(ms: float, limit_ms: float) -> str:
    return f"{ms / 1e3:.1f} s (stuck after {limit_ms / 1e3:g} s)"


class LivezSink:
    """Serves `/livez`, and nothing else.

    Args:
        address: `[HOST:]PORT`; without HOST it is loopback.
        token: What a probe must bring as `Authorization: Bearer TOKEN`; None: that of `LOOPWATCH_TOKEN`, if there is one.

    Raises:
        SettingError: the address cannot be used, or is not loopback and there is no token.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self._address = address_of(address, "sink 'livez'")
        self._token = token_for(self._address, token, "sink 'livez'")
        self._server: Server | None = None

    def begin(self, source: Source) -> None:
        def page(headers: Message) -> Reply:
            return livez(source)

        self._server = Server(self._address, {"/livez": page}, self._token)
        self._server.start()

    def __call__(self, stall: Stall) -> None:
        """Nothing: the totals say all that is asked."""

    def end(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
