"""What one watch remembers of its stalls, and what it owes its sinks. Written by the delivery thread, read by any."""

import itertools
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from loopwatch.incidents import Incidents
from loopwatch.latest import MAX_LASTING
from loopwatch.observations import Observation
from loopwatch.quotas import Bucket
from loopwatch.records import Incident, Stall
from loopwatch.schedule import Announcements
from loopwatch.settings import Settings
from loopwatch.stats import Key, Tally

__all__ = ["Books"]


class Books:
    """Stalls, incidents and totals, bounded by `settings.keep`. All methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._stalls: deque[Stall] = deque(maxlen=settings.keep)
        self._openings = Bucket(settings.records_per_minute)
        self._incidents = Incidents(settings.keep, _incident_ids().__next__, settings.quiet_ms / 1e3, self._openings)
        self._tallies: dict[Key, Tally] = {}
        self._announced = Announcements(MAX_LASTING)
        """Stalls under way."""
        self._owed: set[str] = set()
        """Those of them that sinks were told of: they are told the end, too."""
        self._over = False
        """Whether the last news was told: an incident that opened now would never be closed."""

    def adjust(self, settings: Settings) -> None:
        """Other limits from now on."""
        with self._lock:
            self._openings.resize(settings.records_per_minute)
            self._incidents.quiet_s = settings.quiet_ms / 1e3

    # ── what is in them ─────────────────────────────────────────────────────────────────────────────────────────

    def stalls(self) -> tuple[Stall, ...]:
        """The latest ended ones."""
        with self._lock:
            return tuple(self._stalls)

    def incidents(self, now: float) -> tuple[Incident, ...]:
        """Most lost time first."""
        with self._lock:
            return self._incidents.all(now)

    def tallies(self) -> dict[Key, Tally]:
        """Of each loop."""
        with self._lock:
            return dict(self._tallies)

    # ── what is entered ─────────────────────────────────────────────────────────────────────────────────────────

    def wants(self, observation: Observation, settings: Settings) -> bool:
        """Whether a stall is to be judged for this watch: it is long enough, and, while it lasts, an announcement is due.

        A watch may be given a higher threshold while a stall lasts: one that it has announced it also sees to its end.
        """
        if not observation.ongoing:
            return observation.duration_ns >= settings.threshold_ns or observation.id in self._owed
        if observation.duration_ns < settings.threshold_ns:
            return False
        with self._lock:
            due = self._announced.fall_due(observation.id, observation.duration_ns, settings.ongoing_ns)
            self._owed.intersection_update(self._announced)  # of one too many, nothing more is known
            return due

    def add(self, stall: Stall, now: float) -> tuple[bool, Sequence[Incident]]:
        """Enter a stall: whether sinks are told of it, and the news of incidents.

        What is only counted is told all the same where it was announced before that was known.
        """
        with self._lock:
            if stall.ongoing:
                if stall.only_counted:
                    return False, ()
                self._owed.add(stall.id)
                return True, self._news(stall, now)
            key = (stall.loop.backend, stall.loop.thread_id)
            self._tallies.setdefault(key, Tally()).add(stall)
            owed = stall.id in self._owed
            self._announced.pop(stall.id, None)
            self._owed.discard(stall.id)
            if stall.only_counted:
                return owed, self._incidents.forget(stall)
            self._stalls.append(stall)
            return True, self._news(stall, now)

    def _news(self, stall: Stall, now: float) -> Sequence[Incident]:
        news = self._incidents.add(stall, now)
        return () if self._over else news

    def pass_time(self, now: float) -> tuple[Sequence[Incident], float | None]:
        """The news that fall due, and when the next ones will; None: not before a stall comes."""
        with self._lock:
            return self._incidents.pass_time(now), self._incidents.due()

    def close(self) -> Sequence[Incident]:
        """The watch ends: the last news."""
        with self._lock:
            self._over = True
            return self._incidents.close()


def _incident_ids() -> Iterator[str]:
    """Unique over all processes: a random prefix, then a count."""
    prefix = secrets.token_hex(5)
    return (f"{prefix}-i{number:x}" for number in itertools.count(1))
