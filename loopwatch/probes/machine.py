"""The process as a whole, and the watchdog's own thread: was it the machine that took the time?"""

import threading
import time

from loopwatch.probes.threads import ThreadProbe, context_switches

__all__ = ["MachineProbe"]


class MachineProbe:
    """Used by the watchdog thread only."""

    def __init__(self) -> None:
        self._own: ThreadProbe | None = None

    @staticmethod
    def process_cpu_ns() -> int | None:
        """CPU time of the whole process so far."""
        return time.process_time_ns()

    @staticmethod
    def own_switches() -> int | None:
        """Voluntary context switches of the watchdog so far."""
        return context_switches()

    def own_runqueue_ns(self) -> int | None:
        """How long the watchdog waited for a core so far."""
        if self._own is None:
            self._own = ThreadProbe(threading.get_native_id())
        schedule = self._own.schedule()
        return schedule.waited_ns if schedule else None

    def close(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None
