"""What people read of a stall, all frozen: the public records.

Times are float milliseconds, moments aware UTC. Nothing here holds a frame, a task or a value of the watched program.
The raw facts behind them are in `loopwatch.observations`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "Cause",
    "Frame",
    "Holder",
    "Incident",
    "LoopInfo",
    "LoopStats",
    "Origin",
    "PoolReading",
    "PoolSaturation",
    "PoolWorkers",
    "RequestInfo",
    "Severity",
    "Share",
    "Spot",
    "Stall",
    "TraceInfo",
    "Waiting",
    "severity_of",
]


class Cause(StrEnum):
    """Why the loop thread did not come back to its loop; told by mechanism, never by size."""

    PYTHON = "python"
    """Running Python code."""
    NATIVE = "native"
    """In C code on the CPU (json, re, hashing, numpy), with or without the GIL."""
    SLEEP = "sleep"
    """In `time.sleep` or its like."""
    NETWORK = "network"
    """Waiting on a socket, DNS or TLS."""
    DISK = "disk"
    """Waiting on a file, a pipe or fsync."""
    SUBPROCESS = "subprocess"
    """Waiting for a child process."""
    LOCK = "lock"
    """Waiting for a lock, queue, thread or future."""
    GIL = "gil"
    """Ready to run, but another thread kept the global interpreter lock."""
    GC = "gc"
    """In the garbage collector."""
    OVERLOAD = "overload"
    """Running many callbacks in one turn, none of them long by itself."""
    STARVED = "starved"
    """Ready to run, but the machine did not run it (contention, cgroup throttling)."""
    SUSPENDED = "suspended"
    """The whole process was stopped (signal, debugger); counted, never reported."""
    UNKNOWN = "unknown"
    """Not decidable; the evidence says what was missing."""


class Severity(StrEnum):
    """How much it matters, in the words of log levels; in this order, least first."""

    INFO = "info"
    """For the record: the process was suspended."""
    WARNING = "warning"
    """Requests were late; or the machine did not run the loop, for however long."""
    ERROR = "error"
    """Somebody waited for a second or longer."""
    CRITICAL = "critical"
    """The service stands still: clients and health checks have given up."""

    @property
    def rank(self) -> int:
        """0 to 3: severities compare by it, since strings compare by their letters."""
        return _RANKS.index(self)


_RANKS = tuple(Severity)
ERROR_MS = 1_000.0
CRITICAL_MS = 10_000.0
"""Health checks of orchestrators and load balancers mostly give up after one to ten seconds."""


def severity_of(cause: Cause, duration_ms: float) -> Severity:
    """How much a stall matters. What the machine did to the process pages nobody: whoever owns the program cannot mend it."""
    if cause is Cause.SUSPENDED:
        return Severity.INFO
    if cause is Cause.STARVED or duration_ms < ERROR_MS:
        return Severity.WARNING
    return Severity.ERROR if duration_ms < CRITICAL_MS else Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class LoopInfo:
    """Which loop."""

    backend: str
    """"asyncio", "uvloop", "trio", or the module of another loop's class."""
    thread: str
    """Name of the thread that runs it."""
    thread_id: int
    """`threading.get_ident()` of that thread."""
    native_id: int
    """The kernel's thread id."""
    pid: int


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The request on whose behalf the loop was held; never a query string, header, body or raw path."""

    method: str | None
    """"GET", or "WEBSOCKET"; None if the protocol has none (lifespan)."""
    route: str | None
    """The route's template ("/items/{item_id}"); None where no router has matched."""
    endpoint: str | None
    """Qualified name of the endpoint function, or of the innermost ASGI callable where there is no router."""

    @property
    def label(self) -> str:
        """For people: "GET /items/{item_id}"; empty where nothing is known."""
        return " ".join(part for part in (self.method, self.route or self.endpoint) if part)


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """The OpenTelemetry span within which the loop was held, in the words of W3C's Trace Context."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: int
    """1: the trace is sampled."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a source file."""

    line: int
    end_line: int | None = None
    column: int | None = None
    """0-based UTF-8 byte offset, as `code.co_positions()` gives it; None under -X no_debug_ranges."""
    end_column: int | None = None
    source: str | None = None
    """The line's text, stripped; None where there is no source."""
    expression: str | None = None
    """The exact piece of it."""
    rank: int = 0
    """Of an operator under suspicion: 0, known to take long; 1, mostly short; 2, one that may free objects."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One resolved frame of a sampled stack."""

    file: str
    function: str
    """Qualified name."""
    line: int
    end_line: int | None = None
    column: int | None = None
    """0-based UTF-8 byte offset, as `code.co_positions()` gives it; None under -X no_debug_ranges."""
    end_column: int | None = None
    module: str | None = None
    """`__name__` of the module whose code it is."""
    kind: str = "app"
    """"app" (the user's code), "library" (site-packages), "stdlib", or "loopwatch"."""
    source: str | None = None
    """The source line(s), stripped; None where there is no source."""
    expression: str | None = None
    """The exact piece of the line that was executing."""
    call: str | None = None
    """Dotted name of what that piece calls, if it is a call: "time.sleep"."""
    point: str = "other"
    """Where the instruction stands: "call", "resume" (just entered), "jump" (end of a loop's round), "await", "other"."""
    suspects: tuple[Spot, ...] = ()
    """Operators that may have run since the interpreter last looked for a pending switch, likeliest first."""
    returned: Spot | None = None
    """The call before them, which may have spent the time in a function whose frame is gone."""
    coroutine: bool = False
    lasted: float | None = None
    """Share (0 to 1) of the samples, taken in a row, in which this code stood here with unchanged callers.

    An upper bound. None in a raw sample; filled in for `Stall.stack`."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who was held up while the stall lasted: upper bounds, as they were when it was seen."""

    requests: int | None = None
    """Other requests in flight on this loop; None where that cannot be told."""
    callbacks: int | None = None
    """Callbacks (trio: tasks) that were ready to run; None where the loop does not show them (uvloop)."""
    endpoints: tuple[tuple[str, int], ...] = ()
    """Those requests by endpoint ("GET /items/{item_id}"), most first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The user's line that blocked."""

    file: str
    line: int
    end_line: int | None
    column: int | None
    """0-based UTF-8 byte offset in the line; None where Python was told to keep no columns."""
    end_column: int | None
    function: str
    """Qualified name."""
    source: str | None
    """The line's text, stripped; None where there is no source."""
    expression: str | None
    """The exact piece of the line that was executing."""
    call: str | None
    """Dotted name of the blocking call beneath it, such as "requests.api.get"."""
    exact: bool
    """False where the line is an inference: see `candidates`."""
    candidates: tuple[int, ...] = ()
    """Lines of the same file that may be the culprit, likeliest first; empty where `exact`."""
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """One origin's part in a stall."""

    origin: Origin
    share: float
    """0 to 1, of the sampled time."""
    samples: int
    cause: Cause | None = None
    """The mechanism in which this part was spent, where it is known."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The thread that kept the loop from what it needed."""

    thread: str
    """Its name."""
    native_id: int
    """The kernel's thread id."""
    stack: tuple[Frame, ...]
    """Where it stood when it was seen last, outermost first."""
    request: RequestInfo | None = None
    """The request for which it works, where it is a worker thread of anyio's (Python 3.12+)."""
    waits_for: str | None = None
    """Name of the thread for which it waits in turn: its end, its result, or the loop that it runs."""


