"""What a case is: a function that blocks, and the label it bears.

The blocking line carries `MARK`. The body tells when it blocked by its own clock:

    @case("sleep")
    def time_sleep(run: Run) -> None:
        began = run.begin()
        time.sleep(run.seconds)  # BLOCK
        run.end(began, now())

`now` is called before `run.end`, and is a C function: nothing of the harness lies inside the measured time.
"""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns as now
from time import process_time_ns, thread_time_ns
from typing import Any

from benchmarks.accuracy.facts import Truth

__all__ = ["CASES", "MARK", "Case", "Run", "Setup", "Skip", "case", "now"]

MARK = "# BLOCK"
COMMON_PLACES = ("handler", "call_soon")


class Skip(Exception):
    """This case cannot run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a case may use to make its data, before the loop and the detector start."""

    size: int
    services: dict[str, Any]
    """Addresses of the slow servers: `services.start`."""
    folder: Path
    """Empty, removed afterwards."""
    closing: ExitStack
    """Closed at the end of the process."""


class Run:
    """One go of a case. Its body says here when it blocked. Used on the loop's thread."""

    def __init__(self, place: str, data: Any, size: int, seconds: float, services: dict[str, Any]) -> None:
        self.place = place
        self.data = data
        self.size = size
        self.seconds = seconds
        self.services = services
        self.given: Any = None
        """What the case's `prepare` returned."""
        self.kept: Any = None
        """For large results that are not to be freed within the turn.

        Not for many containers: they would make every later collection longer. Those are freed on the line that made them."""
        self.truths: list[Truth] = []
        self._before = (0, 0)

    @property
    def wait_ms(self) -> int:
        return int(self.seconds * 1000)

    def begin(self) -> int:
        """Takes vitals, then the time."""
        self._before = _vitals()
        return now()

    def end(self, began: int, ended: int) -> None:
        """Records a truth with the vitals since `begin`."""
        cpu, process = (after - before for after, before in zip(_vitals(), self._before, strict=True))
        self.truths.append(Truth(began, ended, self.place, cpu, others_cpu_ns=max(0, process - cpu)))

    def note(self, began: int, ended: int) -> None:
        """Records a truth that was measured elsewhere than on the loop's thread."""
        self.truths.append(Truth(began, ended, self.place))


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled blocker."""

    name: str
    """Module and function: "locks/queue_get"."""
    body: Callable[[Run], Any]
    """A function is called from its places; a coroutine function is awaited by a task and is a scene of its own."""
    causes: frozenset[str]
    places: tuple[str, ...]
    size: int | None = None
    """Where calibration starts; None: there is nothing to calibrate."""
    degree: float = 1.0
    """How the time grows with the size: 2 is quadratic. Only makes calibration quicker."""
    make: Callable[[Setup], Any] | None = None
    """Makes `run.data`, for one size."""
    work: Callable[[Run], Any] | None = None
    """What calibration times instead of the body."""
    prepare: Callable[[Run], Any] | None = None
    """Makes `run.given` before each go, in a worker thread: the loop stays idle meanwhile."""
    via: tuple[Callable[..., Any], ...] = ()
    """Further functions whose marked lines may rightly be named."""
    modules: tuple[str, ...] = ()
    """Modules that must be installed; they are imported before the loop starts."""
    service: str | None = None
    """The slow server that it needs."""
    expect: str = "stall"
    operator: bool = False
    blameless: bool = False
    """Whether naming no line is right too, besides those that are marked."""
    small: bool = False
    """Whether it belongs to the small fixed part that CI runs."""
    backends: tuple[str, ...] = ("asyncio", "uvloop", "trio")
    """Where it runs: a scene awaits, and so is written for one library."""
    lines: tuple[tuple[str, int], ...] = field(default=())


CASES: dict[str, Case] = {}


def case(*causes: str, places: tuple[str, ...] = COMMON_PLACES, **settings: Any) -> Callable[..., Any]:
    """Registers the decorated function as a `Case`. More than one cause: each is an honest answer (a comment says why)."""

    def register(body: Callable[[Run], Any]) -> Callable[[Run], Any]:
        name = f"{body.__module__.rsplit('.', 1)[-1]}/{body.__name__}"
        where = ("task",) if inspect.iscoroutinefunction(body) else places
        if inspect.iscoroutinefunction(body):
            settings.setdefault("backends", ("asyncio", "uvloop"))
        lines = tuple(line for function in (body, *settings.get("via", ())) for line in _marked(function))
        CASES[name] = Case(name, body, frozenset(causes), where, lines=lines, **settings)
        return body

    return register


def _marked(function: Callable[..., Any]) -> list[tuple[str, int]]:
    """File and number of each line of `function` that carries the mark."""
    source, first = inspect.getsourcelines(function)
    file = inspect.getfile(function)
    return [(file, first + offset) for offset, line in enumerate(source) if line.rstrip().endswith(MARK)]


def _vitals() -> tuple[int, int]:
    """CPU time of this thread and of the process: two clocks, whose reading does not let go of the GIL."""
    return thread_time_ns(), process_time_ns()
