"""Blocking calls of which Python itself tells, by audit events (https://docs.python.org/3/library/audit_events.html).

An audit hook cannot be removed. Ours is added when a session first asks for strict mode; while it is switched off it costs one call
and one comparison per event.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["BLIND", "SEES", "listen"]

EVENTS = frozenset(
    "open os.listdir os.scandir os.mkdir os.remove os.rename os.rmdir os.truncate os.system os.posix_spawn subprocess.Popen "
    "socket.connect socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr socket.getnameinfo sqlite3.connect "
    "time.sleep".split()
)
"""Each is named as the call is."""
SLEEP_HAS_EVENT = sys.version_info >= (3, 13)
SEES = (
    "files opened, folders read and changed, name look-ups, blocking connects, processes started, sqlite3.connect"
    + (", time.sleep" if SLEEP_HAS_EVENT else "")
)
BLIND = "" if SLEEP_HAS_EVENT else "time.sleep"

_listener: Callable[[str], None] | None = None
_added = False


def listen(listener: Callable[[str], None] | None) -> None:
    """Tell `listener` of blocking calls on threads whose loop runs, by name; None: nobody."""
    global _listener, _added  # noqa: PLW0603 - there is one audit hook per process
    _listener = listener
    if listener is not None and not _added:
        sys.addaudithook(_hook)
        _added = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    listener = _listener
    if listener is None or event not in EVENTS or asyncio._get_running_loop() is None:
        return
    if not _harmless(event, arguments):
        listener(event)


def _harmless(event: str, arguments: tuple[Any, ...]) -> bool:
    """A descriptor that is wrapped, and a socket that does not block, wait for nothing."""
    subject = arguments[0] if arguments else None
    if event == "open":
        return isinstance(subject, int)
    if event == "socket.connect":
        return getattr(subject, "gettimeout", lambda: None)() == 0
    return event == "time.sleep" and subject == 0
