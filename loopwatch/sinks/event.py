"""A stall as a log event: flat keys, one line. The key names are part of the public contract."""

from typing import Any

from loopwatch.records import Cause, Frame, Holder, Origin, Stall

__all__ = [
    "event_name",
    "facts_of",
    "fields_of",
    "holder_to_blame",
    "line_of",
    "one_line",
    "place_of",
    "plain",
    "sentence",
    "to_blame",
]

MAX_VALUE = 500
"""Characters of one value: a log line must stay a line."""


def event_name(stall: Stall) -> str:
    """`event_loop_stalled` while it lasts, `event_loop_blocked` when it has ended."""
    return "event_loop_stalled" if stall.ongoing else "event_loop_blocked"


def fields_of(stall: Stall) -> dict[str, Any]:
    """The event's keys and values, without its name: also what the program has bound to the task."""
    bound = {key: plain(value) for key, value in stall.context if key.isidentifier() and key not in RESERVED}
    return {**bound, **facts_of(stall)}


def facts_of(stall: Stall) -> dict[str, Any]:
    """Those keys and values that are ours."""
    request = stall.request
    fields: dict[str, Any] = {
        "stall_id": stall.id,
        "duration_ms": round(stall.duration_ms, 1),
        "own_ms": round(stall.own_ms, 1),
        "threshold_ms": stall.threshold_ms,
        "timing": stall.timing,
        "cause": stall.cause.value,
        "evidence": stall.evidence,
        "confidence": stall.confidence,
        **place_of(stall.origin),
        "method": request.method if request else None,
        "route": request.route if request else None,
        "endpoint": request.endpoint if request else None,
        "task": stall.task,
        "waiting": stall.waiting.requests if stall.waiting.requests is not None else stall.waiting.callbacks,
        "advice": stall.advice,
        "fingerprint": stall.fingerprint,
        "started_at": stall.started_at.isoformat(),
        "loop": stall.loop.backend,
        "thread": stall.loop.thread,
        "pid": stall.loop.pid,
    }
    if not stall.ongoing and not stall.stack_omitted:
        fields["stack"] = [f"{frame.file}:{frame.line} {frame.function}" for frame in to_blame(stall)]
    if stall.holder is not None:
        fields["holder"] = stall.holder.thread
    if stall.called_from is not None:
        fields["called_from"] = stall.called_from
    if stall.nurseries:
        fields["nurseries"] = list(stall.nurseries)
    if stall.suppressed_count:
        fields["suppressed_count"] = stall.suppressed_count
        fields["suppressed_ms"] = round(stall.suppressed_ms, 1)
    return {key: plain(value) for key, value in fields.items()}


def place_of(origin: Origin | None) -> dict[str, Any]:
    """Those that say which line; all None where there is none."""
    return {
        "file": origin.file if origin else None,
        "line": origin.line if origin else None,
        "function": origin.function if origin else None,
        "expression": origin.expression or origin.source if origin else None,
        "call": origin.call if origin else None,
        "exact": origin.exact if origin else None,
    }


def sentence(stall: Stall) -> str:
    """For people who see nothing else of it."""
    blocked = "has been blocked" if stall.ongoing else "was blocked"
    where = f" at {stall.origin.file}:{stall.origin.line}" if stall.origin else ""
    return f"the event loop {blocked} for {stall.duration_ms:.0f} ms{plain(where)} ({stall.cause.value})"


def holder_to_blame(stall: Stall) -> Holder | None:
    """The other thread that is to blame: where it kept the GIL, the loop's own stack tells nothing. None: the loop's own is."""
    return stall.holder if stall.cause is Cause.GIL else None


def to_blame(stall: Stall) -> tuple[Frame, ...]:
    """The stack of the thread that is to blame."""
    holder = holder_to_blame(stall)
    return stall.stack if holder is None else holder.stack


RESERVED = frozenset(
    "event level logger timestamp exc_info stack_info stacklevel _record _from_structlog "
    "self method_name name args kw positional_args event_kw".split()
)
"""Keys of a log event, and names of structlog's own arguments, that a bound variable of the program must not take."""


def plain(value: Any) -> Any:
    """A value, or a list of them, that stays within a line: texts without control characters, and not longer than `MAX_VALUE`."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else " " for c in value)[:MAX_VALUE]
    return [plain(item) for item in value] if isinstance(value, list) else value


def one_line(stall: Stall) -> str:
    """The event as `name key=value ...`, without what is None."""
    return line_of(event_name(stall), fields_of(stall))


def line_of(name: str, fields: dict[str, Any]) -> str:
    """The same for any event."""
    pairs = (f"{key}={_quoted(value)}" for key, value in fields.items() if value is not None)
    return " ".join((name, *pairs))


def _quoted(value: Any) -> str:
    text = " > ".join(value) if isinstance(value, list) else str(value)
    text = text.replace('"', "'")
    return f'"{text}"' if not text or " " in text or "=" in text else text
