"""Stalls as events of Sentry, in the shape that Sentry's SDK for Node.js gives them, so that Sentry shows and groups them alike.

The program initialises Sentry; where it has not, that is said once. Whether it has is asked anew for each event, and never at the
price of importing the SDK, which takes a second: a program that has not imported it cannot have initialised it.
"""

import logging
import sys
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from loopwatch.clocks import time
from loopwatch.latest import Latest
from loopwatch.records import Frame, Stall
from loopwatch.sinks import need
from loopwatch.sinks.event import fields_of, holder_to_blame, plain, to_blame

__all__ = ["SentrySink", "event_of"]

LEVELS = {"critical": "fatal"}
"""Sentry's words for our levels, where they differ."""
HOUR_S, MAX_PER_HOUR = 3600, 60
"""Events cost the program's owner quota. What is held back is counted, and told with the next event."""
MAX_ANNOUNCED = 256


class SentrySink:
    """Sends a stall when it is first announced, and when it has ended."""

    def __init__(self) -> None:
        need("sentry", "sentry_sdk")
        self._sent_at: deque[float] = deque(maxlen=MAX_PER_HOUR)
        self._announced: Latest[str, None] = Latest(MAX_ANNOUNCED)
        self._held_back = 0
        self._said = False

    def __call__(self, stall: Stall) -> None:
        sentry = sys.modules.get("sentry_sdk")
        client = None if sentry is None else sentry.get_client()
        if sentry is None or client is None or not client.is_active():
            self._say()
        elif not self._told_already(stall) and self._may_send():
            # The scope of the whole program: this thread's own is a copy of whatever request was under way when it started.
            client.capture_event(event_of(stall, self._held_back), scope=sentry.Scope.get_global_scope())
            self._held_back = 0

    def _say(self) -> None:
        if not self._said:
            self._said = True
            logging.getLogger("loopwatch").error(
                "loopwatch: sink 'sentry' sends nothing as long as the program has not called sentry_sdk.init()"
            )

    def _told_already(self, stall: Stall) -> bool:
        """Whether it was announced before: announcements come at doubling intervals, and all say the same."""
        if not stall.ongoing:
            self._announced.pop(stall.id, None)
            return False
        told = stall.id in self._announced
        self._announced.put(stall.id, None)
        return told

    def _may_send(self) -> bool:
        now = time.monotonic()
        if len(self._sent_at) == MAX_PER_HOUR and now - self._sent_at[0] < HOUR_S:
            self._held_back += 1
            return False
        self._sent_at.append(now)
        return True


def event_of(stall: Stall, held_back: int = 0) -> dict[str, Any]:
    """The event's payload (develop.sentry.dev/sdk/foundations/data-model). It holds no value of a variable.

    Args:
        stall: What to tell.
        held_back: How many events were not sent since the last one.
    """
    request, level = stall.request, stall.severity
    fields = {key: value for key, value in fields_of(stall).items() if value is not None and key != "stack"}
    event: dict[str, Any] = {
        "level": LEVELS.get(level, level),
        "logger": "loopwatch",
        "timestamp": (stall.started_at + timedelta(milliseconds=stall.duration_ms)).isoformat(),
        "fingerprint": ["loopwatch.event_loop_blocked", stall.fingerprint],
        "exception": {"values": [_exception(stall)]},
        "threads": {"values": list(_threads(stall))},
        "tags": {"loopwatch.cause": stall.cause.value, "loopwatch.loop": stall.loop.backend},
        "contexts": {"loopwatch": {**fields, **({"held_back": held_back} if held_back else {})}},
    }
    if request is not None and (request.route or request.endpoint):
        event["transaction"] = request.route or request.endpoint
        event["transaction_info"] = {"source": "route" if request.route else "component"}
    if stall.trace is not None:
        event["contexts"]["trace"] = {"trace_id": stall.trace.trace_id, "span_id": stall.trace.span_id}
    return event


def _exception(stall: Stall) -> dict[str, Any]:
    at_least = "at least " if stall.ongoing else ""
    return {
        "type": "EventLoopBlocked",
        "value": plain(f"Event loop blocked for {at_least}{stall.duration_ms:.0f} ms: {stall.evidence}"),
        "mechanism": {"type": "ANR", "handled": True},
        "thread_id": _thread_to_blame(stall),
        "stacktrace": _stacktrace(stall, to_blame(stall)),
    }


def _thread_to_blame(stall: Stall) -> int:
    return (holder_to_blame(stall) or stall.loop).native_id


def _threads(stall: Stall) -> Iterable[dict[str, Any]]:
    blamed, loop, holder = _thread_to_blame(stall), stall.loop, stall.holder
    yield _thread(loop.native_id, loop.thread, blamed, stall, stall.stack) | {"main": loop.native_id == loop.pid}
    if holder is not None:
        yield _thread(holder.native_id, holder.thread, blamed, stall, holder.stack)


def _thread(native_id: int, name: str, blamed: int, stall: Stall, stack: tuple[Frame, ...]) -> dict[str, Any]:
    thread: dict[str, Any] = {"id": native_id, "name": plain(name), "crashed": False, "current": native_id == blamed}
    # That of the thread to blame is the exception's.
    return thread if native_id == blamed else {**thread, "stacktrace": _stacktrace(stall, stack)}


def _stacktrace(stall: Stall, stack: tuple[Frame, ...]) -> dict[str, Any]:
    return {"frames": [_frame(frame, stall) for frame in stack]}


def _frame(frame: Frame, stall: Stall) -> dict[str, Any]:
    is_origin = stall.origin is not None and frame.file == stall.origin.file  # of `app_packages`, perhaps
    told = {
        "filename": plain(_short(frame)),
        "abs_path": plain(frame.file),
        "module": frame.module,
        "function": plain(frame.function),
        "lineno": frame.line,
        "context_line": plain(frame.source),
        "in_app": frame.kind == "app" or is_origin,
    }
    return {key: value for key, value in told.items() if value is not None}


def _short(frame: Frame) -> str:
    """The file as its module's name has it, which is the same on every machine: "shop/services.py"."""
    parts = frame.file.replace("\\", "/").split("/")
    depth = (frame.module or "").count(".") + 1 + (parts[-1] == "__init__.py")
    return "/".join(parts[-depth:])
