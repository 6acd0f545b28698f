"""Turns judged outcomes and costs into the published table: pure functions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.accuracy.score import Hit, Judged, percentile, tally
from benchmarks.accuracy.tables import table
from benchmarks.overhead.report import plus_minus
from benchmarks.pairs import Estimate, bootstrap
from benchmarks.peers.tools import Entrant

__all__ = ["Costs", "Row", "ahead", "document", "row"]

Figures = Mapping[str, Sequence[float | None]]
"""By tool, a figure per round."""

OURS = "loopwatch"
QUOTABLE = 0.05
"""By how much nobody may differ from nobody in a ratio that is worth reading."""
HEADINGS = (
    "tool", "version", "detected", "reported once", "right line", "right line, of all", "line in the stack", "right cause",
    "ms off (p50, p99)", "false reports", "machine blamed", "us a turn", "FastAPI req/s ratio", "FastAPI CPU ratio",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """All figures of one tool on one backend. Pairs are [right, of how many]; None: not measured, or it tells none."""

    name: str
    detected: tuple[int, int]
    once: tuple[int, int]
    line: tuple[int, int] | None
    """Of those that it reported, and that have a line to blame."""
    line_of_all: tuple[int, int] | None
    """Of all that have a line to blame, reported or not."""
    shown: tuple[int, int] | None
    """As `line`, anywhere in what it shows."""
    cause: tuple[int, int] | None
    off_ms: tuple[float, float] | None
    false: int
    machine: int
    turn_us: Estimate | None
    rps: Estimate | None
    cpu: Estimate | None


@dataclass(frozen=True, slots=True)
class Costs:
    """What one tool costs on one backend, a figure per round; empty where it was not measured."""

    turns: Sequence[float | None] = ()
    rps: Sequence[float | None] = ()
    cpu: Sequence[float | None] = ()


def row(name: str, judged: Sequence[Judged], costs: Costs) -> Row:
    """One tool's figures. One that never names a line, a cause or a duration has none to be right about."""
    sums = tally(judged)
    hits = [hit for one in judged for hit in one.hits]
    names_lines = any(hit.report and hit.report.line is not None for hit in hits)
    to_name = sum(1 for one in judged for _ in one.hits if one.outcome.lines)
    middle, worst = percentile(sums.errors_ms, 0.5), percentile(sums.errors_ms, 0.99)
    return Row(
        name,
        _pair(sums.detected),
        _pair(sums.once),
        _pair(sums.line_all) if names_lines else None,
        (sums.line_all[0], to_name) if names_lines else None,
        _pair(sums.shown) if any(hit.report and hit.report.stack for hit in hits) else None,
        _pair(sums.cause) if sums.cause[1] else None,
        None if middle is None or worst is None else (middle, worst),
        sums.false,
        sums.machine,
        _estimate(costs.turns),
        _estimate(costs.rps),
        _estimate(costs.cpu),
    )


def document(
    entrants: Sequence[Entrant],
    judged: Mapping[str, Sequence[Judged]],
    turns: Mapping[str, Figures],
    fastapi: Mapping[str, Mapping[str, Figures]],
    heading: str,
) -> str:
    """The whole report. The mappings are by backend, those of `fastapi` then by what was measured, and figures by tool."""
    parts = [heading]
    for backend, outcomes in judged.items():
        ours = {e.name: [one for one in outcomes if one.outcome.detector == e.name and _ran(one)] for e in entrants}
        rows = [
            row(e.name, ours[e.name], _costs(e.name, turns.get(backend, {}), fastapi.get(backend, {})))
            for e in entrants
            if e.why_not is None
        ]
        versions = {entrant.name: entrant.version or "" for entrant in entrants}
        parts.append(f"### {backend}\n\n{table(HEADINGS, [_cells(one, versions[one.name]) for one in rows])}")
        nobody = _costs("nobody again", turns.get(backend, {}), fastapi.get(backend, {}))
        parts.extend(_noise(nobody))
        parts.append(_listed("Ahead of loopwatch", ahead(rows, RATIOS if _too_busy(nobody) else ())))
        parts.append(f"#### Case by case, {backend}\n\n{_by_case(outcomes, [one.name for one in rows])}\n\n{LEGEND}")
    parts.append(_listed("Did not take part", (f"{e.name}: {e.why_not}" for e in entrants if e.why_not)))
    parts.append(
        _listed("Not scored", sorted({_not_run(one) for group in judged.values() for one in group if not _ran(one)}))
    )
    return "\n\n".join(parts) + "\n"


def ahead(rows: Sequence[Row], unread: Sequence[str] = ()) -> list[str]:
    """In which columns but those `unread` which peers are ahead of us, however little; a sentence each."""
    us = next((one for one in rows if one.name == OURS), None)
    if us is None:
        return []
    found = []
    for heading, figure, sign in FIGURES:
        if heading in unread:
            continue
        best = figure(us)
        for peer in rows:
            theirs = figure(peer)
            if peer is not us and theirs is not None and (best is None or sign * (theirs - best) > 1e-9):
                text = "none" if best is None else f"{best:.4g}"
                found.append(f"{heading}: {peer.name} {theirs:.4g}, {OURS} {text}")
    return found


def _share(pair: tuple[int, int] | None) -> float | None:
    return None if pair is None or not pair[1] else pair[0] / pair[1]


