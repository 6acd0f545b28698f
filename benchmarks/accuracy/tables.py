"""Turns judged outcomes into text: pure functions. The tables are Markdown, which reads well on a terminal too."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from benchmarks.accuracy.facts import Outcome
from benchmarks.accuracy.labels import doubts
from benchmarks.accuracy.score import Hit, Judged, Tally, percentile, tally

__all__ = ["document", "progress", "table"]

HEADINGS = (
    "run", "cases", "detected", "once", "line, exact", "line, no operators", "line, all", "among candidates", "cause",
    "ms off, exact (p50, p99, n)", "ms off, all (p50, p99)", "false", "blamed on the machine",
)  # fmt: skip


def document(judged: Sequence[Judged], heading: str) -> str:
    """The whole report: one table of figures, the causes, every failure, and what could not run."""
    runs: dict[str, list[Judged]] = {}
    for one in judged:
        runs.setdefault(_run(one.outcome), []).append(one)
    scored = {name: [one for one in group if _ran(one.outcome)] for name, group in runs.items()}
    rows = [_figures(name, tally(group)) for name, group in scored.items()]
    parts = [heading, table(HEADINGS, rows)]
    for name, group in scored.items():
        parts.append(f"### Causes: {name}\n\n{_confusion(tally(group).confusion)}")
    outcomes = [one.outcome for one in judged]
    parts.append(_section("What was not right", (line for group in scored.values() for line in _failures(group))))
    parts.append(_section("Labels in doubt on this machine", (line for one in outcomes for line in doubts(one))))
    parts.append(_section("Not run", sorted({_not_run(one) for one in outcomes if not _ran(one)})))
    return "\n\n".join(parts) + "\n"


def progress(one: Judged) -> str:
    """One line for one outcome."""
    outcome = one.outcome
    if not _ran(outcome):
        return f"{outcome.case}: {_not_run(outcome)}"
    sums = tally([one])
    words = [f"{outcome.case}:"]
    if sums.detected[1]:
        words.append(f"detected {_pair(sums.detected)}, line {_pair(sums.line_all)}, cause {_pair(sums.cause)}")
    words.append(f"false {sums.false}" if sums.false or not sums.detected[1] else "")
    words.append("" if one.flawless else "  <--")
    return " ".join(filter(None, words))


def _run(outcome: Outcome) -> str:
    return f"{outcome.detector}, {outcome.backend}, {outcome.python}"


def _ran(outcome: Outcome) -> bool:
    return outcome.skipped is None and outcome.error is None


def _not_run(outcome: Outcome) -> str:
    if outcome.error:
        return f"ERROR {outcome.case} ({_run(outcome)}): {outcome.error.strip().splitlines()[-1]}"
    return f"skipped {outcome.case}: {outcome.skipped}"


def _figures(name: str, sums: Tally) -> list[str]:
    return [
        name,
        str(sums.cases),
        _pair(sums.detected),
        _pair(sums.once),
        _percent(sums.line_exact),
        _percent(sums.line_plain),
        _percent(sums.line_all),
        _percent(sums.among),
        _percent(sums.cause),
        f"{_errors(sums.errors_exact_ms)}, {len(sums.errors_exact_ms)}",
        _errors(sums.errors_ms),
        str(sums.false),
        str(sums.machine),
    ]


def _pair(pair: list[int]) -> str:
    return f"{pair[0]}/{pair[1]}"


def _percent(pair: list[int]) -> str:
    return f"{pair[0]}/{pair[1]} = {pair[0] / pair[1]:.1%}" if pair[1] else "-"


def _errors(values: Sequence[float]) -> str:
    middle, worst = percentile(values, 0.5), percentile(values, 0.99)
    return "-" if middle is None or worst is None else f"{middle:.2f}, {worst:.2f}"


def _confusion(counts: Counter[tuple[str, str]]) -> str:
    """Rows: what was true. Columns: what was said."""
    truths = sorted({truth for truth, _ in counts})
    said = sorted({cause for _, cause in counts})
    rows = [[truth, *(str(counts[truth, cause] or "·") for cause in said)] for truth in truths]
    return table(("true \\ said", *said), rows)


def _failures(group: Sequence[Judged]) -> Iterable[str]:
    if not any(one.outcome.reports for one in group):
        return  # no detector
    for one in group:
        where = f"{_run(one.outcome)}: {one.outcome.case}"
        for hit in one.hits:
            wrong = [text(hit) for test, text in FAILURES if test(hit)]
            if wrong:
                yield f"{where} ({hit.truth.place}, {hit.truth.duration_ms:.0f} ms): {'; '.join(wrong)}"
        for report in one.false:
            at = f"{report.file}:{report.line}" if report.file else "no line"
            yield f"{where}: false report of {report.duration_ms or 0:.0f} ms, {report.cause}, {at}"


def _said_line(hit: Hit) -> str:
    report = hit.report
    assert report is not None
    place = f"{(report.file or '').rpartition('/')[2]}:{report.line}" if report.file else "no line"
    sure = "exact" if report.exact else f"not exact, {'right' if hit.among else 'not'} among candidates"
    return f"line {place} ({sure})"


def _off(hit: Hit) -> bool:
    return hit.error_ms is not None and abs(hit.error_ms) > max(20.0, 0.1 * hit.truth.duration_ms)


FAILURES: tuple[tuple[Callable[[Hit], bool], Callable[[Hit], str]], ...] = (
    (lambda hit: not hit.reports, lambda _: "missed"),
    (lambda hit: len(hit.reports) > 1, lambda hit: f"reported {len(hit.reports)} times"),
    (lambda hit: hit.line is False, _said_line),
    (lambda hit: hit.cause is False, lambda hit: f"cause {hit.report.cause if hit.report else None}"),
    (_off, lambda hit: f"duration off by {hit.error_ms:+.0f} ms"),
)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _section(title: str, lines: Iterable[str]) -> str:
    listed = [f"- {line}" for line in lines]
    return f"### {title}: {len(listed)}\n\n" + "\n".join(listed or ["(nothing)"])
