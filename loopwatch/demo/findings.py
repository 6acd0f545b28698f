"""What loopwatch found in the shop, as facts, and whether it was right: pure functions over what the shop answered."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .planted import Planted
from .traffic import INNOCENT, Visit, percentile

__all__ = ["Finding", "Latency", "Outcome", "findings_of", "latency_of", "problems"]

BLAMELESS = frozenset({"gc", "gil", "starved", "suspended"})
"""Causes that say: not the code that was on the loop."""

FAIR = 0.7
"""Share of the lost time that must be the shop's own. Arbitrary; on a quiet machine it is over 0.95."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One incident: all stalls of one line with one cause."""

    lost_ms: float
    stalls: int
    longest_ms: float
    cause: str
    file: str | None
    """As a reader of the shop knows it: "shop/services.py"; None where loopwatch named no line."""
    line: int | None
    expression: str | None
    path: tuple[str, ...]
    """The shop's functions on the way there, outermost first: handler, service, repository."""
    endpoints: tuple[str, ...]
    """Whose requests held the loop, most stalls first."""
    waited: int | None
    """The most requests that one of these stalls held up."""
    advice: str | None

    @property
    def blames_code(self) -> bool:
        """Whether the cause is the code that was on the loop, and not the machine, the collector or another thread."""
        return self.cause not in BLAMELESS

    def is_of(self, planted: Planted) -> bool:
        """Whether this names that blocker: its line and its cause."""
        return (self.file, self.line) in planted.lines and self.cause in planted.causes


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one endpoint took, seen by its clients, in milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that the demo has to tell."""

    loop: str
    seconds: float
    """For how long loopwatch watched the traffic."""
    lost_ms: float
    """How much of it the loop was blocked."""
    own_ms: float
    """What is left of that without the time that the machine, the collector and other threads took."""
    findings: tuple[Finding, ...]
    """Most lost time first."""
    planted: tuple[Planted, ...]
    requests: int
    failed: int
    """Requests that were not answered with 200."""
    health_alone: Latency
    health: Latency
    """The same endpoint under traffic."""

    def found(self, planted: Planted) -> bool:
        """Whether loopwatch named it."""
        return any(finding.is_of(planted) for finding in self.findings)

    @property
    def named(self) -> tuple[Finding, ...]:
        """Those that name a planted blocker."""
        return tuple(one for one in self.findings if any(one.is_of(planted) for planted in self.planted))

    @property
    def busy(self) -> bool:
        """Whether the machine was too busy for a fair run: much of the lost time, the shop was ready and got no core."""
        return self.own_ms < FAIR * self.lost_ms


def findings_of(
    incidents: Iterable[dict[str, Any]], began: datetime, short: Callable[[str], str]
) -> tuple[Finding, ...]:
    """The incidents of which some stall came after `began`, most lost time first.

    Args:
        incidents: As `/_loopwatch` answered: `Incident` as JSON.
        began: When the traffic began.
        short: Turns a path into what a reader knows.
    """
    found = [_finding(one, short) for one in incidents if datetime.fromisoformat(one["last_at"]) >= began]
    return tuple(sorted(found, key=lambda finding: -finding.lost_ms))


def latency_of(endpoint: str, visits: Sequence[Visit]) -> Latency:
    """Of one endpoint's requests."""
    took = [visit.took_ms for visit in visits if visit.endpoint == endpoint]
    return Latency(len(took), percentile(took, 50), percentile(took, 99), percentile(took, 100))


def problems(outcome: Outcome) -> tuple[str, ...]:
    """Sentences that say where loopwatch or the demo failed; none if all is well."""
    found = []
    if not outcome.findings:
        found.append("no stall was reported, although the shop blocks its loop")
    found += [_missing(planted, outcome.findings) for planted in outcome.planted if not outcome.found(planted)]
    found += [_blamed(finding) for finding in outcome.findings if _innocents(finding)]
    if outcome.failed:
        found.append(f"{outcome.failed} of {outcome.requests} requests were not answered with 200")
    return tuple(found)


def _finding(incident: dict[str, Any], short: Callable[[str], str]) -> Finding:
    origin = incident["origin"] or {}
    return Finding(
        lost_ms=incident["lost_ms"],
        stalls=incident["count"],
        longest_ms=incident["max_ms"],
        cause=incident["cause"],
        file=short(origin["file"]) if origin else None,
        line=origin.get("line"),
        expression=origin.get("expression") or origin.get("source"),
        path=_path(incident["latest"]["stack"]),
        endpoints=tuple(name for name, _ in incident["endpoints"]),
        waited=incident["waiting_max"],
        advice=incident["advice"],
    )


def _path(stack: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Without lambdas and comprehensions: their line belongs to the function around them."""
    own = (frame["function"] for frame in stack if frame["kind"] == "app")
    return tuple(function for function in own if not function.endswith(">"))


def _missing(planted: Planted, findings: Iterable[Finding]) -> str:
    instead = ", ".join(one.cause for one in findings if (one.file, one.line) in planted.lines)
    but = f"; it was called {instead}" if instead else ""
    return f"{planted.where()} was not named with cause {' or '.join(sorted(planted.causes))}{but}"


def _innocents(finding: Finding) -> tuple[str, ...]:
    """Well-behaved endpoints that this blames."""
    innocent = {endpoint.name for endpoint in INNOCENT}
    return tuple(name for name in finding.endpoints if name in innocent) if finding.blames_code else ()


def _blamed(finding: Finding) -> str:
    return f"{' and '.join(_innocents(finding))}: blamed for {finding.cause} at {finding.file}:{finding.line}"
