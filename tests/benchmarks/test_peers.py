"""The peers benchmark: what the peers really print, turned into reports; who takes part; and the table."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from traceback import FrameSummary
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.accuracy.adapters import (
    aiocop,
    aiodebug_hang,
    asyncio_debug,
    asynclens,
    blockbuster,
    livekit,
    loopguard,
    loopsentry,
    pyleak,
)
from benchmarks.accuracy.adapters.frames import frames_of
from benchmarks.accuracy.case import CASES, Case, Run, now
from benchmarks.accuracy.facts import Outcome, Report, Truth, outcome_to_json
from benchmarks.accuracy.run_case import _visited
from benchmarks.accuracy.runtimes import runtime
from benchmarks.accuracy.score import judge
from benchmarks.peers.__main__ import main
from benchmarks.peers.plan import QUICK, SMALL, chosen, rotated
from benchmarks.peers.table import Costs, Row, ahead, document, row
from benchmarks.peers.tools import TOOLS, Entrant, Tool, why

MS = 1_000_000
APP = "/srv/app/views.py"
LIB = "/usr/lib/python3.12/json/encoder.py"


def place(report: Report | None) -> tuple[str | None, int | None]:
    assert report is not None
    return report.file, report.line


class TestAsyncioDebug:
    def test_task(self) -> None:
        """Debug mode's headline is where the task stands when the callback has returned."""
        text = (
            "Executing <Task finished name='Task-2' coro=<handler() done, defined at /srv/app/views.py:13> result=None "
            "created at /usr/lib/python3.12/asyncio/tasks.py:415> took 0.300 seconds"
        )

        report = asyncio_debug.report_of(text, 1_300 * MS)

        assert place(report) == (APP, 13)
        assert report is not None
        assert (report.start_ns, report.duration_ms) == (1_000 * MS, 300.0)
        assert report.stack == ((APP, 13), ("/usr/lib/python3.12/asyncio/tasks.py", 415))

    def test_another_message(self) -> None:
        """What else asyncio logs is no report."""
        assert asyncio_debug.report_of("Using selector: EpollSelector", 0) is None


class TestAiodebugHang:
    NAME = "stacktrace-20261124-113528.277674-{}.txt"
    TEXT = (
        "\n# ThreadID: 140705935529664\n"
        'File: "/usr/lib/python3.12/threading.py", line 1030, in _bootstrap\n  self._bootstrap_inner()\n'
        "\n# ThreadID: 140705961003904\n"
        'File: "/srv/app/views.py", line 13, in handler\n  return call()\n'
        'File: "/srv/app/views.py", line 6, in call\n  time.sleep(0.3)'
    )

    def test_first_file(self) -> None:
        """A dump's headline is the innermost frame of the loop's thread; its stack is everybody's."""
        report = aiodebug_hang.report_of(self.NAME.format(0), self.TEXT, 140705961003904)

        assert place(report) == (APP, 6)
        assert report is not None
        assert report.duration_ms is None
        assert report.stack == (("/usr/lib/python3.12/threading.py", 1030), (APP, 13), (APP, 6))

    def test_later_files(self) -> None:
        """The second and third dump of a hang are no further reports."""
        assert aiodebug_hang.report_of(self.NAME.format(1), self.TEXT, 140705961003904) is None


@dataclass
class SlowTaskEvent:
    """aiocop's, as far as it is read."""

    elapsed_ms: float = 300.4
    reason: str = "io_blocking"
    blocking_events: list[dict[str, Any]] = field(default_factory=list)
    cpu_stack_samples: list[dict[str, Any]] = field(default_factory=list)


def traced(entry: str, *above: str, **rest: Any) -> dict[str, Any]:
    return {"entry_point": entry, "trace": " <- ".join((entry, *above)), **rest}


class TestAiocop:
    def test_samples_first(self) -> None:
        """Samples tell where the time went; an audit event only that something was called."""
        event = SlowTaskEvent(
            blocking_events=[traced(f"{APP}:4:load", severity=10, event="open(a, r, 524288)")],
            cpu_stack_samples=[traced(f"{APP}:6:call", f"{APP}:13:handler", count=25)],
        )

        report = aiocop.report_of(event, 1_300_400_000)

        assert place(report) == (APP, 6)
        assert report.causes == {"sleep", "network", "disk", "subprocess"}
        assert report.stack == ((APP, 6), (APP, 13), (APP, 4))
        assert report.start_ns == 1_000 * MS

    def test_gravest_event(self) -> None:
        """Without a sample its gravest event is its headline."""
        events = [
            traced(f"{APP}:4:a", severity=1, event="os.stat()"),
            traced(f"{APP}:5:b", severity=50, event="os.system"),
        ]

        assert place(aiocop.report_of(SlowTaskEvent(blocking_events=events), 0)) == (APP, 5)

    def test_nothing_seen(self) -> None:
        """A slow callback of which it saw nothing has a duration and no place."""
        report = aiocop.report_of(SlowTaskEvent(reason="cpu_blocking"), 0)

        assert place(report) == (None, None)
        assert "native" in report.causes


