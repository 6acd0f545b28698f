"""The saturated pools that one watch was told of. Added to by the delivery thread, read by any."""

import threading

from loopwatch.latest import Latest
from loopwatch.observations import Saturation
from loopwatch.records import PoolSaturation
from loopwatch.schedule import Announcements

__all__ = ["Saturations"]

MAX_ANNOUNCED = 1000


class Saturations:
    """The latest record of each.

    Args:
        keep: How many to remember.
    """

    def __init__(self, keep: int) -> None:
        self._lock = threading.Lock()
        self._records: Latest[str, PoolSaturation] = Latest(keep)
        self._announced = Announcements(MAX_ANNOUNCED)

    def wants(self, saturation: Saturation, first_ns: int | None) -> bool:
        """Whether it is to be told now: after `first_ns`, then at doubling intervals, and at the end of what was announced."""
        if not saturation.ongoing:
            return self._announced.pop(saturation.id, None) is not None
        return self._announced.fall_due(saturation.id, saturation.duration_ns, first_ns)

    def add(self, saturation: PoolSaturation) -> None:
        """Remember this record of it."""
        with self._lock:
            self._records.put(saturation.id, saturation)

    def all(self) -> tuple[PoolSaturation, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(self._records.values())
