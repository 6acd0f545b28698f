"""Is the loop alive? One heartbeat per backend; `heartbeat_for` picks."""

from typing import Any

from loopwatch.heartbeats import libuv
from loopwatch.heartbeats.asyncio_selector import SelectorHeartbeat
from loopwatch.heartbeats.base import Heartbeat, describe
from loopwatch.heartbeats.libuv import LibuvHeartbeat
from loopwatch.heartbeats.timer import TimerHeartbeat
from loopwatch.heartbeats.trio import TrioHeartbeat
from loopwatch.probes.threads import ThreadProbe
from loopwatch.probes.trio import TrioRun

__all__ = ["Heartbeat", "describe", "heartbeat_for"]


def heartbeat_for(loop: Any, limit_ns: int, probe: ThreadProbe, adopted: bool) -> Heartbeat:
    """The best heartbeat for `loop`, not attached yet. Called on the loop's thread.

    Args:
        adopted: The loop runs already, so that the start of its present turn is not known.
    """
    info = describe(loop)
    if type(loop) is TrioRun:
        return TrioHeartbeat(loop, info, limit_ns, adopted)
    if info.backend == "uvloop":
        symbols = libuv.load()
        if symbols is not None:
            return LibuvHeartbeat(loop, info, limit_ns, symbols, probe)
    elif SelectorHeartbeat.fits(loop):
        return SelectorHeartbeat(loop, info, limit_ns, adopted)
    return TimerHeartbeat(loop, info, limit_ns)
