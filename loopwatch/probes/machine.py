"""The process as a whole, and the watchdog's own thread: was it the machine that took the time?"""

import re
import threading
import time

from loopwatch.probes import procfs
from loopwatch.probes.cgroups import ThrottleProbe
from loopwatch.probes.threads import ThreadProbe, context_switches

__all__ = ["MachineProbe"]


class MachineProbe:
    """Used by the watchdog thread; as a run begins, by the loop's."""

    def __init__(self) -> None:
        self._own: ThreadProbe | None = None
        self._throttle: ThrottleProbe | None = None

    @staticmethod
    def process_cpu_ns() -> int | None:
        """CPU time of the whole process so far."""
        return time.process_time_ns()

    @staticmethod
    def others_cpu_ns() -> int | None:
        """CPU time of all threads but the watchdog so far."""
        return time.process_time_ns() - time.thread_time_ns()

    @staticmethod
    def own_switches() -> int | None:
        """Voluntary context switches of the watchdog so far."""
        return context_switches()

    def own_runqueue_ns(self, here: bool = True) -> int | None:
        """How long the watchdog waited for a core so far. Another thread (not `here`) can ask once the watchdog itself has."""
        own = self._own
        if own is None and here:
            own = self._own = ThreadProbe(threading.get_native_id())
        schedule = None if own is None else own.schedule()
        return schedule.waited_ns if schedule else None

    def throttled_ns(self) -> int | None:
        """For how long the control group's limit kept the process from running so far; None: it has none."""
        if self._throttle is None:
            self._throttle = ThrottleProbe()
        return self._throttle.throttled_ns()

    @staticmethod
    def cpu_pressure() -> float | None:
        """Share of the last ten seconds, in percent, in which some task waited for a core (Documentation/accounting/psi.rst)."""
        descriptor = procfs.open_file("/proc/pressure/cpu")
        found = re.match(rb"some avg10=([0-9.]+)", procfs.read(descriptor))
        procfs.close(descriptor)
        return float(found[1]) if found else None

    def close(self) -> None:
        for probe in (self._own, self._throttle):
            if probe is not None:
                probe.close()
        self._own = self._throttle = None
