"""The incidents of one watch: a state machine that is told of stalls and of time, and answers with news.

    (none) --stall--> open --quiet_s without one--> quiet --CLOSED_AFTER * quiet_s without one--> closed
                       ^                              |                                             |
                       +--------- a stall ------------+-------------- a stall: another opening -----+

docs/incidents.md holds the promises. Nothing here reads a clock: `now` is monotonic seconds, and never goes back.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace

from loopwatch.groups import Group, Opening
from loopwatch.latest import MAX_LASTING, Latest
from loopwatch.quotas import Bucket
from loopwatch.records import Incident, Stall

__all__ = ["Incidents"]

CLOSED_AFTER = 5
"""An incident is closed after so many times the time after which it is quiet."""


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
        self._groups: OrderedDict[str, Group] = OrderedDict()
        """All that is remembered, by fingerprint; the one heard of least lately comes first."""
        self._alive: OrderedDict[str, Group] = OrderedDict()
        """Those that are not closed, in the same order."""
        self._lasting: Latest[str, str] = Latest(MAX_LASTING)
        """Stalls under way: id and fingerprint."""
        self._untold = 0

    def add(self, stall: Stall, now: float) -> list[Incident]:
        """A stall has ended, or is announced while it lasts. Answers with what sinks are to be told."""
        news = [*self.forget(stall, but=stall.fingerprint), *self.pass_time(now)]
        group = self._heard_of(stall, now)
        if stall.ongoing:
            self._lasts(stall, group.opening, now)
        else:
            group.count_one(stall)
        news += [*self._news_of(group, now), *self._make_room()]
        return news

    def forget(self, stall: Stall, but: str | None = None) -> list[Incident]:
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
        if before == but or group.opening.count or group.opening.lasting:
            return []
        news = list(self._closed(before))
        if group.count == 0:  # it never had any
            del self._groups[before]
        return news

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
                news += self._closed(fingerprint)
        return news

    def due(self) -> float | None:
        """When `pass_time` has something to do; None: not until a stall comes."""
        group = next(iter(self._alive.values()), None)
        return None if group is None else group.opening.seen_s + CLOSED_AFTER * self.quiet_s

    def close(self) -> list[Incident]:
        """The watch ends: nothing more will be heard of any of them."""
        return [news for fingerprint in list(self._alive) for news in self._closed(fingerprint)]

    def all(self, now: float) -> tuple[Incident, ...]:
        """Most lost time first."""
        groups = sorted(self._groups.items(), key=lambda item: -item[1].lost_ms)
        return tuple(group.incident(self._state(group, now)) for fingerprint, group in groups)

    # ── one incident ────────────────────────────────────────────────────────────────────────────────────────────

    def _heard_of(self, stall: Stall, now: float) -> Group:
        group = self._groups.get(stall.fingerprint)
        at = stall.started_at
        if group is None or group.closed:
            opening = Opening(self._new_id(), at, now, stall.severity)
            if group is None:
                group = self._groups[stall.fingerprint] = Group(at, at, stall, opening)
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

    def _lasts(self, stall: Stall, opening: Opening, now: float) -> None:
        opening.lasting[stall.id] = now + stall.duration_ms / 1e3
        self._lasting.pop(stall.id, None)  # so that it is the latest
        pushed_out = self._lasting.put(stall.id, stall.fingerprint)
        if pushed_out is not None and pushed_out[1] in self._alive:
            self._alive[pushed_out[1]].opening.lasting.pop(pushed_out[0], None)

    def _move_to_end(self, fingerprint: str) -> None:
        self._groups.move_to_end(fingerprint)
        self._alive.move_to_end(fingerprint)

    def _make_room(self) -> Iterator[Incident]:
        if len(self._groups) > self._keep:
            fingerprint = next(iter(self._groups))
            yield from self._closed(fingerprint)
            del self._groups[fingerprint]

    def _state(self, group: Group, now: float) -> str:
        if group.closed:
            return "closed"
        return "open" if now < group.opening.until_s() + self.quiet_s else "quiet"

    # ── news ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _news_of(self, group: Group, now: float) -> Iterator[Incident]:
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
        told = group.incident("open", kind)
        if kind == "opened":
            told, self._untold = replace(told, suppressed_count=self._untold), 0
        yield told

    def _closed(self, fingerprint: str) -> Iterator[Incident]:
        group = self._alive.pop(fingerprint, None)
        if group is None:
            return
        group.closed = True
        for stall_id in group.opening.lasting:
            self._lasting.pop(stall_id, None)
        if group.opening.told is None:
            self._untold += 1
        else:
            yield group.incident("closed", "closed")
