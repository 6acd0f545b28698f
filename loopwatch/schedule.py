"""When to look, when to sample, when to announce: functions of the limits, and of what was announced already."""

from collections.abc import Iterable
from dataclasses import dataclass

from loopwatch.latest import Latest
from loopwatch.settings import Settings

__all__ = ["Announcements", "Limits", "limits_of", "next_announcement", "next_sample_age"]

IDLE_MAX_NS = 65_000_000
"""Looks at idle loops: 15 a second cost some 0.2 % of a core, most of it for waking up (benchmarks/overhead/idle.py)."""
IDLE_MIN_NS = 5_000_000
GROWTH = 1.25
LONGEST_GAP_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What all watches of the process want together: the strictest of each. Nanoseconds."""

    threshold_ns: int = 100_000_000
    ongoing_ns: tuple[int, ...] = ()
    """First announcements, one per watch that wants any."""
    saturated_ns: tuple[int, ...] = ()
    """First announcements of saturated pools, one per watch that wants any."""
    max_frames: int = 64
    max_samples: int = 200

    @property
    def idle_ns(self) -> int:
        """Between two looks at an idle loop: under two thirds of a threshold, so that a stall is seen well before it is one."""
        return min(max(int(self.threshold_ns * 0.65), IDLE_MIN_NS), IDLE_MAX_NS)

    @property
    def first_sample_ns(self) -> int:
        """Age of a turn at its first sample. Turns that do not become stalls are mostly over by then."""
        return self.threshold_ns // 4

    @property
    def late_ns(self) -> int:
        """From here on, the watchdog's own lateness is worth remembering."""
        return self.threshold_ns // 2


def limits_of(settings: Iterable[Settings]) -> Limits:
    """The strictest of each."""
    every = tuple(settings)
    if not every:
        return Limits()
    return Limits(
        threshold_ns=min(one.threshold_ns for one in every),
        ongoing_ns=tuple(sorted({one.ongoing_ns for one in every if one.ongoing_ns is not None})),
        saturated_ns=tuple(sorted({one.saturated_ns for one in every if one.saturated_ns is not None})),
        max_frames=max(one.max_frames for one in every),
        max_samples=max(one.max_samples for one in every),
    )


def next_sample_age(age_ns: int, limits: Limits) -> int:
    """How old a turn of `age_ns` will be at its next sample: an eighth of a threshold apart at first, then ever sparser."""
    step = limits.threshold_ns // 8
    if age_ns < limits.first_sample_ns:
        return limits.first_sample_ns
    if age_ns < 8 * limits.threshold_ns:
        return age_ns + step
    return min(int(age_ns * GROWTH), age_ns + LONGEST_GAP_NS)


def next_announcement(firsts: Iterable[int], announced_ns: int) -> int | None:
    """The age at which the next announcement of any watch falls due, after one at `announced_ns` (0: none yet).

    Args:
        firsts: The age at which each watch wants its first one.
    """
    return min((doubled(first, announced_ns) for first in firsts), default=None)


class Announcements(Latest[str, int]):
    """What lasts and was told of: by id, for how many nanoseconds it had lasted then. For one thread at a time."""

    def fall_due(self, id_: str, lasted_ns: int, first_ns: int | None) -> bool:
        """Whether it is to be told of (again): after `first_ns`, then at doubling intervals; None: never. If so, it is noted."""
        if first_ns is None or lasted_ns < doubled(first_ns, self.get(id_, 0)):
            return False
        self.put(id_, lasted_ns)
        return True


def doubled(first_ns: int, after_ns: int) -> int:
    """The first of `first_ns`, twice that, four times, ... that is above `after_ns`."""
    due = max(first_ns, 1)
    while due <= after_ns:
        due *= 2
    return due
