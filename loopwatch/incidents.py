"""The incidents of one watch: a state machine that is told of stalls and of time, and answers with news.

    (none) --stall--> open --quiet_s without one--> quiet --CLOSED_AFTER * quiet_s without one--> closed
                       ^                              |                                             |
                       +--------- a stall ------------+-------------- a stall: another opening -----+

docs/incidents.md holds the promises. Nothing here reads a clock: `now` is monotonic seconds, and never goes back.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from loopwatch.durations import Durations
from loopwatch.quotas import Bucket
from loopwatch.records import Incident, Severity, Stall

__all__ = ["Incidents"]

CLOSED_AFTER = 5
"""An incident is closed after so many times the time after which it is quiet."""
MAX_ENDPOINTS = 50
MAX_LASTING = 256
"""How many stalls may last at one moment: there is at most one per loop."""


@dataclass(slots=True)
class _Opening:
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
class _Group:
    """One fingerprint."""

    first_at: datetime
    last_at: datetime
    latest: Stall
    opening: _Opening
    openings: int = 1
    closed: bool = False
    count: int = 0
    lost_ms: float = 0.0
    max_ms: float = 0.0
    durations: Durations = field(default_factory=Durations)
    waiting_max: int | None = None
    endpoints: Counter[str] = field(default_factory=Counter)
    waited: Counter[str] = field(default_factory=Counter)


class Incidents:
    """Groups stalls. For one thread at a time.

    Args:
        keep: How many to remember; beyond, the one that was heard of least lately makes room, and is closed if it was not.
        new_id: Makes the ids of openings.
        quiet_s: After so many seconds without a stall an incident is quiet.
        openings: Limits how many openings are told; None: all are.
    """

    def __init__(
        self, keep: int, new_id: Callable[[], str], quiet_s: float = 60.0, openings: Bucket | None = None
    ) -> None:
        self.quiet_s = quiet_s
        self._keep = keep
        self._new_id = new_id
        self._bucket = openings
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        """All that is remembered, by fingerprint; the one heard of least lately comes first."""
        self._alive: OrderedDict[str, _Group] = OrderedDict()
        """Those that are not closed, in the same order."""
        self._lasting: OrderedDict[str, str] = OrderedDict()
        """Stalls under way: id and fingerprint."""
        self._untold = 0

    def add(self, stall: Stall, now: float) -> list[Incident]:
        """A stall has ended, or is announced while it lasts. Answers with what sinks are to be told."""
        news = [*self.forget(stall, now, but=stall.fingerprint), *self.pass_time(now)]
        group = self._heard_of(stall, now)
        if stall.ongoing:
            self._lasts(stall, group.opening, now)
        else:
            _count(group, stall)
        news += [*self._news_of(group, now), *self._make_room(now)]
        return news

    def forget(self, stall: Stall, now: float, but: str | None = None) -> list[Incident]:
        """The stall lasts no longer in whatever incident it was announced, unless that is `but`.

        An incident that was opened by this announcement and has nothing else to it is closed.
        """
        before = self._lasting.get(stall.id)
        if before is None or (before == but and stall.ongoing):
            return []
        del self._lasting[stall.id]
        group = self._alive.get(before)
        if group is None:
            return []
        group.opening.lasting.pop(stall.id, None)
        empty = before != but and group.opening.count == 0 and not group.opening.lasting
        return list(self._closed(before, now)) if empty else []

    def pass_time(self, now: float) -> list[Incident]:
        """Close what has been quiet for long enough."""
        news: list[Incident] = []
        while self._alive:
            fingerprint, group = next(iter(self._alive.items()))
            if now < group.opening.seen_s + CLOSED_AFTER * self.quiet_s:
                break
            if now < group.opening.until_s() + CLOSED_AFTER * self.quiet_s:  # a stall lasts, between two announcements
                group.opening.seen_s = now
                self._move_to_end(fingerprint)
            else:
                news += self._closed(fingerprint, now)
        return news

    def due(self) -> float | None:
        """When `pass_time` has something to do; None: not until a stall comes."""
        group = next(iter(self._alive.values()), None)
        return None if group is None else group.opening.seen_s + CLOSED_AFTER * self.quiet_s

    def close(self, now: float) -> list[Incident]:
        """The watch ends: nothing more will be heard of any of them."""
        return [news for fingerprint in list(self._alive) for news in self._closed(fingerprint, now)]

    def all(self, now: float) -> tuple[Incident, ...]:
        """Most lost time first."""
        groups = sorted(self._groups.items(), key=lambda item: -item[1].lost_ms)
        return tuple(_incident(fingerprint, group, self._state(group, now)) for fingerprint, group in groups)

    # ── one incident ────────────────────────────────────────────────────────────────────────────────────────────

    def _heard_of(self, stall: Stall, now: float) -> _Group:
        group = self._groups.get(stall.fingerprint)
        at = stall.started_at
        if group is None or group.closed:
            opening = _Opening(self._new_id(), at, now, stall.severity)
            if group is None:
                group = self._groups[stall.fingerprint] = _Group(at, at, stall, opening)
            else:
                group.opening, group.closed, group.openings = opening, False, group.openings + 1
            self._alive[stall.fingerprint] = group
        self._move_to_end(stall.fingerprint)
        # Stalls of several loops may be told out of order.
        group.first_at, group.last_at = min(group.first_at, at), max(group.last_at, at)
        group.latest = stall
        opening = group.opening
        opening.opened_at, opening.seen_s = min(opening.opened_at, at), now
        opening.severity = max(opening.severity, stall.severity, key=lambda one: one.rank)
        return group

    def _lasts(self, stall: Stall, opening: _Opening, now: float) -> None:
        opening.lasting[stall.id] = now + stall.duration_ms / 1e3
        self._lasting[stall.id] = stall.fingerprint
        self._lasting.move_to_end(stall.id)
        if len(self._lasting) > MAX_LASTING:
            lost, fingerprint = self._lasting.popitem(last=False)
            if fingerprint in self._alive:
                self._alive[fingerprint].opening.lasting.pop(lost, None)

    def _move_to_end(self, fingerprint: str) -> None:
        self._groups.move_to_end(fingerprint)
        self._alive.move_to_end(fingerprint)

    def _make_room(self, now: float) -> Iterator[Incident]:
        if len(self._groups) > self._keep:
            fingerprint = next(iter(self._groups))
            yield from self._closed(fingerprint, now)
            del self._groups[fingerprint]

    def _state(self, group: _Group, now: float) -> str:
        if group.closed:
            return "closed"
        return "open" if now < group.opening.until_s() + self.quiet_s else "quiet"

    # ── news ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _news_of(self, group: _Group, now: float) -> Iterator[Incident]:
        opening = group.opening
        if opening.told is None:
            if self._bucket is not None and not self._bucket.take(now):
                return
            opening.pause_s, kind = self.quiet_s, "opened"
        elif opening.severity is not opening.told:
            kind = "worse"
        elif now >= opening.tell_again_s:
            opening.pause_s, kind = 2 * opening.pause_s, "ongoing"
        else:
            return
        opening.told, opening.tell_again_s = opening.severity, now + opening.pause_s
        told = _incident(group.latest.fingerprint, group, "open", kind)
        if kind == "opened":
            told, self._untold = replace(told, suppressed_count=self._untold), 0
        yield told

    def _closed(self, fingerprint: str, now: float) -> Iterator[Incident]:
        group = self._alive.pop(fingerprint, None)
        if group is None:
            return
        group.closed = True
        for stall_id in group.opening.lasting:
            self._lasting.pop(stall_id, None)
        if group.opening.told is None:
            self._untold += 1
        else:
            yield _incident(fingerprint, group, "closed", "closed")


def _count(group: _Group, stall: Stall) -> None:
    group.count += 1
    group.lost_ms += stall.duration_ms
    group.opening.count += 1
    group.opening.lost_ms += stall.duration_ms
    group.max_ms = max(group.max_ms, stall.duration_ms)
    group.durations.add(stall.duration_ms)
    if stall.waiting.requests is not None:
        group.waiting_max = max(group.waiting_max or 0, stall.waiting.requests)
    if stall.request is not None:
        _count_endpoint(group.endpoints, stall.request.label, 1)
    for label, number in stall.waiting.endpoints:
        _count_endpoint(group.waited, label, number)


def _count_endpoint(endpoints: Counter[str], label: str, number: int) -> None:
    if label in endpoints or len(endpoints) < MAX_ENDPOINTS:
        endpoints[label] += number


def _incident(fingerprint: str, group: _Group, state: str, news: str | None = None) -> Incident:
    latest, opening = group.latest, group.opening
    p50_ms, p95_ms, p99_ms = (min(ms, group.max_ms) for ms in group.durations.percentiles(0.50, 0.95, 0.99))
    return Incident(
        id=opening.id,
        state=state,
        severity=opening.severity,
        fingerprint=fingerprint,
        cause=latest.cause,
        origin=latest.origin,
        count=group.count,
        lost_ms=group.lost_ms,
        max_ms=group.max_ms,
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        first_at=group.first_at,
        last_at=group.last_at,
        opened_at=opening.opened_at,
        opened_count=opening.count,
        opened_ms=opening.lost_ms,
        openings=group.openings,
        endpoints=tuple(group.endpoints.most_common()),
        waited=tuple(group.waited.most_common()),
        waiting_max=group.waiting_max,
        advice=latest.advice,
        latest=latest,
        news=news,
    )
