"""Strict mode: a blocking call on a loop's thread is found however fast it happened to be. In the pytest process only.

Python itself says when a file is opened, a name resolved, a process started (`sys.addaudithook`); the rest (reads, locks, queries)
only where the package `blockbuster` is installed.
"""

import sys
import threading

from loopwatch.clocks import time
from loopwatch.probes import allowances
from loopwatch.pytest_plugin.strict import audit, blockbuster
from loopwatch.pytest_plugin.strict.callers import Call, caller_of

__all__ = ["Call", "Strictness", "sight"]

MOST = 200
"""Calls kept of one phase of a test."""


class Strictness:
    """Notes blocking calls between `begin` and `end`. One per process, used on the thread that runs the tests.

    Args:
        allow: Callers that may block: "module" or "module:function".
    """

    def __init__(self, allow: tuple[str, ...]) -> None:
        self._allow = frozenset(allow)
        self._calls: dict[tuple[str, int, str, str | None], Call] = {}
        self._reals = blockbuster.Reals(self._note)
        self._noting = threading.local()

    def switch_on(self) -> None:
        """A strict test begins, and no other was just before it."""
        audit.listen(self._note)
        self._reals.activate()

    def switch_off(self) -> None:
        """Strict tests are over for now. The audit hook itself cannot be taken away; it asks one flag from now on."""
        audit.listen(None)
        self._reals.deactivate()

    def take(self) -> tuple[Call, ...]:
        """What was called since the last time: each call of a line once, and once more where an allowance covers it."""
        calls, self._calls = tuple(self._calls.values()), {}
        return calls

    def _note(self, what: str) -> None:
        """A blocking call is about to be made on a thread whose loop runs. Never raises; opens no file."""
        if getattr(self._noting, "now", False) or len(self._calls) >= MOST:
            return
        self._noting.now = True
        try:
            call = caller_of(sys._getframe(2), what, self._allow)
            if call is not None:
                allowed = allowances.within(threading.get_ident(), call.at_ns, time.monotonic_ns() + 1)
                told = call.allowed_by(allowed[0].reason) if allowed else call
                self._calls.setdefault(told.key, told)
        except Exception:  # noqa: BLE001, S110 - an error here would be raised into the program's own call
            pass
        finally:
            self._noting.now = False


def sight() -> str:
    """What strict mode sees on this Python, in one sentence."""
    if blockbuster.version() is not None:
        return f"strict: sees {audit.SEES}, and through blockbuster {blockbuster.version()} {blockbuster.SEES}"
    blind = ", ".join(word for word in (audit.BLIND, blockbuster.SEES) if word)
    return f"strict: sees {audit.SEES}; cannot see {blind}: for that, pip install blockbuster"
