"""How much people have to read: three limits on the records of one watch, which count what they hold back.

Nothing here reads a clock: `now` is monotonic seconds, and never goes back. For one thread at a time.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from loopwatch.latest import MAX_LASTING, Latest
from loopwatch.records import Stall

__all__ = ["Bucket", "Quotas"]

BURST = 5
"""So many records of one fingerprint pass before they are spaced out: enough to see whether it is always the same."""
LONGEST_PAUSE_S = 3600.0
FORGOTTEN_AFTER = 5
"""A fingerprint that was not heard of for so many first pauses begins anew: by default when its incident closes."""
ROUNDING = 1e-6


class Bucket:
    """A token bucket that starts full.

    Args:
        per_minute: How many tokens it gets in a minute, and how many it holds.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._tokens = float(per_minute)
        self._filled_s: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; False if there is none."""
        if self._filled_s is not None:
            self._tokens += (now - self._filled_s) * self.per_minute / 60
        self._tokens, self._filled_s = min(self._tokens, float(self.per_minute)), now
        if self._tokens < 1 - ROUNDING:
            return False
        self._tokens -= 1
        return True

    def resize(self, per_minute: int) -> None:
        """Another size from now on; what is added to it is there at once."""
        self._tokens, self.per_minute = max(0.0, self._tokens + per_minute - self.per_minute), per_minute

    def next_s(self, now: float) -> float:
        """When there will be a token."""
        filled_s = now if self._filled_s is None else self._filled_s
        return filled_s + max(0.0, 1 - self._tokens) * 60 / self.per_minute


@dataclass(slots=True)
class _Held:
    """What was held back and not told of yet."""

    count: int = 0
    ms: float = 0.0
    latest: Stall | None = None

    def hold(self, stall: Stall) -> None:
        self.count += 1
        self.ms += stall.duration_ms
        self.latest = stall

    def take_over(self, other: "_Held") -> None:
        self.count, self.ms, self.latest = self.count + other.count, self.ms + other.ms, other.latest or self.latest
        other.clear()

    def clear(self) -> None:
        self.count, self.ms, self.latest = 0, 0.0, None


@dataclass(slots=True)
class _Spacing:
    """One fingerprint."""

    pause_s: float
    heard_s: float = 0.0
    passed: int = 0
    next_s: float = -math.inf
    """From when on the next record may pass, once the first few have."""
    worst: int = -1
    """The highest severity that has passed."""
    held: _Held = field(default_factory=_Held)

    def has_turn(self, stall: Stall, now: float) -> bool:
        """Whether this limit lets the stall pass."""
        return self.passed < BURST or now >= self.next_s or stall.severity.rank > self.worst

    def pass_one(self, now: float) -> None:
        """It has passed."""
        self.passed += 1
        if self.passed > BURST and now >= self.next_s:
            self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        if self.passed >= BURST and now >= self.next_s:
            self.next_s = now + self.pause_s


class Quotas:
    """Decides which records pass.

    1. Per fingerprint: the first five, then one per pause, which doubles as long as the fingerprint keeps coming; also
       the first one that is worse than all before.
    2. All together: so many a minute.
    3. Stacks: so many a minute; beyond, records pass without.

    An announcement passes within these limits, and then the stall's further announcements and its end pass, too. What is held
    back is counted, and told with the next record: of the fingerprint if its own limit held it back, of any if the common one
    did. Where none comes, the latest that was held back is told, with the count of the others.

    Args:
        repeat_s: The first pause.
        records: Per minute.
        stacks: Per minute.
        keep: How many fingerprints to remember; what was held back of one that is forgotten counts with the common limit.
    """

    def __init__(self, repeat_s: float = 60.0, records: int = 30, stacks: int = 10, keep: int = 1000) -> None:
        self.repeat_s = repeat_s
        self.records = Bucket(records)
        self.stacks = Bucket(stacks)
        self._keep = keep
        self._spacings: OrderedDict[str, _Spacing] = OrderedDict()
        """By fingerprint; the one heard of least lately comes first."""
        self._common = _Held()
        self._announced: Latest[str, None] = Latest(MAX_LASTING)
        """Ids of the stalls whose end must be told."""

    def renewed(self) -> "Quotas":
        """The same limits, none of them used."""
        return Quotas(self.repeat_s, self.records.per_minute, self.stacks.per_minute, self._keep)

    def adjust(self, repeat_s: float, records: int, stacks: int) -> None:
        """Other limits from now on."""
        self.repeat_s = repeat_s
        self.records.resize(records)
        self.stacks.resize(stacks)

    def owes(self, stall_id: str) -> bool:
        """Whether this stall was announced and its end not told yet."""
        return stall_id in self._announced

    def pass_on(self, stall: Stall, now: float) -> Stall | None:
        """The record as it is to be told; None: it is held back."""
        spacing = self._heard_of(stall.fingerprint, now)
        if self.owes(stall.id):
            if not stall.ongoing:
                del self._announced[stall.id]
        elif stall.only_counted or not self._passes(stall, spacing, now):
            return None
        elif stall.ongoing:
            self._announced.put(stall.id, None)
        spacing.worst = max(spacing.worst, stall.severity.rank)
        return self._told(stall, spacing.held, now)

    def pass_time(self, now: float) -> list[Stall]:
        """What was held back and has waited for long enough: to be told now."""
        told = []
        for spacing in self._forgotten(now):
            if spacing.held.latest is not None and self.records.take(now):
                told.append(self._told(spacing.held.latest, spacing.held, now, late=True))
            self._common.take_over(spacing.held)
        if self._common.latest is not None and self.records.take(now):
            told.append(self._told(self._common.latest, self._common, now, late=True))
        return told

    def due(self, now: float) -> float | None:
        """When `pass_time` has something to do; None: not until a stall comes."""
        times = [spacing.heard_s + FORGOTTEN_AFTER * self.repeat_s for spacing in self._spacings.values()][:1]
        times += [self.records.next_s(now)] if self._common.count else []
        return min(times, default=None)

    def close(self, now: float) -> list[Stall]:
        """Nothing more will come: all that was held back, in one record."""
        for spacing in self._spacings.values():
            self._common.take_over(spacing.held)
        self._spacings.clear()
        latest = self._common.latest
        return [] if latest is None else [self._told(latest, self._common, now, late=True)]

    def _heard_of(self, fingerprint: str, now: float) -> _Spacing:
        spacing = self._spacings.get(fingerprint)
        if spacing is None:
            spacing = self._spacings[fingerprint] = _Spacing(self.repeat_s)
            if len(self._spacings) > self._keep:
                self._common.take_over(self._spacings.popitem(last=False)[1].held)
        self._spacings.move_to_end(fingerprint)
        spacing.heard_s = now
        return spacing

    def _forgotten(self, now: float) -> Iterator[_Spacing]:
        while self._spacings:
            fingerprint, spacing = next(iter(self._spacings.items()))
            if now < spacing.heard_s + FORGOTTEN_AFTER * self.repeat_s:
                return
            del self._spacings[fingerprint]
            yield spacing

    def _passes(self, stall: Stall, spacing: _Spacing, now: float) -> bool:
        turn = spacing.has_turn(stall, now)
        if turn and self.records.take(now):
            spacing.pass_one(now)
            return True
        if not stall.ongoing:  # what lasts is counted when it has ended
            (self._common if turn else spacing.held).hold(stall)
        return False

    def _told(self, stall: Stall, held: _Held, now: float, late: bool = False) -> Stall:
        """With all that was held back, and without its stack if there were too many; `late`: it was held back itself."""
        if held is not self._common:
            held.take_over(self._common)
        count, ms = (held.count - 1, held.ms - stall.duration_ms) if late else (held.count, held.ms)
        held.clear()
        if stall.stack and not self.stacks.take(now):
            holder = None if stall.holder is None else replace(stall.holder, stack=())
            stall = replace(stall, stack=(), holder=holder, stack_omitted=True)
        return replace(stall, suppressed_count=count, suppressed_ms=max(0.0, ms)) if count else stall
