"""All stalls with one fingerprint, added up. For one thread at a time."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from loopwatch.durations import Durations
from loopwatch.records import Incident, Severity, Stall

__all__ = ["Group", "Opening"]

MAX_ENDPOINTS = 50


@dataclass(slots=True)
class Opening:
    """What begins anew whenever an incident opens."""

    id: str
    opened_at: datetime
    seen_s: float
    """When it was last heard of."""
    severity: Severity
    count: int = 0
    lost_ms: float = 0.0
    lasting: dict[str, float] = field(default_factory=dict)
    """Stalls under way, by id, each with the time until which it may be silent: announcements come at doubling intervals."""
    told: Severity | None = None
    """The severity that sinks were told last; None: they know nothing of it."""
    tell_again_s: float = 0.0
    pause_s: float = 0.0

    def until_s(self) -> float:
        """Since when nothing was heard of it; in the future while a stall lasts."""
        return max((self.seen_s, *self.lasting.values()))


@dataclass(slots=True)
class Group:
    """One fingerprint."""

    first_at: datetime
    last_at: datetime
    latest: Stall
    opening: Opening
    openings: int = 1
    closed: bool = False
    count: int = 0
    lost_ms: float = 0.0
    max_ms: float = 0.0
    durations: Durations = field(default_factory=Durations)
    waiting_max: int | None = None
    endpoints: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)

    def count_one(self, stall: Stall) -> None:
        """One of its stalls has ended."""
        self.count += 1
        self.lost_ms += stall.duration_ms
        self.opening.count += 1
        self.opening.lost_ms += stall.duration_ms
        self.max_ms = max(self.max_ms, stall.duration_ms)
        self.durations.add(stall.duration_ms)
        if stall.waiting.requests is not None:
            self.waiting_max = max(self.waiting_max or 0, stall.waiting.requests)
        if stall.request is not None:
            _add(self.endpoints, stall.request.label, 1)
        for label, number in stall.waiting.endpoints:
            _add(self.waited, label, number)

    def incident(self, state: str, news: str | None = None) -> Incident:
        """The record of it."""
        latest, opening = self.latest, self.opening
        p50_ms, p95_ms, p99_ms = (min(ms, self.max_ms) for ms in self.durations.percentiles(0.50, 0.95, 0.99))
        return Incident(
            id=opening.id,
            state=state,
            severity=opening.severity,
            fingerprint=latest.fingerprint,
            cause=latest.cause,
            origin=latest.origin,
            count=self.count,
            lost_ms=self.lost_ms,
            max_ms=self.max_ms,
            p50_ms=p50_ms,
            p95_ms=p95_ms,
            p99_ms=p99_ms,
            first_at=self.first_at,
            last_at=self.last_at,
            opened_at=opening.opened_at,
            opened_count=opening.count,
            opened_ms=opening.lost_ms,
            openings=self.openings,
            endpoints=tuple(self.endpoints.most_common()),
            waited=tuple(self.waited.most_common()),
            waiting_max=self.waiting_max,
            advice=latest.advice,
            latest=latest,
            news=news,
        )


def _add(endpoints: Counter[str], label: str, number: int) -> None:
    if label in endpoints or len(endpoints) < MAX_ENDPOINTS:
        endpoints[label] += number
