"""What the session tells: header, letters, summary and files. Knows only what reports carry: pytest-xdist changes nothing."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loopwatch.pytest_plugin.baseline import Baseline, updated
from loopwatch.pytest_plugin.facts import ALLOWED, BLOCKED, KNOWN, MACHINE, Block, block_from
from loopwatch.pytest_plugin.late import OUTPUT, tell_plain
from loopwatch.pytest_plugin.options import Options
from loopwatch.pytest_plugin.strict import sight
from loopwatch.pytest_plugin.written import write_report

__all__ = ["Teller"]

SLOWEST = 10
VERDICTS = (
    (BLOCKED, "not allowed"),
    (KNOWN, "known by the baseline"),
    (ALLOWED, "allowed"),
    (MACHINE, "the machine's, the collector's or another thread's doing"),
)


class Teller:
    """Collects from reports and tells at the end."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._blocks: list[Block] = []
        self._unmeasured: dict[str, str] = {}
        self._tests: set[str] = set()
        self._deselected = False
        self._whole = False
        self._written = Baseline()

    def pytest_report_header(self) -> list[str]:
        options = self._options
        if not options.enabled:
            return []
        what = f"a test fails that holds an event loop for {options.max_ms:g} ms or longer (from {options.source})"
        more = [f"baseline {options.baseline}"] if options.baseline else []
        more += [sight()] if options.strict else []
        return ["loopwatch: " + "; ".join([what, *more]), *_limits_of_this_machine()]

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        """A marker may ask for strict mode as well: that is known only now."""
        asked = any(marker.kwargs.get("strict") for item in items for marker in item.iter_markers("loopwatch"))
        return [f"loopwatch: {sight()}"] if asked and not self._options.strict else []

    # ── what reports say ────────────────────────────────────────────────────────────────────────────────────────

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told: dict[str, Any] | None = getattr(report, "loopwatch", None)
        if told is None:
            return
        self._tests.add(report.nodeid)
        self._blocks += [block_from(one) for one in told["blocks"]]
        if told["unmeasured"]:
            self._unmeasured[report.nodeid] = told["unmeasured"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, Any] | None:
        told: dict[str, Any] | None = getattr(report, "loopwatch", None)
        if told is None:
            return None
        if told["failed"]:
            return "failed" if report.when == "call" else "error", "B", _coloured("BLOCKED", red=True)
        if told["unmeasured"] and report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            return "unmeasured", "U", _coloured("UNMEASURED", yellow=True)
        return None

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected = self._deselected or bool(items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has ended, and hands over what came to light late."""
        for plain in getattr(node, "workeroutput", {}).get(OUTPUT, ()):
            tell_plain(self._config, plain)

    # ── what is told ────────────────────────────────────────────────────────────────────────────────────────────

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if hasattr(self._config, "workerinput"):
            return
        self._whole = self._is_whole(session, exitstatus)
        baseline = self._options.baseline
        if baseline is not None and self._options.update_baseline:
            before = Baseline.read(baseline, missing_ok=True)
            self._written = updated(before, self._blocks, self._whole)
            self._written.write(baseline)
        if self._options.report is not None:
            write_report(self._options.report, self._options, self._tests, self._blocks, self._unmeasured)

    def _is_whole(self, session: pytest.Session, exitstatus: int) -> bool:
        """Whether every test ran: only then an entry of the baseline that did not occur is out of date."""
        stopped = exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} or bool(
            session.shouldstop or session.shouldfail
        )
        chosen = any(self._config.getoption(name, None) for name in ("keyword", "markexpr", "lf"))
        some = any(not Path(self._config.invocation_params.dir, one).is_dir() for one in self._config.args)
        return not (stopped or chosen or some or self._deselected)

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        lines = [*self._told_blocks(), *self._told_unmeasured(), *self._told_baseline()]
        if lines:
            terminalreporter.section("loopwatch")
            for line in lines:
                terminalreporter.write_line(line)

    def _told_blocks(self) -> list[str]:
        if not self._blocks:
            return []
        counts = Counter(block.verdict for block in self._blocks)
        parts = [f"{counts[verdict]} {words}" for verdict, words in VERDICTS if counts[verdict]]
        slowest = sorted(self._blocks, key=lambda block: -block.counted_ms)[:SLOWEST]
        return [f"{len(self._blocks)} blocks: {', '.join(parts)}", "slowest:", *map(_line, slowest)]

    def _told_unmeasured(self) -> list[str]:
        return [f"unmeasured: {test}: {why}" for test, why in sorted(self._unmeasured.items())]

    def _told_baseline(self) -> list[str]:
        path = self._options.baseline
        if path is None:
            return []
        if self._options.update_baseline:
            return [f"wrote {len(self._written.entries)} known blocks to {path}"]
        before = Baseline.read(path)
        stale = set(before.entries) - before.seen(self._blocks) if self._whole else set()
        told = [f"no longer occurs: {one.cause} in {one.module}:{one.function}" for one in sorted(stale)]
        return [*told, "remove these with --loopwatch-update-baseline"] if told else []


def _coloured(word: str, **colour: bool) -> Any:
    """A status word as pytest takes it. Before 8.4 its short summary would print the colours as they stand."""
    return (word, colour) if pytest.version_tuple >= (8, 4) else word


def _line(block: Block) -> str:
    why = f" ({block.why})" if block.why else ""
    long = "strict    " if block.strict else f"{block.counted_ms:7.0f} ms"
    return (
        f"  {long}  {block.cause:<10} {block.place}  {block.what}  {block.verdict}{why}  {block.test} [{block.phase}]"
    )


def _limits_of_this_machine() -> list[str]:
    """Said where the evidence for `own time` is missing."""
    from loopwatch.probes.threads import ThreadProbe

    probe = ThreadProbe.cpu_of(threading.get_native_id())
    return [] if probe is not None else ["loopwatch: this platform does not tell when a busy machine held a test up"]