FIGURES: tuple[tuple[str, Callable[[Row], float | None], int], ...] = (
    ("detected", lambda one: _share(one.detected), 1),
    ("reported once", lambda one: _share(one.once), 1),
    ("right line", lambda one: _share(one.line), 1),
    ("right line, of all", lambda one: _share(one.line_of_all), 1),
    ("line in the stack", lambda one: _share(one.shown), 1),
    ("right cause", lambda one: _share(one.cause), 1),
    ("ms off, p50", lambda one: one.off_ms and one.off_ms[0], -1),
    ("ms off, p99", lambda one: one.off_ms and one.off_ms[1], -1),
    ("false reports", lambda one: one.false, -1),
    ("us a turn", lambda one: one.turn_us and one.turn_us.median, -1),
    ("FastAPI req/s ratio", lambda one: one.rps and one.rps.median, 1),
    ("FastAPI CPU ratio", lambda one: one.cpu and one.cpu.median, -1),
)
"""Each figure, and whether more of it is better (1) or less (-1)."""
RATIOS = ("FastAPI req/s ratio", "FastAPI CPU ratio")


def _cells(one: Row, version: str) -> list[str]:
    return [
        one.name,
        version,
        _text(one.detected),
        _text(one.once),
        _text(one.line),
        _text(one.line_of_all),
        _text(one.shown),
        _text(one.cause),
        "-" if one.off_ms is None else f"{one.off_ms[0]:.2f}, {one.off_ms[1]:.2f}",
        str(one.false),
        str(one.machine),
        "-" if one.turn_us is None else plus_minus(one.turn_us, 3),
        "-" if one.rps is None else plus_minus(one.rps, 3),
        "-" if one.cpu is None else plus_minus(one.cpu, 3),
    ]


def _text(pair: tuple[int, int] | None) -> str:
    return "-" if pair is None else f"{pair[0]}/{pair[1]}"


def _pair(pair: list[int]) -> tuple[int, int]:
    return pair[0], pair[1]


def _estimate(figures: Iterable[float | None]) -> Estimate | None:
    known = [figure for figure in figures if figure is not None]
    return bootstrap(known) if known else None


def _costs(name: str, turns: Figures, fastapi: Mapping[str, Figures]) -> Costs:
    of = {what: figures.get(name, ()) for what, figures in fastapi.items()}
    return Costs(turns.get(name, ()), of.get("rps", ()), of.get("cpu", ()))


def _noise(nobody: Costs) -> Iterable[str]:
    """What nobody, measured twice, differs from nobody by."""
    named = (("us a turn", nobody.turns), ("req/s ratio", nobody.rps), ("CPU ratio", nobody.cpu))
    estimates = ((name, _estimate(figures)) for name, figures in named)
    known = [f"{name} {plus_minus(estimate, 3)}" for name, estimate in estimates if estimate]
    if known:
        yield f"Noise (nobody compared with nobody): {'; '.join(known)}."
    if _too_busy(nobody):
        yield "The machine was too busy for the FastAPI ratios: they are not to be quoted, and not compared below."


def _too_busy(nobody: Costs) -> bool:
    ratios = (_estimate(nobody.rps), _estimate(nobody.cpu))
    return any(abs(estimate.median - 1) > QUOTABLE for estimate in ratios if estimate)


# ── case by case ────────────────────────────────────────────────────────────────────────────────────────────────

LEGEND = (
    "L right line in the headline, S only in the stack, n rightly none, o a wrong one or none, r reported where no line is to "
    "blame; c right cause; x2 reported twice; - missed; · nothing to report, and nothing reported; a number: so many false "
    "reports; ! not scored."
)


def _by_case(judged: Sequence[Judged], names: Sequence[str]) -> str:
    cells: dict[str, dict[str, list[str]]] = {}
    for one in judged:
        cells.setdefault(one.outcome.case, {}).setdefault(one.outcome.detector, []).append(_cell(one))
    rows = [[case, *(" ".join(of.get(name, [""])) for name in names)] for case, of in cells.items()]
    return table(("case", *names), rows)


def _cell(one: Judged) -> str:
    if not _ran(one):
        return "!"
    if one.outcome.expect == "silence":
        return str(len(one.false)) if one.false else "·"
    told = [_told(hit) for hit in one.hits]
    return " ".join([*told, *([f"+{len(one.false)} false"] if one.false else [])]) or "·"


def _told(hit: Hit) -> str:
    if hit.report is None:
        return "-"
    right = "L" if hit.report.line is not None else "n"
    line = "r" if hit.line is None else right if hit.line else "S" if hit.shown else "o"
    return line + ("c" if hit.cause else "") + (f"x{len(hit.reports)}" if len(hit.reports) > 1 else "")


def _ran(one: Judged) -> bool:
    return one.outcome.error is None and one.outcome.skipped is None


def _not_run(one: Judged) -> str:
    outcome = one.outcome
    why = outcome.skipped or (outcome.error or "").strip().splitlines()[-1]
    return (
        f"{outcome.case}: {why}" if outcome.skipped else f"{outcome.case}, {outcome.detector}, {outcome.backend}: {why}"
    )


def _listed(title: str, lines: Iterable[str]) -> str:
    listed = [f"- {line}" for line in lines]
    return f"#### {title}: {len(listed)}\n\n" + "\n".join(listed or ["(nothing)"])
