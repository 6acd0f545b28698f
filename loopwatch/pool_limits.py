"""How much people have to read of full pools: a limit on what is announced, which counts what it holds back.

Nothing here reads a clock: `now` is monotonic seconds, and never goes back. For one thread at a time.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

from loopwatch.latest import Latest
from loopwatch.records import PoolSaturation

__all__ = ["PoolLimits"]

BURST = 5
PER_S = 60.0
MAX_REMEMBERED = 2000


@dataclass(slots=True)
class _Window:
    """One fingerprint: since when it is counted, how many passed since, and what was held back and not told of yet."""

    since_s: float
    passed: int = 0
    held: int = 0
    held_ms: float = 0.0


class PoolLimits:
    """Lets the first few saturations of a fingerprint through per minute.

    What passed when it was announced is told to its end; what did not is counted, and no end of it is told.

    Args:
        burst: So many pass in a minute.
    """

    def __init__(self, burst: int = BURST) -> None:
        self._burst = burst
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._announced: Latest[str, None] = Latest(MAX_REMEMBERED)
        """Ids of those whose end must be told."""

    def pass_on(self, saturation: PoolSaturation, now: float) -> PoolSaturation | None:
        """The record, with the count of those held back before it; None: it is held back."""
        window = self._window(saturation.fingerprint, now)
        if saturation.id not in self._announced:
            if not saturation.ongoing:  # what lasts is counted when it has ended
                window.held += 1
                window.held_ms += saturation.duration_ms
                return None
            if window.passed >= self._burst:
                return None
            window.passed += 1
        if saturation.ongoing:
            self._announced.put(saturation.id, None)
        else:
            del self._announced[saturation.id]
        held, held_ms, window.held, window.held_ms = window.held, window.held_ms, 0, 0.0
        return replace(saturation, suppressed_count=held, suppressed_ms=held_ms)

    def _window(self, fingerprint: str, now: float) -> _Window:
        window = self._windows.setdefault(fingerprint, _Window(now))
        self._windows.move_to_end(fingerprint)
        if now - window.since_s >= PER_S:
            window.since_s, window.passed = now, 0
        if len(self._windows) > MAX_REMEMBERED:
            self._windows.popitem(last=False)
        return window
