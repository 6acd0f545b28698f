"""The fixture `loopwatch`: what a test asks and says of its own blocking."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import pytest

from loopwatch.pytest_plugin.failure import failure_text
from loopwatch.pytest_plugin.options import milliseconds
from loopwatch.pytest_plugin.ruling import IN_WINDOW
from loopwatch.pytest_plugin.run import Blocked, Run
from loopwatch.records import Stall

__all__ = ["Loopwatch"]


class Loopwatch:
    """What the fixture gives. For the thread that runs the test; in plain and in async tests alike."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._limits: list[_Limit] = []

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """What has blocked since this test's setup began, oldest first; whether or not it was the test's own doing.

        In an async test the turn that is under way is not among them: it has not ended.
        """
        return tuple(seen.stall for seen in self._run.look())

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What blocks within the block does not count: `with loopwatch.pause(): app = create_app()`."""
        number = self._run.open("pause")
        try:
            yield
        finally:
            self._run.shut(number)

    @contextmanager
    def only(self) -> Iterator[None]:
        """Only what blocks within this block, and others of its kind, counts."""
        number = self._run.open("only")
        try:
            yield
        finally:
            self._run.shut(number)

    def assert_no_blocking(self, max_ms: float | None = None) -> "_Limit":
        """`with loopwatch.assert_no_blocking(20): ...`: another limit for a part of the test.

        In a plain test the block itself raises. In an async one the turn under way ends after the block, so the test fails when
        it is over.

        Args:
            max_ms: Milliseconds; None: the test's own limit.

        Raises:
            ValueError: `max_ms` is no limit.
        """
        demand = self._run.demand
        limit = _Limit(self._run, milliseconds((demand.max_ms if demand else 50.0) if max_ms is None else max_ms))
        self._limits.append(limit)
        return limit

    def close(self) -> None:
        """The test is over: a limit that was never entered has asserted nothing."""
        if any(not limit.entered for limit in self._limits):
            pytest.fail(
                "loopwatch.assert_no_blocking() asserts nothing by itself; write: with loopwatch.assert_no_blocking():",
                pytrace=False,
            )


class _Limit:
    """The context manager of `assert_no_blocking`."""

    def __init__(self, run: Run, max_ms: float) -> None:
        self.entered = False
        self._run = run
        self._max_ms = max_ms
        self._number = -1

    def __enter__(self) -> Self:
        self.entered = True
        self._number = self._run.open("limit", self._max_ms)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.shut(self._number)
        if error is not None or asyncio._get_running_loop() is not None:
            return
        self._run.look()
        failing = [block for block in self._run.failing() if block.source == IN_WINDOW]
        if failing:
            raise Blocked(failure_text(failing))