class BlockingError(Exception):
    """As blockbuster's."""


class TestBlockbuster:
    def error(self) -> BaseException:
        try:
            raise BlockingError("Blocking call to time.sleep")
        except BlockingError as error:
            return error

    def test_raised(self) -> None:
        """Its traceback names the line, its message the call."""
        report = blockbuster.report_of(self.error())

        assert report is not None
        assert report.file == __file__
        assert (report.cause, report.causes, report.duration_ms) == ("time.sleep", {"sleep"}, None)

    def test_wrapped(self) -> None:
        """Libraries and task groups wrap errors; a reader of the traceback still finds it."""
        wrapped = ValueError("no answer")
        wrapped.__cause__ = self.error()

        assert blockbuster.report_of(ExceptionGroup("unhandled", [wrapped])) is not None

    def test_another_error(self) -> None:
        """An error of the program's own is not a report."""
        assert blockbuster.report_of(ValueError("no")) is None

    @pytest.mark.parametrize(
        ("call", "means"),
        [
            ("socket.socket.recv_into", "network"),
            ("sqlite3.Cursor.execute", "disk"),
            ("lock.acquire", "lock"),
            ("_thread.lock.acquire", "lock"),
            ("io.BufferedReader.read", "disk"),
            ("os.read", "subprocess"),
        ],
    )
    def test_meaning(self, call: str, means: str) -> None:
        """The name of the refused call is its notion of a cause."""
        assert means in blockbuster.meaning(call)


def test_pyleak() -> None:
    """pyleak's block carries the stack outermost first, and the time of its last sample."""
    stack = [FrameSummary(APP, 13, "handler"), FrameSummary(APP, 6, "call")]
    block = SimpleNamespace(block_id=1, duration=0.2, threshold=0.1, timestamp=1795520135.19, blocking_stack=stack)

    report = pyleak.report_of(block)

    assert (place(report), report.duration_ms, report.stack) == ((APP, 6), 200.0, ((APP, 13), (APP, 6)))


class TestLoopguard:
    def test_blocked(self) -> None:
        """Its log line tells how long, and no line."""
        report = loopguard.report_of("Event loop blocked for 267.85ms (no active request)", 1_267_850_000, 100.0)

        assert report is not None
        assert (report.duration_ms, report.file, report.start_ns) == (267.85, None, 1_000 * MS)

    @pytest.mark.parametrize(
        "text",
        [
            "Event loop blocked for 60.11ms across 2 in-flight request(s): 59cb0aa5,0bd2",
            "Cumulative event loop blocking for 205.10ms (no active request)",
            "LoopGuard calibrated: baseline=0.10ms, threshold=10.00ms",
        ],
    )
    def test_passed_over(self, text: str) -> None:
        """Less than the threshold, many small lags, and its own affairs are no stalls."""
        assert loopguard.report_of(text, 0, 100.0) is None


class TestLoopsentry:
    STACK = (
        '  File "/srv/app/views.py", line 13, in handler\n    return dumps(rows)\n',
        '  File "/usr/lib/python3.12/json/encoder.py", line 258, in iterencode\n    return _iterencode(o, 0)\n',
    )

    def block(self, **said: Any) -> dict[str, Any]:
        user = [{"file": APP, "line": 13, "func": "handler", "short": "views.py:13"}]
        block = {"timestamp": "2026-11-24T11:35:33.812791+00:00", "stack": list(self.STACK), "user_frames": user}
        return {**block, "total_duration": 0.4056, "hint": "Logic Block", **said}

    def test_users_frame(self) -> None:
        """Its analyser shows the user's innermost frame, not the library's."""
        report = loopsentry.report_of(self.block())

        assert (place(report), report.stack) == ((APP, 13), ((APP, 13), (LIB, 258)))
        assert report.duration_ms == pytest.approx(405.6)

    def test_hints(self) -> None:
        """A hint is a cause, but for "Logic Block", which says of none that it is one."""
        assert loopsentry.report_of(self.block()).cause is None
        assert loopsentry.report_of(self.block(hint="Blocking Sleep")).causes == {"sleep"}

    def test_unresolved(self) -> None:
        """A block whose end it has not seen has no duration."""
        assert loopsentry.report_of(self.block(total_duration="CRASH")).duration_ms is None


