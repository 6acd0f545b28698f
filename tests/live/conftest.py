"""Fixtures of the live tests."""

import random
import time
from collections.abc import Iterator

import pytest

import loopwatch

from . import processes


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which event loop the test runs on."""
    if request.param == "uvloop":
        processes.require("uvloop")
    return request.param


@pytest.fixture
def switched_off() -> Iterator[None]:
    """Whatever the test enabled is disabled when it ends, also when it fails."""
    yield
    loopwatch.disable()


@pytest.fixture(scope="module")
def numbers() -> list[float]:
    """A list that takes some 300 ms to sort, with the GIL kept all the time."""
    source = random.Random(1)
    values = [source.random() for _ in range(500_000)]
    began = time.thread_time()
    sorted(values)
    factor = 0.3 / (time.thread_time() - began)
    return [source.random() for _ in range(int(500_000 * factor))]
