"""Fixtures of the live tests."""

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