class TestLivekit:
    def report(self, **said: Any) -> Report:
        stack = '# loop thread sampled 81ms into the stall\n  File "/srv/app/views.py", line 13, in handler\n'
        values = {
            "duration": 0.3,
            "started_at": 1795520131.92,
            "gc_time": 0.0,
            "cpu_time": 0.001,
            "process_descheduled": False,
            "stacks": [stack + '  File "/usr/lib/python3.12/json/encoder.py", line 258, in iterencode'],
        }
        return livekit.report_of(SimpleNamespace(**(values | said)))

    def test_headline(self) -> None:
        """Its log names the innermost frame."""
        report = self.report()

        assert (place(report), report.stack) == ((LIB, 258), ((APP, 13), (LIB, 258)))

    @pytest.mark.parametrize(
        ("said", "cause"),
        [
            ({}, "lock"),
            ({"cpu_time": 0.29}, "python"),
            ({"cpu_time": 0.29, "gc_time": 0.28}, "gc"),
            ({"process_descheduled": True}, "starved"),
        ],
    )
    def test_figures(self, said: dict[str, Any], cause: str) -> None:
        """Its raw figures are read as its documentation explains them."""
        assert cause in self.report(**said).causes

    def test_no_sample(self) -> None:
        """Where it has no sample it names no line."""
        assert place(self.report(stacks=["# no sample: the block ended before the watchdog looked"])) == (None, None)


class TestAsynclens:
    BLOCKED = (
        "🚨 [AsyncLens] Loop blocked!\n"
        "  3985:139749060139904 (MainThread) 📁 /srv/app/views.py l. 13 in `handler` 👉 return call()\n"
        "  3985:139749060139904 (MainThread) 📁 /srv/app/views.py l. 6 in `call` 👉 time.sleep(0.3)\n"
        "  3985:139749060139777 (UnknownLoop-3) 📁 /srv/app/hog.py l. 2 in `hog` 👉 sorted(numbers)"
    )
    RELEASED = "✅ [AsyncLens] Loop released! (Blocked for 202ms)\n"

    def test_pair(self) -> None:
        """Its two records of one stall are one report: the last line of the loop's thread, and the duration from the second."""
        [report] = asynclens.reports_of([(1_100 * MS, self.BLOCKED), (1_302 * MS, self.RELEASED)])

        assert (place(report), report.duration_ms, report.start_ns) == ((APP, 6), 202.0, 1_100 * MS)
        assert report.stack == ((APP, 13), (APP, 6), ("/srv/app/hog.py", 2))

    def test_not_released(self) -> None:
        """A stall that was not seen to end is reported all the same."""
        [report] = asynclens.reports_of([(1_100 * MS, self.BLOCKED)])

        assert report.duration_ms is None


class Gate:
    """A detector that makes calls fail."""

    inside = True

    def __init__(self) -> None:
        self.open = False
        self.placed: list[int] = []

    def refused(self, error: BaseException) -> bool:
        return blockbuster.report_of(error) is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.open = True
        yield
        self.open = False

    def place(self, start_ns: int) -> None:
        self.placed.append(start_ns)


class TestRefusal:
    async def visit(self, gate: Gate, error: Exception) -> Run:
        def body(run: Run) -> None:
            began = run.begin()
            if not gate.open:
                raise error
            run.end(began, now())

        run = Run("call_soon", None, 0, 0.0, {})
        await _visited(
            "call_soon", Case("x/y", body, frozenset({"sleep"}), ("call_soon",)), run, gate, runtime("asyncio")
        )
        return run

    def test_gone_through_again(self) -> None:
        """A call that the detector made fail is made without it, and the report is placed there."""
        gate = Gate()

        run = asyncio.run(self.visit(gate, BlockingError("Blocking call to time.sleep")))

        assert gate.placed == [run.truths[0].start_ns]

    def test_the_case_itself_fails(self) -> None:
        """An error of the case's own is no report."""
        with pytest.raises(ValueError, match="no"):
            asyncio.run(self.visit(Gate(), ValueError("no")))


