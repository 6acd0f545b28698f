"""The watchdog's own thread: it repeats `Watchdog.look`, sleeps in between, and wakes early when its bell is rung."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from loopwatch.clocks import time
from loopwatch.watchdog.looking import Watchdog

__all__ = ["WatchdogThread"]

START_PATIENCE_S = 0.2
STOP_PATIENCE_S = 1.0


class WatchdogThread:
    """Runs a watchdog. Its methods may be called from any thread; none but `start`, `wait` and `stop` waits."""

    def __init__(self, watchdog: Watchdog) -> None:
        self.native_id: int | None = None
        """The kernel's id of the thread, once it has run."""
        self._watchdog = watchdog
        self._bell: SimpleQueue[tuple[int, Callable[[], object] | None]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._thread is not None

    def start(self) -> None:
        """Start it, if it does not run, and see it look once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="loopwatch-watchdog", daemon=True)
            self._thread.start()
            self.wait(START_PATIENCE_S)

    def ring(self, command: Callable[[], object] | None = lambda: None) -> None:
        """Have it look at once and then carry out a command; None: it ends."""
        self._bell.put((time.monotonic_ns(), command))

    def wait(self, timeout_s: float) -> bool:
        """Have it look once more; False if that takes longer. True where it does not run."""
        thread = self._thread
        if thread is None or thread is threading.current_thread() or not thread.is_alive():
            return True
        looked = threading.Event()
        self.ring(looked.set)
        return looked.wait(timeout_s)

    def stop(self) -> None:
        """End it."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self.ring(None)
            thread.join(STOP_PATIENCE_S)

    def _run(self) -> None:
        bell, look = self._bell, self._watchdog.look
        self.native_id = threading.get_native_id()
        due = time.monotonic_ns()
        while True:
            try:
                rung_ns, command = bell.get(
                    timeout=max(0.0, (due - time.monotonic_ns()) / 1e9) if self._watchdog.watched else None
                )
            except Empty:
                due = look(due)
                continue
            if command is None:
                return
            due = look(rung_ns)
            command()
