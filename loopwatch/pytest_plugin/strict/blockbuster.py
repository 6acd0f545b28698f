"""Blocking calls of which Python has no audit event, through the package blockbuster (if it is installed).

blockbuster replaces some sixty functions and raises in place of calling them. Here it is asked to let every call pass, and we note
it: a test is to run to its end and to be told all of its calls.
"""

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["SEES", "Reals", "version"]

SEES = "reads and writes, sends and receives, sqlite3's queries, locks waited for"


def version() -> str | None:
    """The installed version; None: it is not."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    if sys.modules.get("blockbuster", ...) is None:  # forbidden here
        return None
    try:
        return version_of("blockbuster")
    except PackageNotFoundError:
        return None


class Reals:
    """The real functions, replaced while it is active.

    Args:
        note: Told of each blocking call, by name.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._guard: Any = None

    def activate(self) -> None:
        """Replace them; does nothing without blockbuster."""
        if self._guard is None and version() is not None:
            from blockbuster import BlockBuster

            self._guard = BlockBuster()
            for name, function in self._guard.functions.items():
                function.can_block_predicate = self._asked(name, function)
        if self._guard is not None:
            self._guard.activate()

    def deactivate(self) -> None:
        """Put them back."""
        if self._guard is not None:
            self._guard.deactivate()

    def _asked(self, name: str, function: Any) -> Callable[..., bool]:
        harmless = function.can_block_predicate

        def can_block(*arguments: Any, **keywords: Any) -> bool:
            if not harmless(*arguments, **keywords) and not _excused(function.can_block_functions):
                self._note(name)
            return True

        return can_block


def _excused(places: list[tuple[str, Any]]) -> bool:
    """Whether blockbuster itself lets this place block: file and function of some frame."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if any(code.co_filename.endswith(file) and code.co_name in functions for file, functions in places):
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return False
