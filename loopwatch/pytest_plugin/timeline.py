"""When which test was in which phase, which fixture was at work, and whose the tasks are that outlive their test.

Used on the thread that runs the tests.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loopwatch.clocks import time
from loopwatch.pytest_plugin.facts import Charge

__all__ = ["LateTasks", "Phase", "Timeline"]

REMEMBERED = 256
"""Phases: a block that takes longer than eighty tests is charged to the one that runs when it is seen."""
LEFT_BEHIND = "a task that the test left behind"


@dataclass(slots=True)
class Phase:
    """One phase of one test."""

    test: str
    name: str
    """"setup", "call" or "teardown"."""
    start_ns: int
    end_ns: int | None = None
    """None while it lasts."""


class Timeline:
    """The latest phases, and what the fixtures did in them."""

    def __init__(self) -> None:
        self._phases: deque[Phase] = deque(maxlen=REMEMBERED)
        self._fixtures: deque[tuple[int, int, str]] = deque(maxlen=REMEMBERED)
        self._finalized_ns = 0

    def begin(self, test: str, name: str) -> Phase:
        """A phase begins."""
        phase = Phase(test, name, time.monotonic_ns())
        self._phases.append(phase)
        self._finalized_ns = phase.start_ns
        return phase

    def note_fixture(self, start_ns: int, what: str) -> None:
        """A fixture has been set up since `start_ns`."""
        self._fixtures.append((start_ns, time.monotonic_ns(), what))

    def note_finalizer(self, what: str) -> None:
        """A fixture has been torn down. pytest tells no beginning: it is when the one before it ended, or the phase began."""
        began, self._finalized_ns = self._finalized_ns, time.monotonic_ns()
        self._fixtures.append((began, self._finalized_ns, what))

    def fixture_at(self, at_ns: int) -> str | None:
        """The innermost fixture that was at work then."""
        found = [(end - start, what) for start, end, what in self._fixtures if start <= at_ns <= end]
        return min(found)[1] if found else None

    def charge(self, at_ns: int, left_by: str | None, running: Phase) -> Charge:
        """Whose a block is that began then: of the test whose call had begun the task, else of the one that ran.

        Args:
            at_ns: When it began.
            left_by: The test whose call had begun the task that blocked; None: none that is known.
            running: The phase that runs.
        """
        phase = self.phase_at(at_ns) or running
        if left_by is not None and left_by != phase.test:
            return Charge(left_by, "call", during=phase.test)
        if phase.name == "call":
            return Charge(phase.test, phase.name)
        return Charge(phase.test, phase.name, self.fixture_at(at_ns) if left_by is None else LEFT_BEHIND)

    def phase_at(self, at_ns: int) -> Phase | None:
        """The phase in which that moment lies, or the last before it: between two phases pytest itself runs."""
        return next((phase for phase in reversed(self._phases) if phase.start_ns <= at_ns), None)


class LateTasks:
    """Tasks that a test's call began and did not end: what they block later is that test's doing.

    Tasks that a fixture began serve whichever test runs: they are nobody's.
    """

    def __init__(self) -> None:
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._owners: dict[int, tuple[weakref.ref[Any], str]] = {}

    def owner(self, task_id: int | None) -> str | None:
        """Node id of the test that a task was left by; None: it was not left by any."""
        found = None if task_id is None else self._owners.get(task_id)
        return None if found is None else found[1]

    def owners(self) -> set[str]:
        """Node ids of all tests that left one."""
        return {test for _, test in self._owners.values()}

    def fixtures_are_up(self) -> None:
        """All tasks that there are now belong to no test's call. An `id` whose task has gone may be used again."""
        self._owners = {key: value for key, value in self._owners.items() if _lives(value[0]())}
        self._known.update(_tasks())

    def call_is_over(self, test: str) -> None:
        """All tasks that are new are this test's."""
        for task in _tasks():
            if task not in self._known:
                self._known.add(task)
                self._owners[id(task)] = (weakref.ref(task), test)


def _lives(task: Any) -> bool:
    return task is not None and not task.done()


def _tasks() -> Iterator[Any]:
    """All tasks of all loops that are not done.

    `asyncio.all_tasks` wants a loop, and those that matter here are not running. 3.11 keeps tasks in `_all_tasks`, 3.12 and 3.13 in
    `_scheduled_tasks` (Lib/asyncio/tasks.py).
    """
    tasks = asyncio.tasks
    every: Any = getattr(tasks, "_scheduled_tasks", None) or getattr(tasks, "_all_tasks", ())
    for _ in range(100):  # another thread's loop may add one meanwhile: as `asyncio.all_tasks` does
        try:
            found = list(every)
        except RuntimeError:
            continue
        return (task for task in found if not task.done())
    return iter(())