@dataclass(frozen=True, slots=True)
class Stall:
    """One stall as it is reported."""

    id: str
    state: str
    """"ongoing" while it lasts, "ended" afterwards; both records carry one id."""
    started_at: datetime
    """Aware UTC."""
    duration_ms: float
    own_ms: float
    """`duration_ms` less starvation, suspension, collection and a foreign GIL: never below 0."""
    timing: str
    """"exact", or "bounded" where start or end is only a bound."""
    threshold_ms: float
    cause: Cause
    evidence: str
    """One sentence with the figures that the cause rests on."""
    confidence: float
    """0 to 1: of the cause."""
    origin: Origin | None
    """None where no line can be named. Cause `gil`: the line on which the other thread kept it."""
    shares: tuple[Share, ...]
    """Every origin that took part, largest first."""
    stack: tuple[Frame, ...]
    """The heaviest stack, outermost first."""
    samples: int
    request: RequestInfo | None
    task: str | None
    loop: LoopInfo
    waiting: Waiting
    advice: str | None
    fingerprint: str
    context: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    """structlog's contextvars of the blocked task (asyncio: Python 3.12+)."""
    trace: TraceInfo | None = None
    """Its current span. None: there was none, or it is not known, as on Python 3.11 (but for the server's span of FastAPI)."""
    allowed: str | None = None
    """The reason, where `loopwatch.allow` covers this stall; such a stall is counted and not reported."""
    holder: Holder | None = None
    """Cause `gil`: the thread that kept the GIL; `lock`: the one whose end or result was waited for; None: not known."""
    suppressed_count: int = 0
    """How many stalls were held back and are told of only here: of this fingerprint by its own limit, and any by the common one."""
    suppressed_ms: float = 0.0
    """Their total duration."""
    stack_omitted: bool = False
    """Whether `stack`, and that of the `holder`, was left out because the limit on stacks was used up."""
    nurseries: tuple[str, ...] = ()
    """trio: the tasks in whose nurseries the blocked task lives, outermost first."""
    called_from: str | None = None
    """In words, where another thread had the loop run this: a blocking portal, `from_thread.run`."""

    @property
    def severity(self) -> Severity:
        """How much it matters, by cause and duration so far."""
        return severity_of(self.cause, self.duration_ms)

    @property
    def ongoing(self) -> bool:
        """Whether it still lasts."""
        return self.state == "ongoing"

    @property
    def only_counted(self) -> bool:
        """Whether it is counted and not reported: it is allowed, or the whole process was suspended."""
        return self.allowed is not None or self.cause is Cause.SUSPENDED

    @property
    def await_chain(self) -> tuple[str, ...]:
        """The coroutines on the stack, outermost first: handler, service, repository."""
        return tuple(frame.function for frame in self.stack if frame.coroutine)


