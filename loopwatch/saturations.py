"""The saturated pools that one watch was told of. Added to by the delivery thread, read by any."""

import threading
from collections import OrderedDict

from loopwatch.observations import Saturation
from loopwatch.records import PoolSaturation
from loopwatch.schedule import doubled

__all__ = ["Saturations"]

MAX_ANNOUNCED = 1000


class Saturations:
    """The latest record of each.

    Args:
        keep: How many to remember.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._records: OrderedDict[str, PoolSaturation] = OrderedDict()
        self._announced: OrderedDict[str, int] = OrderedDict()
        """How long each had lasted when it was announced last, in nanoseconds."""

    def wants(self, saturation: Saturation, first_ns: int | None) -> bool:
        """Whether it is to be told now: after `first_ns`, then at doubling intervals, and at the end of what was announced."""
        if not saturation.ongoing:
            return self._announced.pop(saturation.id, None) is not None
        if first_ns is None or saturation.duration_ns < doubled(first_ns, self._announced.get(saturation.id, 0)):
            return False
        self._announced[saturation.id] = saturation.duration_ns
        if len(self._announced) > MAX_ANNOUNCED:
            self._announced.popitem(last=False)
        return True

    def add(self, saturation: PoolSaturation) -> None:
        """Remember this record of it."""
        with self._lock:
            self._records[saturation.id] = saturation
            if len(self._records) > self._keep:
                self._records.popitem(last=False)

    def all(self) -> tuple[PoolSaturation, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(self._records.values())
