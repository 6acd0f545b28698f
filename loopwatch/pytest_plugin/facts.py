"""The facts that the gate works with, all frozen. `_ns`: on the monotonic clock; `_ms`: milliseconds."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from loopwatch.records import Stall

__all__ = ["BLOCKED", "Block", "Charge", "Demand", "Ruling", "Seen", "Window", "block_from"]

BLOCKED, KNOWN, ALLOWED, MACHINE = "blocked", "known", "allowed", "machine"
"""Verdicts on one block: it fails the test; the baseline knows it; somebody allowed it; the machine, the collector or another
thread took the time."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of one test."""

    max_ms: float
    source: str
    """Where the limit comes from, in words."""
    gates: bool = True
    """False: the test only uses the fixture; what it blocks is recorded and does not fail it."""
    strict: bool = False
    strict_source: str = ""
    allow: str | None = None
    """Why blocking is expected in this test; None: it is not."""
    up_to_ms: float | None = None
    """How much of each block `allow` excuses; None: all of it."""
    count_gc: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A judged stall with the raw facts that tell whose it is."""

    stall: Stall
    start_ns: int
    end_ns: int
    own_ms: float
    """As the gate counts it: see `loopwatch.pytest_plugin.own`."""
    blind: bool = False
    """Whether nobody could look while it lasted: then it neither fails nor passes a test."""
    gc_ms: float = 0.0
    """How much of it the garbage collector took."""
    task_id: int | None = None
    """`id` of the task that ran in most of its samples; None where there was none."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a test of which it said something."""

    kind: str
    """"pause": what happens here does not count; "only": only what happens in such windows does; "limit": `max_ms` holds here."""
    start_ns: int
    end_ns: int | None
    """None while it lasts."""
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """Whose block it is."""

    test: str
    """Node id."""
    phase: str
    """"setup", "call" or "teardown" of that test."""
    fixture: str | None = None
    """Which fixture, or what else besides the test itself, was at work."""
    during: str | None = None
    """Node id of the test that ran meanwhile, where that is another one."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided about one stall."""

    verdict: str
    counted_ms: float
    """The time that is held against the limit."""
    limit_ms: float
    source: str
    """Where the limit comes from."""
    why: str | None = None
    """The reason of an allowance; what took the time."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block as it is told: plain values only, since pytest-xdist sends it from process to process and JSON keeps it."""

    test: str
    """As in `Charge`, like the three below."""
    phase: str
    fixture: str | None
    during: str | None
    verdict: str
    why: str | None
    duration_ms: float
    counted_ms: float
    limit_ms: float
    source: str
    cause: str
    evidence: str
    file: str | None
    line: int | None
    function: str | None
    expression: str | None
    call: str | None
    exact: bool
    code: str | None
    """The line's text, stripped."""
    mark: tuple[int, int] | None
    """Where the expression stands in `code`: first character and the one after the last; None: not known."""
    module: str | None
    request: str | None
    task: str | None
    backend: str
    thread: str
    stack: tuple[str, ...]
    advice: str | None
    fingerprint: str
    strict: bool = False
    """Whether strict mode found it: a call, however fast it was. Then all milliseconds are 0."""

    @property
    def place(self) -> str:
        """Short and in one line: where."""
        return (
            f"{self.file}:{self.line}" if self.file is not None else f"the {self.backend} loop of thread {self.thread}"
        )

    @property
    def what(self) -> str:
        """What ran: the expression, or what there is instead."""
        text = self.expression or self.code or self.call or self.cause
        return text if "\n" not in text else text.partition("\n")[0] + " ..."

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def block_from(plain: dict[str, Any]) -> Block:
    """The block that `plain()` gave, also after a way through JSON."""
    known = {field.name for field in fields(Block)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in plain.items() if key in known
    }
    return Block(**values)
