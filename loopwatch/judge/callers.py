"""What had the loop run this? Code that another thread hands in stands below frames of anyio's or trio's that say so."""

from collections.abc import Sequence

from loopwatch.records import Frame

__all__ = ["called_from"]

PORTAL = "another thread, through a blocking portal of anyio's"
WAYS: tuple[tuple[str, str, str], ...] = (
    ("anyio.from_thread", "BlockingPortal._call_func", PORTAL),
    ("anyio._backends._asyncio", "AsyncIOBackend.run_async_from_thread", "a thread, by anyio.from_thread.run"),
    ("anyio._backends._asyncio", "AsyncIOBackend.run_sync_from_thread", "a thread, by anyio.from_thread.run_sync"),
    ("trio._threads", "RunSync.", "a thread, by trio.from_thread.run_sync"),
    ("trio._threads", "Run.", "a thread, by trio.from_thread.run"),
)
"""Module, how the qualified name begins, and what it means (anyio 4.8-4.16, trio 0.27-0.35)."""


def called_from(stack: Sequence[Frame]) -> str | None:
    """In words, for a stack that comes outermost first; None: nothing says that it was called from elsewhere."""
    for frame in stack:
        for module, function, words in WAYS:
            if frame.module == module and frame.function.startswith(function):
                return words
    return None
