"""The shop's customers: real HTTP over keep-alive connections, in an open loop.

Open means that a request is sent when it is due, whether or not earlier ones were answered. A client that waits for its
answer first sends nothing while the loop is blocked, and so hardly ever meets a stall: its percentiles would look fine.
"""

import asyncio
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

__all__ = ["BLOCKING", "HEALTH", "INNOCENT", "STOCK", "Endpoint", "Visit", "alone", "customers", "percentile", "rush"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, and how often it is asked."""

    method: str
    route: str
    """Template, as loopwatch names it."""
    path: str
    clients: int
    """How many customers ask at the same time."""
    every_s: float
    """Pause between two requests of one customer."""
    body: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Such as "GET /prices/{sku}"."""
        return f"{self.method} {self.route}"


@dataclass(frozen=True, slots=True)
class Visit:
    """One answered request."""

    endpoint: str
    at_s: float
    """When it was sent, in seconds since the traffic began."""
    took_ms: float
    status: int
    """HTTP's, or 0 where no answer came."""


LOGIN = {"name": "ada", "password": "correct horse battery staple"}
BLOCKING = (
    Endpoint("GET", "/prices/{sku}", "/prices/A-00007", clients=2, every_s=6.0),
    Endpoint("GET", "/customers/best", "/customers/best", clients=2, every_s=6.0),
    Endpoint("POST", "/login", "/login", clients=2, every_s=6.0, body=LOGIN),
    Endpoint("GET", "/export", "/export", clients=2, every_s=6.0),
    Endpoint("GET", "/products/alike", "/products/alike", clients=2, every_s=6.0),
)
STOCK = Endpoint("GET", "/stock/{sku}", "/stock/A-00007", clients=3, every_s=0.6)
HEALTH = Endpoint("GET", "/health", "/health", clients=5, every_s=0.2)
INNOCENT = (STOCK, HEALTH)


def customers(url: str) -> httpx.AsyncClient:
    """All customers' connections to the shop at `url`."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    return httpx.AsyncClient(base_url=url, limits=limits, timeout=30.0, trust_env=False)


async def alone(client: httpx.AsyncClient, endpoint: Endpoint, seconds: float) -> list[Visit]:
    """Ask one endpoint only: how it does when nobody blocks the loop."""
    return await _drive(client, ((endpoint, due) for due in _schedule(endpoint, 0.0, seconds)))


async def rush(client: httpx.AsyncClient, seconds: float) -> list[Visit]:
    """All customers at once, for that long; returns when the last answer is in."""
    # The first customers of the blocking endpoints come one after the other, so that a newcomer sees the causes one by
    # one; later their visits overlap as chance has it. In all they block the loop for some 40 % of the time.
    apart_s = min(0.6, seconds / (2 * len(BLOCKING)))
    due = [
        (endpoint, at)
        for index, endpoint in enumerate(BLOCKING)
        for at in _schedule(endpoint, index * apart_s, seconds)
    ]
    due += [(endpoint, at) for endpoint in INNOCENT for at in _schedule(endpoint, 0.0, seconds)]
    return await _drive(client, due)


def percentile(values: Iterable[float], percent: float) -> float:
    """The nearest-rank percentile: the least value that `percent` of all do not exceed. 0.0 where there are none."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)] if ordered else 0.0


def _schedule(endpoint: Endpoint, first_s: float, seconds: float) -> Iterator[float]:
    """When its customers ask: the first at `first_s`, the others evenly between, each later visit early or late by chance."""
    chance = random.Random(endpoint.name)
    for number in range(endpoint.clients):
        at = first_s + number * endpoint.every_s / endpoint.clients
        while at < seconds:
            yield at
            at += endpoint.every_s * chance.uniform(0.8, 1.2)


async def _drive(client: httpx.AsyncClient, due: Iterable[tuple[Endpoint, float]]) -> list[Visit]:
    began = time.perf_counter()
    visits: list[Visit] = []
    async with asyncio.TaskGroup() as open_visits:
        for endpoint, at in sorted(due, key=lambda pair: pair[1]):
            await asyncio.sleep(began + at - time.perf_counter())
            open_visits.create_task(_visit(client, endpoint, at, visits))
    return visits


async def _visit(client: httpx.AsyncClient, endpoint: Endpoint, at_s: float, visits: list[Visit]) -> None:
    began = time.perf_counter()
    try:
        status = (await client.request(endpoint.method, endpoint.path, json=endpoint.body)).status_code
    except httpx.HTTPError:
        status = 0
    visits.append(Visit(endpoint.name, at_s, 1e3 * (time.perf_counter() - began), status))