def test_frames() -> None:
    """Frames are read from a traceback's text in its order."""
    text = '  File "/a.py", line 1, in f\n    g()\n  File "/b.py", line 22, in g\n'

    assert frames_of(text) == (("/a.py", 1), ("/b.py", 22))


class TestEnter:
    FOUND = {"python": "3.11.7", "versions": {"aiocop": "1.2.1"}, "missing": None, "error": None}  # noqa: RUF012

    def test_ready(self) -> None:
        """What could be switched on takes part."""
        assert why(Tool("aiocop", "aiocop"), self.FOUND) is None

    def test_not_installed(self) -> None:
        """A missing peer says what to install."""
        found = {**self.FOUND, "missing": "pyleak", "error": "No module named 'pyleak'"}

        assert why(Tool("pyleak", "pyleak"), found) == "not installed for Python 3.11.7: pip install pyleak"

    def test_too_old(self) -> None:
        """A peer for newer Pythons says so."""
        found = {**self.FOUND, "missing": "loopsentry", "error": "No module named 'loopsentry'"}

        assert why(Tool("loopsentry", "loopsentry", (3, 12)), found) == "needs Python 3.12, this is 3.11.7"

    def test_fails(self) -> None:
        """A peer that is there and does not run says how it failed."""
        found = {**self.FOUND, "error": "TypeError: no"}

        assert why(Tool("aiocop", "aiocop"), found) == "does not run on Python 3.11.7: TypeError: no"


class TestPlan:
    def test_fixed_parts(self) -> None:
        """Every case of the fixed parts exists."""
        assert {*SMALL, *QUICK} <= set(CASES)

    def test_every_cause(self) -> None:
        """The small part has a case of every cause."""
        every = frozenset[str]().union(*(case.causes for case in CASES.values()))

        assert frozenset[str]().union(*(CASES[name].causes for name in SMALL)) == every

    def test_rotated(self) -> None:
        """All tools go through a case before the next one, and each begins in its turn."""
        cases = chosen(["sleeps/time_sleep", "locks/lock_acquire"])

        plan = [(case.name, tool) for case, tool in rotated(["a", "b", "c"], cases)]

        assert [tool for _, tool in plan] == ["a", "b", "c", "b", "c", "a"]
        assert len({name for name, _ in plan[:3]}) == 1

    def test_adapters(self) -> None:
        """Every tool has its adapter, which imports nothing of the tool's until it is started."""
        assert all(
            hasattr(__import__(f"benchmarks.accuracy.adapters.{t.name}", fromlist=["x"]), "detector") for t in TOOLS
        )


def outcome(detector: str, *reports: Report, case: str = "sleeps/time_sleep", **labels: Any) -> Outcome:
    made = Outcome(case, "asyncio", "3.12.1", detector, ("sleep",), ((APP, 7),))
    return replace(made, truths=(Truth(1_000 * MS, 1_250 * MS, "handler"),), reports=reports, **labels)


OURS = Report(1_000 * MS, 250.5, APP, 7, cause="sleep", stack=((APP, 7), (LIB, 258)))
THEIRS = Report(1_000 * MS, 240.0, LIB, 258, cause="io", means=("sleep", "disk"), stack=((APP, 7), (LIB, 258)))
LAG = Report(1_000 * MS, 240.0)


def judged(*outcomes: Outcome) -> list[Any]:
    return [judge(one, 100.0) for one in outcomes]


