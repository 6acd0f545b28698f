"""Stalls with one fingerprint, taken together. Bounded: the incident that has been quiet longest makes room."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from loopwatch.records import Incident, Stall

__all__ = ["Incidents"]

MAX_ENDPOINTS = 50


@dataclass(slots=True)
class _Group:
    first_at: datetime
    last_at: datetime
    latest: Stall
    count: int = 0
    lost_ms: float = 0.0
    max_ms: float = 0.0
    waiting_max: int | None = None
    endpoints: Counter[str] = field(default_factory=Counter)


class Incidents:
    """Groups ended stalls. For one thread at a time.

    Args:
        keep: How many incidents to remember.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._groups: OrderedDict[str, _Group] = OrderedDict()

    def add(self, stall: Stall) -> None:
        """Count an ended stall."""
        group = self._groups.get(stall.fingerprint)
        if group is None:
            group = self._groups[stall.fingerprint] = _Group(stall.started_at, stall.started_at, stall)
            if len(self._groups) > self._keep:
                self._groups.popitem(last=False)
        self._groups.move_to_end(stall.fingerprint)
        # Stalls of several loops may be told out of order.
        group.first_at, group.last_at = min(group.first_at, stall.started_at), max(group.last_at, stall.started_at)
        group.latest = stall
        group.count += 1
        group.lost_ms += stall.duration_ms
        group.max_ms = max(group.max_ms, stall.duration_ms)
        if stall.waiting.requests is not None:
            group.waiting_max = max(group.waiting_max or 0, stall.waiting.requests)
        _count_endpoint(group, stall)

    def all(self) -> tuple[Incident, ...]:
        """Most lost time first."""
        groups = sorted(self._groups.items(), key=lambda item: -item[1].lost_ms)
        return tuple(_incident(fingerprint, group) for fingerprint, group in groups)


def _count_endpoint(group: _Group, stall: Stall) -> None:
    request = stall.request
    if request is None:
        return
    label = request.label
    if label in group.endpoints or len(group.endpoints) < MAX_ENDPOINTS:
        group.endpoints[label] += 1


def _incident(fingerprint: str, group: _Group) -> Incident:
    latest = group.latest
    return Incident(
        fingerprint=fingerprint,
        cause=latest.cause,
        origin=latest.origin,
        count=group.count,
        lost_ms=group.lost_ms,
        max_ms=group.max_ms,
        first_at=group.first_at,
        last_at=group.last_at,
        endpoints=tuple(group.endpoints.most_common()),
        waiting_max=group.waiting_max,
        advice=latest.advice,
        latest=latest,
    )
