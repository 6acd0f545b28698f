"""Percentiles of very many durations in little memory."""

import math
from collections import Counter

__all__ = ["Durations"]

GROWTH = 1.1
"""From one bucket to the next: a bucket's middle is at most 5 % from whatever fell into it (as in DDSketch, VLDB 2019)."""
LEAST_MS, MOST_MS = 0.01, 1e10
"""So there are never more than 290 buckets; a service that always stalls alike has a handful."""


class Durations:
    """Counts durations by size. The order in which they come does not matter. For one thread at a time."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, ms: float) -> None:
        """Count one duration, in milliseconds."""
        self._buckets[math.ceil(math.log(min(max(ms, LEAST_MS), MOST_MS), GROWTH))] += 1

    def percentiles(self, *shares: float) -> tuple[float, ...]:
        """The duration that each share (0 to 1, ascending) of all does not exceed, at most 5 % off; 0 where there are none."""
        ordered = sorted(self._buckets.items())
        total = self._buckets.total()
        return tuple(_at(ordered, max(1, math.ceil(share * total))) for share in shares)


def _at(ordered: list[tuple[int, int]], rank: int) -> float:
    for bucket, count in ordered:
        rank -= count
        if rank <= 0:
            return 2 * GROWTH**bucket / (GROWTH + 1)
    return 0.0