class TestTable:
    def test_word_for_several_causes(self) -> None:
        """A word that stands for several causes is right where one of them is."""
        one = row("theirs", judged(outcome("theirs", THEIRS)), Costs())

        assert (one.cause, one.line, one.line_of_all, one.shown) == ((1, 1), (0, 1), (0, 1), (1, 1))

    def test_missed(self) -> None:
        """A missed stall counts among all lines, not among those reported."""
        one = row("theirs", judged(outcome("theirs", THEIRS), outcome("theirs")), Costs())

        assert (one.detected, one.line, one.line_of_all) == ((1, 2), (0, 1), (0, 2))

    def test_no_lines(self) -> None:
        """A tool that tells no line and no cause is not judged by them."""
        one = row("lag", judged(outcome("lag", LAG)), Costs())

        assert (one.line, one.line_of_all, one.shown, one.cause) == (None, None, None, None)
        assert one.off_ms == (10.0, 10.0)

    def test_blamed_machine_while_stopped(self) -> None:
        """Of a stopped process, blaming the machine is no false report, but in one who could tell the two apart."""
        stop = {"causes": ("suspended",), "lines": (), "expect": "silence"}
        wide = replace(LAG, cause="descheduled", means=("starved", "suspended"))

        [peer, ours] = judged(outcome("livekit", wide, **stop), outcome("x", replace(LAG, cause="suspended"), **stop))

        assert (len(peer.false), len(peer.machine)) == (0, 1)
        assert len(ours.false) == 1

    def test_ahead(self) -> None:
        """Every column in which a peer is ahead is named, and no other."""
        ours = row("loopwatch", judged(outcome("loopwatch", OURS)), Costs([0.3], [0.98]))
        peer = row("lag", judged(outcome("lag", LAG)), Costs([0.1], [0.97]))

        assert ahead([ours, peer]) == ["us a turn: lag 0.1, loopwatch 0.3"]

    @pytest.mark.parametrize(("again", "busy"), [(1.01, False), (0.45, True)])
    def test_too_busy(self, again: float, busy: bool) -> None:
        """Where nobody differs from nobody, the table says that its ratios are not to be read, and nobody is ahead by them."""
        rps = {"rps": {"loopwatch": [0.9], "lag": [0.99], "nobody again": [again]}}
        entrants = [Entrant("loopwatch", "py"), Entrant("lag", "py")]

        text = document(entrants, {"asyncio": judged(outcome("loopwatch", OURS))}, {}, {"asyncio": rps}, "")

        assert ("too busy" in text) is busy
        assert ("- FastAPI req/s ratio: lag 0.99, loopwatch 0.9" in text) is not busy

    def test_document(self) -> None:
        """The report holds a row for each that took part, its case, and the reason of each that did not."""
        entrants = [
            Entrant("loopwatch", "py"),
            Entrant("lag", "py", version="1.2"),
            Entrant("gone", "py", why_not="no"),
        ]

        text = document(
            entrants,
            {
                "asyncio": judged(
                    outcome("loopwatch", OURS), outcome("lag", LAG), outcome("lag", error="x\nValueError: y")
                )
            },
            {"asyncio": {"loopwatch": [0.2, 0.3], "lag": [0.1, None], "nobody again": [0.0, 0.01]}},
            {},
            "## heading",
        )

        assert (
            "| loopwatch |  | 1/1 | 1/1 | 1/1 | 1/1 | 1/1 | 1/1 | 0.50, 0.50 | 0 | 0 | 0.25 [0.2, 0.3] | - | - |"
            in text
        )
        assert "| lag | 1.2 | 1/1 | 1/1 | - | - | - | - | 10.00, 10.00 | 0 | 0 | 0.1 | - | - |" in text
        assert "| sleeps/time_sleep | Lc | o ! |" in text
        assert "- gone: no" in text
        assert "- sleeps/time_sleep, lag, asyncio: ValueError: y" in text

    def test_without_us(self) -> None:
        """Without loopwatch among them, nobody is ahead of it."""
        assert ahead([Row("lag", (1, 1), (1, 1), None, None, None, None, None, 0, 0, None, None, None)]) == []


def test_saved_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a run has written is printed again, without measuring anything."""
    saved = {
        "machine": ["machine   a slow one"],
        "threshold_ms": 100.0,
        "seconds": {"accuracy": 90.0},
        "tools": [asdict(Entrant("loopwatch", "py")), asdict(Entrant("livekit", "py", version="1.8.9"))],
        "outcomes": [outcome_to_json(outcome("loopwatch", OURS)), outcome_to_json(outcome("livekit", THEIRS))],
        "turns": {"asyncio": {"loopwatch": [0.2], "livekit": [0.1]}},
        "fastapi": {"asyncio": {"rps": {"loopwatch": [0.99], "livekit": [0.98]}, "cpu": {"loopwatch": [1.01]}}},
    }
    (tmp_path / "run.json").write_text(json.dumps(saved))

    code = main(["--table", str(tmp_path / "run.json"), "--md", str(tmp_path / "run.md")])

    printed = capsys.readouterr().out
    assert code == 0
    assert "| livekit | 1.8.9 | 1/1 | 1/1 | 0/1 | 0/1 | 1/1 | 1/1 | 10.00, 10.00 | 0 | 0 | 0.1 | 0.98 | - |" in printed
    assert "- us a turn: livekit 0.1, loopwatch 0.2" in printed
    assert (tmp_path / "run.md").read_text() in printed
