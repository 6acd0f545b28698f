"""Pools as the watchdog reads them, and work that lasts for as long as a test wants."""

import asyncio
import threading
import time

import pytest

from loopwatch.heartbeats.base import describe
from loopwatch.probes.pools import PoolProbe

PATIENCE_S = 20.0


class Gate:
    """Holds threads until it is opened."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()

    def held(self):
        self.entered.release()
        assert self._open.wait(PATIENCE_S)  # HELD

    def open(self):
        self._open.set()

    async def holds(self, count):
        """So many threads are in it."""
        for _ in range(count):
            entered = await asyncio.to_thread(self.entered.acquire, timeout=PATIENCE_S)
            assert entered


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def probe():
    return PoolProbe()


async def settled(probe, kind, enough):
    """The first reading of a pool of that kind that is `enough`."""
    loop = asyncio.get_running_loop()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [pool for pool in probe.read([(loop, describe(loop))]) if pool.kind == kind]
        for pool in found:
            if enough(pool):
                return pool
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