@dataclass(frozen=True, slots=True)
class Incident:
    """All stalls with one fingerprint. It opens with the first, closes when none has come for a while, and may open again."""

    id: str
    """Of this opening: every opening has its own."""
    state: str
    """"open"; "quiet" when no stall has come for `quiet_ms`; "closed" after five times that, or because the watch has ended."""
    severity: Severity
    """The worst stall of this opening so far."""
    fingerprint: str
    cause: Cause
    origin: Origin | None
    count: int
    """Its ended stalls: 0 while the first one lasts, or where that one turned out to be another incident's when it ended."""
    lost_ms: float
    """Their total duration."""
    max_ms: float
    p50_ms: float
    """Percentiles of their durations, at most 5 % off; 0 where none has ended."""
    p95_ms: float
    p99_ms: float
    first_at: datetime
    """When the first of them began."""
    last_at: datetime
    """When the latest of them began."""
    opened_at: datetime
    """When the first stall of this opening began."""
    opened_count: int
    """Ended stalls of this opening alone."""
    opened_ms: float
    """Their total duration."""
    openings: int
    """How many times it has opened, this one included."""
    endpoints: tuple[tuple[str, int], ...]
    """The requests that held the loop, by endpoint, most first."""
    waited: tuple[tuple[str, int], ...]
    """The requests that it made wait, by endpoint, most first: upper bounds."""
    waiting_max: int | None
    """The most requests that one of these stalls held up."""
    advice: str | None
    latest: Stall
    """The latest record of it: of a stall that has ended, or of one that lasts."""
    news: str | None = None
    """Why a sink is told: "opened", "worse" (a higher severity), "ongoing" (at doubling intervals), "closed"; None: it is not."""
    suppressed_count: int = 0
    """How many openings closed without a word since the last news of an opening, because too many came at once."""


