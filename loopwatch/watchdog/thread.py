"""The watchdog's own thread: it repeats `Watchdog.look`, sleeps in between, and wakes early when its bell is rung."""

import _thread
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from loopwatch.clocks import time
from loopwatch.watchdog.looking import Watchdog

__all__ = ["WatchdogThread"]

START_PATIENCE_S = 0.2
STOP_PATIENCE_S = 1.0
FOR_EVER_S = threading.TIMEOUT_MAX
LINGER_NS = 1_000_000_000
"""How long it goes on looking when the last loop has gone: where loops come and go, most find it awake."""


class WatchdogThread:
    """Runs a watchdog. Its methods may be called from any thread; none but `start`, `wait` and `stop` waits.

    Args:
        watchdog: What looks.
        looked: Called after each look, on this thread, with the time of the next one.
    """

    def __init__(self, watchdog: Watchdog, looked: Callable[[int], object] = lambda _due_ns: None) -> None:
        self.native_id: int | None = None
        """The kernel's id of the thread, once it has run."""
        self._watchdog = watchdog
        self._looked = looked
        self._commands: deque[tuple[int, Callable[[], object] | None]] = deque()
        # Released: rung. A bare lock is the cheapest thing to wait for with a timeout.
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._thread: threading.Thread | None = None
        self._asleep = self._resting = False
        self._came_ns = 0

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._thread is not None

    @property
    def idle(self) -> bool:
        """Whether it has done all that it was rung for, and is not looking."""
        return not self._commands and self._resting  # in this order: it takes a command only when it no longer rests

    def start(self) -> None:
        """Start it, if it does not run, and see it look once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="loopwatch-watchdog", daemon=True)
            self._thread.start()
            self.wait(START_PATIENCE_S)

    def ring(self, command: Callable[[], object] | None = lambda: None) -> None:
        """Have it look at once and then carry out a command; None: it ends."""
        self._commands.append((time.monotonic_ns(), command))
        with contextlib.suppress(RuntimeError):  # rung already, and not yet heard
            self._bell.release()

    def wake(self) -> None:
        """A loop has come. Costs next to nothing where it looks anyway."""
        self._came_ns = time.monotonic_ns()
        if self._asleep:
            self.ring()

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
        look, listen = self._look, self._bell.acquire
        self.native_id = threading.get_native_id()
        due = time.monotonic_ns()
        while True:
            self._resting = True
            rung = listen(True, self._patience_s(due))
            self._resting = False
            next_due = self._obey(due) if rung else look(due)
            if next_due is None:
                return
            due = next_due

    def _patience_s(self, due_ns: int) -> float:
        """How long to sleep; for ever where there has been nothing to look at for a while."""
        now = time.monotonic_ns()
        if self._watchdog.watched:
            self._came_ns = now
        # In this order: who adds a loop does so before asking whether this sleeps.
        self._asleep = now - self._came_ns > LINGER_NS
        if self._asleep and not self._watchdog.watched:
            return FOR_EVER_S
        self._asleep = False
        return max(0.0, (due_ns - now) / 1e9)

    def _obey(self, due_ns: int) -> int | None:
        """Look, and carry out what was asked for; when to look next, None: never."""
        while self._commands:
            rung_ns, command = self._commands.popleft()
            if command is None:
                return None
            due_ns = self._look(rung_ns)
            command()
        return due_ns

    def _look(self, due_ns: int) -> int:
        due_ns = self._watchdog.look(due_ns)
        self._looked(due_ns)
        return due_ns
