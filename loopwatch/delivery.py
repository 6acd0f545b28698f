"""From the watchdog to whoever judges: bounded queues with a thread each, and the one on which stalls are completed.

Nothing here runs on a loop's thread.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from loopwatch.attach import LOOP_CODES
from loopwatch.clocks import time
from loopwatch.observations import Observation, Saturation
from loopwatch.probes.code import Resolver, frame_at
from loopwatch.probes.stacks import Capture
from loopwatch.probes.trio import loop_codes
from loopwatch.records import Frame, LoopInfo
from loopwatch.sentinel.dumps import Dump, joined

__all__ = ["Delivery", "Queue", "introduce", "say"]

MAX_QUEUED = 1000
MAX_FAILURES_SAID = 20
RETRY_S = 60.0


def say(message: str) -> None:
    """Tell the user once about trouble of loopwatch's own. Not called on a loop's thread."""
    logging.getLogger("loopwatch").error("%s", message)


def introduce(info: LoopInfo, threshold_ms: float, verbose: bool) -> None:
    """Tell, once in each process, that its first loop is watched: on stderr for those who ask for it, else at level DEBUG."""
    line = (
        f"loopwatch: watching {_program()}, process {info.pid}: first loop {info.backend} in {info.thread}; "
        f"a turn of {threshold_ms:g} ms is a stall"
    )
    if verbose and sys.stderr is not None:
        sys.stderr.write(line + "\n")
    else:
        logging.getLogger("loopwatch").debug("%s", line)


def _program() -> str:
    """A name for this process: its script's, or its package's under `python -m`."""
    path = Path(sys.argv[0] if sys.argv else "")
    return (path.parent.name if path.name == "__main__.py" else path.name) or "python"


class Queue:
    """A bounded queue with one reading thread, which starts with the first item. Drops and counts what does not fit.

    `put` takes no lock of Python's and never blocks, so the watchdog may call it. Items are handled in order.

    Args:
        name: Of the thread.
        handle: Called with each item, on the thread. Raises nothing.
        limit: How many items may wait.
        pass_time: Called between items: does what has fallen due, and says for how many seconds nothing will (None: until an
            item comes).
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Any], None],
        limit: int = MAX_QUEUED,
        pass_time: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.name = name
        self.dropped = 0
        self.native_id: int | None = None
        self._handle = handle
        self._pass_time = pass_time
        self._limit = limit
        self._items: SimpleQueue[Any] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._resting = True

    @property
    def idle(self) -> bool:
        """Whether all that was put so far has been handled."""
        return self._items.empty() and self._resting

    @property
    def running(self) -> bool:
        """Whether its thread has been started."""
        return self._thread is not None

    def put(self, item: Any, in_any_case: bool = False) -> bool:
        """Queue an item; False if it was dropped. `in_any_case`: for the few that somebody relies on; they are not dropped."""
        if self._items.qsize() >= self._limit and not in_any_case:
            self.dropped += 1
            return False
        self._resting = False
        self._items.put(item)
        return True

    def start(self) -> bool:
        """Start the thread, if it does not run; False where the interpreter is shutting down and starts no more threads."""
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            return True

    def stop(self, timeout_s: float) -> bool:
        """End the thread when it has handled what is queued; False if it needs longer than that."""
        thread = self._thread
        if thread is None:
            return True
        self._items.put(_STOP)
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    def join(self, deadline: float) -> bool:
        """Wait until all that was put so far has been handled, or until the monotonic `deadline`."""
        if self._thread is None:
            return self._items.empty()
        done = threading.Event()
        self._items.put(done)
        return done.wait(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        self.native_id = threading.get_native_id()
        while True:
            self._resting = True
            if not self._items.empty():  # asked again: something may have been put since the last item was handled
                self._resting = False
            item = self._next()
            if item is _STOP:
                with self._starting:
                    self._thread = None
                return
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._handle(item)

    def _next(self) -> Any:
        while True:
            try:
                return self._items.get(timeout=self._pass_time())
            except Empty:  # something has fallen due
                continue

    def drain(self) -> None:
        """Throw away what is queued."""
        try:
            while True:
                self._items.get_nowait()
        except Empty:
            pass


_STOP = object()


class Delivery:
    """The delivery thread: completes a stall with its source lines and what the sentinel saw, and hands it on.

    Args:
        receive: Called with each completed stall, on this thread.
        pass_time: As for `Queue`, on this thread.
        receive_saturation: As `receive`, for pools.
    """

    def __init__(
        self,
        receive: Callable[[Observation], None],
        pass_time: Callable[[], float | None] = lambda: None,
        receive_saturation: Callable[[Saturation], None] = lambda _saturation: None,
    ) -> None:
        self.dumps: Callable[[], Sequence[Dump]] = tuple
        """What the sentinel has seen lately."""
        self.queue = Queue("loopwatch-delivery", self.handle, pass_time=self._time_passes)
        self._receive = receive
        self._pass_time = pass_time
        self._receive_saturation = receive_saturation
        self._resolver = Resolver()
        self._said: set[str] = set()

    def emit(self, observation: Observation | Saturation, captures: tuple[Capture, ...]) -> None:
        """Queue a stall, or a saturated pool, with its stacks. Called by the watchdog."""
        self.queue.put((observation, captures))

    def failed(self, what: str) -> None:
        """Say once what part of loopwatch failed; on the delivery thread, since saying it is I/O."""
        if what not in self._said and len(self._said) < MAX_FAILURES_SAID:
            self._said.add(what)
            self.queue.put(f"loopwatch: {what}; this part is switched off, the program is not affected")

    def carry_out(self, call: Callable[[], object], timeout_s: float) -> None:
        """Make a call between two stalls and wait for it: on this thread; on the caller's where this one does not run."""
        if self.queue.running:
            self.queue.put(call, in_any_case=True)
            self.queue.join(time.monotonic() + timeout_s)
        else:
            self.handle(call)

    def handle(self, item: Any) -> None:
        """Do what was queued: say a sentence, make a call, or deliver a stall or a saturated pool with its stacks."""
        try:
            if isinstance(item, str):
                say(item)
            elif callable(item):
                item()
            elif isinstance(item[0], Saturation):
                self._receive_saturation(replace(item[0], stacks=self._stacks(item[1])))
            else:
                self._receive(self._joined(self._resolved(*item)))
        except Exception as error:  # noqa: BLE001
            self.failed(f"{'a call' if callable(item) else 'judging a stall'} on the delivery thread: {error!r}")

    def _time_passes(self) -> float | None:
        try:
            return self._pass_time()
        except Exception as error:  # noqa: BLE001 - stalls are told all the same
            self.failed(f"telling what fell due: {error!r}")
            return RETRY_S

    def _joined(self, observation: Observation) -> Observation:
        try:
            dumps = self.dumps()
            return joined(observation, dumps, frame_at, _loop_names()) if dumps else observation
        except Exception as error:  # noqa: BLE001 - the stall is told all the same
            self.failed(f"the sentinel: {error!r}")
            return observation

    def _resolved(self, observation: Observation, captures: tuple[Capture, ...]) -> Observation:
        stacks = iter(self._stacks(captures))
        return replace(
            observation,
            samples=tuple(replace(sample, stack=next(stacks)) for sample in observation.samples),
            holds=tuple(replace(hold, stack=next(stacks)) for hold in observation.holds),
        )

    def _stacks(self, captures: tuple[Capture, ...]) -> tuple[tuple[Frame, ...], ...]:
        return tuple(self._resolver.stack(taken.points) for taken in captures)


def _loop_names() -> frozenset[tuple[str, str]]:
    """Functions whose frames run a loop, as the sentinel sees them."""
    return frozenset((code.co_filename, code.co_qualname) for code in (*LOOP_CODES, *loop_codes()))
