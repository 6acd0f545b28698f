"""`loopwatch.allow`: blocking that is expected is counted, not reported."""

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from loopwatch.checks import check_allowance
from loopwatch.errors import SettingError
from loopwatch.probes import allowances

__all__ = ["allow"]

P = ParamSpec("P")
R = TypeVar("R")


class allow:  # noqa: N801 - used as a verb: `with loopwatch.allow("warm-up"):`
    """Say that blocking is expected here. A context manager, and a decorator for plain and `async` functions.

    It belongs to the task (or callback) that entered it, also across awaits: another task that blocks meanwhile is reported.
    One object may be entered many times, also by several tasks at once.

    Args:
        reason: Why; shown where allowed stalls are counted.
        up_to_ms: How much of a stall is excused, in milliseconds; None: any length.

    Raises:
        SettingError: `reason` is empty, or `up_to_ms` is not above 0.
    """

    def __init__(self, reason: str, up_to_ms: float | None = None) -> None:
        check_allowance("loopwatch.allow()", reason, up_to_ms)
        self.reason = reason
        self.up_to_ms = up_to_ms
        self._up_to_ns = None if up_to_ms is None else int(up_to_ms * 1e6)
        self._entries: list[allowances.Entry] = []

    def __enter__(self) -> Self:
        self._entries.append(allowances.enter(self.reason, self._up_to_ns))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Interleaved tasks may leave in any order: each ends its own entry.
        mine = allowances.Entry("", None)
        entries = self._entries
        own = [entry for entry in entries if (entry.thread_id, entry.task_id) == (mine.thread_id, mine.task_id)]
        for entry in (own or entries)[-1:]:  # none of its own: another task entered it, as a test's fixture does
            entries.remove(entry)
            allowances.leave(entry)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Allow blocking in every call of `function`.

        Raises:
            SettingError: it is a generator function: calling it runs nothing yet.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise SettingError(
                f"loopwatch.allow() cannot decorate the generator function {function.__qualname__}; "
                "use it inside: with loopwatch.allow(...):"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waiting(*args: Any, **kwargs: Any) -> Any:
                with allow(self.reason, self.up_to_ms):
                    return await function(*args, **kwargs)

            return waiting  # type: ignore[return-value]  # the same coroutine function, as far as a type can say

        @functools.wraps(function)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with allow(self.reason, self.up_to_ms):
                return function(*args, **kwargs)

        return plain