@dataclass(frozen=True, slots=True)
class LoopStats:
    """Totals since the watch began: of all loops together, or of one."""

    loop: LoopInfo | None
    """None in the sum of all loops."""
    observed_s: float
    """For how long loops were running."""
    utilization: float | None
    """0 to 1: share of that time in which the loop was busy; None where it cannot be told."""
    lag_p50_ms: float
    """Lag: how long an event that arrives now would have waited so far; sampled some 15 times a second."""
    lag_p95_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    lost_ms: float
    """Total duration of stalls."""
    stalls: int
    by_cause: dict[str, int]
    allowed: int
    """Stalls covered by `loopwatch.allow`."""
    suspended: int
    """Pauses of the whole process, debuggers included."""
    dropped: int
    """Stalls that a full queue could not take: a sink's, or that of stalls yet to be judged, which `stalls` leaves out, too."""
    samples: int
    cost_cpu_ms: float | None
    """CPU time of loopwatch's own threads."""
    stalled_ms: float = 0.0
    """How old the stall under way was at the latest look, less what is allowed; 0: there is none. In the sum: of the longest."""
    lags_ms: tuple[float, ...] = field(default=(), repr=False)
    """The latest lags of one loop (2048 or more of them, once there are), oldest first. Empty in the sum."""
    looks: int = 0
    """How many lags there have been since the watch began."""
    loops: tuple["LoopStats", ...] = ()


@dataclass(frozen=True, slots=True)
class PoolReading:
    """A pool of threads or connections at one moment; read about twice a second."""

    kind: str
    """"anyio" (a loop's default limiter), "executor" (a `ThreadPoolExecutor`) or "sqlalchemy" (a connection pool)."""
    name: str
    """"default limiter", the prefix of an executor's threads, or a connection pool's class and dialect."""
    loop: LoopInfo | None
    """The loop whose default it is; None: it belongs to the process."""
    borrowed: int
    """Tokens, threads or connections in use."""
    total: int | None
    """How many there may be; None: any number."""
    waiting: int
    """How many wait for one."""
    oldest_wait_ms: float | None = None
    """For how long the first in line has waited at least: since it was first seen. None: nobody waits, or that cannot be told."""

    @property
    def saturated(self) -> bool:
        """Whether somebody waits for another to be done."""
        return self.waiting > 0 and self.total is not None


@dataclass(frozen=True, slots=True)
class PoolWorkers:
    """Threads of a pool that stand at one line."""

    count: int
    origin: Origin | None
    """The line; None where it cannot be told."""
    stack: tuple[Frame, ...]
    """Of one of them, outermost first."""


@dataclass(frozen=True, slots=True)
class PoolSaturation:
    """A time in which work waited for a pool at every look: an incident of its own, from its start to its end."""

    id: str
    state: str
    """"ongoing" while it lasts, "ended" afterwards; all records carry one id."""
    started_at: datetime
    """When it was first seen: it may have begun up to half a second earlier."""
    duration_ms: float
    """From the first to the last look at which work waited: it may have lasted up to half a second longer at either end."""
    looks: int
    """At how many looks in a row work waited."""
    pool: PoolReading
    """At the last of them."""
    waiting_max: int
    """The most that waited at one of them."""
    oldest_wait_max_ms: float | None
    """The longest that somebody had waited at least, at one of them."""
    workers: tuple[PoolWorkers, ...]
    """What its threads were doing at the latest announcement, most first; idle ones are left out.

    Of a connection pool that threads use: what the threads of all thread pools were doing."""
    advice: str
    fingerprint: str
    pid: int
    suppressed_count: int = 0
    """How many with this fingerprint were held back since the last record."""
    suppressed_ms: float = 0.0
    """Their total duration."""

    @property
    def ongoing(self) -> bool:
        """Whether it still lasts."""
        return self.state == "ongoing"

    @property
    def origin(self) -> Origin | None:
        """The line at which most of its threads stood."""
        return self.workers[0].origin if self.workers else None
