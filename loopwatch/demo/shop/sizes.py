"""Makes each piece of work take about as long on any machine, by measuring this one. Runs once, before loopwatch."""

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from .repository import Repository

__all__ = ["TARGET_S", "fill", "scaled"]

TARGET_S = 0.22
"""Seconds that each blocking call should take: well over the 100 ms that count as a stall, well under a second."""

Ratings = dict[str, Sequence[int]]


def scaled(size: int, work: Callable[[], object]) -> int:
    """The size at which the work would take `TARGET_S`, where `work()` does `size` of it now."""
    return max(size, round(size * TARGET_S / _seconds(work)))


def fill(repository: Repository, compare: Callable[[Ratings], object]) -> None:
    """Give the shop as many orders, prices and articles as keep this machine busy for `TARGET_S` each."""
    repository.add_orders(40_000)
    repository.add_orders(scaled(40_000, repository.top_spenders) - 40_000)
    history = _price_history(60)
    repository.price_history = _price_history(scaled(60, lambda: json.dumps(history)))
    ratings = _ratings(8_000)
    repository.ratings = _ratings(scaled(8_000, lambda: compare(ratings)))


def _price_history(articles: int) -> list[dict[str, Any]]:
    """A thousand prices for each article."""
    chance = random.Random(articles)
    return [
        {"sku": f"A-{number:05}", "prices": [500 * chance.random() for _ in range(1_000)]} for number in range(articles)
    ]


def _ratings(pairs: int) -> Ratings:
    """Twelve ratings for each of as many articles as make that many pairs."""
    chance = random.Random(pairs)
    articles = math.isqrt(2 * pairs) + 1
    return {f"A-{number:05}": tuple(chance.choices(range(1, 6), k=12)) for number in range(articles)}


def _seconds(work: Callable[[], object]) -> float:
    """The least CPU time of three tries. By the wall clock, a machine with other work would seem to be slower."""
    tries = []
    for _ in range(3):
        began = time.thread_time()
        work()
        tries.append(time.thread_time() - began)
    return max(min(tries), 1e-4)
